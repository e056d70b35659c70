"""Keep only the pool items on which the teacher is most confident, as many of each class as its labels say.

The teacher's hard labels are poor over all, but its ranking is informative: where it is sure it is more often right. Fewer,
cleaner labels are worth more to the student than many. (Confidence as in Burns et al. 2023, arXiv 2312.09390.)
"""
import numpy as np

FAMILY = "filtering"

SHARE = 0.25   # of each class
L2 = 0.3


def fit(w2s):
    positive = w2s.weak[:, 1]
    says_positive = positive > 0.5
    keep = np.zeros(len(positive), bool)
    for says, confidence in ((says_positive, positive), (~says_positive, -positive)):
        rows = np.flatnonzero(says)
        keep[rows[np.argsort(-confidence[rows])[: max(5, int(SHARE * len(rows)))]]] = True
    student = w2s.student().fit(w2s.texts[keep], says_positive[keep], l2=L2)
    return student.match_prior(w2s.texts, says_positive.mean())
