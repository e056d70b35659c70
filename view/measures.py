"""What is measured of a run, so that it can be held against others: behind `compare`.

    measures(ends)                        which figures there are
    figures(record, points, ends, looks)  key -> {"value", and where it has an interval "low", "high"} of one run

Figures of the public part are those of the best of many, chosen by these figures; those of the sealed part were not chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from state.record import Record
from stats.comparison import widened
from stats.entropy import effective
from stats.progress import Point, area, best_at, curve
from stats.ranking import contenders
from view.format import duration

SEALED = "sealed_pgr"
AREA = "area_evaluations"
COSTS = ("evaluations", "compute_seconds", "dollars")
"""Axes of stats.progress on which runs are cut to the same length."""
MONEY = "dollars"


@dataclass(frozen=True)
class Measure:
    """`source`: "sealed", "public" (chosen by itself, and therefore too good) or "run"; `better`: "higher", "lower", or "" where neither is
    better; `digits` behind the point when it is shown."""

    key: str
    label: str
    source: str
    better: str
    digits: int = 2


def measures(ends: dict[str, float | None]) -> list[Measure]:
    """All measures; `ends`: axis -> where the shortest of the runs ends, None where that is nowhere, so that nothing is measured on it."""
    known = {axis: reach(axis, ends[axis]) for axis in COSTS if ends[axis]}
    return [
        Measure(SEALED, "sealed PGR of the winner", "sealed", "higher"),
        Measure("sealed_lift", "sealed lift of the winner", "sealed", "higher"),
        *(Measure(f"area_{axis}", f"area, {words}", "public", "higher") for axis, words in known.items()),
        *(Measure(f"best_{axis}", f"best, {words}", "public", "higher") for axis, words in known.items()),
        Measure("evaluations", "evaluations", "run", "", 0),
        Measure("compute_seconds", "seconds of compute", "run", "", 0),
        *([Measure(MONEY, "dollars for models", "run", "")] if ends[MONEY] is not None else []),
        Measure("failed", "failed, share", "run", "lower"),
        Measure("flags", "flags a submission", "run", "lower"),
        Measure("disqualified", "disqualified, share", "run", "lower"),
        Measure("families", "families, effective", "run", ""),
        Measure("diversity_code", "diversity of code", "run", ""),
        Measure("diversity_answers", "diversity of answers", "run", ""),
        Measure("posts", "posts", "run", "", 0),
    ]


def reach(axis: str, end: float) -> str:
    """`34 evaluations`, `25s of compute`, `$1.20`."""
    if axis == "evaluations":
        return f"{int(end)} evaluation{'' if end == 1 else 's'}"
    return f"${end:.2f}" if axis == MONEY else f"{duration(end)} of compute"


def points_of(record: Record) -> list[Point]:
    """The progress curve of a run, with what its models had cost."""
    return curve(list(record.verdicts.values()), lambda one: record.seconds(one.get("time")), record.dollars())


def equal_ends(curves: Sequence[Sequence[Point]]) -> dict[str, float | None]:
    """axis -> how far all of the curves go. `dollars`: None where no run asks a model, 0 where only some do."""
    ends: dict[str, float | None] = {axis: min(getattr(points[-1], axis) for points in curves) for axis in COSTS}
    if not any(points[-1].dollars for points in curves):
        ends[MONEY] = None
    return ends


def winner_sealed(record: Record) -> dict | None:
    """The sealed verdict that speaks for a run: of its finalists the one that the public part has first, so that nothing is chosen by
    sealed figures. None where the sealed part was not opened for it."""
    finalists = {verdict["submission"]: verdict for verdict in record.sealed if not verdict.get("control")}
    order = [verdict["submission"] for verdict in contenders(list(record.verdicts.values()))]
    return next((finalists[name] for name in order if name in finalists), next(iter(finalists.values()), None))


def openings_of(record: Record) -> int:
    """How often the sealed part of its task had been opened on its machine when it was for this run; 0 where it was not."""
    return max((verdict.get("openings") or 1 for verdict in record.sealed), default=0)


def figures(record: Record, points: Sequence[Point], ends: dict[str, float | None], looks: int) -> dict[str, dict]:
    """Measure -> {"value", ...} of what is known of a run; sealed ones also {"corrected_low", "corrected_high"}, for so many `looks`."""
    found: dict[str, dict] = {}
    sealed = winner_sealed(record) or {}
    if sealed.get("status") == "scored":
        for key, name in ((SEALED, "pgr"), ("sealed_lift", "lift")):
            found |= {key: _sealed(sealed, name, looks)} if sealed.get(name) is not None else {}
    evaluated = [point.verdict for point in points]
    established = not contenders(evaluated) or any(point.best for point in points)
    for axis in COSTS if established else ():
        if not ends[axis]:
            continue
        found[f"area_{axis}"] = {"value": area(points, axis, ends[axis])}
        best = best_at(points, axis, ends[axis] * (1 + 1e-9)) or {"pgr": 0.0}
        found[f"best_{axis}"] = {"value": best["pgr"], "low": best.get("pgr_low"), "high": best.get("pgr_high"), "submission": best.get("submission")}
    many = len(evaluated)
    families = [verdict["family"] for verdict in evaluated if verdict.get("family")]
    counted = {
        "evaluations": many, "compute_seconds": points[-1].compute_seconds, MONEY: sum(call["dollars"] for call in record.calls),
        "failed": sum(verdict["status"] != "scored" for verdict in evaluated) / many,
        "flags": sum(len(verdict.get("flags") or ()) for verdict in evaluated) / many,
        "disqualified": sum(verdict.get("track") == "disqualified" for verdict in evaluated) / many,
        "families": effective(families.count(name) for name in set(families)), "posts": len(record.posts),
    }  # fmt: skip
    if record.diversity:
        counted |= {"diversity_code": record.diversity[-1].get("code"), "diversity_answers": record.diversity[-1].get("predictions")}
    return found | {key: {"value": value} for key, value in counted.items() if value is not None}


def _sealed(verdict: dict, name: str, looks: int) -> dict:
    value, low, high = verdict[name], verdict[f"{name}_low"], verdict[f"{name}_high"]
    corrected = widened(value, low, high, max(1, looks))
    return {"value": value, "low": low, "high": high, "corrected_low": corrected[0], "corrected_high": corrected[1],
            "openings": verdict.get("openings"), "submission": verdict["submission"]}  # fmt: skip
