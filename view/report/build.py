"""Writes the report of a run: `python aar.py report`, and, as a process of its own that gets in nobody's way,

    python -m view.report.build RUN_FOLDER OUT [--public]

`--public`: only what agents may see while the run goes on, for its board. What was written is printed as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from state.errors import UserError
from state.files import write_atomic
from state.paths import RunPaths
from state.record import Record, read_record
from view.report.components import components
from view.report.headline import winner

PATIENCE_SECONDS = 2.0
"""So long a report may take before it says how far it is."""
NICE = 19


class Bar:
    """A progress bar on a terminal, once the patience is over; without one `tell` gets a line, once. A context manager."""

    def __init__(self, total: int, tell: Callable[[str], None] | None, patience: float = PATIENCE_SECONDS):
        self.total, self.tell, self.patience = total, tell, patience
        self._began = time.monotonic()
        self._shown: Progress | None = None
        self._told = tell is None

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown is not None:
            self._shown.stop()

    def __call__(self, done: int) -> None:
        if self._shown is not None:
            self._shown.update(self._task, completed=done)
        elif not self._told and time.monotonic() - self._began > self.patience:
            self._told = True
            console = Console(stderr=True)
            if not console.is_terminal:
                self.tell(f"writing the report: code and diffs of {self.total:,} submissions ...")
                return
            columns = (TextColumn("report"), BarColumn(), MofNCompleteColumn(), TextColumn("submissions"))
            self._shown = Progress(*columns, console=console, transient=True)
            self._task = self._shown.add_task("", total=self.total, completed=done)
            self._shown.start()


def write_report(paths: RunPaths, out: Path, public: bool, tell: Callable[[str], None] | None) -> dict:
    """Write the report of the run at `paths` to `out`, in one step; {"file", "bytes", "submissions", "seconds"}.

    `public`: as agents may see it, unless the run is closed. `tell`: gets a line where it takes long and there is no terminal for a bar;
    None: nothing is shown. UserError where the run, or the folder of `out`, cannot be read or written.
    """
    from view.plots import charts  # matplotlib, which who only imports this module can do without
    from view.report.page import render

    began = time.monotonic()
    record = read_record(paths, public=public)
    with Bar(len(record.submissions), tell) as bar:
        text = render(record, charts(record, parts=_parts(record)), bar)
    data = text.encode("utf-8", "replace")
    write(out, data)
    return {"file": str(out), "bytes": len(data), "submissions": len(record.submissions), "seconds": round(time.monotonic() - began, 2)}


def write(out: Path, data: bytes) -> None:
    """Replace `out` in one step. UserError where that cannot be done."""
    try:
        write_atomic(out, data)
    except OSError as error:
        raise UserError(f"the report cannot be written to {out} ({error.strerror}): name another file") from None


def _parts(record: Record) -> list[tuple[str, float, float, float, str]]:
    """What the winner's components are worth, as the charts take it."""
    public, _ = winner(record)
    if public is None:
        return []
    return [(f"{part.other}: {part.words}", part.worth, part.low, part.high, f"#{part.other}") for part in components(record, public["submission"])]


def main() -> int:
    parser = argparse.ArgumentParser(prog="view.report.build", description="Write the report of a run.")
    parser.add_argument("run", type=Path, help="the run's folder, .aar/runs/RUN")
    parser.add_argument("out", type=Path)
    parser.add_argument("--public", action="store_true", help="only what agents may see while the run goes on")
    asked = parser.parse_args()
    os.nice(NICE)
    try:
        print(json.dumps(write_report(RunPaths(asked.run), asked.out, asked.public, lambda text: print(text, file=sys.stderr))))
    except UserError as error:
        print(f"aar: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
