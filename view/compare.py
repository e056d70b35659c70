"""Which prompt, model or researcher is better: `python aar.py compare RUN_A RUN_B ...`.

    names, sides = split_sides(arguments)
    facts = compare_facts([read_record(find_run(project, name)) for name in names], sides)
    compare_text(facts)      for a terminal, 80 columns; view/compare_page.py writes the same as one HTML file

Runs with the same recipe (view/recipes.py) are replicates of one side; what differs between replicates is what a difference between
sides is held against (stats/comparison.py). With one run on a side it cannot tell, and says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from itertools import combinations
from statistics import median

from state.config import is_person
from state.errors import UserError
from state.ledger import NULL_STAMP
from state.record import Record
from stats.comparison import Difference, holm, level_after, mean_of, needed, welch
from stats.progress import Point
from view.compare_text import compare_text
from view.format import NONE_STAMP, clean, count, figure, interval
from view.measures import AREA, SEALED, Measure, equal_ends, figures, measures, openings_of, points_of, winner_sealed
from view.recipes import (
    ALLOWED,
    Side,
    code_differences,
    differences,
    group,
    prompt_diffs,
    same_draws,
    split_sides,
    within,
)
from view.status import ALIVE, run_state

__all__ = ["compare_facts", "compare_text", "split_sides"]
ALPHA = 0.05
WORTH = 0.05
"""A smaller difference in PGR nobody plans runs for."""
ONE_RUN = "what differs between two runs of the same prompt is not known, so this cannot tell"
OTHER_DRAWS = "their figures come from other draws, items or anchors, and a difference may be that of the draws: more runs would not help"


def compare_facts(records: Sequence[Record], sides: Sequence[Sequence[str]] | None = None) -> dict:
    """All that `compare` says, fit for JSON: see the keys below. `sides`: names of runs, as grouped by hand; None: by their recipes.

    UserError for runs of different tasks, for runs without a verdict, and where there is but one recipe and no grouping by hand.
    """
    found = group(records, sides)
    records = [record for side in found for record in side.records]
    curves = {record.name: points_of(record) for record in records}
    if empty := next((name for name, points in curves.items() if not points), None):
        raise UserError(f"run {empty} has no verdict yet: there is nothing to compare")
    ends = equal_ends(list(curves.values()))
    looks = max(map(openings_of, records))
    known = measures(ends)
    runs = [
        {"run": record.name, "side": side.name, "winner": (winner_sealed(record) or {}).get("submission"),
         "openings": openings_of(record) or None, "figures": figures(record, curves[record.name], ends, looks), "curve": _steps(curves[record.name])}
        for side in found for record in side.records
    ]  # fmt: skip
    primary = SEALED if all(SEALED in run["figures"] for run in runs) else AREA if all(AREA in run["figures"] for run in runs) else None
    comparable = same_draws(records)
    values: dict[str, dict[str, list[float]]] = {side.name: {one.key: [] for one in known} for side in found}
    for run in runs:
        for key in values[run["side"]].keys() & run["figures"].keys():
            values[run["side"]][key].append(run["figures"][key]["value"])
    facts = {
        "task": records[0].config["task"], "primary": primary, "looks": looks, "ends": ends, "same_draws": comparable,
        "stamps": _stamps(records), "problems": _problems(found, {name: len(points) for name, points in curves.items()}),
        "sides": [{"name": side.name, "runs": [record.name for record in side.records]} for side in found],
        "differences": differences(found), "code": code_differences(found),
        "prompts": [{"first": a.name, "second": b.name, **one} for a, b in combinations(found, 2) for one in prompt_diffs(a, b)],
        "measures": [asdict(one) for one in known], "runs": runs,
        "means": {name: {key: asdict(mean_of(some)) for key, some in of.items() if some} for name, of in values.items()},
        "pairs": _pairs(found, values, known, primary, looks, comparable),
    }  # fmt: skip
    return facts | {"answers": [_answer(pair, facts) for pair in facts["pairs"]], "notes": _notes(facts)}


def _steps(points: Sequence[Point]) -> list[dict]:
    """The points at which another took the lead, and the last one: what it takes to draw a curve."""
    kept = [point for point in points if point.rises or point is points[-1]]
    best = ("submission", "agent", "pgr", "pgr_low", "pgr_high")
    return [
        {"evaluations": point.evaluations, "seconds": point.seconds, "compute_seconds": round(point.compute_seconds, 3),
         "dollars": round(point.dollars, 4), "rises": point.rises, "best": {key: point.best.get(key) for key in best} if point.best else None}
        for point in kept
    ]  # fmt: skip


def _stamps(records: Sequence[Record]) -> list[str]:
    return [NONE_STAMP] * any(r.config.get("isolation") == "none" for r in records) + [NULL_STAMP] * any(r.config.get("null") for r in records)


def _problems(sides: Sequence[Side], lengths: dict[str, int]) -> list[str]:
    """What has to be known before any figure is believed. `lengths`: run -> its evaluations."""
    found = []
    for side in sides:
        for record in side.records:
            found += [f"{record.name}: {words}" for words in _problems_of(record)]
        if keys := within(side):
            found.append(f"side {side.name} was grouped by hand and its runs have different recipes: {clean(', '.join(keys), 300)}")
        seeds = [record.config.get("seed") for record in side.records]
        if len(set(seeds)) < len(seeds):
            found.append(f"side {side.name}: some of its runs have the same seed and may differ less than runs do")
    shortest = min(lengths, key=lengths.get)
    if lengths[shortest] < median(lengths.values()) / 2:
        found.append(f"{shortest} has {count(lengths[shortest], 'evaluation')} only: `area` and `best` of all runs are cut there")
    first, *others = [record for side in sides for record in side.records]
    if elsewhere := [record.name for record in others if not same_draws([first, record])]:
        where = "another machine, or the task was prepared anew"
        found.append(f"{', '.join(elsewhere)}: measured on other draws, items or anchors than {first.name} ({where})")
    apart = {row["key"].partition(".")[0] for row in differences(sides)} & set(ALLOWED)
    if apart:
        found.append(f"the sides were allowed different amounts ({', '.join(sorted(apart))}): only `area` and `best` are taken at equal cost")
    return found


def _problems_of(record: Record) -> list[str]:
    config, state = record.config, run_state(record.paths, record.state)
    found = [NONE_STAMP] * (config.get("isolation") == "none") + [NULL_STAMP] * bool(config.get("null"))
    found += [f"goes on ({clean(state, 20)}), its figures will change"] * (state in ALIVE)
    found += ["was cut off: `resume` goes on with it"] * (state == "crashed")
    found += ["was stopped before its time was over"] * (state == "stopped" and not record.closed)
    found += ["started from uncommitted changes: its commit alone does not reproduce it"] * bool(config.get("dirty"))
    people = sum(map(is_person, config["agents"]))
    found += [f"{'a person' if people == 1 else f'{people} people'} took part"] * bool(people)
    sealed = winner_sealed(record)
    if sealed is None:
        found.append(f"not verified, so it has no sealed figure: `python aar.py verify {record.name}` opens the sealed part and closes it")
    elif sealed.get("status") != "scored":
        found.append(f"its winner {clean(sealed['submission'], 12)} {clean(sealed.get('status', 'failed'), 20)} on the sealed part")
    elif sealed.get("track", "main") != "main" or sealed.get("flags"):
        found.append(f"its winner {clean(sealed['submission'], 12)} is flagged: {clean(', '.join(sealed.get('flags') or ()) or sealed['track'], 120)}")
    return found


def _pairs(sides: Sequence[Side], values: dict, known: Sequence[Measure], primary: str | None, looks: int, comparable: bool) -> list[dict]:
    """Each two sides: their differences by measure, the adjusted p value of the primary one, and the verdict it allows."""
    pairs = []
    for a, b in combinations([side.name for side in sides], 2):
        found = {one.key: welch(values[a][one.key], values[b][one.key]) for one in known if values[a][one.key] and values[b][one.key]}
        pairs.append({"first": a, "second": b, "differences": {key: _plain(one, key, looks) for key, one in found.items()}})
        main = found.get(primary)
        if main is not None and main.sd:
            wanted = max(abs(main.value), WORTH)
            runs = needed(main.sd, wanted)
            pairs[-1] |= {"tellable": main.tellable, "wanted": wanted, "needed": runs}
    adjusted = holm([pair["differences"].get(primary, {}).get("p") if comparable else None for pair in pairs])
    for pair, p in zip(pairs, adjusted, strict=True):
        first = pair["differences"].get(primary, {}).get("value", 0) > 0
        pair |= {"adjusted_p": p, "better": None if p is None or p >= ALPHA else pair["first" if first else "second"]}
    return pairs


def _plain(one: Difference, key: str, looks: int) -> dict:
    made = asdict(one)
    if key in (SEALED, "sealed_lift") and (wide := one.at(level_after(max(1, looks)))):
        made |= {"corrected_low": wide[0], "corrected_high": wide[1]}
    return made


def _answer(pair: dict, facts: dict) -> str:
    """One pair in words: the better side, or what it would take to tell."""
    a, b = pair["first"], pair["second"]
    label = next((one["label"] for one in facts["measures"] if one["key"] == facts["primary"]), None)
    if label is None:
        return f"cannot tell {a} from {b}: the gap between weak and ceiling is not established, PGR is n/a"
    one = pair["differences"][facts["primary"]]
    runs = one["runs"]
    over = f"over {runs[0]} and {runs[1]} runs"
    if pair["better"]:
        one = one if one["value"] > 0 else _turned(one)
        words = f"{pair['better']} is better than {b if pair['better'] == a else a}: {_signed(one)} {label} {over}"
        words += f" (Holm p = {pair['adjusted_p']:.3f} among {len(facts['pairs'])} pairs)" if len(facts["pairs"]) > 1 else ""
        return words + _after_looks(one, facts["looks"])
    words = f"cannot tell {a} from {b}: {_signed(one)} {label} {over}"
    if not facts["same_draws"]:
        return f"{words}; {OTHER_DRAWS}"
    if min(runs) < 2:
        where = "a side" if max(runs) < 2 else f"on side {a if runs[0] < 2 else b}"
        return f"{words}; one run {where}: {ONE_RUN}"
    if one["p"] is None:
        return f"{words}; runs of the same side do not differ at all, which leaves nothing to hold a difference against"
    if one["p"] < ALPHA:
        words += f"; alone it would tell, among {len(facts['pairs'])} pairs it does not (Holm p = {pair['adjusted_p']:.2f})"
    more = "more than 1,000 runs" if pair["needed"] is None else f"about {max(1, pair['needed'] - min(runs))} more runs"
    size = "one as large as the one seen" if pair["wanted"] > WORTH else f"one of {WORTH:.2f}"
    return f"{words}; these runs could tell {pair['tellable']:.2f} (four times out of five), {more} a side would tell {size}"


def _turned(one: dict) -> dict:
    """The same difference, second less first."""
    ends = {f"{name}{low}": f"{name}{high}" for name in ("", "corrected_") for low, high in (("low", "high"), ("high", "low"))}
    return {**one, "value": -one["value"], **{key: -one[other] for key, other in ends.items() if one.get(other) is not None}}


def _signed(one: dict) -> str:
    return figure(one["value"], signed=True) if one.get("low") is None else interval(one["value"], one["low"], one["high"], signed=True)


def _after_looks(one: dict, looks: int) -> str:
    if looks < 2 or one.get("corrected_low") is None:
        return ""
    low, high = one["corrected_low"], one["corrected_high"]
    words = "still leaves" if low > 0 else "does not leave"
    return f"; corrected for {looks} openings of the sealed part [{figure(low, True)}, {figure(high, True)}], which {words} 0 out"


def _notes(facts: dict) -> list[str]:
    notes = []
    if facts["primary"]:
        label = next(one["label"] for one in facts["measures"] if one["key"] == facts["primary"])
        why = "" if facts["primary"] == SEALED else ", since not all runs have a sealed figure; it is a public one"
        notes.append(f"The primary measure is `{label}`{why}. All others are exploratory: of so many, one may well leave 0 out by chance.")
    notes.append("Differences: first side less second, 95 % interval by Welch's t over runs, which holds what differs from run to run. "
                 "All is on the same draws and items: it does not say how others would come out." if facts["same_draws"] else
                 "Differences: first side less second, 95 % interval by Welch's t over runs; the draws are not the same and not part of it.")  # fmt: skip
    notes.append("* public: chosen by itself as the best of many, so it looks better than it is. `area`: mean of the best so far, up to there.")
    if facts["looks"]:
        notes.append(f"k: how often the sealed part of this task had been opened when a run was verified. Corrected intervals are taken to the level "
                     f"1 - 0.05 / {facts['looks']}, by the largest k, so that all of as many intervals hold at once with 95 %.")  # fmt: skip
    return notes
