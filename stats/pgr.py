"""PGR and its uncertainty.

    PGR = (acc_student - acc_weak) / (acc_ceiling - acc_weak)      Burns et al. 2023, arXiv 2312.09390

All functions take *correctness*: arrays of 0/1 (or of shares, when averaged over student seeds) with shape
(draws, items), on common draws and items, so that every difference is paired. A PGR of several draws is a ratio of
means, never a mean of ratios: the gap of a single draw is noisy and may come near zero. Intervals come from a bootstrap
that resamples groups of items and draws together; resampling draws alone covers too little.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

LEAST_GAP = 0.03
"""Where the gap's own lower bound is below this, PGR divides by noise and is reported as not available."""


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval; None where it cannot be told."""

    value: float | None
    low: float | None
    high: float | None


def pgr(student: float, weak: float, ceiling: float) -> float:
    """Performance gap recovered, from three accuracies in [0, 1]. ValueError where ceiling equals weak."""
    if ceiling == weak:
        raise ValueError("PGR is not defined: the ceiling is no better than the weak teacher")
    return (student - weak) / (ceiling - weak)


@lru_cache(maxsize=8)
def _weights(draws: int, groups: int, resamples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Bootstrap weights: (resamples, draws) and (resamples, groups), each row summing to 1.

    Cached, and the same for every submission of a run: two verdicts differ by their answers only.
    """
    rng = np.random.default_rng(seed)
    by_draw = rng.multinomial(draws, np.full(draws, 1 / draws), resamples) / draws
    by_group = rng.multinomial(groups, np.full(groups, 1 / groups), resamples) / groups
    return by_draw.astype(np.float32), by_group.astype(np.float32)


def _group_sums(correct: np.ndarray, group_of: np.ndarray, groups: int) -> np.ndarray:
    """(draws, items) -> (draws, groups): correct answers added up by group."""
    if groups == correct.shape[1]:
        return correct[:, np.argsort(group_of)].astype(np.float32)
    return np.stack([np.bincount(group_of, row, groups) for row in correct]).astype(np.float32)


class Bootstrap:
    """Resampled accuracies over groups x draws, with one set of weights for all arrays it is given.

    `groups`: (items,) any integers; items of one group are resampled together.
    """

    def __init__(self, draws: int, groups: np.ndarray, resamples: int = 1000, seed: int = 0):
        self.draws = draws
        _, self.group_of = np.unique(groups, return_inverse=True)
        self.groups = int(self.group_of.max()) + 1
        self.by_draw, self.by_group = _weights(draws, self.groups, resamples, seed)
        sizes = np.bincount(self.group_of, minlength=self.groups).astype(np.float32)
        self.items = self.by_group @ sizes  # (resamples,): how many items each resample holds, over the group count

    def accuracies(self, correct: np.ndarray) -> np.ndarray:
        """(draws, items) -> (resamples,): the accuracy in each resample."""
        if correct.shape != (self.draws, len(self.group_of)):
            raise ValueError(f"expected correctness of shape {(self.draws, len(self.group_of))}, got {correct.shape}")
        sums = _group_sums(correct, self.group_of, self.groups)
        return np.einsum("rd,dg,rg->r", self.by_draw, sums, self.by_group, optimize=True) / self.items


def _interval(samples: np.ndarray) -> tuple[float, float]:
    low, high = np.percentile(samples, [2.5, 97.5])
    return float(low), float(high)


def gap_is_established(weak: np.ndarray, ceiling: np.ndarray, bootstrap: Bootstrap) -> bool:
    """Whether the 95 % lower bound of ceiling minus weak accuracy reaches LEAST_GAP."""
    return _interval(bootstrap.accuracies(ceiling) - bootstrap.accuracies(weak))[0] >= LEAST_GAP


def estimate_pgr(student: np.ndarray, weak: np.ndarray, ceiling: np.ndarray, bootstrap: Bootstrap) -> Estimate:
    """PGR with its 95 % interval; the anchors' own error is part of it. All None where the gap is not established."""
    if not gap_is_established(weak, ceiling, bootstrap):
        return Estimate(None, None, None)
    s, w, c = (bootstrap.accuracies(x) for x in (student, weak, ceiling))
    return Estimate(pgr(float(student.mean()), float(weak.mean()), float(ceiling.mean())), *_interval((s - w) / (c - w)))


def estimate_difference(
    first: np.ndarray, second: np.ndarray, weak: np.ndarray, ceiling: np.ndarray, bootstrap: Bootstrap
) -> Estimate:
    """PGR of `first` minus PGR of `second`, paired on items and draws, with its 95 % interval.

    The *lift* of a method is this difference to the tuned naive baseline. It is taken conditional on the anchors (their
    error moves both sides alike): one gap, the mean over all draws, divides it.
    """
    if not gap_is_established(weak, ceiling, bootstrap):
        return Estimate(None, None, None)
    gap = float(ceiling.mean() - weak.mean())
    difference = first.astype(np.float32) - second.astype(np.float32)
    return Estimate(float(difference.mean()) / gap, *_interval(bootstrap.accuracies(difference) / gap))


def by_draw(first: np.ndarray, second: np.ndarray, weak: np.ndarray, ceiling: np.ndarray) -> list[float]:
    """The difference of two (draws, items) arrays in each draw, as PGR, rounded to four digits: the accuracies of a draw over
    the gap of all of them, since that of a single draw may come near zero. Their mean is the PGR (against `weak`) or the
    difference that the estimates above give. Only where the gap is established."""
    gap = float(ceiling.mean() - weak.mean())
    difference = first.astype(np.float32) - second.astype(np.float32)
    return [round(float(mean) / gap, 4) for mean in difference.mean(axis=1, dtype=np.float64)]


def in_words(difference: Estimate) -> str | None:
    """`better`, `worse` or `within noise`: what a paired difference to something else allows one to say."""
    if difference.low is None or difference.high is None:
        return None
    if difference.low > 0:
        return "better"
    return "worse" if difference.high < 0 else "within noise"
