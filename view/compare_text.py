"""What `compare` prints, 80 columns wide: what to know first, tables in Markdown, and the answer at the end.

Lines are folded and tables parted at 80 columns wherever it is printed to; the facts as JSON stay whole.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len

from view.compare_answers import primary_words
from view.format import clean, count, figure, fold, lift_of, pgr_of
from view.measures import AREA, MONEY, SEALED
from view.table import markdown

WIDTH = 80
Table = tuple[list[str], list[list[str]], tuple[str, ...]]
"""Header, rows, columns aligned to the right."""


def compare_text(facts: dict) -> str:
    """The facts of `compare_facts` as plain text with Markdown tables, the answer last."""
    parts = [f"compare on task {clean(facts['task'], 40)}: {count(len(facts['sides']), 'side')}, {count(len(facts['runs']), 'run')}"]
    if facts["problems"]:
        parts.append(_folded(["problems", *(f"  {words}" for words in facts["problems"])], 4))
    parts.append(_folded(["sides", *(f"  {side['name']}  {', '.join(clean(name, 40) for name in side['runs'])}" for side in facts["sides"])], 5))
    parts.append(_folded(_differ_lines(facts), 7))
    parts += [text for table in (*run_tables(facts), *difference_tables(facts)) for text in _fitting(*table)]
    return "\n\n".join([*parts, _folded(facts["notes"]), _folded(facts["answers"], 2)])


def _folded(lines: Sequence[str], indent: int = 0) -> str:
    return "\n".join(part for line in lines for part in fold(line, WIDTH, indent))


def _fitting(header: list[str], rows: list[list[str]], right: tuple[str, ...]) -> list[str]:
    """A table as several, one below the other, where it is too wide: each with the first column and as many others as there is room for."""
    found, at = [], 1
    while at < len(header):
        end, text = at, ""
        while end < len(header):
            keep = [0, *range(at, end + 1)]
            wider = markdown([header[i] for i in keep], [[row[i] for i in keep] for row in rows], right)
            if text and cell_len(wider.partition("\n")[0]) > WIDTH:
                break
            end, text = end + 1, wider
        found.append(text)
        at = end
    return found


def _differ_lines(facts: dict) -> list[str]:
    rows = facts["differences"]
    lines = ["they differ in"] if rows else ["the sides have the same recipe: an A/A check, whatever differs is chance"]
    for row in rows:
        lines.append(f"  {clean(row['key'], 80)}")
        lines += [f"    {name}  {value}" for name, value in row["values"].items()]
    lines += [f"  the code they started from: {', '.join(facts['code'])}"] * bool(facts["code"])
    for one in facts["prompts"]:
        lines.append(f"  {one['path']}, {one['first']} to {one['second']}: {count(one['added'], 'line')} added, {one['removed']} removed")
    return lines


def run_tables(facts: dict) -> list[Table]:
    """What each run reached: on the sealed part, where it was opened, and at equal cost. All that is measured does not fit in 80 columns:
    of seconds and dollars a run shows what it is short of, the table of means has both."""
    end, cost = facts["ends"]["evaluations"], "compute_seconds" if facts["ends"][MONEY] is None else MONEY
    sealed, public = [], []
    for run in facts["runs"]:
        found, name = run["figures"], f"{run['side']} {clean(run['run'], 40)}"
        one, area = found.get(SEALED), found.get(AREA)
        corrected = f"[{figure(one['corrected_low'])}, {figure(one['corrected_high'])}]" if one else "n/a"
        value = "no valid figure" if run["failure"] else _shown(one, pgr_of, "pgr")
        sealed.append([name, value, corrected, _shown(found.get("sealed_lift"), lift_of, "lift")])
        best = _shown(found.get("best_evaluations"), pgr_of, "pgr")
        costs = [f"{found['evaluations']['value']:.0f}", f"{found[cost]['value']:.{2 if cost == MONEY else 0}f}"]
        public.append([name, clean(run["winner"] or "-", 12), run["openings"] or "-", figure(area["value"]) if area else "n/a", best, *costs])
    header = ["run", "winner", "k", "area *", f"best at {end} *", "evals", "dollars" if cost == MONEY else "seconds"]
    tables = [(header, public, ("k", "area *", "evals", "seconds", "dollars"))]
    if any(run["winner"] for run in facts["runs"]):
        tables.insert(0, (["run", "sealed PGR", "corrected", "sealed lift"], sealed, ()))
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
    if not only:
        shown = [[f"{pair['first']} - {pair['second']}", _difference(pair, facts["primary"], 2),
                  "n/a" if pair["adjusted_p"] is None else f"{pair['adjusted_p']:.3f}", pair["better"] or "cannot tell"] for pair in facts["pairs"]]  # fmt: skip
        tables.append((["pair", primary_words(facts), "Holm p", "better"], shown, ("Holm p",)))
    return tables


def _mean(one: dict | None, digits: int) -> str:
    if one is None:
        return "n/a"
    sd, digits = one["sd"], _digits(digits, one["value"])
    value = figure(one["value"], digits=digits)
    return value if sd is None else f"{value} ({figure(sd, digits=digits or int(sd < 10))})"


def _digits(digits: int, *values: float) -> int:
    """Of hundreds of dollars or evaluations nobody reads the cents."""
    return digits if max(map(abs, values)) < 100 else 0


def _difference(pair: dict, key: str, digits: int) -> str:
    one = pair["differences"].get(key)
    if one is None:
        return "n/a"
    digits = _digits(digits, *(one[key] or 0.0 for key in ("value", "low", "high")))
    value = figure(one["value"], signed=True, digits=digits)
    return value if one["low"] is None else f"{value} [{figure(one['low'], True, digits)}, {figure(one['high'], True, digits)}]"
