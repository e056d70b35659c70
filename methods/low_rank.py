"""A student that sees only the first principal components of the hidden states, trained on the confident items.

With few directions to choose from it cannot fit the teacher's mistakes, only tilt towards the concept that the teacher
agrees with most: a bias for simplicity by construction. Needs `components`, so probes only.
"""
import numpy as np

FAMILY = "low-rank"

COMPONENTS = 5
SHARE = 0.25   # of each class
L2 = 0.003


def fit(w2s):
    positive = w2s.weak[:, 1]
    says_positive = positive > 0.5
    keep = np.zeros(len(positive), bool)
    for says, confidence in ((says_positive, positive), (~says_positive, -positive)):
        rows = np.flatnonzero(says)
        keep[rows[np.argsort(-confidence[rows])[: max(5, int(SHARE * len(rows)))]]] = True
    student = w2s.student(components=COMPONENTS).fit(w2s.texts[keep], says_positive[keep], l2=L2)
    return student.match_prior(w2s.texts, says_positive.mean())
