"""What a researcher can do: run a shell command in its agent's sandbox. There is nothing else."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sandbox.box import Box, run


@dataclass(frozen=True)
class Outcome:
    """What a command left. `output`: stdout and stderr together; `ended` says which limit stopped it, or None."""

    code: int
    output: str
    ended: str | None = None


class Hands:
    """Commands of one agent, each in a fresh sandbox on the same worktree."""

    def __init__(self, box: Box):
        self.box = box

    def sh(self, command: str, stdin: str = "", seconds: float = 60.0) -> Outcome:
        """Run `bash -c command` in the worktree; at most `seconds`."""
        box = replace(self.box, limits=replace(self.box.limits, seconds=seconds))
        result = run(box, ["bash", "-c", command], stdin=stdin.encode())
        return Outcome(result.returncode, result.output.decode(errors="replace"), result.ended)
