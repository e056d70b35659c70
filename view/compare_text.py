"""What `compare` prints, 80 columns wide as far as names allow: what to know first, tables in Markdown, and the answer at the end."""

from __future__ import annotations

import textwrap

from view.format import clean, count, figure, lift_of, pgr_of
from view.measures import AREA, SEALED
from view.table import markdown

WIDTH = 80
Table = tuple[list[str], list[list[str]], tuple[str, ...]]
"""Header, rows, columns aligned to the right."""


def compare_text(facts: dict) -> str:
    """The facts of `compare_facts` as plain text with Markdown tables, the answer last."""
    parts = [f"compare on task {clean(facts['task'], 40)}: {count(len(facts['sides']), 'side')}, {count(len(facts['runs']), 'run')}"]
    if facts["problems"]:
        parts.append("\n".join(["problems", *(f"  {words}" for words in facts["problems"])]))
    parts.append("\n".join(["sides", *(f"  {side['name']}  {', '.join(side['runs'])}" for side in facts["sides"])]))
    parts.append("\n".join(_differ_lines(facts)))
    parts += [markdown(*one) for one in run_tables(facts)]
    parts += [markdown(*one) for one in difference_tables(facts)]
    parts.append("\n".join(textwrap.fill(note, WIDTH) for note in facts["notes"]))
    return "\n\n".join([*parts, "\n".join(facts["answers"])])


def _differ_lines(facts: dict) -> list[str]:
    rows = facts["differences"]
    lines = ["they differ in"] if rows else ["the sides have the same recipe: an A/A check, whatever differs is chance"]
    for row in rows:
        lines.append(f"  {clean(row['key'], 80)}")
        lines += [f"    {name}  {value}" for name, value in row["values"].items()]
    lines += [f"  the code they started from: {', '.join(facts['code'])}"] * bool(facts["code"])
    for one in facts["prompts"]:
        lines.append(f"  {one['path']}, {one['first']} to {one['second']}: {one['added']} lines added, {one['removed']} removed")
    return lines


def run_tables(facts: dict) -> list[Table]:
    """What each run reached: on the sealed part, where it was opened, and at equal cost."""
    end, paid = facts["ends"]["evaluations"], facts["ends"]["dollars"] is not None
    sealed, public = [], []
    for run in facts["runs"]:
        found, name = run["figures"], f"{run['side']} {clean(run['run'], 40)}"
        one, area = found.get(SEALED), found.get(AREA)
        corrected = f"[{figure(one['corrected_low'])}, {figure(one['corrected_high'])}]" if one else "n/a"
        sealed.append([name, _shown(one, pgr_of, "pgr"), corrected, _shown(found.get("sealed_lift"), lift_of, "lift"), run["openings"] or "-"])
        costs = [f"{found[key]['value']:.{digits}f}" for key, digits in (("evaluations", 0), ("compute_seconds", 0), *([("dollars", 2)] * paid))]
        best = _shown(found.get("best_evaluations"), pgr_of, "pgr")
        public.append([name, clean(run["winner"] or "-", 12), figure(area["value"]) if area else "n/a", best, *costs])
    header = ["run", "verified", "area *", f"best at {end} *", "evals", "seconds", *(["dollars"] * paid)]
    tables = [(header, public, ("area *", "evals", "seconds", "dollars"))]
    if any(run["winner"] for run in facts["runs"]):
        tables.insert(0, (["run", "sealed PGR", "corrected", "sealed lift", "k"], sealed, ("k",)))
    return tables


def _shown(one: dict | None, form, name: str) -> str:
    """A figure of a run as the rest of the house shows it."""
    if one is None:
        return "n/a"
    return form({name: one["value"], f"{name}_low": one["low"], f"{name}_high": one["high"]}) if one.get("low") is not None else figure(one["value"])


def difference_tables(facts: dict) -> list[Table]:
    """All measures by side; with two sides the difference stands beside them, with more a table of the primary one for each pair follows."""
    names = [side["name"] for side in facts["sides"]]
    only = facts["pairs"][0] if len(facts["pairs"]) == 1 else None
    rows = []
    for one in facts["measures"]:
        label = one["label"] + (" *" if one["source"] == "public" else "")
        cells = [_mean(facts["means"][name].get(one["key"]), one["digits"]) for name in names]
        rows.append([label, *cells, *([_difference(only, one["key"], one["digits"])] if only else [])])
    header = ["mean (sd between runs)", *names, *([f"{names[0]} - {names[1]}"] if only else [])]
    tables = [(header, rows, ())]
    if not only and facts["primary"]:
        label = next(one["label"] for one in facts["measures"] if one["key"] == facts["primary"])
        shown = [[f"{pair['first']} - {pair['second']}", _difference(pair, facts["primary"], 2),
                  "n/a" if pair["adjusted_p"] is None else f"{pair['adjusted_p']:.3f}", pair["better"] or "cannot tell"] for pair in facts["pairs"]]  # fmt: skip
        tables.append((["pair", label, "Holm p", "better"], shown, ("Holm p",)))
    return tables


def _mean(one: dict | None, digits: int) -> str:
    if one is None:
        return "n/a"
    return figure(one["value"], digits=digits) + (f" ({figure(one['sd'], digits=max(digits, 1))})" if one["sd"] is not None else "")


def _difference(pair: dict, key: str, digits: int) -> str:
    one = pair["differences"].get(key)
    if one is None:
        return "n/a"
    value = figure(one["value"], signed=True, digits=digits)
    return value if one["low"] is None else f"{value} [{figure(one['low'], True, digits)}, {figure(one['high'], True, digits)}]"
