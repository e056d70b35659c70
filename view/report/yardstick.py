"""What a run's best is held against: the library, a search without a language model, and the nearest known method.

All of it is read from files of this machine: rows that `python aar.py baselines TASK` kept, and other runs of this
repository on the same task (they share its draws, so that figures of the public part can be compared).
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import PurePosixPath
from statistics import median

from state.errors import UserError
from state.files import read_jsonl
from state.paths import aar_home, all_runs
from state.record import Record, read_record
from stats.progress import best_at, curve
from stats.ranking import ranked
from view.format import figure, pgr_of
from view.recipes import identity

MOST_RUNS = 20
MOST_NAMED = 3


def only_search(record: Record) -> bool:
    """Whether all agents of a run are the search researcher: it is the yardstick itself, and nothing can be asked of them."""
    return {agent.get("researcher") for agent in record.config["agents"]} == {"search"}


def library_figures(record: Record) -> list[dict]:
    """Kept rows of the library on this run's task, main track, best first; [] where none are kept, or the record must not show
    them: what is told of the public part to agents is counted, and this is not."""
    if record.withheld:
        return []
    rows = read_jsonl(aar_home() / "tasks" / record.config["task"] / "baselines.jsonl")
    latest = {row["method"]: {"track": "main", "flags": [], "rung": "full", "submission": row["method"], **row} for row in rows
              if row.get("status") == "scored" and row.get("pgr") is not None}  # fmt: skip
    names = {PurePosixPath(path).name for path in record.base_methods()}
    most = max((len(row["draws"]) for row in latest.values() if isinstance(row.get("draws"), list)), default=0)
    kept = [row for name, row in latest.items() if name in names and len(row.get("draws") or ()) == most]
    return ranked([row for row in kept if not row.get("anchor")])


def nearest_by_code(record: Record, submission: str) -> dict | None:
    """{"method", "similarity"} of the library's method whose syntax is most like a submission's; None where neither can be read."""
    import numpy as np

    from stats.similarity import code_similarity, profile  # numpy, which a terminal view can do without

    source, library = record.source(submission), record.base_methods()
    if source is None or not library:
        return None
    try:
        mine, others = profile(source), {path: profile(text) for path, text in library.items()}
    except (SyntaxError, ValueError):
        return None
    alike = code_similarity(mine, np.stack(list(others.values())))
    best = int(alike.argmax())
    return {"method": PurePosixPath(list(others)[best]).name, "similarity": float(alike[best])}


@lru_cache(maxsize=4)
def _search_curves(repository: str, task: str, but: str) -> tuple:
    found = []
    for paths in all_runs(repository)[-MOST_RUNS:]:
        if paths.name == but or paths.opened.exists():  # figures that came from elsewhere
            continue
        try:
            other = read_record(paths)
        except UserError:
            continue
        config = other.config
        if config.get("task") == task and config.get("researcher") == "search" and not config.get("null") and config.get("isolation") != "none":
            found.append((paths.name, identity(other), curve(list(other.verdicts.values()), lambda verdict: 0.0), _scale(other)))
    return tuple(found)


def _scale(record: Record) -> set[tuple]:
    """What the anchors of each rung are: another preparation of the task has others."""
    return {(v["rung"], v["draws"], *(round(one, 6) for one in record.scale[name].values())) for name, v in record.verdicts.items()
            if v["status"] == "scored" and None not in record.scale[name].values()}  # fmt: skip


def yardstick(record: Record) -> dict | None:
    """What the search researcher reached on this task with as many evaluations, by the other runs here: {"pgr", "runs", "evaluations",
    "value", "words"}; `value`: of one run its best with the interval, of several the median. None where no other such run got that far,
    this run is null, or the record must not show it, as `library_figures`."""
    if record.config.get("null") or record.withheld:
        return None
    mine = curve(list(record.verdicts.values()), lambda verdict: 0.0)
    if not mine:
        return None
    reached, seen = {}, {identity(record)}
    for name, whose, points, scale in _search_curves(str(record.paths.root.parents[2]), record.config["task"], record.name):
        if whose in seen:
            continue  # a copy: a run counts once
        if {one[:2] for one in scale} & {one[:2] for one in _scale(record)} and not scale & _scale(record):
            continue  # measured on other draws
        best = best_at(points, "evaluations", len(mine))
        if best is not None and len(points) >= len(mine):
            reached[name] = best
            seen.add(whose)
    if not reached:
        return None
    after = f"after as many evaluations ({len(mine)}), public"
    told = [f"{name} {pgr_of(best)}" for name, best in list(reached.items())[:MOST_NAMED]] + ["..."] * (len(reached) > MOST_NAMED)
    pgr = median(best["pgr"] for best in reached.values())
    if len(reached) == 1:
        [(name, best)] = reached.items()
        value, words = pgr_of(best), f"the best of the search run {name} {after}"
    else:
        value, words = figure(pgr), f"the median of the bests of {len(reached)} search runs ({', '.join(told)}) {after}"
    return {"pgr": pgr, "runs": list(reached), "evaluations": len(mine), "value": value, "words": words}
