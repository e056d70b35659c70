"""Says how far something is that takes longer than two seconds: a bar on a terminal, one line elsewhere.

    with Patience("report", tell) as patience:
        patience.stage("drawing plots")                  how long that takes is not known
        patience.stage("code", total=5000)
        patience(37)                                     so many are done
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

SECONDS = 2.0
Item = TypeVar("Item")


class Patience:
    """A context manager. `tell`: gets a line where there is no terminal; None: nothing is shown. On stderr: what a command prints
    stays clean."""

    def __init__(self, what: str, tell: Callable[[str], None] | None, seconds: float = SECONDS, console: Console | None = None):
        self.what, self.tell = what, tell
        self._console = console or Console(stderr=True, highlight=False, markup=False)
        self._doing, self._total, self._done = "", None, 0
        self._shown: Progress | None = None
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._begin)
        self._timer.daemon = True

    def __enter__(self) -> Patience:
        if self.tell is not None:
            self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        with self._lock:
            self.tell = None
            if self._shown is not None:
                self._shown.stop()

    def stage(self, doing: str, total: int | None = None) -> None:
        """What is done now; `total`: of how many, where that is known."""
        with self._lock:
            self._doing, self._total, self._done = doing, total, 0
            if self._shown is not None:
                self._shown.reset(self._task, total=total, description=self._words(), of=self._share())

    def each(self, doing: str, items: Sequence[Item]) -> Iterator[Item]:
        """The items, one after the other, as a stage."""
        self.stage(doing, len(items))
        for done, item in enumerate(items):
            self(done)
            yield item

    def of(self, done: int, total: int) -> None:
        """So many are done, of so many as was not known before."""
        if total != self._total:
            self.stage(self._doing, total)
        self(done)

    def __call__(self, done: int) -> None:
        self._done = done
        if self._shown is not None:
            self._shown.update(self._task, completed=done, of=self._share())

    def _words(self) -> str:
        return f"{self.what}: {self._doing}" if self._doing else self.what

    def _share(self) -> str:
        return f"{self._done:,} of {self._total:,}" if self._total is not None else ""

    def _begin(self) -> None:
        with self._lock:
            if self.tell is None:
                return
            if not self._console.is_terminal or self._console.is_dumb_terminal:
                self.tell(f"{self._words()} ...")
                return
            columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[of]}"), TimeElapsedColumn())
            shown = Progress(*columns, console=self._console, transient=True)
            self._task = shown.add_task(self._words(), total=self._total, completed=self._done, of=self._share())
            shown.start()
            self._shown = shown
