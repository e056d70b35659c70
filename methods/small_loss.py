"""In every batch learn only from the items with the smallest loss, fewer and fewer of them.

What a student finds easy to believe is more often right; what it still finds absurd after a while is probably mislabelled
(the selection rule of Han et al. 2018, arXiv 1804.06872, with a single student).
"""
FAMILY = "small-loss"

KEEP = 0.7   # share of a batch at the end
RAMP = 0.5   # of the training


def fit(w2s):
    says_positive = w2s.weak[:, 1] > 0.5
    student = w2s.student().fit(w2s.texts, says_positive, loss=w2s.losses.small_loss(keep=KEEP, ramp=RAMP))
    return student.match_prior(w2s.texts, says_positive.mean())
