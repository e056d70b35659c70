"""Tasks: one TOML file each in `eval/tasks/`, checked on loading. README.md there says what each field is.

    from eval.task import load_task, task_names

What `python aar.py prepare TASK --data FOLDER --strong MODEL --weak MODEL` was told (eval/told.py) is laid over the file, so
that every later command means the same task.
"""
from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from eval.data.rows import FIELDS
from eval.templates import template_fault
from eval.told import BACK, keep, laid_over, together, told
from state.errors import UserError

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
    """Questions with candidate answers, made by a program from the secret of the prepared task: the program is open, and from a
    seed that is open too anybody could make the labels."""

    source: Literal["arithmetic", "snippets"]
    questions: int = Field(ge=10)
    choices: int = Field(default=6, ge=2)


class FolderData(Strict):
    """train_label.jsonl, train_unlabel.jsonl and test.jsonl in a folder of the user."""

    source: Literal["jsonl"]
    format: Literal["preference", "binary"]
    folder: str = ""                 # set by --data; in a file relative to the folder of aar.py, wherever a command is typed
    pool_labels: Literal["file", "inline", "none"] = "file"
    """Where the pool's true labels are, which only the ceiling is trained on: in train_unlabel.labels.jsonl, in the rows of
    train_unlabel.jsonl, or nowhere (then the ceiling is trained on labelled rows)."""

    @property
    def path(self) -> Path | None:
        """The folder, absolute; None where none was named."""
        return Path(__file__).parent.parent / Path(self.folder).expanduser() if self.folder else None


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
    alter: Literal["python", "numbers"] | None = None            # how audits write items otherwise (eval/altered.py)
    transfer_only: bool = False      # sealed against development: no submission, no swarm
    fit_seconds: float = Field(gt=0)                             # for each draw
    verify_fit_seconds: float | None = Field(default=None, gt=0) # of the sealed draws; default: the same
    memory_mib: int = Field(ge=256)
    split: Split

    @model_validator(mode="after")
    def _well_formed(self) -> Task:
        for view in self.views:
            if not VIEW.fullmatch(view):
                raise ValueError(f"views: {view!r}: write last:LAYER or mean:LAYER, the layer as a number or as a share such as 60%")
        templates = {"template": self.template}
        if self.prompts is not None:
            templates |= {"prompts.zero_shot": self.prompts.zero_shot, "prompts.contrast": self.prompts.contrast}
        for field, template in templates.items():
            if template is not None and (fault := template_fault(template, self.item_fields, field == "prompts.contrast")):
                raise ValueError(f"{field}: {fault}")
        return self

    @property
    def item_fields(self) -> tuple[str, ...]:
        """The texts that an item has."""
        if self.data.source == "rated":
            return ("text",)
        return FIELDS[getattr(self.data, "format", "binary")]

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

    @property
    def finetunes(self) -> bool:
        """Whether any teacher or student is a fine-tuned language model."""
        return any(spec.kind == "finetune" for spec in self.teachers) or "finetune" in (self.student_of("search"), self.student_of("sealed"))

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


def load_task(name: str, as_told: bool = True) -> Task:
    """The task of this name, with what `prepare` was told about it unless not `as_told`. UserError for an unknown name or a file
    that does not hold together."""
    return _read(name, told(name) if as_told else {})


def _read(name: str, said: dict[str, str]) -> Task:
    if name not in task_names():
        raise UserError(f"unknown task {name!r}: choose from {', '.join(task_names())}")
    path = FOLDER / f"{name}.toml"
    try:
        task = Task.model_validate(laid_over(tomli.loads(path.read_text(encoding="utf-8")), said))
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise UserError(f"{path}: line {line} is not UTF-8: save the file as UTF-8") from None
    except tomli.TOMLDecodeError as error:
        raise UserError(f"{path}: {error}") from None
    except ValidationError as error:
        raise UserError(f"{path}: {_in_words(error.errors())}") from None
    if task.name != name:
        raise UserError(f"{path}: its name is {task.name!r}, it must be that of the file")
    return task


def _in_words(errors: Sequence[Any]) -> str:
    """What is wrong with a task file first: a field that does not exist before the one that is missing in its place."""
    first = next((error for error in errors if error["type"] == "extra_forbidden"), errors[0])
    path = [str(part) for part in first["loc"]]
    if path[:1] == ["data"]:
        path[1:2] = []  # pydantic names the source there
    what = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        missing = [str(error["loc"][-1]) for error in errors if error["type"] == "missing" and error["loc"][:-1] == first["loc"][:-1]]
        meant = get_close_matches(path[-1], missing, 1)
        what = "there is no such field" + (f": it should be {meant[0]}" if meant else "; README.md beside it lists them")
    return f"{'.'.join(path)}: {what}" if path else what


def tell(name: str, **options: str | None) -> None:
    """Keep what `prepare` was told: `data` (a folder), `strong`, `weak` (models, NAME or NAME@REVISION), `students` ("probe" or
    "finetune", for search and verification alike); "default" takes one back. UserError where a model cannot be had or used, or the
    task cannot take it; then nothing is kept."""
    given = {key: value for key, value in options.items() if value is not None}
    if not given:
        return
    source = _read(name, {}).data.source
    if "data" in given and source != "jsonl":
        raise UserError(f"--data: task {name} takes its data from {source}, not from a folder")
    said = together(name, given)
    if any(value != BACK for option, value in given.items() if option != "data"):
        from eval.suits import check_models
        check_models(_read(name, said))
    keep(name, said)
