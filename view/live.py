"""A run while it goes on: a table that is redrawn on a terminal, plain lines anywhere else.

The operator calls `update` about twice a second with what it writes to state.json. A terminal that goes away ends the
display and nothing else: a run does not depend on being watched.
"""

from __future__ import annotations

import os
import sys
import time
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live

from state.paths import RunPaths
from view.format import clean, count, duration
from view.scores import verdict_line
from view.screen import money_words, present_words, screen
from view.status import Follower

SUMMARY_SECONDS = 30.0


class Terminal(Console):
    """A console that reports a closed pipe like any other lost terminal; rich's own ends the process."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError("the terminal is gone")


def live_on(console: Console, transient: bool) -> Live:
    """A display that is redrawn only when it is told to. Without redirection: a proxy in place of sys.stdout would outlive a terminal
    that went away."""
    return Live(console=console, auto_refresh=False, transient=transient, redirect_stdout=False, redirect_stderr=False)


class LiveView:
    """Shows a run until it is left as a context manager. `interactive`: redraw a table, else print lines."""

    def __init__(self, paths: RunPaths, interactive: bool, file=None):
        self.paths = paths
        self.follower = Follower(paths)  # what was there before a resume is known, not news
        self.ledger = self.follower.ledger
        self._told = set(self.ledger.verdicts)
        self.file = file or sys.stdout
        console = Terminal(file=self.file, highlight=False, markup=False)
        self._live = live_on(console, transient=True) if interactive and console.is_terminal and not console.is_dumb_terminal else None
        self._silent = False
        self._next_summary = 0.0

    def __enter__(self) -> LiveView:
        if self._live is not None:
            self._guard(self._live.start)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live is not None:
            self._guard(self._live.stop)

    def update(self, state: dict) -> None:
        """Show `state` (the contents of state.json) and the verdicts that came since the last call."""
        self.ledger.refresh()
        if self._silent:
            return
        facts = self.follower.facts(state)
        if self._live is not None:
            console = self._live.console
            self._guard(lambda: self._live.update(Group(*screen(facts, console.width, console.height - 1)), refresh=True))
            return
        for name in [name for name in self.ledger.verdicts if name not in self._told]:
            self._told.add(name)
            verdict = self.ledger.verdicts[name]
            self._line(f"{clean(verdict['time'], 20)[11:]} {verdict_line(verdict)}")
        if time.monotonic() >= self._next_summary:
            self._next_summary = time.monotonic() + SUMMARY_SECONDS
            self._line(headline(facts))

    def _line(self, text: str) -> None:
        self._guard(lambda: print(text, file=self.file, flush=True))

    def _guard(self, show) -> None:
        """Call `show` unless the terminal is known to be gone."""
        if self._silent:
            return
        try:
            show()
        except OSError:  # a hung-up terminal, a closed pipe: what is printed from now on, at exit too, goes nowhere
            self._silent = True
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.file.fileno())
            os.close(nowhere)


def headline(facts: dict) -> str:
    """A run on one line, for where nothing is redrawn."""
    left = duration(facts["seconds_limit"] - facts["seconds_used"]) + " left"
    if facts["state"] == "open":
        left = present_words(facts["people"])
    elif facts["people"]:
        left += f", {present_words(facts['people'])}"
    spent = f", {money_words(facts)}" if facts["models"] or facts["spend_dollars"] else ""
    return (
        f"run {facts['run']}: {clean(facts['state'], 12)}, task {clean(facts['task'], 40)}, {left}, {facts['queue']} in the queue, "
        f"{count(facts['submissions'], 'submission')}, {facts['scored']} scored{spent}"
    )
