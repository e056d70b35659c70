"""Ranks with ties, as of `scipy.stats.rankdata`, whose import alone takes longer than many a submission."""

from __future__ import annotations

import numpy as np


def mean_ranks(values: np.ndarray) -> np.ndarray:
    """(n, m) finite -> (n, m) float64: ranks 1 ... m within each row; equal values share the mean of theirs."""
    ranks = np.empty(values.shape)
    for row, out in zip(values, ranks, strict=True):
        _, place, counts = np.unique(row, return_inverse=True, return_counts=True)
        out[:] = (counts.cumsum() - (counts - 1) / 2)[place]
    return ranks
