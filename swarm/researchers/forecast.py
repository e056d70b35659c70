"""What a recipe will probably give, told by what was seen: parts add up, and similar recipes do similarly.

First each part gets the mean lift of the recipes that hold it, shrunk towards nothing. What this leaves unexplained
is averaged over the recipes that look most alike. Small data, small model: no matrix, no library, milliseconds.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

from swarm.researchers.archive import Found
from swarm.researchers.catalogue import BLOCKS, HEAD_COMPONENTS, HEAD_L2
from swarm.researchers.recipe import Recipe, Step

QUICK = 0.33
"""What one draw counts against a verdict on all draws."""
REACH = 0.8
"""Recipes at this distance weigh 1/e in each other's forecast."""


class Forecast:
    """Of verdicts with recipes. `mean` lift; part -> `count` of the verdicts that hold it (one draw counts as `QUICK`);
    part -> `credit`: how much more they lift than the mean, shrunk."""

    def __init__(self, archive: Sequence[Found]) -> None:
        self.seen = [(f.recipe, f.lift, 1.0 if f.full else QUICK) for f in archive if f.recipe and f.lift is not None]
        total: dict[str, float] = defaultdict(float)
        weight: dict[str, float] = defaultdict(float)
        weights = sum(w for *_, w in self.seen)
        self.mean = sum(lift * w for _, lift, w in self.seen) / weights if weights else 0.0
        for recipe, lift, w in self.seen:
            for part in set(recipe.parts):
                total[part] += w * (lift - self.mean)
                weight[part] += w
        self.count = dict(weight)
        self.credit = {part: total[part] / (weight[part] + 2) for part in total}
        self.left = [(recipe, lift - self._by_parts(recipe), w) for recipe, lift, w in self.seen]

    def _by_parts(self, recipe: Recipe) -> float:
        return self.mean + 0.5 * sum(self.credit.get(part, 0.0) for part in set(recipe.parts))

    def of(self, recipe: Recipe) -> tuple[float, float]:
        """(expected lift, how little is known of its like: from 0 to 1)."""
        near = [(w * math.exp(-distance(recipe, other) / REACH), left) for other, left, w in self.left]
        known = sum(k for k, _ in near)
        return self._by_parts(recipe) + sum(k * left for k, left in near) / (known + 0.3), 1 / (1 + known)


def distance(one: Recipe, other: Recipe) -> float:
    """How much two recipes differ: about 1 for a block that only one of them has, less for a constant."""
    mine, theirs = {s.block: s for s in one.steps}, {s.block: s for s in other.steps}
    both = mine.keys() & theirs.keys()
    far = float(len(mine.keys() ^ theirs.keys())) + 0.6 * (one.start != other.start) + 0.8 * (one.view != other.view)
    far += sum(_constants(mine[block], theirs[block]) for block in both)
    far += 0.3 * ([s.block for s in one.steps if s.block in both] != [s.block for s in other.steps if s.block in both])
    far += 0.2 * _rungs(HEAD_COMPONENTS, one.components, other.components) + 0.05 * _rungs(HEAD_L2, one.l2, other.l2)
    return far + 0.15 * (one.cut != other.cut) + 0.3 * (one.second != other.second)


def _constants(one: Step, other: Step) -> float:
    ladders, theirs = BLOCKS[one.block].ladders, other.values
    return sum(0.12 * _rungs(ladders[name], value, theirs.get(name)) for name, value in one.constants)


def _rungs(ladder: tuple, one: object, other: object) -> int:
    if one == other:
        return 0
    return abs(ladder.index(one) - ladder.index(other)) if one in ladder and other in ladder else 2
