"""Keeps the agents' processes alive: starts them, restarts one that falls with a growing pause, parks it after five,
or at once where it says that no restart helps. They are forked by a nursery (swarm/nursery.py)."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from state.paths import RunPaths
from swarm.agent import RESEARCHERS
from swarm.researchers import PARKED

PROJECT = Path(__file__).parent.parent
MOST_FALLS = 5
STEADY_SECONDS = 120.0
"""An agent that lived this long starts with a clean slate."""


@dataclass
class Worker:
    """One agent's process. `state`: running, resting (before a restart), done, parked. `code`: of the process that ended, until
    that was noticed."""

    name: str
    pid: int | None = None
    code: int | None = None
    state: str = "resting"
    started: float = 0.0
    next_start: float = 0.0
    falls: int = 0
    restarts: int = 0
    reason: str = ""
    before: float = 0.0
    """Seconds that it has worked in earlier lives."""
    nursery: subprocess.Popen | None = None
    """Where its process comes from."""

    def seconds(self) -> float:
        """How long it has worked, over all its lives."""
        return self.before + (time.monotonic() - self.started if self.state == "running" else 0.0)


class Supervisor:
    """All agents of a run, `agents`: name -> researcher. Called from one thread."""

    def __init__(
        self, paths: RunPaths, agents: dict[str, str], before: dict[str, float] | None = None, hours: float | None = None,
        pause_seconds: float = 0.5,
    ):  # fmt: skip
        """`before`: seconds that agents have worked already; `hours`: how long each may. After a fall an agent rests for twice
        `pause_seconds`, then four times, and so on up to a minute."""
        self.paths, self.pause_seconds = paths, pause_seconds
        self.most_seconds = float("inf") if hours is None else 3600.0 * hours
        self.workers = {name: Worker(name, before=(before or {}).get(name, 0.0)) for name in agents}
        self._modules = sorted({RESEARCHERS[researcher][0] for researcher in agents.values()})
        self._nursery: subprocess.Popen | None = None
        self._ended = threading.Condition()

    def look(self) -> list[Worker]:
        """Start what has to be started and notice what ended; the workers that fell just now."""
        fallen = []
        for worker in self.workers.values():
            if worker.state in ("running", "resting") and worker.seconds() >= self.most_seconds:
                self._end([worker], 3.0)
                worker.before = worker.seconds()
                worker.state, worker.reason = "done", f"its {self.most_seconds / 3600:g} hours are over"
                continue
            if worker.state == "running" and (code := worker.code) is not None:
                worker.before = worker.seconds()
                worker.pid = None
                if code == 0:
                    worker.state = "done"
                    continue
                self._fell(worker, code)
                fallen.append(worker)
            if worker.state == "resting" and time.monotonic() >= worker.next_start:
                self._start(worker)
        return fallen

    def _start(self, worker: Worker) -> None:
        self.prepare()
        with self._ended:  # at once: it is one of this nursery before it is running, or the end of the last one would be its end
            worker.nursery, worker.code, worker.state, worker.started = self._nursery, None, "running", time.monotonic()
        if not self._tell({"start": worker.name}):  # and its end may have been noticed before this one was running in it
            with self._ended:
                worker.code = worker.code or 1

    def prepare(self) -> None:
        """Let the nursery import what agents need; it takes a while, and other things can be done meanwhile."""
        if self.workers and (self._nursery is None or self._nursery.poll() is not None):
            with open(self.paths.root / "nursery.log", "ab") as log:
                self._nursery = subprocess.Popen(
                    [sys.executable, "-m", "swarm.nursery", str(self.paths.root), *self._modules],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd=PROJECT, start_new_session=True,
                )  # fmt: skip
            threading.Thread(target=self._listen, args=(self._nursery,), daemon=True, name="nursery").start()

    def _tell(self, request: dict) -> bool:
        """Tell the nursery; False where it is gone, or there is none any more."""
        if self._nursery is None:
            return False
        try:
            self._nursery.stdin.write(json.dumps(request).encode() + b"\n")
            self._nursery.stdin.flush()
        except BrokenPipeError:
            return False
        return True

    def _listen(self, nursery: subprocess.Popen) -> None:
        for line in nursery.stdout:
            answer = json.loads(line)
            worker = self.workers[answer.get("started") or answer["ended"]]
            with self._ended:
                if worker.nursery is nursery:  # else it is another process by now
                    if "started" in answer:
                        worker.pid = answer["pid"]
                    worker.code = answer.get("code")
                self._ended.notify_all()
        code = nursery.wait()
        with self._ended:  # with it all its agents have ended
            for worker in self.workers.values():
                if worker.nursery is nursery and worker.state == "running" and worker.code is None:
                    worker.code = code or 1
            self._ended.notify_all()

    def _fell(self, worker: Worker, code: int) -> None:
        worker.restarts += 1
        worker.falls = 1 if time.monotonic() - worker.started > STEADY_SECONDS else worker.falls + 1
        worker.reason = self._last_words(worker.name) or f"exit code {code}"
        worker.state = "parked" if worker.falls >= MOST_FALLS or code == PARKED else "resting"
        worker.next_start = time.monotonic() + min(60.0, self.pause_seconds * 2**worker.falls)

    def _last_words(self, name: str) -> str:
        log = self.paths.agent(name) / "agent.log"
        lines = log.read_bytes()[-2000:].decode(errors="replace").strip().splitlines() if log.exists() else []
        return lines[-1][:200] if lines else ""

    def stop(self, seconds: float = 3.0) -> None:
        """End all agents: asked first, killed after `seconds`. Their sandboxes die with them."""
        self._end(list(self.workers.values()), seconds)
        if self._nursery is not None:
            with contextlib.suppress(BrokenPipeError):  # what was told to one that is gone is still to be flushed
                self._nursery.stdin.close()
            try:
                self._nursery.wait(2.0)
            except subprocess.TimeoutExpired:
                self._nursery.kill()
                self._nursery.wait()
            self._nursery = None

    def _end(self, workers: list[Worker], seconds: float) -> None:
        alive = [worker for worker in workers if worker.state == "running" and worker.code is None]
        for number, wait in ((signal.SIGTERM, seconds), (signal.SIGKILL, 2.0)):
            for worker in alive:
                if worker.code is None:
                    self._tell({"signal": worker.name, "number": int(number)})
            with self._ended:
                self._ended.wait_for(lambda: all(worker.code is not None for worker in alive), wait)
