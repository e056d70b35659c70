"""Generalised cross-entropy on hard weak labels: an item that the student finds absurd stops pulling.

Between cross-entropy, which learns fast, and the mean absolute error, which symmetric noise cannot mislead (Zhang and
Sabuncu 2018, arXiv 1805.07836).
"""
FAMILY = "robust-loss"

Q = 0.7   # the paper's


def fit(w2s):
    says_positive = w2s.weak[:, 1] > 0.5
    student = w2s.student().fit(w2s.texts, says_positive, loss=w2s.losses.gce(q=Q))
    return student.match_prior(w2s.texts, says_positive.mean())
