"""Cross-entropy plus its reverse, in which labels and answers change places: the second part tolerates wrong labels.

Symmetric cross-entropy (Wang et al. 2019, arXiv 1908.06112), with the paper's weights for heavy noise.
"""
FAMILY = "robust-loss"

ALPHA, BETA = 0.1, 1.0


def fit(w2s):
    says_positive = w2s.weak[:, 1] > 0.5
    student = w2s.student().fit(w2s.texts, says_positive, loss=w2s.losses.symmetric_ce(alpha=ALPHA, beta=BETA))
    return student.match_prior(w2s.texts, says_positive.mean())
