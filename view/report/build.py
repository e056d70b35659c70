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

from state.errors import UserError, ended
from state.files import write_atomic
from state.paths import RunPaths
from state.record import Record, read_record
from view.patience import Patience
from view.report.components import components
from view.report.headline import winner

NICE = 19


def write_report(paths: RunPaths, out: Path, public: bool, tell: Callable[[str], None] | None) -> dict:
    """Write the report of the run at `paths` to `out`, in one step; {"file", "bytes", "submissions", "seconds"}. As `make_report`; UserError
    also where the folder of `out` cannot be written to."""
    began = time.monotonic()
    data, submissions = make_report(paths, public, tell)
    write(out, data)
    return {"file": str(out), "bytes": len(data), "submissions": submissions, "seconds": round(time.monotonic() - began, 2)}


def make_report(paths: RunPaths, public: bool, tell: Callable[[str], None] | None) -> tuple[bytes, int]:
    """The report of the run at `paths` as one page, and of how many submissions it tells.

    `public`: as agents may see it, unless the run is closed. `tell`: gets a line where it takes long and there is no terminal for a bar;
    None: nothing is shown. UserError where the run cannot be read.
    """
    from view.plots import charts  # matplotlib, which who only imports this module can do without
    from view.report.page import render

    with Patience("report", tell) as patience:
        patience.stage("reading the run")
        record = read_record(paths, public=public)
        patience.stage("what each component is worth")
        parts = _parts(record)
        patience.stage("plots")
        plots = charts(record, parts=parts)
        patience.stage(f"code and diffs of {len(record.submissions):,} submissions", total=len(record.submissions))
        text = render(record, plots, patience)
    return text.encode("utf-8", "replace"), len(record.submissions)


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
    return ended(lambda: print(json.dumps(write_report(RunPaths(asked.run), asked.out, asked.public, lambda text: print(text, file=sys.stderr)))))


if __name__ == "__main__":
    sys.exit(main())
