"""Writes a run's reports: for the person at the machine, and for its board. `python -m commands.reporting RUN_FOLDER [--quiet]`

A process of its own at the end of a run and after `verify`: whatever goes wrong with a picture must not take away what was found.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from state.errors import UserError, ended
from state.files import write_atomic
from state.paths import RunPaths
from state.record import Record, read_record

PROJECT = Path(__file__).resolve().parent.parent


def keep_report(paths: RunPaths, quiet: bool = False) -> Path:
    """Write RUN/report.html, and the report on the board, which is committed where nobody operates the run; the former."""
    from swarm.access import is_operated
    from swarm.care import publish_board
    from view.report.build import write_report

    def tell(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    record = read_record(paths)
    compare_components(record)
    report = paths.root / "report.html"
    write_report(paths, report, public=False, tell=None if quiet else tell)
    if not is_operated(paths):  # else its operator keeps it
        board = paths.board / "report.html"
        if record.closed:
            write_atomic(board, report.read_bytes())
        else:
            write_report(paths, board, public=True, tell=None if quiet else tell)
        publish_board(paths, "Report")
    return report


def compare_components(record: Record) -> None:
    """Have the evaluator compare the winner with what differs from it in little, draw by draw and item by item (RUN/pairs.json). Where
    its private files are not here, or the task was prepared anew since, the report does with wider intervals."""
    from eval.client import paired_differences
    from view.report.components import PAIRS, candidates
    from view.report.headline import winner

    public, _ = winner(record)
    if public is None or not (record.paths.evaluator / "predictions").is_dir():
        return
    name = public["submission"]
    others = [other for other, _ in candidates(record, name)]
    if not others:
        return
    try:
        pairs = paired_differences(record.paths, name, others)
    except UserError:
        return
    write_atomic(record.paths.root / PAIRS, json.dumps({"winner": name, "pairs": pairs}), mode=0o600)


def report_line(paths: RunPaths, quiet: bool = False) -> str:
    """Have the reports written by a process of its own; where they are, or what to do where they could not be written."""
    from view.summary import shown

    command = [sys.executable, "-m", "commands.reporting", str(paths.root), *(["--quiet"] if quiet else [])]
    done = subprocess.run(command, cwd=PROJECT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    if done.returncode != 0:
        return f"report: it could not be written; `python aar.py report {paths.name}` tries again"
    return f"report: {shown(paths.root / 'report.html')}    one file, opens in any browser; a copy is on the board"


def main() -> int:
    parser = argparse.ArgumentParser(prog="commands.reporting")
    parser.add_argument("run", type=Path)
    parser.add_argument("--quiet", action="store_true")
    asked = parser.parse_args()
    return ended(lambda: keep_report(RunPaths(asked.run), asked.quiet))


if __name__ == "__main__":
    sys.exit(main())
