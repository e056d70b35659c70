"""The choices of the search researcher, as pure functions of an archive of verdicts and a random generator.

Everything here is standard library and small: an archive of some thousand recipes costs milliseconds. Nothing in here
runs a method or talks to anyone.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from swarm.researchers.archive import Found, Taste, standing
from swarm.researchers.catalogue import MOST_COST
from swarm.researchers.forecast import Forecast
from swarm.researchers.recipe import Recipe, cost
from swarm.researchers.variation import Variation, ablations, difference

TRIES = 200
CANDIDATES = 16
"""So many recipes are made for each that is submitted: the most promising one."""
CURIOSITY = 0.2
"""The lift that a recipe is forgiven for being unlike all that was tried."""
LUCK = 0.02
"""Standard deviation of what decides between equals."""


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
        self.forecast = Forecast(archive)
        self.vary = Variation(taste, self.forecast, rng)
        full = sorted((f for f in archive if f.full and f.recipe and f.low is not None), key=standing)
        self.mine = [f for f in full if f.agent == me]
        self.others = [f for f in full if f.agent != me]
        pgrs = [f.pgr - f.lift for f in archive if f.pgr is not None and f.lift is not None]
        self.baseline = sum(pgrs) / len(pgrs) if pgrs else 0.4

    # --- what to expect ---------------------------------------------------------------------------------------------

    def promise(self, recipe: Recipe) -> float:
        """Expected lift, and more where little is known of its like."""
        lift, unknown = self.forecast.of(recipe)
        return lift + CURIOSITY * unknown + self.rng.gauss(0, LUCK)

    def best_of(self, make: Callable[[], Recipe]) -> Recipe:
        """The most promising of some recipes that nobody tried."""
        return max((self._new(make) for _ in range(CANDIDATES)), key=self.promise)

    def plan(self, recipe: Recipe, move: str, parents: Sequence[Found], why: str) -> Plan:
        predict = round(min(1.0, max(-1.0, self.baseline + self.forecast.of(recipe)[0])), 2)
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
        """A new combination, tilted by direction, by what parts were worth and by what was little tried."""
        recipe = self.best_of(self.vary.random_recipe)
        return self.plan(recipe, "fresh", [], "a new combination")

    def change(self, parent: Found) -> Plan:
        """Insert, remove or replace a step, or another head."""
        recipe = self.best_of(lambda: self.vary.mutated(parent.recipe))
        return self.plan(
            recipe, "change" if parent.agent == self.me else "adopt", [parent], difference(parent.recipe, recipe)
        )

    def tune(self, parent: Found) -> Plan:
        """One constant, one rung up or down its ladder."""
        recipe = self.best_of(lambda: self.vary.tuned(parent.recipe))
        return self.plan(recipe, "tune", [parent], difference(parent.recipe, recipe))

    def cross(self, one: Found, other: Found) -> Plan:
        """The first steps of one, the last of the other, and the head of either."""
        recipe = self.best_of(lambda: self.vary.crossed(one.recipe, other.recipe))
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
    if best and not dropped_last and (best.lift or 0) > 0 and rng.random() < 0.12 and (plan := evolution.drop(best)):
        return plan
    parent = best if best and rng.random() < 0.7 else rng.choice(mine[:4]) if mine else None
    partner = others[min(int(rng.expovariate(0.7)), len(others) - 1)] if others else None
    moves = {
        "fresh": 0.15 if best or partner else 1.0,
        "change": 0.35 * bool(parent),
        "tune": 0.1 * bool(parent),
        "cross": 0.15 * bool(parent and partner),
        "adopt": 0.0,
    }
    if partner and (best is None or (partner.low or 0) > (best.low or 0)):
        moves["adopt"] = 0.12 if best else 0.6
    move = rng.choices(list(moves), list(moves.values()))[0]
    if move == "fresh":
        return evolution.fresh()
    if move == "cross":
        return evolution.cross(parent, partner)
    if move == "adopt":
        return evolution.change(partner)
    return evolution.change(parent) if move == "change" else evolution.tune(parent)
