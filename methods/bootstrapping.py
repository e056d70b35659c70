"""Bootstrapping through sizes: each student is a little stronger than the one it learns from.

Burns et al. 2023 (arXiv 2312.09390, section 4.3.1) put models of growing size between the weak teacher and the strong
student. Here, on probes, size is the number of principal components of the hidden states that a student sees; each relabels
the pool for the next, starting from the teacher's confident items. Needs `components`, so probes only.
"""
import numpy as np

FAMILY = "bootstrapping"

SIZES = (5, 10, 20, 50)   # then all
SHARE = 0.25              # of each class, for the first student
L2 = 0.03
LAST_L2 = 0.1


def fit(w2s):
    labels = w2s.weak[:, 1] > 0.5
    rate = labels.mean()
    rows = confident(w2s.weak[:, 1], labels)
    most = min(len(labels), w2s.student().embed(w2s.texts[:1]).shape[1])
    for size in SIZES:
        student = w2s.student(components=min(size, most)).fit(w2s.texts[rows], labels[rows], l2=L2)
        scores = student.logits(w2s.texts)
        labels, rows = scores > np.quantile(scores, 1 - rate), np.arange(len(labels))
    return w2s.student().fit(w2s.texts, labels, l2=LAST_L2).match_prior(w2s.texts, rate)


def confident(positive, labels):
    """Positions of the items of which the teacher is most sure, a share of each class."""
    chosen = []
    for says, confidence in ((labels, positive), (~labels, -positive)):
        rows = np.flatnonzero(says)
        chosen.append(rows[np.argsort(-confidence[rows])[: max(5, int(SHARE * len(rows)))]])
    return np.sort(np.concatenate(chosen))
