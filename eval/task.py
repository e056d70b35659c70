"""Tasks: one TOML file each in `eval/tasks/`, checked on loading.

    from eval.task import load_task, task_names
"""
from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Literal

import tomli
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from state.errors import UserError

FOLDER = Path(__file__).parent / "tasks"
HASH_RANGE = 10_000
Span = tuple[int, int]


class Split(BaseModel):
    """Which hash values (0 to 9999, the end exclusive) fall into which part."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    validation: Span
    public: Span
    sealed: Span
    region: Span

    @model_validator(mode="after")
    def _apart(self) -> Split:
        spans = sorted(span for _, span in self)
        if any(not 0 <= start < end <= HASH_RANGE for start, end in spans):
            raise ValueError(f"a part must be [start, end] with 0 <= start < end <= {HASH_RANGE}")
        if any(first[1] > second[0] for first, second in zip(spans, spans[1:])):
            raise ValueError("two parts overlap")
        return self

    def part_of(self, value: int) -> str | None:
        """The part that hash `value` belongs to; None where it is left out."""
        return next((name for name, (start, end) in self if start <= value < end), None)


class Task(BaseModel):
    """A data set, a weak and a strong model, the split and the sizes. The TOML files say what each field is."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    description: str
    source: Literal["movie-snippets"]
    threshold: float = Field(ge=0)
    template: str
    strong: Literal["smollm2-135m", "minilm-l6"]
    views: tuple[str, ...] = Field(min_length=1)
    max_tokens: int = Field(ge=8)
    weak: Literal["forest", "logistic"]
    labelled: int = Field(ge=20)
    pool: int = Field(ge=20)
    search_draws: int = Field(ge=1)
    sealed_draws: int = Field(ge=1)
    student_seeds: int = Field(ge=1)
    fit_seconds: float = Field(gt=0)
    memory_mib: int = Field(ge=256)
    split: Split

    @model_validator(mode="after")
    def _well_formed(self) -> Task:
        for view in self.views:
            pooling, _, layer = view.partition(":")
            if pooling not in ("last", "mean") or not layer.isdigit():
                raise ValueError(f"view {view!r}: write last:LAYER or mean:LAYER")
        if "{text}" not in self.template:
            raise ValueError("template lacks {text}")
        return self

    @property
    def default_view(self) -> str:
        return self.views[0]

    def draws(self, phase: str) -> range:
        """The numbers of the draws of a phase, "search" or "sealed"."""
        if phase == "search":
            return range(self.search_draws)
        if phase == "sealed":
            return range(self.search_draws, self.search_draws + self.sealed_draws)
        raise ValueError(f"phase {phase!r}: it is 'search' or 'sealed'")

    def key(self, *fields: str) -> str:
        """A digest of some fields: what was built from them is stale when it changes."""
        values = self.model_dump(mode="json", include=set(fields))
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def task_names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load_task(name: str) -> Task:
    """The task of this name. UserError for an unknown name or a file that does not hold together."""
    if name not in task_names():
        raise UserError(f"unknown task {name!r}: choose from {', '.join(task_names())}")
    path = FOLDER / f"{name}.toml"
    try:
        task = Task.model_validate(tomli.loads(path.read_text(encoding="utf-8")))
    except (tomli.TOMLDecodeError, ValidationError) as error:
        detail = error.errors()[0] if isinstance(error, ValidationError) else {"loc": (), "msg": str(error)}
        where = ".".join(str(part) for part in detail["loc"])
        raise UserError(f"{path}: {where + ': ' if where else ''}{detail['msg']}") from None
    if task.name != name:
        raise UserError(f"{path}: its name is {task.name!r}, it must be that of the file")
    return task
