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
from state.record import Record
from stats.comparison import LEVEL, Difference, holm, level_after, mean_of, needed, welch
from stats.progress import Point, best_at
from view.compare_answers import ALPHA, WORTH, answer, notes
from view.compare_text import compare_text
from view.format import clean, count
from view.git_words import is_opened
from view.measures import (
    AREA,
    NO_SEALED,
    NOTHING,
    SEALED,
    Measure,
    equal_ends,
    figures,
    measures,
    openings_of,
    points_of,
    stamps_of,
    unfit,
    why_no_public,
    winner_failure,
    winner_sealed,
)
from view.opened import GIVEN
from view.recipes import (
    ALLOWED,
    Side,
    changed,
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
    # What is measured must not depend on how it came out: one winner that fails would else turn all to another measure.
    primary = SEALED if all(record.closed for record in records) else AREA
    runs = [
        {"run": record.name, "side": side.name, "winner": (winner_sealed(record) or {}).get("submission"), "failure": winner_failure(record),
         "unfit": unfit(record), "openings": openings_of(record) or None, "figures": figures(record, curves[record.name], ends, looks),
         "curve": _steps(curves[record.name])}
        for side in found for record in side.records
    ]  # fmt: skip
    for run in runs:
        if primary not in run["figures"] and NO_SEALED not in run["unfit"]:
            run["unfit"].append(NO_SEALED if primary == SEALED else why_no_public(curves[run["run"]]))
    comparable = same_draws(records)
    values: dict[str, dict[str, list[float]]] = {side.name: {one.key: [] for one in known} for side in found}
    for run in runs:
        for key in values[run["side"]].keys() & run["figures"].keys():
            values[run["side"]][key].append(run["figures"][key]["value"])
    facts = {
        "task": records[0].config["task"], "primary": primary, "looks": looks, "ends": ends, "same_draws": comparable,
        "stamps": _stamps(records), "problems": _problems(found, curves, ends),
        "sides": [{"name": side.name, "runs": [record.name for record in side.records]} for side in found],
        "differences": differences(found), "code": code_differences(found),
        "prompts": [{"first": a.name, "second": b.name, **one} for a, b in combinations(found, 2) for one in prompt_diffs(a, b)],
        "measures": [asdict(one) for one in known], "runs": runs,
        "means": {name: {key: asdict(mean_of(some)) for key, some in of.items() if some} for name, of in values.items()},
        "pairs": _pairs(found, values, known, primary, looks, comparable, runs),
    }  # fmt: skip
    return facts | {"answers": [answer(pair, facts) for pair in facts["pairs"]], "notes": notes(facts)}


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
    return list(dict.fromkeys(stamp for record in records for stamp in stamps_of(record)))


def _problems(sides: Sequence[Side], curves: dict[str, list[Point]], ends: dict[str, float | None]) -> list[str]:
    """What has to be known before any figure is believed."""
    found = []
    for side in sides:
        for record in side.records:
            found += [f"{record.name}: {words}" for words in _problems_of(record)]
            found += _without_best(record.name, curves[record.name], ends["evaluations"])
        if keys := within(side):
            found.append(f"side {side.name} was grouped by hand and its runs have different recipes: {clean(', '.join(keys), 300)}")
        seeds = [record.config.get("seed") for record in side.records]
        if len(set(seeds)) < len(seeds):
            found.append(f"side {side.name}: some of its runs have the same seed and may differ less than runs do")
    lengths = {name: len(points) for name, points in curves.items()}
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


def _without_best(name: str, points: Sequence[Point], end: float) -> list[str]:
    why = why_no_public(points)
    if why == NOTHING:
        return [f"{name} has nothing that competes: its `area` and `best` are n/a, and no difference in them is told"]
    if why is None and best_at(points, "evaluations", end) is None:
        first = count(int(end), "evaluation")
        return [f"{name} has nothing that competes among its first {first}: its `best` there is n/a, and no difference in it is told"]
    return []


def _problems_of(record: Record) -> list[str]:
    config, state = record.config, run_state(record.paths, record.state)
    found = stamps_of(record) + [GIVEN] * is_opened(record)
    found += [f"goes on ({clean(state, 20)}), its figures will change"] * (state in ALIVE)
    found += ["was cut off: `resume` goes on with it"] * (state == "crashed")
    found += ["was stopped before its time was over"] * (state == "stopped" and not record.closed)
    found += ["started from uncommitted changes: its commit alone does not reproduce it"] * bool(config.get("dirty"))
    people = sum(map(is_person, config["agents"]))
    found += [f"{'a person' if people == 1 else f'{people} people'} took part"] * bool(people)
    found += changed(record)
    if not record.closed:
        then = "" if is_opened(record) else f": `python aar.py verify {record.name}` opens the sealed part and closes it"
        found.append(f"not verified{' to the end' * bool(record.sealed)}{then}")
    if failure := winner_failure(record):
        found.append(f"{failure}; so it has no valid sealed figure, and no verdict rests on it")
    return found


def _pairs(
    sides: Sequence[Side], values: dict, known: Sequence[Measure], primary: str, looks: int, comparable: bool, runs: Sequence[dict]
) -> list[dict]:
    """Each two sides: their differences by measure, the adjusted p value of the primary one, and the verdict it allows.

    "held": the runs on which no verdict may rest, and why; with one in a pair there is none, in favour of neither side. Of the sealed
    part a verdict has to hold also after all the openings that there were. The public part is looked at by every submission anyhow;
    a figure of it that some run lacks, since nothing competes, makes no difference: without that run its side would look better.
    """
    pairs = []
    level = level_after(max(1, looks)) if primary == SEALED else LEVEL
    public = {one.key for one in known if one.source == "public"}
    for a, b in combinations([side.name for side in sides], 2):
        lacking = {key for run in runs if run["side"] in (a, b) for key in public - run["figures"].keys()}
        found = {one.key: welch(values[a][one.key], values[b][one.key]) for one in known
                 if one.key not in lacking and values[a][one.key] and values[b][one.key]}  # fmt: skip
        held = [{"run": run["run"], "why": why} for run in runs if run["side"] in (a, b) for why in run["unfit"]]
        pairs.append({"first": a, "second": b, "differences": {key: _plain(one, key, looks) for key, one in found.items()}, "held": held})
        main = found.get(primary)
        if main is not None and main.sd:
            wanted = max(abs(main.value), WORTH)
            pairs[-1] |= {"tellable": main.tellable(level), "wanted": wanted, "needed": needed(main.sd, wanted, level)}
    mains = [pair["differences"].get(primary, {}) for pair in pairs]
    # A pair that is held back is never told, and stays one of those that were looked at: the others are not corrected for fewer because of it.
    adjusted = holm([(1.0 if pair["held"] else one.get("p")) if comparable else None for pair, one in zip(pairs, mains, strict=True)])
    for pair, one, p in zip(pairs, mains, adjusted, strict=True):
        told = p is not None and p < ALPHA
        after = told and (primary != SEALED or one["corrected_low"] > 0 or one["corrected_high"] < 0)
        better = pair["first" if one.get("value", 0) > 0 else "second"]
        pair |= {"adjusted_p": None if pair["held"] else p, "better": better if after else None}
    return pairs


def _plain(one: Difference, key: str, looks: int) -> dict:
    made = asdict(one)
    if key in (SEALED, "sealed_lift") and (wide := one.at(level_after(max(1, looks)))):
        made |= {"corrected_low": wide[0], "corrected_high": wide[1]}
    return made
