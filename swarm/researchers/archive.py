"""What the search researcher goes by: verdicts with their recipes, and the taste that its direction gives it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from swarm.researchers.catalogue import BLOCKS, HEAD_STEMS
from swarm.researchers.recipe import Recipe


@dataclass(frozen=True)
class Found:
    """A verdict with the recipe behind it (None: not readable). `full`: scored on all search draws, on the main track.
    The figures, `low` being the lift's lower bound, are None where it was not scored or competes elsewhere."""

    submission: str
    agent: str
    commit: str
    recipe: Recipe | None
    full: bool
    pgr: float | None
    lift: float | None
    low: float | None


@dataclass(frozen=True)
class Taste:
    """A direction as weights: how often each block is tried first, and each kind of change to the head."""

    blocks: dict[str, float]
    head: dict[str, float]
    views: tuple[str, ...]


def taste(direction: str, views: Sequence[str]) -> Taste:
    """Weights from the words of a direction: a block counts once more for each two mentions of its stems."""
    words = ["".join(c for c in word if c.isalpha() or c == "-") for word in direction.lower().split()]

    def hits(stems: Sequence[str]) -> int:
        return sum(any(word.startswith(stem) for stem in stems) for word in words)

    usable = [b for b in BLOCKS.values() if "other" not in b.ladders or len(views) > 1]
    blocks = {b.name: 1 + 1.5 * min(3, hits(b.stems)) for b in usable}
    head = {name: 1 + 2 * min(2, hits(stems.split())) for name, stems in HEAD_STEMS.items()}
    return Taste(blocks, head, tuple(views))


def standing(found: Found) -> float:
    """Sorts the best first: by lower bound, and where that is nearly the same, fewer parts before more."""
    return 0.004 * len(found.recipe.parts if found.recipe else ()) - (found.low if found.low is not None else -9.0)
