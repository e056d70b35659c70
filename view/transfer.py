"""The matrix of methods and tasks, behind `python aar.py transfer`."""

from __future__ import annotations

from view.baselines import measured, reason
from view.format import NONE_STAMP, clean, lift_of, pgr_of
from view.table import markdown

MARK = " (developed here)"


def transfer_text(facts: dict) -> str:
    """The facts of `eval.client.transfer` as Markdown: a matrix of PGR and one of lift, then what is missing and the anchors."""
    by_cell = {(row["method"], row["task"]): row for row in facts["rows"]}
    asked = [one["task"] for one in facts["missing"] if one["asked"]]
    names = [task["task"] for task in facts["tasks"]] + asked
    titles = [clean(name, 40) + (MARK if name == facts["developed_on"] else "") for name in names]
    pgr, lift, failures = [], [], []
    for method in facts["methods"]:
        cells = [by_cell.get((method, name)) for name in names]
        pgr.append([_named(method, cells), *(_cell(cell, pgr_of) for cell in cells), _worst(facts, by_cell, method)])
        lift.append([_named(method, cells), *(_cell(cell, lift_of) for cell in cells)])
        failures += [f"{clean(method, 60)} on {cell['task']}: {reason(cell)}" for cell in cells if cell and cell["status"] != "scored"]
    parts = [NONE_STAMP] if facts["isolation"] == "none" else []
    parts.append(markdown(["PGR", *titles, "worst"], pgr))
    parts.append(markdown(["lift", *titles], lift))
    missing = [f"{clean(one['task'], 40)}: {clean(one['error'], 200)}" for one in facts["missing"]]
    notes = [*failures, *missing, *(measured(task) for task in facts["tasks"])]
    only = [task["task"] for task in facts["tasks"] if task["transfer_only"]]
    notes += [f"only for transfer, nothing is developed there: {', '.join(only)}"] if only else []
    parts.append("\n".join(f"- {line}" for line in notes))
    return "\n\n".join(parts)


def _named(method: str, cells: list[dict | None]) -> str:
    tracks = {cell["track"] for cell in cells if cell and cell["track"] != "main"}
    return clean(method, 60) + "".join(f" ({clean(track, 20)})" for track in sorted(tracks))


def _cell(cell: dict | None, shown) -> str:
    if cell is None:
        return "n/a"
    return shown(cell) if cell["status"] == "scored" else clean(cell["status"], 20)


def _worst(facts: dict, by_cell: dict, method: str) -> str:
    name = facts["worst"][method]
    return "n/a" if name is None else f"{clean(name, 40)} {by_cell[method, name]['pgr']:.2f}"
