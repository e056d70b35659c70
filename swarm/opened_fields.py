"""What the fields of a run's records may hold: the types of swarm/opened_records.py, where the run came from somebody else."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from swarm.worktree import METHOD


def is_time(text: str) -> str:
    """A time as the ledger has it. ValueError for anything else."""
    if not TIME.fullmatch(text):
        raise ValueError("no time such as 2026-11-23T14:00:00Z")
    datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ")
    return text


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("characters that are not printed")
    return text


TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
Time = Annotated[str, AfterValidator(is_time)]
Line = Annotated[str, StringConstraints(max_length=1000), AfterValidator(_one_line)]
Text = Annotated[str, StringConstraints(max_length=200_000)]
Figure = Annotated[float, Field(allow_inf_nan=False, ge=-1e15, le=1e15)]
Count = Annotated[int, Field(ge=0, le=2**53)]
SubmissionId = Annotated[str, StringConstraints(pattern=r"^s[0-9]{4,9}$")]
MethodPath = Annotated[str, StringConstraints(pattern=rf"^{METHOD.pattern}$")]
TaskName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,60}$")]
Word = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9 _-]{0,40}$")]
Lines = list[Annotated[str, StringConstraints(max_length=4000)]]
BOUNDED = ("pgr", "lift", "recipe_pgr", "over_best", "over_parent", "over")
"""Figures that stand with `_low` and `_high`."""
SHOWN = 0.01
"""What is said with two digits says the same within this."""


class Loose(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")

    @model_validator(mode="after")
    def _figures_have_intervals(self) -> Loose:
        for name in BOUNDED:
            if not (name in type(self).model_fields and f"{name}_low" in type(self).model_fields) or getattr(self, name) is None:
                continue
            if getattr(self, f"{name}_low") is None or getattr(self, f"{name}_high") is None:
                raise ValueError(f"{name} without its interval")
            check_within(name, getattr(self, name), getattr(self, f"{name}_low"), getattr(self, f"{name}_high"))
        return self


def agree(one: float, other: float) -> bool:
    """Whether two figures say the same."""
    return abs(one - other) <= SHOWN + 1e-6 * abs(one)


def check_within(name: str, value: float, low: float, high: float) -> None:
    """ValueError where a figure is not within its own interval, which no estimate of AAR comes to."""
    if low > high or not (low <= value <= high or agree(value, low) or agree(value, high)):
        raise ValueError(f"{name} {value:.4g} is not within its interval [{low:.4g}, {high:.4g}]")
