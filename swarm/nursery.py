"""Where agents' processes come from: one process that has imported what they need, and forks each of them in milliseconds.

    python -m swarm.nursery RUN_FOLDER MODULE ...      started by swarm/supervisor.py; imports the modules first

Nine agents that each import an SDK for themselves keep two cores busy for half a minute. Requests come as JSON lines on standard
input, `{"start": NAME}` or `{"signal": NAME, "number": N}`; answers go to standard output, `{"started": NAME, "pid": N}` and
`{"ended": NAME, "pid": N, "code": N}`. The nursery has no threads, so that a fork is safe. Its end, however it comes, ends all agents:
each holds the reading end of a pipe that only the nursery can write to.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import select
import signal
import sys
import traceback

from state.paths import RunPaths
from swarm.agent import main as live


class Nursery:
    """The agents of one run, by name."""

    def __init__(self, paths: RunPaths):
        self.paths = paths
        self.names: dict[int, str] = {}  # pid -> name
        # Nothing is ever written: who holds the other end sees when this process is gone.
        self.lifeline, self._held = os.pipe()

    def start(self, name: str) -> None:
        pid = os.fork()
        if pid == 0:
            self._become(name)
        self.names[pid] = name
        say({"started": name, "pid": pid})

    def _become(self, name: str) -> None:
        """The forked process: an agent until its end."""
        code = 1
        try:
            os.setsid()
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.close(self._held)
            os.dup2(self.lifeline, 0)
            log = os.open(self.paths.agent(name) / "agent.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            os.dup2(log, 1)
            os.dup2(log, 2)
            os.closerange(3, 256)
            code = live([str(self.paths.root), name])
        except BaseException:  # noqa: BLE001  whatever it was: it belongs into the agent's log
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def bury(self) -> None:
        """Tell of every agent that has ended."""
        while self.names:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            say({"ended": self.names.pop(pid), "pid": pid, "code": os.waitstatus_to_exitcode(status)})

    def signal(self, name: str, number: int) -> None:
        for pid, known in self.names.items():
            if known == name:  # not buried yet, so the number is still its own
                os.kill(pid, number)


def say(answer: dict) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def main(arguments: list[str]) -> None:
    nursery = Nursery(RunPaths(arguments[0]))
    for module in arguments[1:]:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()  # what is imported stays shared between the forks
    woken, wake = os.pipe()
    for end in (woken, wake):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    waiting = b""
    while True:
        ready, _, _ = select.select([0, woken], [], [])
        if woken in ready:
            os.read(woken, 4096)
            nursery.bury()
        if 0 in ready:
            chunk = os.read(0, 65536)
            if not chunk:  # the operator is gone, or wants an end
                return
            *lines, waiting = (waiting + chunk).split(b"\n")
            for line in lines:
                request = json.loads(line)
                if "start" in request:
                    nursery.start(request["start"])
                else:
                    nursery.signal(request["signal"], request["number"])


if __name__ == "__main__":
    main(sys.argv[1:])
