"""What decides an agent's next step. A researcher has one method, `step`; what it touches is handed to it.

The agent process builds a researcher with its configuration, its hands (a shell in the agent's sandbox) and `record`,
which appends to the transcript. A researcher that is built anew on the same folder goes on where the last one was.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True)
class AgentConfig:
    """`direction` is the direction's text and `direction_name` its file stem; `views` are the task's feature views, its
    own first; `folder` is private to the agent process and holds transcript.jsonl."""

    name: str
    direction: str
    direction_name: str
    run: str
    task: str
    seed: int
    views: list[str]
    folder: Path


class Outcome(Protocol):
    """What a command left: exit code, and stdout and stderr together."""

    code: int
    output: str


class Hands(Protocol):
    """A shell in the agent's sandbox; each command runs in a fresh one, in the worktree."""

    def sh(self, command: str, stdin: str = "", seconds: float = 60.0) -> Outcome: ...


class Researcher(Protocol):
    """One `step` thinks and acts once and says whether there is more to do."""

    def step(self) -> bool: ...


Record = Callable[[dict[str, Any]], None]
