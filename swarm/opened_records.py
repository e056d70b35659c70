"""What the records of a run have to have in them, as views read them. Used by `open`, for a run that came from somebody else.

Strict in what is known: a figure is a finite number, an interval has both ends, a name can be that of a folder or a branch, a
commit is an id. Other fields are let through: views do not read them. Views read the records as they stand in the files, not these
models: a default here says that they do without the field, and what they index is required.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from swarm.bundle_file import CommitId, Name
from swarm.opened_fields import (
    Count,
    Figure,
    Line,
    Lines,
    Loose,
    MethodPath,
    SubmissionId,
    TaskName,
    Text,
    Time,
    Word,
    agree,
    check_within,
)


class Figures(Loose):
    """What a verdict and a row of a transfer matrix say alike."""

    track: Word
    status: Word | Literal["n/a"]
    pgr: Figure | None = None
    pgr_low: Figure | None = None
    pgr_high: Figure | None = None
    lift: Figure | None = None
    lift_low: Figure | None = None
    lift_high: Figure | None = None
    error: Text | None = None

    @model_validator(mode="after")
    def _pgr_has_a_lift(self) -> Figures:
        if self.pgr is not None and self.lift is None:
            raise ValueError("a PGR without a lift")
        return self


class NearestByCode(Loose):
    method: Line
    similarity: Figure


class NearestByPredictions(Loose):
    method: Line
    agreement: Figure
    over: Figure | None = None
    over_low: Figure | None = None
    over_high: Figure | None = None


class Agent(Loose):
    name: Name
    direction: Line
    researcher: Line
    model: Line | None = None


class Config(Loose):
    name: Name
    created: Time
    task: TaskName
    seconds_limit: Figure
    submissions_limit: Count | None = None
    fleet_submissions_limit: Count | None = None
    share_after_seconds: Figure = 0.0
    evaluations_an_hour: Count | None = None
    null: bool = False
    seed: int | None = None
    researcher: Line
    base: CommitId
    base_branch: Line
    isolation: Word
    dirty: bool
    slots: Count = 1
    gpus: Line | None = None
    prompts_changed: list[Line] = []
    views: list[Line] = []
    prompts: dict[Line, Line] = {}
    news: dict[str, Any] = {}
    model: dict[str, Any] = {}
    budget: dict[str, Figure | None] = {}
    agents: list[Agent] = Field(max_length=256)


class Submission(Loose):
    submission: SubmissionId
    agent: Name
    commit: CommitId
    method: MethodPath
    family: Text | None = None
    message: Text = ""
    predict: Figure | None = None
    inspired_by: Lines = []
    parents: list[SubmissionId] = []
    time: Time


class Verdict(Figures):
    submission: SubmissionId
    agent: Name
    commit: CommitId
    method: MethodPath
    family: Text | None = None
    rung: Word | None = None
    draws: Count | None = None
    recipe_pgr: Figure | None = None
    recipe_pgr_low: Figure | None = None
    recipe_pgr_high: Figure | None = None
    accuracy: Figure | None = None
    weak_accuracy: Figure | None = None
    ceiling_accuracy: Figure | None = None
    tuned_naive_accuracy: Figure | None = None
    recipe_ceiling_accuracy: Figure | None = None
    accuracy_where_teacher_right: Figure | None = None
    accuracy_where_teacher_wrong: Figure | None = None
    teacher_agreement: Figure | None = None
    independent_items: Annotated[Figure, Field(ge=0)] | None = None
    permuted_pgr: Figure | None = None
    permuted_distance: Figure | None = None
    blind_pgr: Figure | None = None
    other_company: Figure | None = None
    pgr_by_draw: list[Figure] | None = None
    lift_by_draw: list[Figure] | None = None
    method_seconds: Figure | None = None
    overhead_seconds: Figure | None = None
    audit_seconds: Figure | None = None
    peak_memory_mib: Figure | None = None
    openings: Count | None = None
    control: bool = False
    flags: Lines = []
    reasons: Lines = []
    isolation: Word
    device: Line | None = None
    nearest_by_code: NearestByCode | None = None
    nearest_by_predictions: NearestByPredictions | None = None
    over_best: Figure | None = None
    over_best_low: Figure | None = None
    over_best_high: Figure | None = None
    over_parent: Figure | None = None
    over_parent_low: Figure | None = None
    over_parent_high: Figure | None = None
    against_best: Word | None = None
    against_parent: Word | None = None
    promotion: Line | None = None
    best: SubmissionId | None = None
    parent: SubmissionId | None = None
    same_as: SubmissionId | None = None
    tree: Line | None = None
    time: Time

    @model_validator(mode="after")
    def _scored_says_how(self) -> Verdict:
        if self.status == "scored" and (self.rung is None or self.draws is None):
            raise ValueError("scored, without a rung or draws")
        if self.draws is not None and self.rung is None:
            raise ValueError("draws without a rung")
        if self.independent_items is not None and None in (self.draws, self.weak_accuracy, self.ceiling_accuracy):
            raise ValueError("independent_items without draws, weak_accuracy and ceiling_accuracy")
        return self

    @model_validator(mode="after")
    def _figures_are_the_means_of_their_draws(self) -> Verdict:
        for name, value, by_draw in (("pgr", self.pgr, self.pgr_by_draw), ("lift", self.lift, self.lift_by_draw)):
            if value is not None and by_draw and not agree(value, sum(by_draw) / len(by_draw)):
                raise ValueError(f"{name} {value:.4g} is not the mean of its draws, {sum(by_draw) / len(by_draw):.4g}")
        return self


class Event(Loose):
    kind: Line
    event: Line
    agent: Line | None = None
    detail: Text | None = None
    time: Time


class Person(Loose):
    name: Name
    direction: Line
    researcher: Line


class OtherCall(Loose):
    """A line of the spend file of a kind that nobody reads."""

    kind: Line


class Reserved(OtherCall):
    call: Line
    agent: Line
    dollars: Figure
    tokens: Count
    time: Time


class Settled(OtherCall):
    call: Line
    agent: Line
    model: Line
    dollars: Figure
    input_tokens: Count
    cache_read_tokens: Count
    cache_write_tokens: Count
    output_tokens: Count
    time: Time


class Diversity(Loose):
    event: Line
    code: Figure
    predictions: Figure
    over: Count
    time: Time


class AgentState(Loose):
    since: Time | None
    state: Line
    submissions: Count
    restarts: Count | None = None
    note: Text | None = None
    turns: Count = 0
    dollars: Figure = 0.0
    seconds: Figure | None = None
    last_pgr: Figure | None = None
    best_pgr: Figure | None = None
    best_low: Figure | None = None
    best_high: Figure | None = None


class State(Loose):
    state: Line
    seconds_used: Figure = 0.0
    seconds_limit: Figure | None = None
    time: Time | None = None
    agents: dict[Name, AgentState] = {}
    problems: Lines = []
    spend_dollars: Figure | None = None
    spend_limit: Figure | None = None
    spend_tokens: Count | None = None
    turns: Count | None = None
    dollars_an_hour: Figure | None = None
    dollars_a_verdict: Figure | None = None
    dollars_a_point: Figure | None = None


class Pair(Loose):
    submission: SubmissionId
    difference: Figure | None = None
    low: Figure | None = None
    high: Figure | None = None

    @model_validator(mode="after")
    def _difference_has_an_interval(self) -> Pair:
        if self.difference is not None and None in (self.low, self.high):
            raise ValueError("difference without its interval")
        if self.difference is not None:
            check_within("difference", self.difference, self.low, self.high)
        return self


class Pairs(Loose):
    winner: SubmissionId
    pairs: list[Pair]


class Attempt(Loose):
    name: Line
    sandbox: Line = ""
    blocked: bool
    control: bool | None = None
    detail: Text | None = None


class Isolation(Loose):
    isolation: Word | None = None
    attempts: list[Attempt] = []


class TransferRow(Figures):
    method: Line
    task: TaskName


class TransferTask(Loose):
    task: TaskName
    draws: Count
    weak_accuracy: Figure | None = None
    tuned_naive_accuracy: Figure | None = None
    ceiling_accuracy: Figure | None = None
    transfer_only: bool = False


class TransferMissing(Loose):
    task: TaskName
    error: Text


class Transfer(Loose):
    """What eval/transfer.py found. {} where nothing was taken to other tasks."""

    methods: list[Line] = []
    tasks: list[TransferTask] = []
    rows: list[TransferRow] = []
    missing: list[TransferMissing] = []
    worst: dict[Line, TaskName | None] = {}
    developed_on: TaskName | None = None

    @model_validator(mode="after")
    def _rows_have_their_place(self) -> Transfer:
        if self.rows and not {"methods", "tasks"} <= self.model_fields_set or self.rows and not self.tasks:
            raise ValueError("rows without methods or tasks")
        return self


class TranscriptLine(Loose):
    time: Time | None = None
