"""What the trusted side reads of a prepared task. Holds labels: only the evaluator and preparation may import this.

    from eval.prepared import open_prepared
    prepared = open_prepared("smoke")
    prepared.parts["public"].labels, prepared.draw(0).weak, prepared.anchors("search", [0, 1]).ceiling

Opening takes milliseconds: features are memory-mapped and everything is read when it is first asked for.
"""
from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from eval.blocks import Blocks, prompt_names
from eval.models import resolve_model, stamp
from eval.task import Task, load_task
from state.errors import UserError
from state.paths import aar_home

PARTS = ("validation", "public", "sealed")
TEST_PART = {"search": "public", "sealed": "sealed"}
"""The part on which the draws of a phase are scored."""
UNKNOWN = 255
"""The label of a pool item whose data has none."""
FORMAT = 2
"""Raise it when prepared tasks of earlier versions can no longer be read: they are then prepared anew."""


class TaskFolder:
    """Where a task's files lie under AAR_HOME. `open` is for agents; `private` (0700) holds labels and test texts."""

    def __init__(self, task: Task) -> None:
        self.root = aar_home() / "tasks" / task.name
        self.open, self.private = self.root / "open", self.root / "private"
        self.kit, self.practice = self.open / "kit", self.open / "practice"
        self.lock = self.root.parent / f".{task.name}.lock"
        self.secret = self.private / "secret"
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
    """What a preparation depends on, files of the user's own included; another key makes it anew."""
    fields = set(Task.model_fields) - {"description", "fit_seconds", "verify_fit_seconds", "memory_mib", "transfer_only", "prompts",
                                       "alter"}
    answers = "" if not task.finetunes or task.prompts is None else "-" + _digest(task.prompts.answers)  # what they are taught to say
    return f"{FORMAT}-{task.key(*fields)}{answers}{_files_key(task)}{_models_key(task)}"


def _files_key(task: Task) -> str:
    if task.data.source != "jsonl":
        return ""
    files = sorted(path for path in task.data.path.glob("*.jsonl") if path.is_file()) if task.data.path else []
    stats = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return "-" + _digest(stats)


def _models_key(task: Task) -> str:
    """Of folders of the user that models are in; "" where all are embedded or of the hub, which do not change."""
    stamps = [stamp(name) for name in (task.strong, *(spec.model for spec in task.teachers)) if name is not None]
    return "-" + _digest(stamps) if any(stamps) else ""


def _digest(value: Any) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()[:16]


class Part:
    """The items of one part, or of the region that draws are made from, in a fixed order: `texts`, `fields`, `groups` (n,)
    int64, `labels` (n,) uint8 (255 where unknown), `keys` (n,) final answers or None, `features` view -> (n, d) float16, the
    task's own view first; `prompted(prompt)` the blocks under another prompt, where they were made."""

    def __init__(self, name: str, folder: Path, blocks: Blocks) -> None:
        self.name, self._folder, self._blocks = name, folder, blocks

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
    def keys(self) -> list[str | None]:
        return [row.get("key") for row in self._rows]

    @cached_property
    def groups(self) -> np.ndarray:
        return np.load(self._folder / "groups.npy")

    @cached_property
    def labels(self) -> np.ndarray:
        return np.load(self._folder / "labels.npy")

    @cached_property
    def files(self) -> np.ndarray:
        """Where a row came from, (n,) of "labelled", "pool", "test" or "" where the source is not split."""
        return np.array([row.get("file") or "" for row in self._rows])

    @cached_property
    def features(self) -> dict[str, np.ndarray]:
        return self._blocks.load(self.name)

    def has(self, prompt: str) -> bool:
        """Whether the blocks under `prompt` are there."""
        return self._blocks.has(self.name, self.fields, prompt)

    def prompted(self, prompt: str) -> dict[str, np.ndarray]:
        """View -> block under `prompt`. FileNotFoundError where it was never made."""
        return self._blocks.load(self.name, prompt)


class AlteredPart(Part):
    """Some items of the public part, written otherwise for audits; `rows` (n,) says which."""

    @cached_property
    def rows(self) -> np.ndarray:
        return np.load(self._folder / "rows.npy")


@dataclass(frozen=True)
class Draw:
    """One pool of n items with the teachers' labels; what is true of it (`labels`) is for the trusted side only."""

    number: int | str
    phase: str
    rows: np.ndarray                 # (n,) positions in the region
    texts: list[str]
    fields: list[dict[str, Any]]
    groups: np.ndarray               # (n,) int64
    teachers: np.ndarray             # (T, n, 2) float32
    features: dict[str, np.ndarray]  # (n, d) float16
    labels: np.ndarray               # (n,) uint8, 255 where unknown

    @property
    def weak(self) -> np.ndarray:
        return self.teachers[0]


@dataclass(frozen=True)
class Anchors:
    """Per-item correctness on a phase's test part: `teacher` (D, items) bool; the scale `weak` (D, items), `ceiling` and
    `tuned_naive` (S, D, items) for S student seeds, which are constant where they were imported; `settings` says by which
    recipes, `origin` in words where they are not all trained here ("" where they are)."""

    teacher: np.ndarray
    weak: np.ndarray
    ceiling: np.ndarray
    tuned_naive: np.ndarray
    settings: dict[str, Any] = field(default_factory=dict)
    origin: str = ""


class Prepared:
    """A prepared task. Draw numbers count the search draws first, then the sealed ones."""

    def __init__(self, task: Task, folder: TaskFolder) -> None:
        self.task, self.folder = task, folder
        self.blocks = Blocks(task, resolve_model(task.strong, task.revision, download=False))
        self.parts = {name: Part(name, folder.part(name), self.blocks) for name in PARTS}
        self.region = Part("region", folder.part("region"), self.blocks)
        self.altered = AlteredPart("altered", folder.part("altered"), self.blocks) if folder.part("altered").exists() else None

    @property
    def views(self) -> tuple[str, ...]:
        """The feature views, the task's own first."""
        return self.blocks.views

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

    def draw(self, number: int | str, features: bool = True) -> Draw:
        """Draw `number`, or the "open" one of the kit; without `features` where nobody looks at them, which is much faster.
        ValueError for a number that this task does not have."""
        if number != "open" and number not in (*self.search_draws, *self.sealed_draws):
            raise ValueError(f"draw {number}: task {self.task.name} has draws 0 to {self.sealed_draws[-1]}")
        phase = "open" if number == "open" else "search" if number in self.search_draws else "sealed"
        with np.load(self.folder.draw(number)) as stored:
            rows, teachers = stored["pool"], stored["teachers"]
        return self.pool_of(rows, teachers, number, phase, features)

    def pool_of(self, rows: np.ndarray, teachers: np.ndarray, number: int | str, phase: str, features: bool = True) -> Draw:
        """The items at positions `rows` of the region as a draw's pool, its groups numbered from 0."""
        region = self.region
        return Draw(number, phase, rows, [region.texts[row] for row in rows], [region.fields[row] for row in rows],
                    np.unique(region.groups[rows], return_inverse=True)[1].astype(np.int64), teachers,
                    {view: block[rows] for view, block in region.features.items()} if features else {}, region.labels[rows])

    def labelled_rows(self, number: int | str) -> np.ndarray:
        """Positions in the region of the items whose labels a draw's teachers were trained on."""
        with np.load(self.folder.draw(number)) as stored:
            return stored["labelled"]

    def weak_correct(self, number: int) -> np.ndarray:
        """Whether a draw's first teacher is right on its phase's test part, (items,) bool."""
        with np.load(self.folder.draw(number)) as stored:
            return stored["weak"]

    def anchored_draws(self, phase: str) -> list[int]:
        """The draws of a phase that have trained anchors."""
        return [] if self.task.anchors else list(self.task.draws(phase))[: self.task.anchor_draws]

    def anchors(self, phase: str, draws: Sequence[int]) -> Anchors:
        """Anchors of these draws, in their order. ValueError for a draw of another phase."""
        if not draws or not set(draws) <= set(self.task.draws(phase)):
            raise ValueError(f"draws {list(draws)}: the {phase} draws of task {self.task.name} are "
                             f"{', '.join(map(str, self.task.draws(phase)))}")
        teacher = np.stack([self.weak_correct(number) for number in draws])
        if imported := self.task.anchors:
            def constant(value: float) -> np.ndarray:
                return np.full((1, *teacher.shape), value, np.float32)
            return Anchors(teacher, constant(imported.weak)[0], constant(imported.ceiling), constant(imported.tuned_naive),
                           origin=f"imported: {imported.origin}")
        trained = self.anchored_draws(phase)
        fewer = not set(draws) <= set(trained)
        stored = {number: self._stored_anchors(number) for number in (trained if fewer else draws)}

        def of(name: str) -> np.ndarray:
            # A draw without its own takes the mean of those that have one: (S, items) of shares.
            mean = np.mean([one[name] for one in stored.values()], axis=0, dtype=np.float32)
            return np.stack([stored[number][name] if number in stored else mean for number in draws], axis=1)

        origin = f"ceiling and tuned naive on {len(trained)} of {len(self.task.draws(phase))} draws" if fewer else ""
        return Anchors(teacher, teacher, of("ceiling"), of("tuned_naive"), self.settings, origin)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The recipes of the anchors, for each kind of student, with all validation scores."""
        return json.loads(self.folder.settings.read_text(encoding="utf-8"))

    def _stored_anchors(self, number: int) -> dict[str, np.ndarray]:
        with np.load(self.folder.anchors(number)) as file:
            return {name: file[name] for name in ("ceiling", "tuned_naive")}

    @property
    def prompts(self) -> list[str]:
        """Names of the prompts, beside the task's own template, that the strong model can be read under."""
        return prompt_names(self.task)


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
