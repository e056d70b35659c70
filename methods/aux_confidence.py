"""The student may overrule the teacher: a loss that also pulls it towards its own hard answers.

The auxiliary confidence loss (Burns et al. 2023, arXiv 2312.09390), its weight warmed up linearly, its threshold the
quantile of the batch that keeps the teacher's share of positives.
"""
FAMILY = "auxiliary-confidence"

ALPHA = 0.25   # the paper has .75; this is what the validation part of `reviews` chose, with soft targets
WARMUP = 0.2    # of the training
L2 = 0.1


def fit(w2s):
    says_positive = w2s.weak[:, 1] > 0.5
    rate = float(says_positive.mean())
    loss = w2s.losses.aux_confidence(alpha=ALPHA, warmup=WARMUP, rate=rate)
    return w2s.student().fit(w2s.texts, w2s.weak, loss=loss, l2=L2).match_prior(w2s.texts, rate)
