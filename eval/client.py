"""The evaluator as the rest of AAR sees it: a process that takes submissions and answers with verdicts in the ledger.

The only module of `eval/` that `swarm/` imports; it loads neither numpy nor torch.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from eval.slots import Slots, check_torch, make_slots
from state.errors import UserError
from state.paths import RunPaths

__all__ = ["EvaluatorClient", "Slots", "check_torch", "evaluate_by_hand", "make_slots", "open_sealed"]

PROJECT = Path(__file__).parent.parent


class EvaluatorClient:
    """Starts the evaluator process of a run; `on_event(event)` is called from a thread, at its end with `gone`."""

    def __init__(self, paths: RunPaths, on_event: Callable[[dict], None]):
        self.paths, self.on_event = paths, on_event
        self.pid: int | None = None
        self._lock = threading.Lock()
        self._stopping = False
        self._process: subprocess.Popen | None = None

    def start(self) -> None:
        """Start the process, or start it anew after `gone`."""
        with self._lock, open(self.paths.evaluator / "log", "ab") as log:
            if self._stopping:
                return
            process = subprocess.Popen(
                [sys.executable, "-m", "eval.evaluator", str(self.paths.root)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd=PROJECT, start_new_session=True,
            )  # fmt: skip
            self._process, self.pid = process, process.pid
        threading.Thread(target=self._listen, args=(process,), daemon=True, name="evaluator-events").start()

    def submit(self, request: dict) -> None:
        """Hand over one submission. Lost where the evaluator is just then gone: hand over again after `gone`."""
        with self._lock:
            try:
                self._process.stdin.write(json.dumps(request).encode() + b"\n")
                self._process.stdin.flush()
            except (BrokenPipeError, ValueError):
                pass

    def _listen(self, process: subprocess.Popen) -> None:
        for line in process.stdout:
            self.on_event(json.loads(line))
        code = process.wait()
        if not self._stopping:
            self.on_event({"event": "gone", "returncode": code})

    def stop(self) -> None:
        """End the evaluator and every sandbox it holds."""
        with self._lock:
            self._stopping = True
            process = self._process
            if process is None:
                return
            try:
                process.stdin.close()
            except BrokenPipeError:
                pass
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _last_words(log: str) -> str:
    lines = [line for line in log.strip().splitlines() if line.strip()]
    return lines[-1].removeprefix("aar: ") if lines else "no message"


def _run_lines(module: str, arguments: list[str], on_verdict: Callable[[dict], None]) -> None:
    """Run an evaluating module in a process of its own; UserError with its last words where it fails."""
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=PROJECT
    ) as process:
        errors: list[str] = []
        reader = threading.Thread(target=lambda: errors.append(process.stderr.read()), daemon=True)
        reader.start()
        try:
            for line in process.stdout:
                on_verdict(json.loads(line))
        except BaseException:
            process.kill()
            raise
        process.wait()
        reader.join()
    if process.returncode != 0:
        raise UserError(_last_words("".join(errors)))


def evaluate_by_hand(file: Path, task: str, isolation: str) -> dict:
    """The verdict of one method file on the public part of `task`."""
    verdicts: list[dict] = []
    _run_lines("eval.by_hand", [str(file.absolute()), "--task", task, "--isolation", isolation], verdicts.append)
    return verdicts[0]


def open_sealed(paths: RunPaths, submissions: list[str], on_verdict: Callable[[dict], None]) -> None:
    """Verify submissions of a run on the sealed part; `on_verdict(verdict)` as each is done."""
    _run_lines("eval.sealed", [str(paths.root), *submissions], on_verdict)
