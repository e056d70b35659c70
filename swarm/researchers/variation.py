"""New recipes from old ones: random, mutated, tuned by one rung, crossed, or less one part."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from typing import Any

from swarm.researchers.archive import Taste
from swarm.researchers.catalogue import BLOCKS, CUTS, HEAD_COMPONENTS, HEAD_L2, MOST_STEPS
from swarm.researchers.forecast import Forecast
from swarm.researchers.recipe import Recipe, Step

CREDIT_SCALE = 0.08
"""A part whose recipes lift this much more than others is tried e times as often."""


class Variation:
    """Makes recipes by luck, tilted by a taste, by what parts were worth so far, and towards blocks little tried."""

    def __init__(self, taste: Taste, forecast: Forecast, rng: random.Random) -> None:
        self.taste, self.forecast, self.rng = taste, forecast, rng

    def block(self, without: set[str] = frozenset()) -> str:
        credit, count, weights = self.forecast.credit, self.forecast.count, {}
        for name, weight in self.taste.blocks.items():
            if name not in without:
                novelty = 1 + 3 / (1 + count.get(name, 0.0))
                weights[name] = weight * math.exp(credit.get(name, 0.0) / CREDIT_SCALE) * novelty
        return self.rng.choices(list(weights), list(weights.values()))[0]

    def step(self, name: str, middle: bool = False) -> Step:
        constants = []
        for constant in BLOCKS[name].ladders:
            ladder = self.ladder(name, constant)
            usual = ladder[0] if constant == "other" else ladder[(len(ladder) - 1) // 2]
            constants.append((constant, usual if middle else self.rng.choice(ladder)))
        return Step(name, tuple(constants))

    def ladder(self, block: str, constant: str) -> tuple[Any, ...]:
        return self.taste.views[1:] if constant == "other" else BLOCKS[block].ladders[constant]

    def random_recipe(self) -> Recipe:
        steps: list[Step] = []
        for _ in range(self.rng.choices((1, 2, 3), (2, 4, 2))[0]):
            steps.append(self.step(self.block({step.block for step in steps})))
        start = "teacher_chances" if self.rng.random() < 0.5 else "teacher_labels"
        return Recipe(
            start, tuple(steps), None, self.rng.choice(HEAD_COMPONENTS), self.rng.choice(HEAD_L2[2:6]), self.cut()
        )

    def cut(self) -> str:
        return self.rng.choices(list(CUTS), (1, 2, 2))[0]

    def mutated(self, recipe: Recipe) -> Recipe:
        steps, rng = list(recipe.steps), self.rng
        kinds = {
            "insert": 3.0 * (len(steps) < MOST_STEPS),
            "replace": 2.0 * bool(steps),
            "remove": 0.7 * (len(steps) > 1),
            "swap": 0.7 * (len(steps) > 1),
            "cut": 0.7,
            "start": 0.8,
            "view": 0.5 * (len(self.taste.views) > 1),
            "components": self.taste.head["components"],
            "second": 0.5 * self.taste.head["second"],
            "l2": 0.5 * self.taste.head["l2"],
        }
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
            return _sound(replace(recipe, steps=(*recipe.steps[:i], moved, *recipe.steps[i + 1 :])))
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
        last = other.steps[self.rng.randint(0, max(0, len(other.steps) - 1)) :]
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
            less.append((replace(recipe, steps=recipe.steps[:i] + recipe.steps[i + 1 :]), f"`{step.block}`"))
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
                said.append(
                    f"`{step.block}` with {name} {value or 'all'} instead of {before[step.block].get(name) or 'all'}"
                )
    if not said and old.steps != new.steps:
        said.append("steps in another order")
    for name, word in (
        ("start", "start"),
        ("view", "view"),
        ("components", "head components"),
        ("l2", "l2"),
        ("cut", "cut"),
        ("second", "second head"),
    ):
        if getattr(old, name) != getattr(new, name):
            said.append(f"{word} {getattr(new, name) or 'none'} instead of {getattr(old, name) or 'none'}")
    return ", ".join(said) or "the same"
