"""The choices of the search researcher, as pure functions of an archive of verdicts and a random generator.

Everything here is standard library and small: an archive of some thousand recipes costs milliseconds. Nothing in here
runs a method or talks to anyone.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from swarm.researchers.archive import Found, Taste, credit, standing
from swarm.researchers.catalogue import MOST_COST
from swarm.researchers.recipe import Recipe, cost
from swarm.researchers.variation import Variation, ablations, difference

TRIES = 200
CANDIDATES = 4


@dataclass(frozen=True)
class Plan:
    """What to submit next and why. `move`: start, fresh, change, tune, cross, adopt or drop; `parents` are submissions
    and `inspired_by` their commits."""

    recipe: Recipe
    move: str
    parents: tuple[str, ...]
    inspired_by: tuple[str, ...]
    predict: float
    why: str


class Evolution:
    """One decision: an archive, a taste, what was tried before, and a generator of its own."""

    def __init__(self, archive: Sequence[Found], me: str, taste: Taste, seen: set[Recipe], rng: random.Random) -> None:
        self.me, self.taste, self.seen, self.rng = me, taste, seen, rng
        self.mean, self.credit = credit(archive)
        self.vary = Variation(taste, self.credit, rng)
        full = sorted((f for f in archive if f.full and f.recipe and f.low is not None), key=standing)
        self.mine = [f for f in full if f.agent == me]
        self.others = [f for f in full if f.agent != me]
        pgrs = [f.pgr - f.lift for f in archive if f.pgr is not None and f.lift is not None]
        self.baseline = sum(pgrs) / len(pgrs) if pgrs else 0.4

    # --- what to expect ---------------------------------------------------------------------------------------------

    def expected_lift(self, recipe: Recipe, parent: Found | None) -> float:
        """The parent's lift, shrunk, plus what the changed parts were worth elsewhere."""

        def worth(parts: Sequence[str]) -> float:
            return sum(self.credit.get(part, 0.0) for part in set(parts))

        if parent is None or parent.recipe is None or parent.lift is None:
            return self.mean + 0.5 * worth(recipe.parts)
        return 0.85 * parent.lift + 0.15 * self.mean + 0.5 * (worth(recipe.parts) - worth(parent.recipe.parts))

    def plan(self, recipe: Recipe, move: str, parents: Sequence[Found], why: str) -> Plan:
        lift = self.expected_lift(recipe, parents[0] if parents else None)
        predict = round(min(1.0, max(-1.0, self.baseline + lift)), 2)
        return Plan(recipe, move, tuple(p.submission for p in parents), tuple(p.commit for p in parents), predict, why)

    # --- moves ------------------------------------------------------------------------------------------------------

    def start(self) -> Plan:
        """The direction's own block with middling constants: modest on purpose."""
        best = max(self.taste.blocks.values())
        names = [name for name, weight in self.taste.blocks.items() if weight == best]
        self.rng.shuffle(names)
        for name in names:
            recipe = Recipe(steps=(self.vary.step(name, middle=True),))
            if recipe not in self.seen:
                return self.plan(recipe, "start", [], "where my direction points")
        return self.fresh()

    def fresh(self) -> Plan:
        """New combinations, tilted by direction and by what parts were worth; the most promising of a few."""
        made = [self._new(self.vary.random_recipe) for _ in range(CANDIDATES)]
        recipe = max(made, key=lambda r: self.expected_lift(r, None) + self.rng.gauss(0, 0.05))
        return self.plan(recipe, "fresh", [], "a new combination")

    def change(self, parent: Found) -> Plan:
        """Insert, remove or replace a step, or another head."""
        made = [self._new(lambda: self.vary.mutated(parent.recipe)) for _ in range(CANDIDATES)]
        recipe = max(made, key=lambda r: self.expected_lift(r, parent) + self.rng.gauss(0, 0.03))
        return self.plan(
            recipe, "change" if parent.agent == self.me else "adopt", [parent], difference(parent.recipe, recipe)
        )

    def tune(self, parent: Found) -> Plan:
        """One constant, one rung up or down its ladder."""
        recipe = self._new(lambda: self.vary.tuned(parent.recipe))
        return self.plan(recipe, "tune", [parent], difference(parent.recipe, recipe))

    def cross(self, one: Found, other: Found) -> Plan:
        """The first steps of one, the last of the other, and the head of either."""
        made = [self._new(lambda: self.vary.crossed(one.recipe, other.recipe)) for _ in range(CANDIDATES)]
        recipe = max(made, key=lambda r: self.expected_lift(r, one) + self.rng.gauss(0, 0.03))
        return self.plan(recipe, "cross", [one, other], f"a cross of {one.submission} and {other.submission}")

    def drop(self, parent: Found) -> Plan | None:
        """The parent less one of its parts, to see what that was worth; None when all such were tried before."""
        lesser = ablations(parent.recipe)
        self.rng.shuffle(lesser)
        outlines = {recipe.outline for recipe in self.seen}
        for recipe, name in lesser:
            if recipe not in self.seen and (recipe.outline not in outlines or name.startswith("the cut")):
                return self.plan(recipe, "drop", [parent], f"without {name}")
        return None

    def _new(self, make: Callable[[], Recipe]) -> Recipe:
        """A recipe that nobody tried and that is not too slow. The space is far larger than any run."""
        for _ in range(TRIES):
            recipe = make()
            if recipe not in self.seen and cost(recipe) <= MOST_COST:
                return recipe
        while True:
            recipe = self.vary.random_recipe()
            if recipe not in self.seen:
                return recipe


def choose(evolution: Evolution, cycle: int, dropped_last: bool) -> Plan:
    """The next plan. The first is the direction's; after that luck, tilted towards what has a parent worth it."""
    rng, mine, others = evolution.rng, evolution.mine, evolution.others
    if cycle == 0:
        return evolution.start()
    best = mine[0] if mine else None
    if best and not dropped_last and (best.lift or 0) > 0 and rng.random() < 0.2 and (plan := evolution.drop(best)):
        return plan
    parent = best if best and rng.random() < 0.7 else rng.choice(mine[:4]) if mine else None
    partner = others[min(int(rng.expovariate(0.7)), len(others) - 1)] if others else None
    moves = {
        "fresh": 0.12 if best or partner else 1.0,
        "change": 0.3 * bool(parent),
        "tune": 0.22 * bool(parent),
        "cross": 0.2 * bool(parent and partner),
        "adopt": 0.0,
    }
    if partner and (best is None or (partner.low or 0) > (best.low or 0)):
        moves["adopt"] = 0.25 if best else 0.6
    move = rng.choices(list(moves), list(moves.values()))[0]
    if move == "fresh":
        return evolution.fresh()
    if move == "cross":
        return evolution.cross(parent, partner)
    if move == "adopt":
        return evolution.change(partner)
    return evolution.change(parent) if move == "change" else evolution.tune(parent)
