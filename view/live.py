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
from rich.table import Table
from rich.text import Text

from state.config import read_config
from state.ledger import Ledger
from state.paths import RunPaths
from view.format import NONE_STAMP, clean, count, duration
from view.scores import leaderboard, on_track, verdict_line
from view.status import AGENT_HEADER, PAID, agent_facts, agent_row, best_words, money_words, present_words

SUMMARY_SECONDS = 30.0
COLOURS = {"present": "green", "away": "dim", "scoring": "green", "thinking": "cyan", "acting": "cyan", "working": "cyan", "waiting": "yellow", "parked": "red", "stopped": "dim", "starting": "dim"}


WIDE = 110
LESS = ("direction", "submissions", "last PGR")
"""Columns that a terminal of fewer than WIDE columns does without."""


class Terminal(Console):
    """A console that reports a closed pipe like any other lost terminal; rich's own ends the process."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError("the terminal is gone")


class LiveView:
    """Shows a run until it is left as a context manager. `interactive`: redraw a table, else print lines."""

    def __init__(self, paths: RunPaths, interactive: bool, file=None):
        self.paths = paths
        self.config = read_config(paths)
        self.ledger = Ledger(paths.ledger)  # what was there before a resume is known, not news
        self._main = on_track(leaderboard(self.ledger))
        self.file = file or sys.stdout
        console = Terminal(file=self.file, highlight=False, markup=False)
        self._live = None
        if interactive and console.is_terminal and not console.is_dumb_terminal:
            # Without redirection: a proxy in place of sys.stdout would outlive a terminal that went away.
            self._live = Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False)
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
        news = [record for record in self.ledger.refresh() if record["kind"] == "verdict"]
        if news:
            self._main = on_track(leaderboard(self.ledger))
        if len(state.get("agents", {})) > len(self.config["agents"]):  # somebody joined
            self.config = read_config(self.paths)
        if self._silent:
            return
        if self._live is not None:
            self._guard(lambda: self._live.update(self._table(state), refresh=True))
            return
        for verdict in news:
            self._line(f"{clean(verdict['time'], 20)[11:]} {verdict_line(verdict)}")
        if time.monotonic() >= self._next_summary:
            self._next_summary = time.monotonic() + SUMMARY_SECONDS
            self._line(self._headline(state))

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

    def _headline(self, state: dict) -> str:
        left = duration(state.get("seconds_limit", self.config["seconds_limit"]) - state.get("seconds_used", 0.0)) + " left"
        people = sum(agent["state"] == "present" for agent in state.get("agents", {}).values())
        if state.get("state") == "open":
            left = present_words(people)
        elif people:
            left += f", {present_words(people)}"
        spent = f", {money_words(state)}" if "spend_dollars" in state else ""
        scored = sum(verdict["status"] == "scored" for verdict in self.ledger.verdicts.values())
        return (
            f"run {self.paths.name}: {clean(state.get('state', 'starting'), 12)}, task {self.config['task']}, "
            f"{left}, {state.get('queue', 0)} in the queue, "
            f"{count(len(self.ledger.submissions), 'submission')}, {scored} scored{spent}"
        )

    def _table(self, state: dict) -> Group:
        parts: list = [Text(self._headline(state), style="bold")]
        parts.append(Text(f"best: {best_words(self._main[0] if self._main else None)}", style="green"))
        if self.config["isolation"] == "none":
            parts.append(Text(NONE_STAMP, style="bold white on red"))
        table = Table(box=None, pad_edge=False, header_style="dim", expand=False)
        left_out = (() if self._live.console.width >= WIDE else LESS) + (() if "spend_dollars" in state else PAID)
        shown = [name for name in AGENT_HEADER if name not in left_out]
        rows = [dict(zip(AGENT_HEADER, map(Text, agent_row(agent)), strict=True)) for agent in agent_facts(self.config, state, self._main)]
        rest = self._live.console.width - sum(2 + max(len(name), *(row[name].cell_len for row in rows), 0) for name in shown if name != "note")
        for name in shown:
            right = name in ("for", "submissions", "last PGR", *PAID)
            most = max(rest, len("note")) if name == "note" else None  # where it is narrow, the note gives way and nothing else
            table.add_column(name, justify="right" if right else "left", no_wrap=True, overflow="ellipsis", max_width=most)
        for cells in rows:
            cells["direction"].stylize("dim")
            cells["state"].stylize(COLOURS.get(cells["state"].plain, ""))
            table.add_row(*(cells[name] for name in shown))
        parts.append(table)
        parts += [Text(f"problem: {clean(problem, 200)}", style="yellow") for problem in state.get("problems", [])[-3:]]
        return Group(*parts)
