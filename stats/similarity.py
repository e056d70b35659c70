"""How alike two submissions are: in code, and in what they predict; and whether they differ as honest methods do.

    profile(source)              3-grams of the syntax tree, names and constants masked
    answers(predictions)         hard answers, and which of them are far from the boundary, by rank within the draw
    flips(one, others)           where two submissions answer differently, and whether either was sure there

A change of a method moves every answer a little, and so turns over those that were near the boundary. Flips that are seeded
by a hash of the text, to learn labels from scores, fall anywhere: half of them on answers of which both submissions were
surer than of most. Whoever feigns doubt where it flips is given away by the other one, and by how alike the two are
everywhere else.
"""

from __future__ import annotations

import ast
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from stats.ranks import mean_ranks

BUCKETS = 2048
"""3-grams are counted by a hash; a method has some hundreds."""
FAR = 0.5
"""Answers of a higher surety are far from the boundary: half of all."""
TIED = 0.25
"""Where fewer answers than this are far, too many tie."""
INVERTED = 0.6
"""Two submissions that differ in more answers of a draw have opposite signs there, which is no flipping of answers."""


@lru_cache(maxsize=4096)
def profile(source: str) -> np.ndarray:
    """(BUCKETS,) uint16: how often each 3-gram of node kinds, in the order of the text, is there. SyntaxError as by
    ast.parse."""
    kinds: list[str] = []
    waiting: list[ast.AST] = [ast.parse(source)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.expr_context) or isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue  # load or store follows from the rest; a docstring does nothing
        kinds.append(type(node).__name__)
        waiting += reversed(list(ast.iter_child_nodes(node)))
    counts = np.zeros(BUCKETS, np.uint16)
    for three in zip(kinds, kinds[1:], kinds[2:]):
        counts[zlib.crc32(" ".join(three).encode()) % BUCKETS] += 1
    return counts


def code_similarity(one: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(k,) in [0, 1] of a profile to (k, BUCKETS) others: 3-grams in common over 3-grams in either (Ruzicka's index)."""
    either = np.maximum(one, others).sum(axis=1)
    return np.minimum(one, others).sum(axis=1) / np.maximum(either, 1)


def hard(predictions: np.ndarray) -> np.ndarray:
    """(draws, items, 2) chances -> (draws, items) bool, as the evaluator takes them."""
    return predictions[:, :, 1] > 0.5


def surety(predictions: np.ndarray) -> np.ndarray:
    """(draws, items, 2) chances -> (draws, items) float32 in (0, 1): the rank of |p - 1/2| within its draw. Answers that are
    equally sure share their mean rank, so that nothing is far where all are."""
    distance = np.abs(predictions[:, :, 1].astype(np.float64) - 0.5)
    return ((mean_ranks(distance) - 0.5) / distance.shape[1]).astype(np.float32)


def is_told(sure: np.ndarray) -> bool:
    """Whether sureties tell answers apart: not where they are mostly ties, as of methods that only say 0 or 1."""
    return bool((sure > FAR).mean() > TIED)


@dataclass(frozen=True)
class Answers:
    """What is kept of a submission's predictions, two bits an answer: `hard` and `far` (draws, bytes) uint8, packed along
    the items; `own`: whether `far` is read off its own chances."""

    hard: np.ndarray
    far: np.ndarray
    items: int
    own: bool = True

    @property
    def draws(self) -> int:
        return len(self.hard)


def answers(predictions: np.ndarray) -> Answers:
    """Of (draws, items, 2) chances. Where sureties are mostly ties, nothing is far and `own` is False."""
    sure = surety(predictions)
    own = is_told(sure)
    far = np.packbits((sure > FAR) & own, axis=1)
    return Answers(np.packbits(hard(predictions), axis=1), far, predictions.shape[1], own)


@dataclass(frozen=True)
class Flips:
    """Of one submission against k others, on the draws that both have: `share` (k,) of all answers that differ; of those in
    draws that are not plainly inverted their number `cells` (k,), and how many of them are `far` (k,): either of the two was
    surer there than of half its answers; `elsewhere` (k,): where they answer alike, the share of answers of which both are
    so sure or neither; `items` (k, bytes), packed: which items have a cell that differs; `repeated` (k,): in what share of
    those draws an item differs that differs in one; `varied` (k,): the share of items that the steadier of the two answers
    differently from draw to draw; `moved` (k,): what is unlike elsewhere over what differs, both as shares of answers."""

    share: np.ndarray
    cells: np.ndarray
    far: np.ndarray
    elsewhere: np.ndarray
    items: np.ndarray
    repeated: np.ndarray
    varied: np.ndarray
    moved: np.ndarray


def flips(one: Answers, others: Sequence[Answers]) -> Flips:
    """How `one` differs from each of `others` (not empty), which have the same items and all as many draws as each other.

    A draw in which most answers differ is left out: a method that takes the sign of its answers from a draw may get it
    wrong.
    """
    draws = min(one.draws, others[0].draws)
    theirs = np.stack([other.hard[:draws] for other in others])
    differ = theirs ^ one.hard[:draws]  # (k, draws, bytes); the bits that fill up the last byte are equal
    shares = np.bitwise_count(differ).sum(axis=2, dtype=np.int64) / one.items
    kept = (shares <= INVERTED)[:, :, None]
    differ &= np.where(kept, 255, 0).astype(np.uint8)
    far = np.stack([other.far[:draws] for other in others])
    mine = one.far[:draws]

    def count(bits: np.ndarray) -> np.ndarray:
        return np.bitwise_count(bits).sum(axis=(1, 2), dtype=np.int64)

    cells = count(differ)
    same = kept.sum(axis=(1, 2)) * one.items - cells
    unlike = count((far ^ mine) & ~differ & np.where(kept, 255, 0).astype(np.uint8))
    unlike = unlike / np.maximum(same, 1)
    moved = unlike * (cells + same) / np.maximum(cells, 1)
    items = np.bitwise_or.reduce(differ, axis=1)
    most = np.bitwise_count(items).sum(axis=1, dtype=np.int64) * kept.sum(axis=(1, 2))
    varied = np.minimum(_varied(theirs), _varied(one.hard[None, :draws])) / one.items
    repeated, far_cells = cells / np.maximum(most, 1), count(differ & (far | mine))
    return Flips(shares.mean(axis=1), cells, far_cells, 1 - unlike, items, repeated, varied, moved)


def _varied(packed: np.ndarray) -> np.ndarray:
    """(k, draws, bytes) hard answers -> (k,): how many items are not answered alike in all draws."""
    once, always = np.bitwise_or.reduce(packed, axis=1), np.bitwise_and.reduce(packed, axis=1)
    return np.bitwise_count(once & ~always).sum(axis=1, dtype=np.int64)
