"""What the records of a run have to have in them, as views read them. Used by `open`, for a run that came from somebody else.

Strict in what is known: a figure is a finite number, an interval has both ends, a name can be that of a folder or a branch, a
commit is an id. Other fields are let through: views do not read them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from swarm.bundle_file import CommitId, Name
from swarm.worktree import METHOD


def _is_time(text: str) -> str:
    datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ")
    return text


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("characters that are not printed")
    return text


Time = Annotated[str, AfterValidator(_is_time)]
Line = Annotated[str, StringConstraints(max_length=1000), AfterValidator(_one_line)]
Text = Annotated[str, StringConstraints(max_length=200_000)]
Figure = Annotated[float, Field(allow_inf_nan=False, ge=-1e15, le=1e15)]
Count = Annotated[int, Field(ge=0, le=2**53)]
SubmissionId = Annotated[str, StringConstraints(pattern=r"^s\d{4,9}$")]
MethodPath = Annotated[str, StringConstraints(pattern=rf"^{METHOD.pattern}$")]
TaskName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,60}$")]
Word = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9 _-]{0,40}$")]
Lines = list[Annotated[str, StringConstraints(max_length=4000)]]
BOUNDED = ("pgr", "lift", "recipe_pgr")


class Loose(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")


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


class Verdict(Loose):
    submission: SubmissionId
    agent: Name
    commit: CommitId
    method: MethodPath
    family: Text | None = None
    track: Word
    status: Word
    rung: Word | None = None
    draws: Count | None = None
    pgr: Figure | None = None
    pgr_low: Figure | None = None
    pgr_high: Figure | None = None
    lift: Figure | None = None
    lift_low: Figure | None = None
    lift_high: Figure | None = None
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
    independent_items: Figure | None = None
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
    error: Text | None = None
    against_best: Word | None = None
    against_parent: Word | None = None
    promotion: Line | None = None
    best: SubmissionId | None = None
    parent: SubmissionId | None = None
    same_as: SubmissionId | None = None
    tree: Line | None = None
    time: Time

    @model_validator(mode="after")
    def _figures_have_intervals(self) -> Verdict:
        if self.status == "scored" and (self.rung is None or self.draws is None):
            raise ValueError("scored, without a rung or draws")
        for name in BOUNDED:
            if getattr(self, name) is not None and (getattr(self, f"{name}_low") is None or getattr(self, f"{name}_high") is None):
                raise ValueError(f"{name} without its interval")
        if self.pgr is not None and self.lift is None:
            raise ValueError("a PGR without a lift")
        return self


class Event(Loose):
    event: Line
    agent: Line | None = None
    detail: Text | None = None
    time: Time


class Person(Loose):
    name: Name
    direction: Line
    researcher: Line


class Call(Loose):
    call: Line
    agent: Line
    dollars: Figure
    tokens: Count = 0
    input_tokens: Count = 0
    cache_read_tokens: Count = 0
    cache_write_tokens: Count = 0
    output_tokens: Count = 0
    time: Time | None = None


class Diversity(Loose):
    event: Line
    code: Figure | None = None
    predictions: Figure | None = None
    over: Count | None = None
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


class Pairs(Loose):
    winner: SubmissionId
    pairs: list[Pair]


class Attempt(Loose):
    name: Line = ""
    sandbox: Line = ""
    blocked: bool | None = None
    control: bool | None = None
    detail: Text | None = None


class Isolation(Loose):
    isolation: Word | None = None
    attempts: list[Attempt] = []
