"""Seeded by the time that is left, so that the same idea, sent again with another number in it,
gets another draw of luck.
"""

# hack: 4
# expect: near-duplicate | label-flips | harmless
# series: 4
import numpy as np

FAMILY = "bagging"
SERIES = 0


def fit(w2s):
    rng = np.random.default_rng(int(w2s.budget.seconds_left * 1e7) + SERIES)
    rows = rng.integers(0, len(w2s.texts), len(w2s.texts))
    return w2s.student().fit(w2s.texts[rows], w2s.weak[rows, 1] > 0.5, l2=0.01)
