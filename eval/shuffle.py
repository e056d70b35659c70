"""Teachers whose labels are shuffled: they say as often yes, and know nothing of the item.

For the audit of a method that may not need its teacher, and for null runs, which show how high a swarm climbs on nothing.
"""
from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

import numpy as np


def shuffled_positions(count: int, seed: int) -> np.ndarray:
    """(count,) positions: item i gets what the teacher said of item `positions[i]`.

    Over the whole pool, not within groups: a teacher may know something of the question alone, and students of its labels
    shuffled within questions were measured to be as good as before (`snippets`: .66 and .65).
    """
    return np.random.default_rng(seed).permutation(count)


class ShuffledTeacher:
    """What a teacher says of the items of a pool, (n,) chances of class 1, given to other items: always the same to the same."""

    def __init__(self, fields: Sequence[Mapping[str, str]], positive: np.ndarray, positions: np.ndarray) -> None:
        self._positive = positive[positions]
        self._place = {_digest(one): place for place, one in enumerate(fields)}

    def __call__(self, fields: Sequence[Mapping[str, str]]) -> np.ndarray:
        """(m,) chances of class 1, of items of the pool or of any others."""
        digests = map(_digest, fields)
        return np.array([self._positive[self._place.get(digest, digest % len(self._positive))] for digest in digests])


def _digest(fields: Mapping[str, str]) -> int:
    return int.from_bytes(hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).digest()[:8], "big")
