"""Tells a person how far a long job is and, honestly, how long it will still take.

In a terminal it is one live bar (rich); elsewhere a line when a stage begins and every 30 seconds. The time left is that of
the running stage, measured, plus what the later ones are expected to take.
"""
from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

LINE_SECONDS = 30.0
TRUST_SECONDS = 5.0
"""How long a stage runs before its own pace is believed more than the forecast."""
TRUST_SHARE = 0.1
"""And how much of it is done by then: the first hundredth says little, since a model is loaded in it."""


class StageProgress:
    """`stages`: names with the seconds that each is expected to take; 0 for one that is done already."""

    def __init__(self, title: str, stages: dict[str, float], console: Console) -> None:
        self._console = console
        self._title, self._expected, self._last_line = title, dict(stages), 0.0
        self._stage, self._started, self._first, self._taken = "", time.monotonic(), 0.0, 0.0
        self._bar = Progress(TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn(),
                             TextColumn("{task.fields[left]}"), console=self._console, transient=True)
        self._live = console.is_terminal and not console.quiet
        self._task = self._bar.add_task(title, total=1.0, left="")

    def __enter__(self) -> StageProgress:
        if self._live:
            self._bar.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live:
            self._bar.stop()

    def expect(self, stage: str, seconds: float) -> None:
        """A better forecast for a stage that is still to come."""
        self._expected[stage] = seconds

    def begin(self, stage: str) -> None:
        """Go on to `stage`; the ones before it are over."""
        names = list(self._expected)
        for earlier in names[: names.index(stage)]:
            self._expected[earlier] = 0.0
        self._stage, self._started, self._first = stage, time.monotonic(), -1.0
        self._show(0.0, self._expected[stage], new=True)

    def update(self, done: float, total: float) -> None:
        """`done` of `total` units of the stage are there; what was there at the first call is not counted as speed."""
        elapsed, share = time.monotonic() - self._started, done / total
        if self._first < 0:
            self._first = share
        forecast = self._expected[self._stage] * (1 - share)
        pace = elapsed / (share - self._first) * (1 - share) if share > self._first else forecast
        trust = min(1.0, elapsed / TRUST_SECONDS, max(0.0, share - self._first) / TRUST_SHARE)
        self._show(share, trust * pace + (1 - trust) * forecast)

    @property
    def seconds_left(self) -> float:
        """The forecast for everything from the stage that runs now on, as of its beginning."""
        return sum(self._expected.values())

    def _show(self, share: float, left: float, new: bool = False) -> None:
        later = sum(self._expected.values()) - self._expected.get(self._stage, 0.0)
        text, now = f"about {in_words(left + later)} left", time.monotonic()
        if self._live:
            self._bar.update(self._task, description=f"{self._title}: {self._stage}", completed=share, left=text)
        elif new or now - self._last_line >= LINE_SECONDS:
            self._last_line = now
            self._console.print(f"{self._title}: {self._stage}, {share:.0%}, {text}", highlight=False, soft_wrap=True)


def in_words(seconds: float) -> str:
    """"40 s" or "4 min 10 s", to ten seconds."""
    tens = max(10, round(seconds / 10) * 10)
    minutes, rest = divmod(tens, 60)
    return f"{rest} s" if not minutes else f"{minutes} min {rest} s" if rest else f"{minutes} min"
