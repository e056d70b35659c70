"""What decides an agent's next step. A researcher has one method, `step`; what it touches is handed to it.

The agent process builds a researcher with its configuration, its hands (a shell in the agent's sandbox) and `record`,
which appends to the transcript. A researcher that is built anew on the same folder goes on where the last one was.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from state.files import utc_now, write_atomic

PARKED = 75
"""Exit code of an agent that cannot go on and should not be started again by itself."""


class Parked(Exception):  # noqa: N818
    """Raised by a researcher that no restart helps (a key that is refused, an outage that lasts too long). Its text, one clear
    line, is what a person reads in `status`."""


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
    model: str = ""
    """The name that the Messages API knows; "" for researchers without a model."""
    prompt: str = ""
    """prompts/researcher.md, rendered for this agent."""
    settings: dict[str, Any] = field(default_factory=dict)
    """run.toml: what was said of the model, of news and of the command line."""

    def tell(self, doing: str, note: str = "") -> None:
        """Say in `status` what the agent is doing (thinking, acting, waiting, finished) and a word about it."""
        about = {"doing": doing, "note": note, "time": utc_now()}
        write_atomic(self.folder / "activity.json", json.dumps(about), durable=False)


class Outcome(Protocol):
    """What a command left: exit code, stdout and stderr together, and which limit ended it, or None."""

    code: int
    output: str
    ended: str | None


class Hands(Protocol):
    """A shell in the agent's sandbox; each command runs in a fresh one, in the worktree. `box`: a sandbox.box.Box."""

    box: Any

    def sh(self, command: str, stdin: str = "", seconds: float = 60.0) -> Outcome: ...


class Researcher(Protocol):
    """One `step` thinks and acts once and says whether there is more to do."""

    def step(self) -> bool: ...


Record = Callable[[dict[str, Any]], None]
