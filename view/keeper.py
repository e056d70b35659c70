"""Keeps the report on the board fresh while a run goes on, without getting in its way.

A process of its own at the lowest priority writes it, when there is something new, and not so often that it would take more
than a small share of a core. It shows what agents may see; nothing waits for it.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

from state.paths import RunPaths

PROJECT = Path(__file__).resolve().parent.parent
EVERY_SECONDS = 60.0
SHARE = 0.04
"""Of one core, at most, on average."""


class ReportKeeper:
    """Goes around a view (of `update(state)` and a context manager) and passes on what it is told."""

    def __init__(self, paths: RunPaths, view, every_seconds: float = EVERY_SECONDS):
        self.paths, self.view, self.every = paths, view, every_seconds
        self.report = paths.board / "report.html"
        self._process: subprocess.Popen | None = None
        self._began = time.monotonic()
        self._next = self._began + every_seconds
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
            if self._process.poll() is None:
                return
            self._next = now + max(self.every, (now - self._began) / SHARE)
            self._process = None
        size = self._size()
        if now < self._next or size == self._shown:
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
        self._shown, self._began = size, now

    def _size(self) -> tuple[int, int]:
        """Grows with every verdict and post."""
        try:
            return self.paths.ledger.stat().st_size, self.paths.forum.stat().st_mtime_ns
        except FileNotFoundError:
            return 0, 0
