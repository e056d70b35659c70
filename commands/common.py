"""What commands share: how they print, what they find behind walls, how a run is operated and its report is kept."""

from __future__ import annotations

import json
from pathlib import Path

import click

from state.paths import RunPaths

PROJECT = Path(__file__).resolve().parent.parent

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON: the same facts that the files hold.")


def say(facts: object, text: str, as_json: bool) -> None:
    click.echo(json.dumps(facts, indent=1) if as_json else text)


def walls(allow_unisolated: bool) -> str:
    from swarm.operation import settled_isolation

    return settled_isolation(allow_unisolated, lambda text: click.echo(text, err=True))


def keep_report(paths: RunPaths, quiet: bool = False) -> Path:
    """Write a run's report for the person at the machine, and the one on its board, which is committed where nobody operates the
    run; the person's file. What each component of the winner is worth is asked of the evaluator, where its private files are here."""
    from state.files import write_atomic
    from state.record import read_record
    from swarm.access import is_operated
    from swarm.care import publish_board
    from view.format import tell
    from view.report.build import write_report
    from view.report.components import PAIRS, candidates
    from view.report.headline import winner

    record = read_record(paths)
    public, _ = winner(record)
    if public is not None and (paths.evaluator / "predictions").is_dir():
        from eval.client import paired_differences

        others = [name for name, _ in candidates(record, public["submission"])]
        pairs = paired_differences(paths, public["submission"], others) if others else []
        write_atomic(paths.root / PAIRS, json.dumps({"winner": public["submission"], "pairs": pairs}))
    report = paths.root / "report.html"
    write_report(paths, report, public=False, tell=None if quiet else tell)
    if not is_operated(paths):  # else its operator keeps it
        if record.closed:
            write_atomic(paths.board / "report.html", report.read_bytes())
        else:
            write_report(paths, paths.board / "report.html", public=True, tell=None)
        publish_board(paths, "Report")
    return report
