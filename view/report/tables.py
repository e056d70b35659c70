"""Two more sections of tables, in the form of `view.report.sections`: sealed figures beside public ones, and the transfer matrix."""

from __future__ import annotations

from pathlib import PurePosixPath

from state.record import Record, cut_off_words
from stats.selection import leaders, owed_to_selection, role
from view.format import clean, count, figure, lift_of, pgr_of, recipe_pgr_of
from view.git_words import is_opened
from view.opened import machine
from view.scores import failure_words
from view.status import UNREAD, being_verified, cut_off
from view.transfer import MARK


def sealed_section(record: Record) -> dict:
    """Sealed figures beside the public ones of the same submissions; where nothing was opened, that."""
    about = {"id": "sealed", "title": "On the sealed part", "tables": [], "notes": []}
    if not record.sealed:
        return {**about, "intro": _why_none(record)}
    header = ["submission", "sealed PGR", "public PGR", "role", "sealed lift", "public lift", "own ceiling PGR", "draws", "method"]
    rows, notes, best = [], [], leaders(record.verdicts)
    for verdict in record.sealed:
        name = verdict["submission"]
        link = {"text": clean(name, 12), "href": f"#{name}"}
        named = role(verdict, best)
        if verdict.get("status") != "scored":
            notes.append(f"{clean(name, 12)} ({named}) {clean(verdict.get('status'), 20)}: {failure_words(verdict)}")
            continue
        before = record.verdicts.get(name, {})
        method = clean(PurePosixPath(verdict["method"]).name, 60)
        lifts = [lift_of(verdict), lift_of(before), recipe_pgr_of(verdict), str(verdict["draws"])]
        rows.append([link, pgr_of(verdict), pgr_of(before), named, *lifts, method])
        if verdict.get("recipe_ceiling_accuracy") is not None:
            own, ceiling = (figure(verdict.get(key), digits=3) for key in ("recipe_ceiling_accuracy", "ceiling_accuracy"))
            notes.append(f"{clean(name, 12)} trained on true labels by its own recipe reaches accuracy {own}, the task's ceiling {ceiling}; its own "
                         "ceiling PGR is measured against the former.")  # fmt: skip
    notes += [owed] if (owed := owed_to_selection(record.sealed, record.verdicts)) else []
    openings = max((verdict.get("openings") or 0 for verdict in record.sealed), default=0)
    opened = f" It has been opened {count(openings, 'time')} for this task {machine(is_opened(record))}." if openings else ""
    intro = f"Items and draws that gave no feedback to anybody. Finalists were chosen by their public figures, controls by chance, others were asked for.{opened}"
    return {**about, "intro": intro, "tables": [_table("Sealed figures beside the public ones", header, rows, [*header[1:3], *header[4:8]])], "notes": notes}


def _why_none(record: Record) -> str:
    """Why there are no sealed figures, and what to do about it."""
    if record.sealed_unread:
        return f"The winner was verified, but {UNREAD}."
    if being_verified(record.paths, record.events):
        told = f"`python aar.py status {record.name}` says how far that is"
        return f"The run is being verified just now, {told}. Until it is done no sealed figure is shown."
    if opening := cut_off(record.paths, record.events):
        words = cut_off_words(record.name, opening)
        return f"{words[:1].upper()}{words[1:]}. Until then no sealed figure is shown."
    waits = "Nothing of this run is shown from the sealed part while it accepts submissions." if record.withheld else (
        "The sealed part was not opened for this run: all figures here are from the public part, on which the best were chosen.")
    return f"{waits} `python aar.py verify {record.name}` opens it once, and closes the run."


def transfer_section(record: Record) -> dict | None:
    """The matrix of methods and tasks; None where nothing was taken to other tasks."""
    found = record.transfer
    if not found.get("rows"):
        return None
    tasks = [one["task"] for one in found["tasks"]]
    titles = [clean(task, 40) + (MARK if task == found.get("developed_on") else "") for task in tasks]
    cells = {(row["method"], row["task"]): row for row in found["rows"]}
    tables = []
    for title, shown in (("PGR", pgr_of), ("Lift over tuned naive", lift_of)):
        rows = []
        for method in found["methods"]:
            row = [_named(record, method), *(_cell(cells.get((method, task)), shown) for task in tasks)]
            rows.append(row + ([clean(found.get("worst", {}).get(method) or "n/a", 40)] if shown is pgr_of else []))
        tables.append(_table(f"{title} by task", ["method", *titles, *(["worst"] if shown is pgr_of else [])], rows, titles))
    notes = [f"{clean(row['method'], 60)} on {clean(row['task'], 40)}: {failure_words(row)}" for row in found["rows"] if row["status"] != "scored"]
    notes += [f"{clean(one['task'], 40)}: {clean(one['error'], 200)}" for one in found.get("missing", ())]
    for task in found["tasks"]:
        weak, naive, ceiling = (figure(task.get(f"{name}_accuracy"), digits=3) for name in ("weak", "tuned_naive", "ceiling"))
        only = "; nothing is ever developed on it" if task.get("transfer_only") else ""
        notes.append(f"{clean(task['task'], 40)}: {count(task['draws'], 'draw')}, anchors weak {weak}, tuned naive {naive}, ceiling {ceiling}{only}")
    intro = "The best methods as they are, with the constants that were chosen here, on tasks that nobody chose them for."
    return {"id": "transfer", "title": "On other tasks", "intro": intro, "tables": tables, "notes": notes}


def _named(record: Record, method: str) -> dict | str:
    """Methods of a run are called "s0012 name.py"."""
    name = method.split(" ", 1)[0]
    return {"text": clean(method, 60), "href": f"#{name}"} if name in record.submissions else clean(method, 60)


def _cell(row: dict | None, shown) -> str:
    if row is None:
        return "n/a"
    return shown(row) if row["status"] == "scored" else clean(row["status"], 20)


def _table(caption: str, header: list[str], rows: list[list], right: list[str]) -> dict:
    return {"caption": caption, "header": header, "rows": rows, "right": right}
