"""What the trusted side reads of a prepared task. Holds labels: only the evaluator and preparation may import this.

    from eval.prepared import open_prepared
    prepared = open_prepared("smoke")
    prepared.parts["public"].labels, prepared.draw(0).weak, prepared.anchors("search", [0, 1]).ceiling

Opening takes milliseconds: features are memory-mapped and everything is read when it is first asked for.
"""
from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from eval.task import Task, load_task
from state.errors import UserError
from state.paths import aar_home

PARTS = ("validation", "public", "sealed")
TEST_PART = {"search": "public", "sealed": "sealed"}
"""The part on which the draws of a phase are scored."""
FORMAT = 1
"""Raise it when prepared tasks of earlier versions can no longer be read: they are then prepared anew."""


class TaskFolder:
    """Where a task's files lie under AAR_HOME. `open` is for agents; `private` (0700) holds labels and test texts."""

    def __init__(self, task: Task) -> None:
        self.root = aar_home() / "tasks" / task.name
        self.open, self.private = self.root / "open", self.root / "private"
        self.kit = self.open / "kit"
        self.lock = self.root.parent / f".{task.name}.lock"
        self.secret = self.private / "secret"
        self.chunks = self.private / "chunks"
        self.building = self.private / "building.json"
        self.settings = self.private / "settings.json"
        self.done = self.private / "prepared.json"

    def part(self, name: str) -> Path:
        return self.private / name

    def draw(self, number: int | str) -> Path:
        return self.private / "draws" / f"{number}.npz"

    def anchors(self, number: int) -> Path:
        return self.private / "anchors" / f"{number}.npz"


def build_key(task: Task) -> str:
    """What a preparation depends on; another key makes it anew."""
    fields = set(Task.model_fields) - {"description", "fit_seconds", "memory_mib"}
    return f"{FORMAT}-{task.key(*fields)}"


def view_file(view: str) -> str:
    return view.replace(":", "-") + ".npy"


class Part:
    """The items of one part, or of the region that draws are made from, in a fixed order: `texts`, `fields`, `groups` (n,)
    int64, `labels` (n,) uint8, `features` view -> (n, d) float16, the task's own view first."""

    def __init__(self, folder: Path, views: Sequence[str]) -> None:
        self._folder, self._views = folder, tuple(views)

    @cached_property
    def _rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self._folder / "items.jsonl").read_text(encoding="utf-8").splitlines()]

    @cached_property
    def texts(self) -> list[str]:
        return [row["text"] for row in self._rows]

    @cached_property
    def fields(self) -> list[dict[str, Any]]:
        return [row["fields"] for row in self._rows]

    @cached_property
    def groups(self) -> np.ndarray:
        return np.load(self._folder / "groups.npy")

    @cached_property
    def labels(self) -> np.ndarray:
        return np.load(self._folder / "labels.npy")

    @cached_property
    def features(self) -> dict[str, np.ndarray]:
        return {view: np.load(self._folder / view_file(view), mmap_mode="r") for view in self._views}


@dataclass(frozen=True)
class Draw:
    """One pool of n items with a teacher's labels; what is true of it (`labels`) is for the trusted side only."""

    number: int | str
    phase: str
    texts: list[str]
    fields: list[dict[str, Any]]
    groups: np.ndarray               # (n,) int64
    teachers: np.ndarray             # (T, n, 2) float32
    features: dict[str, np.ndarray]  # (n, d) float16
    labels: np.ndarray               # (n,) uint8

    @property
    def weak(self) -> np.ndarray:
        return self.teachers[0]


@dataclass(frozen=True)
class Anchors:
    """Per-item correctness on a phase's test part, bool: `weak` (D, items), `ceiling` and `tuned_naive` (S, D, items) for S
    student seeds; `settings` says by which recipes."""

    weak: np.ndarray
    ceiling: np.ndarray
    tuned_naive: np.ndarray
    settings: dict[str, Any]


class Prepared:
    """A prepared task. Draw numbers count the search draws first, then the sealed ones."""

    def __init__(self, task: Task, folder: TaskFolder) -> None:
        self.task, self.folder = task, folder
        self.parts = {name: Part(folder.part(name), task.views) for name in PARTS}
        self.region = Part(folder.part("region"), task.views)

    @property
    def search_draws(self) -> list[int]:
        return list(self.task.draws("search"))

    @property
    def sealed_draws(self) -> list[int]:
        return list(self.task.draws("sealed"))

    @cached_property
    def figures(self) -> dict[str, Any]:
        """What preparation found: accuracies on the public part with their errors, and how long it took."""
        return json.loads(self.folder.done.read_text(encoding="utf-8"))

    def draw(self, number: int | str) -> Draw:
        """Draw `number`, or the "open" one of the kit. ValueError for a number that this task does not have."""
        if number != "open" and number not in (*self.search_draws, *self.sealed_draws):
            raise ValueError(f"draw {number}: task {self.task.name} has draws 0 to {self.sealed_draws[-1]}")
        phase = "open" if number == "open" else "search" if number in self.search_draws else "sealed"
        with np.load(self.folder.draw(number)) as stored:
            rows, teachers = stored["pool"], stored["teachers"]
        region = self.region
        return Draw(number, phase, [region.texts[row] for row in rows], [region.fields[row] for row in rows],
                    np.arange(len(rows)), teachers, {view: block[rows] for view, block in region.features.items()},
                    region.labels[rows])

    def weak_correct(self, number: int) -> np.ndarray:
        """Whether a draw's teacher is right on its phase's test part, (items,) bool."""
        with np.load(self.folder.draw(number)) as stored:
            return stored["weak"]

    def anchors(self, phase: str, draws: Sequence[int]) -> Anchors:
        """Anchors of these draws, in their order. ValueError for a draw of another phase."""
        if not draws or not set(draws) <= set(self.task.draws(phase)):
            raise ValueError(f"draws {list(draws)}: the {phase} draws of task {self.task.name} are "
                             f"{', '.join(map(str, self.task.draws(phase)))}")
        stored = []
        for number in draws:
            with np.load(self.folder.anchors(number)) as file:
                stored.append({name: file[name] for name in ("weak", "ceiling", "tuned_naive")})
        return Anchors(np.stack([one["weak"] for one in stored]), np.stack([one["ceiling"] for one in stored], axis=1),
                       np.stack([one["tuned_naive"] for one in stored], axis=1),
                       json.loads(self.folder.settings.read_text(encoding="utf-8")))


def is_prepared(task: Task) -> bool:
    """Whether the task was prepared as it is defined now."""
    try:
        return json.loads(TaskFolder(task).done.read_text(encoding="utf-8"))["key"] == build_key(task)
    except FileNotFoundError:
        return False


def open_prepared(name: str) -> Prepared:
    """The prepared task of this name. UserError where it is unknown or not prepared."""
    task = load_task(name)
    if not is_prepared(task):
        raise UserError(f"task {name} is not prepared in {aar_home()}: say `python aar.py prepare {name}`")
    return Prepared(task, TaskFolder(task))
