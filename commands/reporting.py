"""Writes a run's reports: for the person at the machine, and for its board. `python -m commands.reporting RUN_FOLDER [--quiet]`

A process of its own at the end of a run and after `verify`: whatever goes wrong with a picture must not take away what was found.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from state.errors import UserError, ended
from state.files import write_atomic
from state.paths import RunPaths
from state.record import Record, read_record

PROJECT = Path(__file__).resolve().parent.parent


def keep_report(paths: RunPaths, quiet: bool = False, out: Path | None = None) -> dict:
    """Write the report to `out`, to RUN/report.html, and to the board, where it is committed unless somebody operates the run;
    {"file", "bytes", "board"}: the first of these, how large it is, and whether there is a copy on the board. What cannot be written
    beside the first is told on stderr, and does not take it away."""
    from view.page_file import write_page
    from view.report.build import make_report

    record = read_record(paths)
    compare_components(record)
    report = paths.root / "report.html"
    data, _ = make_report(paths, public=False, tell=None if quiet else _tell)
    facts = {"file": str(out or report), "bytes": len(data), "board": False}
    if out is not None:
        write_page(out, data)
    try:
        write_atomic(report, data)
    except OSError as error:
        words = f"{report} cannot be written to ({error.strerror})"
        if out is None:
            raise UserError(f"{words}: name another file with --out") from None
        _tell(f"only {out} is written: {words}")
        return facts
    try:
        _on_board(paths, data if record.closed else None, quiet)
    except UserError as error:
        _tell(f"the report is written, but there is no copy of it on the board: {error}")
        return facts
    return facts | {"board": True}


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _on_board(paths: RunPaths, data: bytes | None, quiet: bool) -> None:
    """Put a report on the board of a run that nobody operates, else its operator does; `data` None: make one that agents may see.
    UserError where that cannot be done."""
    from state.operated import is_operated
    from swarm.care import publish_board
    from view.report.build import make_report

    if is_operated(paths):
        return
    board = paths.board / "report.html"
    if data is None:
        data, _ = make_report(paths, public=True, tell=None if quiet else _tell)
    try:
        write_atomic(board, data)
    except OSError as error:
        raise UserError(f"{board} cannot be written to ({error.strerror})") from None
    publish_board(paths, "Report")


def compare_components(record: Record) -> None:
    """Have the evaluator compare the winner with what differs from it in little, draw by draw and item by item (RUN/pairs.json). Where
    its private files are not here or another user's, or the task was prepared anew since, the report does with wider intervals."""
    from eval.client import paired_differences
    from view.report.components import candidates, keep_pairs
    from view.report.headline import winner

    public, _ = winner(record)
    if public is None or not os.access(record.paths.evaluator / "predictions", os.R_OK | os.X_OK):
        return
    name = public["submission"]
    others = [other for other, _ in candidates(record, name)]
    if not others:
        return
    try:
        pairs = paired_differences(record.paths, name, others)
    except UserError:
        return
    keep_pairs(record, name, pairs)


def report_line(paths: RunPaths, quiet: bool = False) -> str:
    """Have the reports written by a process of its own; where they are, or what to do where they could not be written."""
    from view.summary import shown

    command = [sys.executable, "-m", "commands.reporting", str(paths.root), *(["--quiet"] if quiet else [])]
    done = subprocess.run(command, cwd=PROJECT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    if done.returncode != 0:
        return f"report: it could not be written; `python aar.py report {paths.name}` tries again"
    copied = "; a copy is on the board" if json.loads(done.stdout)["board"] else ""
    return f"report: {shown(paths.root / 'report.html')}    one file, opens in any browser{copied}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="commands.reporting")
    parser.add_argument("run", type=Path)
    parser.add_argument("--quiet", action="store_true")
    asked = parser.parse_args()
    return ended(lambda: print(json.dumps(keep_report(RunPaths(asked.run), asked.quiet))))


if __name__ == "__main__":
    sys.exit(main())
