"""A recipe is the genome of the search: where labels start, what cleans them, which head learns them.

`method_file.py` writes a recipe as a method for people and reads it back; here it is told in words.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from swarm.researchers.catalogue import BLOCKS, CUTS, STARTS, STUDENT

Constants = tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Step:
    """One block with a value for each of its constants, in the order of the catalogue."""

    block: str
    constants: Constants

    @property
    def values(self) -> dict[str, Any]:
        return dict(self.constants)

    def with_(self, name: str, value: Any) -> Step:
        return replace(self, constants=tuple((n, value if n == name else v) for n, v in self.constants))


@dataclass(frozen=True)
class Recipe:
    """`start` names the first labels, `steps` clean them, and a head learns what is left: `view` (None: the task's
    own), `components` (None: all features), `l2`, `cut`; `second` is None or ("components" | "view", value) of a second
    head, whose chances are averaged with the first's. The view holds for the steps as well."""

    start: str = "teacher_labels"
    steps: tuple[Step, ...] = ()
    view: str | None = None
    components: int | None = None
    l2: float = 0.3
    cut: str = "half"
    second: tuple[str, Any] | None = None

    @property
    def family(self) -> str:
        if self.steps:
            return BLOCKS[max(self.steps, key=_weight).block].family
        return "low rank" if self.components else "ensemble" if self.second else "plain labels"

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of what sets this recipe apart, for counting what each was worth."""
        head = [f"head of {self.components} components"] if self.components else []
        second = ["second head"] if self.second else []
        view = [f"view {self.view}"] if self.view else []
        start = [self.start] if self.start == "teacher_chances" else []
        return (*start, *(step.block for step in self.steps), *head, *second, *view, f"cut {self.cut}")

    @property
    def outline(self) -> Recipe:
        """The recipe but for its head's l2 and cut: what two of the same outline show is nearly the same."""
        return replace(self, l2=0.0, cut="half")

    def to_json(self) -> dict[str, Any]:
        steps = [{"block": step.block, **step.values} for step in self.steps]
        return {
            "start": self.start,
            "steps": steps,
            "view": self.view,
            "components": self.components,
            "l2": self.l2,
            "cut": self.cut,
            "second": self.second and list(self.second),
        }

    @staticmethod
    def from_json(data: dict[str, Any]) -> Recipe:
        steps = tuple(Step(s["block"], tuple((k, v) for k, v in s.items() if k != "block")) for s in data["steps"])
        second = data["second"] and (data["second"][0], data["second"][1])
        return Recipe(data["start"], steps, data["view"], data["components"], data["l2"], data["cut"], second)


def _weight(step: Step) -> int:
    """Steps that only pick or weigh items do not give a recipe its name if another makes new labels."""
    return 0 if BLOCKS[step.block].family in ("filtering", "weighting", "agreement", "small loss", "robust loss") else 1


def cost(recipe: Recipe) -> float:
    """Rough milliseconds of one fit on a pool of 1,500: to keep within what is polite, not to be exact."""
    total = 20.0 if recipe.second is None else 60.0
    for step in recipe.steps:
        block, values = BLOCKS[step.block], step.values
        total += block.cost
        if block.ladders.get("components") == STUDENT:
            total += values.get("rounds", 1) * (25 if values["components"] else 110) * (2 if "other" in values else 1)
    return total


def describe(recipe: Recipe) -> str:
    """The recipe in one sentence, without a full stop."""
    said = [BLOCKS[step.block].says.format(**step.values) + _inside(step) for step in recipe.steps]
    head = "a head"
    if recipe.components:
        head += f" on {recipe.components} components"
    if recipe.second:
        kind, value = recipe.second
        head += f" averaged with one on {value or 'all'} {'components' if kind == 'components' else ''}".rstrip()
    view = f" (hidden states {recipe.view})" if recipe.view else ""
    told = "; ".join([f"Start from {STARTS[recipe.start]}", *said])
    return f"{told}; then {head}{view} with l2 = {recipe.l2:g} and {CUTS[recipe.cut]}"


def _inside(step: Step) -> str:
    says, count = BLOCKS[step.block].says, step.values.get("components")
    return f" (students see {count} components)" if count and "{components}" not in says else ""


def title(recipe: Recipe) -> str:
    """A short name in words: "confident labels (25%), self-training (3x, 10 pc)"."""
    return ", ".join([*map(_name, recipe.steps), *_head_names(recipe)]) or "plain labels"


SHOWN = {
    "share": "{:.0%}",
    "power": "power {:g}",
    "trust": "trust {:g}",
    "q": "q {:g}",
    "neighbours": "{}",
    "bins": "{} levels",
    "rounds": "{}x",
    "generations": "{}x",
    "shrink": "shrink {:g}",
    "other": "with {}",
    "components": "{} pc",
}


def _name(step: Step) -> str:
    constants = ", ".join(SHOWN[name].format(value) for name, value in step.constants if value is not None)
    return BLOCKS[step.block].called + (f" ({constants})" if constants else "")


def _head_names(recipe: Recipe) -> list[str]:
    names = [] if recipe.start == "teacher_labels" else ["soft labels"]
    if recipe.components:
        names.append(f"head on {recipe.components} pc")
    if recipe.second:
        names.append("two heads")
    if recipe.view:
        names.append(recipe.view)
    return names


def file_name(recipe: Recipe) -> str:
    """A file stem of blocks and their main constant, as `confident25_selftrain_pc10`; not unique by itself."""
    words = []
    for step in recipe.steps:
        share = step.values.get("share")
        words.append(BLOCKS[step.block].short + (f"{share * 100:.0f}" if share else ""))
    if recipe.start == "teacher_chances":
        words.insert(0, "soft")
    words.append(f"pc{recipe.components}" if recipe.components else "full" if words else "plain_labels")
    return "_".join(words + (["two_heads"] if recipe.second else []))
