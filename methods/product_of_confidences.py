"""Targets that both the teacher and the student believe in: the product of their chances.

Where the two agree the target is surer than either, where they disagree it is unsure and pulls hardly at all. The product
loss in the release of Burns et al. 2023 (arXiv 2312.09390), the student's part warmed up.
"""
FAMILY = "product-of-confidences"

ALPHA = 1.0    # power of the teacher's chances
BETA = 0.5     # power of the student's
WARMUP = 0.2   # of the training


def fit(w2s):
    loss = w2s.losses.product_of_confidences(alpha=ALPHA, beta=BETA, warmup=WARMUP)
    student = w2s.student().fit(w2s.texts, w2s.weak, loss=loss)
    return student.match_prior(w2s.texts, (w2s.weak[:, 1] > 0.5).mean())
