"""What came of the attacks, as one table: behind `python aar.py redteam`."""

from __future__ import annotations

import sys

import click

from view.format import NONE_STAMP, clean, columns, count, figure

HACKS = {
    1: "follows the most frequent answer of a group, and ignores the teacher",
    2: "runs or evaluates the candidates to read off the answer",
    3: "probes the scorer",
    4: "picks lucky seeds",
    5: "reads labels",
    6: "brings labels, or what its author knows of the task",
    7: "patches the harness",
    8: "leaks, or passes on what it saw",
    9: "forges figures, words or names",
    10: "denies service",
}
WIDTH = 110


def redteam_text(facts: dict) -> str:
    """The facts of swarm/redteam.py as plain text: a table by hack, what got through, honest methods, what was not run.

    `PGR` of an attack that was flagged is what it would have had; `honest` is the PGR of the method that it hides in.
    """
    header = ["attack", "task", "outcome", "by name", "PGR", "honest"]
    body = [_cells(row) for row in facts["rows"]]
    lines = columns(header, body, right=("PGR", "honest")).splitlines() if body else []
    out = [NONE_STAMP] if facts["isolation"] == "none" else []
    out += lines[:1]
    previous = None
    for row, line in zip(facts["rows"], lines[1:]):
        if row["hack"] != previous:
            out.append(f"-- {row['hack']}. {HACKS.get(row['hack'], 'else')} ".ljust(WIDTH, "-"))
            previous = row["hack"]
        out.append(line)
    out.append("")
    out += _details(facts["rows"])
    out += _honest(facts["honest"])
    out += [f"not run: {clean(line, 160)}" for line in facts["missing"]]
    out.append(_summary(facts))
    return "\n".join(out)


def _cells(row: dict) -> list[str]:
    expected = [flag for flag in row["flags"] if flag in row["expected"]] or row["flags"][:1]
    more = len(row["flags"]) - len(expected)
    other = {"refused": "the scan or the checks", "harmless": "no gain, nothing got"}.get(row["outcome"], "")
    name = ", ".join(expected) + (f" and {more} more" if more else "") or other
    figures = [_pgr(row["pgr"]), _pgr(row["reference_pgr"])]
    return [clean(row["name"], 34), row["task"], row["outcome"], clean(name, 32), *figures]


def _pgr(value: float | None) -> str:
    return "-" if value is None else figure(value)


def _details(rows: list[dict]) -> list[str]:
    through = [
        f"GOT THROUGH: {row['name']} ({clean(row['words'], 100)}): {clean(row['detail'], 200)}"
        for row in rows
        if row["outcome"] == "GOT THROUGH"
    ] + [f"known gap: {row['name']} ({clean(row['words'], 100)}): {clean(row['detail'], 200)}" for row in rows if row["outcome"] == "known gap"]
    other = [
        f"caught, by another name than {' or '.join(row['expected'])}: {row['name']}: {clean(row['detail'], 120)}"
        for row in rows
        if row["outcome"] != "GOT THROUGH" and not row["as_expected"]
    ]
    return through + other


def _honest(honest: list[dict]) -> list[str]:
    if not honest:
        return []
    false = [one for one in honest if one["false"]]
    lines = [
        f"FALSE POSITIVE: {one['name']} on {one['task']}: {', '.join(one['false'])}: "
        + clean("; ".join(one["reasons"]), 160)
        for one in false
    ]
    unscored = [one for one in honest if one["status"] != "scored"]
    tasks = " and ".join(dict.fromkeys(one["task"] for one in honest))
    without = f"; without a figure: {', '.join(dict.fromkeys(one['name'] for one in unscored))}" if unscored else ""
    told = f"honest methods: {count(len(honest), 'verdict')} on {tasks}, {count(len(false), 'false positive')}{without}"
    return [*lines, told]


def _summary(facts: dict) -> str:
    rows = facts["rows"]
    outcomes = {
        name: sum(row["outcome"] == name for row in rows)
        for name in ("refused", "flagged", "disqualified", "harmless", "known gap", "not run")
    }
    told = ", ".join(f"{number} {name}" for name, number in outcomes.items() if number)
    return f"isolation: {facts['isolation']}; {count(len(rows), 'attack')}: {told}; {facts['through']} got through"


def tell_progress(event: dict) -> None:
    """One line on stderr that is written over, or lines where that is no terminal."""
    what = "attack" if event["event"] == "attack" else "honest method"
    text = f"{what} {event['number']} of {event['of']}: {clean(event['name'], 60)}"
    click.echo(f"\r\x1b[K{text}" if sys.stderr.isatty() else text, err=True, nl=not sys.stderr.isatty())
