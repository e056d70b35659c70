"""The choices of the search researcher, as pure functions of an archive of verdicts and a random generator.

Everything here is standard library and small: an archive of some thousand recipes costs milliseconds. What parts are
worth is told by the mean lift of the recipes that hold them, shrunk towards nothing; a direction's words tilt what is
tried. Nothing in here runs a method or talks to anyone.
"""
from __future__ import annotations

import math
import random
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Any, Sequence

from swarm.researchers.catalogue import BLOCKS, CUTS, HEAD_COMPONENTS, HEAD_L2, HEAD_STEMS, MOST_COST, MOST_STEPS
from swarm.researchers.recipe import Recipe, Step, cost

TRIES = 200
CANDIDATES = 4
CREDIT_SCALE = 0.08
"""A part whose recipes lift this much more than others is tried e times as often."""


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
class Plan:
    """What to submit next and why. `move`: start, fresh, change, tune, cross, adopt or drop; `parents` are submissions and
    `inspired_by` their commits."""

    recipe: Recipe
    move: str
    parents: tuple[str, ...]
    inspired_by: tuple[str, ...]
    predict: float
    why: str


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
    blocks = {b.name: 1 + 3 * min(3, hits(b.stems)) for b in usable}
    head = {name: 1 + 2 * min(2, hits(stems.split())) for name, stems in HEAD_STEMS.items()}
    return Taste(blocks, head, tuple(views))


def credit(archive: Sequence[Found]) -> tuple[float, dict[str, float]]:
    """(mean lift, part -> how much more its recipes lift than the mean, shrunk), one draw counting as a third."""
    known = [(f.recipe.parts, f.lift, 1.0 if f.full else 0.33) for f in archive if f.recipe and f.lift is not None]
    if not known:
        return 0.0, {}
    mean = sum(lift * w for _, lift, w in known) / sum(w for *_, w in known)
    total: dict[str, float] = defaultdict(float)
    weight: dict[str, float] = defaultdict(float)
    for parts, lift, w in known:
        for part in set(parts):
            total[part] += w * (lift - mean)
            weight[part] += w
    return mean, {part: total[part] / (weight[part] + 2) for part in total}


def standing(found: Found) -> float:
    """Sorts the best first: by lower bound, and where that is nearly the same, fewer parts before more."""
    return 0.004 * len(found.recipe.parts if found.recipe else ()) - (found.low if found.low is not None else -9.0)


class Evolution:
    """One decision: an archive, a taste, what was tried before, and a generator of its own."""

    def __init__(self, archive: Sequence[Found], me: str, taste: Taste, seen: set[Recipe], rng: random.Random) -> None:
        self.archive, self.me, self.taste, self.seen, self.rng = archive, me, taste, seen, rng
        self.mean, self.credit = credit(archive)
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
            recipe = Recipe(steps=(self.step(name, middle=True),))
            if recipe not in self.seen:
                return self.plan(recipe, "start", [], "where my direction points")
        return self.fresh()

    def fresh(self) -> Plan:
        """New combinations, tilted by direction and by what parts were worth; the most promising of a few."""
        made = [self._new(lambda: self.random_recipe()) for _ in range(CANDIDATES)]
        recipe = max(made, key=lambda r: self.expected_lift(r, None) + self.rng.gauss(0, 0.05))
        return self.plan(recipe, "fresh", [], "a new combination")

    def change(self, parent: Found) -> Plan:
        """Insert, remove or replace a step, or another head."""
        made = [self._new(lambda: self.mutated(parent.recipe)) for _ in range(CANDIDATES)]
        recipe = max(made, key=lambda r: self.expected_lift(r, parent) + self.rng.gauss(0, 0.03))
        return self.plan(recipe, "change" if parent.agent == self.me else "adopt", [parent], difference(parent.recipe, recipe))

    def tune(self, parent: Found) -> Plan:
        """One constant, one rung up or down its ladder."""
        recipe = self._new(lambda: self.tuned(parent.recipe))
        return self.plan(recipe, "tune", [parent], difference(parent.recipe, recipe))

    def cross(self, one: Found, other: Found) -> Plan:
        """The first steps of one, the last of the other, and the head of either."""
        made = [self._new(lambda: self.crossed(one.recipe, other.recipe)) for _ in range(CANDIDATES)]
        recipe = max(made, key=lambda r: self.expected_lift(r, one) + self.rng.gauss(0, 0.03))
        return self.plan(recipe, "cross", [one, other], f"a cross of {one.submission} and {other.submission}")

    def drop(self, parent: Found) -> Plan | None:
        """The parent less one of its parts, to see what that was worth; None when all were dropped before."""
        lesser = ablations(parent.recipe)
        self.rng.shuffle(lesser)
        for recipe, name in lesser:
            if recipe not in self.seen:
                return self.plan(recipe, "drop", [parent], f"without {name}")
        return None

    # --- recipes ----------------------------------------------------------------------------------------------------

    def _new(self, make) -> Recipe:
        """A recipe that nobody tried and that is not too slow. The space is far larger than any run."""
        for _ in range(TRIES):
            recipe = make()
            if recipe not in self.seen and cost(recipe) <= MOST_COST:
                return recipe
        while True:
            recipe = self.random_recipe()
            if recipe not in self.seen:
                return recipe

    def block(self, without: set[str] = frozenset()) -> str:
        weights = {n: w * math.exp(self.credit.get(n, 0.0) / CREDIT_SCALE) for n, w in self.taste.blocks.items() if n not in without}
        return self.rng.choices(list(weights), list(weights.values()))[0]

    def step(self, name: str, middle: bool = False) -> Step:
        constants = []
        for constant in BLOCKS[name].ladders:
            ladder = self.ladder(name, constant)
            constants.append((constant, ladder[(len(ladder) - 1) // 2] if middle else self.rng.choice(ladder)))
        return Step(name, tuple(constants))

    def ladder(self, block: str, constant: str) -> tuple[Any, ...]:
        return self.taste.views[1:] if constant == "other" else BLOCKS[block].ladders[constant]

    def random_recipe(self) -> Recipe:
        steps: list[Step] = []
        for _ in range(self.rng.choices((1, 2, 3), (2, 4, 2))[0]):
            steps.append(self.step(self.block({step.block for step in steps})))
        start = "teacher_chances" if self.rng.random() < 0.2 else "teacher_labels"
        return Recipe(start, tuple(steps), None, self.rng.choice(HEAD_COMPONENTS), self.rng.choice(HEAD_L2[2:6]), self.cut())

    def cut(self) -> str:
        return self.rng.choices(list(CUTS), (1, 2, 2))[0]

    def mutated(self, recipe: Recipe) -> Recipe:
        steps, rng = list(recipe.steps), self.rng
        kinds = {"insert": 3.0 * (len(steps) < MOST_STEPS), "replace": 2.0 * bool(steps), "remove": 0.7 * (len(steps) > 1),
                 "swap": 0.7 * (len(steps) > 1), "cut": 0.7, "start": 0.4, "view": 0.5 * (len(self.taste.views) > 1),
                 "components": self.taste.head["components"], "second": 0.5 * self.taste.head["second"],
                 "l2": 0.5 * self.taste.head["l2"]}
        kind = rng.choices(list(kinds), list(kinds.values()))[0]
        if kind == "insert":
            steps.insert(rng.randint(0, len(steps)), self.step(self.block({s.block for s in steps})))
        elif kind == "replace":
            steps[rng.randrange(len(steps))] = self.step(self.block({s.block for s in steps}))
        elif kind == "remove":
            del steps[rng.randrange(len(steps))]
        elif kind == "swap":
            i = rng.randrange(len(steps) - 1)
            steps[i], steps[i + 1] = steps[i + 1], steps[i]
        elif kind == "cut":
            return replace(recipe, cut=self.cut())
        elif kind == "start":
            return replace(recipe, start="teacher_labels" if recipe.start == "teacher_chances" else "teacher_chances")
        elif kind == "view":
            view = rng.choice((None, *self.taste.views[1:]))
            return _sound(replace(recipe, view=view, second=None))
        elif kind == "components":
            return _sound(replace(recipe, components=rng.choice(HEAD_COMPONENTS)))
        elif kind == "l2":
            return replace(recipe, l2=rng.choice(HEAD_L2))
        elif kind == "second":
            return _sound(replace(recipe, second=None if recipe.second else self.second()))
        return _sound(replace(recipe, steps=tuple(steps)))

    def second(self) -> tuple[str, Any]:
        if len(self.taste.views) > 1 and self.rng.random() < 0.5:
            return ("view", self.rng.choice(self.taste.views[1:]))
        return ("components", self.rng.choice(HEAD_COMPONENTS[1:]))

    def tuned(self, recipe: Recipe) -> Recipe:
        """Move one constant by one rung. The head's count of components and its l2 are constants too."""
        places = [(i, name) for i, step in enumerate(recipe.steps) for name, _ in step.constants]
        i, name = self.rng.choice([*places, (-1, "components"), (-1, "l2")])
        if i >= 0:
            step = recipe.steps[i]
            moved = step.with_(name, self.neighbour(self.ladder(step.block, name), step.values[name]))
            return _sound(replace(recipe, steps=(*recipe.steps[:i], moved, *recipe.steps[i + 1:])))
        ladder = HEAD_COMPONENTS if name == "components" else HEAD_L2
        return _sound(replace(recipe, **{name: self.neighbour(ladder, getattr(recipe, name))}))

    def neighbour(self, ladder: tuple[Any, ...], value: Any) -> Any:
        """A rung beside `value`; for a value between rungs (from a file by others) any rung."""
        if value not in ladder:
            return self.rng.choice(ladder)
        at = ladder.index(value)
        return self.rng.choice([ladder[i] for i in (at - 1, at + 1) if 0 <= i < len(ladder)] or [value])

    def crossed(self, one: Recipe, other: Recipe) -> Recipe:
        if self.rng.random() < 0.5:
            one, other = other, one
        head = one if self.rng.random() < 0.5 else other
        first = one.steps[: self.rng.randint(1, max(1, len(one.steps)))]
        last = other.steps[self.rng.randint(0, max(0, len(other.steps) - 1)):]
        names = {step.block for step in first}
        steps = (*first, *(step for step in last if step.block not in names))[:MOST_STEPS]
        return _sound(replace(head, start=one.start, steps=steps))


def _sound(recipe: Recipe) -> Recipe:
    """Two heads must differ, and a view cannot teach itself."""
    steps = tuple(s for s in recipe.steps if s.values.get("other") is None or s.values["other"] != recipe.view)
    same = recipe.second is not None and getattr(recipe, recipe.second[0]) == recipe.second[1]
    return replace(recipe, steps=steps, second=None if same else recipe.second)


def ablations(recipe: Recipe) -> list[tuple[Recipe, str]]:
    """The recipe less one part, each with the part in words. A recipe of one step and a plain head has none."""
    less = []
    if len(recipe.steps) > 1:
        for i, step in enumerate(recipe.steps):
            less.append((replace(recipe, steps=recipe.steps[:i] + recipe.steps[i + 1:]), f"`{step.block}`"))
    if recipe.second:
        less.append((replace(recipe, second=None), "the second head"))
    if recipe.components and recipe.steps:
        less.append((replace(recipe, components=None, second=None), f"the head's {recipe.components} components"))
    if recipe.view and not any("other" in step.values for step in recipe.steps):
        less.append((replace(recipe, view=None, second=None), f"the view {recipe.view}"))
    if recipe.cut != "half":
        less.append((replace(recipe, cut="half"), f"the cut ({recipe.cut})"))
    return less


def difference(old: Recipe, new: Recipe) -> str:
    """What changed, in a few words."""
    said = []
    gone = [s for s in old.steps if s.block not in {t.block for t in new.steps}]
    come = [s for s in new.steps if s.block not in {t.block for t in old.steps}]
    said += [f"without `{s.block}`" for s in gone] + [f"with `{s.block}`" for s in come]
    before = {s.block: s.values for s in old.steps}
    for step in new.steps:
        for name, value in step.constants:
            if step.block in before and before[step.block].get(name) != value:
                said.append(f"`{step.block}` with {name} {value or 'all'} instead of {before[step.block].get(name) or 'all'}")
    if not said and old.steps != new.steps:
        said.append("steps in another order")
    for name, word in (("start", "start"), ("view", "view"), ("components", "head components"), ("l2", "l2"), ("cut", "cut"),
                       ("second", "second head")):
        if getattr(old, name) != getattr(new, name):
            said.append(f"{word} {getattr(new, name) or 'none'} instead of {getattr(old, name) or 'none'}")
    return ", ".join(said) or "the same"


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
    moves = {"fresh": 0.12 if best or partner else 1.0, "change": 0.3 * bool(parent), "tune": 0.22 * bool(parent),
             "cross": 0.2 * bool(parent and partner), "adopt": 0.0}
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
