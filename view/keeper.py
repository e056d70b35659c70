"""Keeps the report on the board fresh while a run goes on, without getting in its way.

A process of its own at the lowest priority writes it, when there is something new, and not so often that it would take more
than a small share of a core. It shows what agents may see; nothing waits for it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

from state.paths import RunPaths

PROJECT = Path(__file__).resolve().parent.parent
EVERY_SECONDS = 30.0
SHARE = 0.08
"""Of one core, at most, on average."""


class ReportKeeper:
    """Goes around a view (of `update(state)` and a context manager) and passes on what it is told."""

    def __init__(self, paths: RunPaths, view, every_seconds: float = EVERY_SECONDS):
        self.paths, self.view, self.every = paths, view, every_seconds
        self.report = paths.board / "report.html"
        self._process: subprocess.Popen | None = None
        self._next = 0.0  # the first one comes with the first verdict
        self._begun = False
        self._shown = self._size()

    def __enter__(self) -> ReportKeeper:
        self.view.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.view.__exit__(kind, error, trace)
        if self._process is not None and self._process.poll() is None:  # a last one is written when the run has ended
            self._process.kill()
            self._process.wait()

    def update(self, state: dict) -> None:
        self.view.update(state)
        now = time.monotonic()
        if self._process is not None:
            used = self._cpu_seconds()
            if used is None:
                return
            self._next = now + max(self.every, used / SHARE)
            self._process = None
        size = self._size()
        if now < self._next or size == self._shown or not self._has_verdict():
            return
        try:
            with open(self.paths.log, "ab") as log:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "view.report.build", str(self.paths.root), str(self.report), "--public"],
                    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log, cwd=PROJECT, start_new_session=True,
                )  # fmt: skip
        except OSError:  # a full disk, too many processes: the run goes on, and later there may be a report again
            self._next = now + self.every
            return
        self._shown = size

    def _has_verdict(self) -> bool:
        self._begun = self._begun or b'"kind":"verdict"' in self.paths.ledger.read_bytes()
        return self._begun

    def _cpu_seconds(self) -> float | None:
        """What the process that has ended took of a core; None while it has not. How long it took tells how busy others were."""
        pid, status, usage = os.wait4(self._process.pid, os.WNOHANG)
        if pid == 0:
            return None
        self._process.returncode = os.waitstatus_to_exitcode(status)
        return usage.ru_utime + usage.ru_stime

    def _size(self) -> tuple[int, int]:
        """Grows with every verdict and post."""
        try:
            return self.paths.ledger.stat().st_size, self.paths.forum.stat().st_mtime_ns
        except FileNotFoundError:
            return 0, 0
