"""Tasks: one TOML file each in `eval/tasks/`, checked on loading. README.md there says what each field is.

    from eval.task import load_task, task_names

What `python aar.py prepare TASK --data FOLDER --strong MODEL --weak MODEL` was told is kept under AAR_HOME/settings and laid
over the file, so that every later command means the same task.
"""
from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from state.errors import UserError
from state.files import write_atomic
from state.paths import aar_home

FOLDER = Path(__file__).parent / "tasks"
HASH_RANGE = 10_000
VIEW = re.compile(r"(last|mean):(\d+|[1-9]\d?%|100%)")
Span = tuple[int, int]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Split(Strict):
    """Which hash values (0 to 9999, the end exclusive) fall into which part; all items of a group share theirs."""

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


class RatedData(Strict):
    """Human-rated texts of an embedded package (Hutto and Gilbert, ICWSM 2014)."""

    source: Literal["rated"]
    set: Literal["movies", "amazon", "news", "tweets"]
    threshold: float = Field(ge=0)   # items with an absolute mean rating (-4 to 4) at or below it are left out


class GeneratedData(Strict):
    """Questions with candidate answers, made by a program from a seed."""

    source: Literal["arithmetic", "snippets"]
    questions: int = Field(ge=10)
    choices: int = Field(default=6, ge=2)
    seed: int = 0


class FolderData(Strict):
    """train_label.jsonl, train_unlabel.jsonl and test.jsonl in a folder of the user."""

    source: Literal["jsonl"]
    format: Literal["preference", "binary"]
    folder: str = ""                 # set by --data; relative to where the command is typed
    pool_labels: Literal["file", "inline", "none"] = "file"
    """Where the pool's true labels are, which only the ceiling is trained on: in train_unlabel.labels.jsonl, in the rows of
    train_unlabel.jsonl, or nowhere (then the ceiling is trained on labelled rows)."""


class HubData(Strict):
    """A data set of the Hugging Face hub, its columns mapped to the fields of a format."""

    source: Literal["hub"]
    format: Literal["preference", "binary"]
    dataset: str
    revision: str
    files: tuple[str, ...] = Field(min_length=1)   # .jsonl, .jsonl.gz or .parquet files of the data set
    columns: dict[str, str]                        # field of the format -> column, dots go into nested columns
    values: dict[str, bool | str] = {}             # what a label's value in the column means, where it is not the format's own
    most: int = Field(default=20_000, ge=100)      # rows that are read at most


Data = Annotated[RatedData | GeneratedData | FolderData | HubData, Field(discriminator="source")]


class Prompts(Strict):
    """How the strong model is asked. `answers`: how the model writes class 0 and class 1."""

    zero_shot: str
    answers: tuple[str, str]
    contrast: str | None = None      # holds {answer}; the default of `render(items, answer=...)`


class FineTuning(Strict):
    """How a fine-tuned student is trained unless a method says otherwise (REFERENCE: the published study's settings)."""

    method: Literal["lora", "full"] = "lora"
    rank: int = Field(default=32, ge=1)
    alpha: float = Field(default=32.0, gt=0)
    rslora: bool = True
    targets: Literal["all-linear"] | tuple[str, ...] = "all-linear"
    head: Literal["tokens", "head"] = "tokens"
    epochs: int = Field(default=5, ge=1)
    lr: float = Field(default=1e-4, gt=0)
    warmup: float = Field(default=0.1, ge=0, lt=1)
    batch: int = Field(default=32, ge=1)
    max_tokens: int = Field(default=1024, ge=8)


class TeacherSpec(Strict):
    """A weak teacher: a model of which words occur, or a fine-tuned language model."""

    kind: Literal["forest", "logistic", "finetune"]
    trees: int = Field(default=60, ge=1)
    depth: int = Field(default=4, ge=1)
    model: str | None = None         # of a fine-tuned one: embedded, hub name or folder
    revision: str | None = None
    finetune: FineTuning = FineTuning()

    @model_validator(mode="after")
    def _has_model(self) -> TeacherSpec:
        if (self.kind == "finetune") != (self.model is not None):
            raise ValueError("a teacher of kind finetune names its model, and only such a one")
        return self


class ImportedAnchors(Strict):
    """Accuracies that were measured elsewhere, in place of trained anchors; figures that use them say so."""

    weak: float = Field(gt=0, lt=1)
    ceiling: float = Field(gt=0, lt=1)
    tuned_naive: float = Field(gt=0, lt=1)
    origin: str


class Task(Strict):
    """A data set, a weak and a strong model, the split and the sizes."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    description: str
    data: Data
    template: str
    strong: str
    revision: str | None = None      # of the strong model: a commit of its hub repository
    views: tuple[str, ...] = Field(min_length=1)
    max_tokens: int = Field(ge=8)
    prompts: Prompts | None = None
    teachers: tuple[TeacherSpec, ...] = Field(min_length=1)
    labelled: int = Field(ge=20)
    pool: int = Field(ge=20)
    search_draws: int = Field(ge=1)
    sealed_draws: int = Field(ge=1)
    student_seeds: int = Field(ge=1)
    student: Literal["probe", "finetune"] = "probe"
    verify_student: Literal["probe", "finetune"] | None = None   # of the sealed draws; default: the same
    finetune: FineTuning = FineTuning()
    anchor_draws: int | None = Field(default=None, ge=1)         # ceilings on fewer draws than there are, where they are dear
    anchors: ImportedAnchors | None = None
    transfer_only: bool = False      # sealed against development: no submission, no swarm
    fit_seconds: float = Field(gt=0)                             # for each draw
    verify_fit_seconds: float | None = Field(default=None, gt=0) # of the sealed draws; default: the same
    memory_mib: int = Field(ge=256)
    split: Split

    @model_validator(mode="after")
    def _well_formed(self) -> Task:
        for view in self.views:
            if not VIEW.fullmatch(view):
                raise ValueError(f"view {view!r}: write last:LAYER or mean:LAYER, the layer as a number or as a share such as 60%")
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

    def student_of(self, phase: str) -> Literal["probe", "finetune"]:
        """The kind of student that the draws of a phase are scored with."""
        return (self.verify_student or self.student) if phase == "sealed" else self.student

    def seconds_of(self, phase: str) -> float:
        """How long the fit of one draw of a phase may take."""
        return (self.verify_fit_seconds or self.fit_seconds) if phase == "sealed" else self.fit_seconds

    def key(self, *fields: str) -> str:
        """A digest of some fields: what was built from them is stale when it changes."""
        values = self.model_dump(mode="json", include=set(fields))
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def resolve_views(views: Sequence[str], layers: int) -> tuple[str, ...]:
    """Views with shares of the depth as layers of a model that has `layers`. ValueError for one that it does not have."""
    found = []
    for view in views:
        pooling, layer = VIEW.fullmatch(view).groups()
        number = max(1, round(int(layer[:-1]) / 100 * layers)) if layer.endswith("%") else int(layer)
        if not 1 <= number <= layers:
            raise ValueError(f"view {view}: the model has layers 1 to {layers}")
        found.append(f"{pooling}:{number}")
    return tuple(dict.fromkeys(found))


def task_names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load_task(name: str) -> Task:
    """The task of this name, with what `prepare` was told about it. UserError for an unknown name or a file that does not
    hold together."""
    if name not in task_names():
        raise UserError(f"unknown task {name!r}: choose from {', '.join(task_names())}")
    path = FOLDER / f"{name}.toml"
    try:
        fields = tomli.loads(path.read_text(encoding="utf-8"))
        task = Task.model_validate(_laid_over(fields, told(name)))
    except (tomli.TOMLDecodeError, ValidationError) as error:
        detail = error.errors()[0] if isinstance(error, ValidationError) else {"loc": (), "msg": str(error)}
        where = ".".join(str(part) for part in detail["loc"])
        raise UserError(f"{path}: {where + ': ' if where else ''}{detail['msg']}") from None
    if task.name != name:
        raise UserError(f"{path}: its name is {task.name!r}, it must be that of the file")
    return task


def told(name: str) -> dict[str, str]:
    """What `prepare` was told last about a task: some of data, strong, weak, students."""
    file = aar_home() / "settings" / f"{name}.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def tell(name: str, **options: str | None) -> None:
    """Keep what `prepare` was told: `data` (a folder), `strong`, `weak` (models, NAME or NAME@REVISION), `students` ("probe" or
    "finetune", for search and verification alike). UserError where the task cannot take it; then nothing is kept."""
    given = {key: value for key, value in options.items() if value is not None}
    if not given:
        return
    task = load_task(name)
    if "data" in given:
        if task.data.source != "jsonl":
            raise UserError(f"--data: task {name} takes its data from {task.data.source}, not from a folder")
        given["data"] = str(Path(given["data"]).expanduser().resolve())
    for size in ("strong", "weak"):
        if Path(given.get(size, "")).expanduser().is_dir() and given.get(size):
            given[size] = str(Path(given[size]).expanduser().resolve())
    file = aar_home() / "settings" / f"{name}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(file, json.dumps({**told(name), **given}, indent=1))


def _laid_over(fields: dict[str, Any], said: dict[str, str]) -> dict[str, Any]:
    if "data" in said:
        fields["data"]["folder"] = said["data"]
    if "students" in said:
        fields["student"] = fields["verify_student"] = said["students"]
    if "strong" in said:
        fields["strong"], fields["revision"] = _name_and_revision(said["strong"])
    if "weak" in said:
        model, revision = _name_and_revision(said["weak"])
        if model in ("forest", "logistic"):
            fields["teachers"] = [{"kind": model}]
        else:
            fields["teachers"] = [{"kind": "finetune", "model": model, "revision": revision,
                                   "finetune": fields["teachers"][0].get("finetune", {})}]
    return fields


def _name_and_revision(text: str) -> tuple[str, str | None]:
    name, _, revision = text.rpartition("@") if "@" in text else (text, "", "")
    return name, revision or None
