"""Generations of equal students: each learns from the soft answers of the one before.

Born-again networks (Furlanello et al. 2018, arXiv 1805.04770). A generation smooths what it was taught; what survives
several of them are the directions that explain most of it (Mobahi et al. 2020, arXiv 2002.05715).
"""
import numpy as np

FAMILY = "distillation"

GENERATIONS = 3
L2 = 0.1


def fit(w2s):
    positive = w2s.weak[:, 1]
    rate = (positive > 0.5).mean()
    student = w2s.student().fit(w2s.texts, w2s.weak, l2=L2)
    for _ in range(GENERATIONS):
        z = student.logits(w2s.texts)
        z = (z - np.quantile(z, 1 - rate)) / (z.std() + 1e-9)   # each generation as sure of itself as the last
        student = w2s.student().fit(w2s.texts, 1 / (1 + np.exp(-z)), l2=L2)
    return student.match_prior(w2s.texts, rate)
