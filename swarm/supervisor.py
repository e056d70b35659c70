"""Keeps the agents' processes alive: starts them, restarts one that falls with a growing pause, parks it after five."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from state.paths import RunPaths

PROJECT = Path(__file__).parent.parent
MOST_FALLS = 5
STEADY_SECONDS = 120.0
"""An agent that lived this long starts with a clean slate."""


@dataclass
class Worker:
    """One agent's process. `state`: running, resting (before a restart), done, parked."""

    name: str
    process: subprocess.Popen | None = None
    state: str = "resting"
    started: float = 0.0
    next_start: float = 0.0
    falls: int = 0
    restarts: int = 0
    reason: str = ""


class Supervisor:
    """All agents of a run. Called from one thread."""

    def __init__(self, paths: RunPaths, agents: list[str]):
        self.paths = paths
        self.workers = {name: Worker(name) for name in agents}

    def look(self) -> list[Worker]:
        """Start what has to be started and notice what ended; the workers that fell just now."""
        fallen = []
        for worker in self.workers.values():
            if worker.state == "running" and (code := worker.process.poll()) is not None:
                worker.process.stdin.close()
                if code == 0:
                    worker.state = "done"
                    continue
                self._fell(worker, code)
                fallen.append(worker)
            if worker.state == "resting" and time.monotonic() >= worker.next_start:
                self._start(worker)
        return fallen

    def _start(self, worker: Worker) -> None:
        with open(self.paths.agent(worker.name) / "agent.log", "ab") as log:
            worker.process = subprocess.Popen(
                [sys.executable, "-m", "swarm.agent", str(self.paths.root), worker.name],
                stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=PROJECT, start_new_session=True,
            )  # fmt: skip
        worker.state, worker.started = "running", time.monotonic()

    def _fell(self, worker: Worker, code: int) -> None:
        worker.restarts += 1
        worker.falls = 1 if time.monotonic() - worker.started > STEADY_SECONDS else worker.falls + 1
        worker.reason = self._last_words(worker.name) or f"exit code {code}"
        worker.state = "parked" if worker.falls >= MOST_FALLS else "resting"
        worker.next_start = time.monotonic() + min(60.0, 0.5 * 2**worker.falls)

    def _last_words(self, name: str) -> str:
        lines = (self.paths.agent(name) / "agent.log").read_bytes()[-2000:].decode(errors="replace").strip().splitlines()
        return lines[-1][:200] if lines else ""

    def stop(self, seconds: float = 3.0) -> None:
        """End all agents: asked first, killed after `seconds`. Their sandboxes die with them."""
        alive = [worker.process for worker in self.workers.values() if worker.process and worker.process.poll() is None]
        for process in alive:
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + seconds
        for process in alive:
            try:
                process.wait(max(0.01, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
            process.stdin.close()
