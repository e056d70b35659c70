"""The table of all methods of the library on one task, behind `python aar.py baselines`; and how far a scoring is."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from view.format import NONE_STAMP, clean, count, figure, lift_of, pgr_of
from view.scores import failure_words
from view.table import markdown

HEADER = ["method", "PGR", "lift", "accuracy", "teacher right", "teacher wrong", "seconds", "track", "flags"]
ACCURACIES = ("accuracy", "accuracy_where_teacher_right", "accuracy_where_teacher_wrong")


def baselines_text(facts: dict) -> str:
    """The facts of `eval.client.baselines` as Markdown: rows as given, best first, and what they were measured by."""
    rows = [
        [clean(row["method"], 60), pgr_of(row) if row["status"] == "scored" else clean(row["status"], 20),
         "reference" if row["track"] == "anchor" else lift_of(row) if row["status"] == "scored" else "",
         *(figure(row[name], digits=3) if row["status"] == "scored" else "" for name in ACCURACIES),
         figure(row["method_seconds"], digits=1) if row.get("method_seconds") else "", clean(row["track"], 20),
         clean("; ".join(row["flags"]), 60)]
        for row in facts["rows"]
    ]  # fmt: skip
    stamp = [NONE_STAMP, ""] if facts["isolation"] == "none" else []
    failed = [f"- {clean(row['method'], 60)}: {reason(row)}" for row in facts["rows"] if row["status"] != "scored"]
    return "\n".join([*stamp, markdown(HEADER, rows, right=HEADER[3:7]), "", *failed, *([""] if failed else []), measured(facts)])


def reason(row: dict) -> str:
    """Why a row has no figures, on one short line."""
    return clean(row["error"], 160) if row["status"] == "n/a" else f"{clean(row['status'], 20)}: {failure_words(row)}"


def measured(facts: dict) -> str:
    """The anchors of a task, on what they were measured, and what it can tell apart."""
    anchors = ", ".join(f"{name.replace('_', ' ')} {figure(facts[name + '_accuracy'], digits=3)}" for name in ("weak", "tuned_naive", "ceiling"))
    smallest = "not known" if facts["resolvable"] is None else f"about {facts['resolvable']:.2f}"
    origin = f" (anchors: {clean(facts['origin'], 200)})" if facts["origin"] else ""
    return (
        f"{clean(facts['task'], 40)}: accuracy of {anchors}{origin}; {count(facts['draws'], 'draw')}, {facts['items']:,} public items, "
        f"{clean(facts['student'], 20)} students, isolation {clean(facts['isolation'], 20)}; smallest difference in PGR that these draws "
        f"tell from none: {smallest}"
    )


class ScoringProgress:
    """Shows on stderr how far a scoring is, from its events: one live bar in a terminal, a line for each method elsewhere."""

    def __init__(self, title: str, console: Console | None = None) -> None:
        self.title, self.console = title, console or Console(stderr=True, highlight=False, markup=False)
        self._running: dict[str, float] = {}
        self._done = self._missing = 0
        self._task = ""
        self._bar = Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
                             TextColumn("{task.fields[running]}", markup=False), console=self.console, transient=True)  # fmt: skip
        self._live = self.console.is_terminal and not self.console.is_dumb_terminal
        self._row = self._bar.add_task(title, total=None, running="")

    def __enter__(self) -> ScoringProgress:
        if self._live:
            self._bar.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live:
            self._bar.stop()

    def update(self, event: dict) -> None:
        """Take in an event of `eval/baselines.py`: `begin`, `started` or `done`."""
        if event["event"] == "begin":
            self._task, self._done, self._missing = clean(event["task"], 40), 0, event["missing"]
            self._line(f"{self.title} {self._task}: {count(event['missing'], 'method')} to run, {event['known']} known from before")
        elif event["event"] == "started":
            self._running[event["method"]] = time.monotonic()
        elif event["event"] == "done":
            self._running.pop(event["method"], None)
            self._done += 1
            said = f"PGR {pgr_of(event)} lift {lift_of(event)}" if event["status"] == "scored" else reason(event)
            seconds = figure(event.get("method_seconds"), digits=1)
            self._line(f"{self._task} {self._done}/{self._missing} {clean(event['method'], 60)} {said} ({seconds} s)")
        if self._live:
            running = ", ".join(clean(name, 30) for name in self._running)
            self._bar.update(self._row, description=f"{self.title} {self._task}", completed=self._done, total=self._missing, running=running)

    def _line(self, text: str) -> None:
        if not self._live:
            self.console.print(text, soft_wrap=True)
