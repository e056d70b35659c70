"""Commands of a checkout without the second that python and its imports take: a process that has imported what commands import, and
forks for each of them.

    cd CHECKOUT; python -m tests.warm_commands     one request a line: {"arguments": [...], "output": FILE, "environment": {...}}; answered
                                                   by a line with the exit code of `aar.py ARGUMENTS`, whose output is in FILE by then
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

NEEDED = (
    "eval.client", "swarm.bundle", "swarm.care", "swarm.costs", "swarm.create", "swarm.finalize", "swarm.join", "swarm.opened",
    "swarm.operation", "swarm.verification", "view.compare", "view.keeper", "view.live", "view.log", "view.replay", "view.scores",
    "view.show", "view.status", "view.summary",
)  # fmt: skip


class Commands:
    """The client: commands of the checkout in a folder, one at a time."""

    def __init__(self, folder: Path):
        self.folder, self.lock = folder, threading.Lock()
        self.process: subprocess.Popen | None = None

    def run(self, arguments: tuple[str, ...], seconds: float) -> tuple[int, str]:
        """Exit code and output; subprocess.TimeoutExpired, with the command killed, where it takes longer."""
        with self.lock, tempfile.NamedTemporaryFile() as output:
            if self.process is None:
                command = [sys.executable, "-m", "tests.warm_commands"]
                pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
                self.process = subprocess.Popen(command, cwd=self.folder, **pipes)
            self.process.stdin.write(json.dumps({"arguments": arguments, "output": output.name, "environment": dict(os.environ)}) + "\n")
            if not select.select([self.process.stdout], [], [], seconds)[0]:
                self.close()
                raise subprocess.TimeoutExpired(["aar.py", *arguments], seconds)
            return int(self.process.stdout.readline()), Path(output.name).read_text(errors="replace")

    def close(self) -> None:
        """End it; a command that has not ended dies with it."""
        if self.process is not None:
            self.process.terminate()
            self.process.communicate()
            self.process = None


def take_over(asked: dict) -> None:
    """Become, in a fork, the process that a person would have started: output, input, environment and arguments."""
    output = os.open(asked["output"], os.O_WRONLY | os.O_APPEND)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for have, wanted in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(have, wanted)
    os.close(output)
    os.close(nothing)
    sys.stdin = open(0, closefd=False)
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.argv = ["aar.py", *asked["arguments"]]


def serve() -> dict | None:
    """Answer requests. Returns, in each fork, what it was asked for; None at the end of all."""
    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if child == 0:
            take_over(asked)
            return asked
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    return None


if __name__ == "__main__":
    import ctypes
    import importlib
    import signal

    import aar
    from view.ending import exit_code

    for name in NEEDED:
        importlib.import_module(name)
    parent = os.getpid()
    if (wanted := serve()) is not None:
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:  # who was gone before that
            sys.exit(1)
        sys.exit(exit_code(lambda: aar.main(wanted["arguments"], standalone_mode=False)))
