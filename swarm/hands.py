"""What a researcher can do: run a shell command in its agent's sandbox. There is nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from sandbox.box import Box, run


@dataclass(frozen=True)
class Outcome:
    """What a command left. `output`: stdout and stderr together; `ended` says which limit stopped it, or None."""

    code: int
    output: str
    ended: str | None = None


class Hands:
    """Commands of one agent, each in a fresh sandbox on the same worktree.

    `box`: the sandbox, or what makes it anew for each command, where what it shows may change."""

    def __init__(self, box: Box | Callable[[], Box]):
        self._box = box

    @property
    def box(self) -> Box:
        """The sandbox as it would be now."""
        return self._box() if callable(self._box) else self._box

    def sh(self, command: str, stdin: str = "", seconds: float = 60.0) -> Outcome:
        """Run `bash -c command` in the worktree; at most `seconds`."""
        box = self.box
        box = replace(box, limits=replace(box.limits, seconds=seconds))
        result = run(box, ["bash", "-c", command], stdin=stdin.encode())
        return Outcome(result.returncode, result.output.decode(errors="replace"), result.ended)
