"""What is measured of a run, so that it can be held against others: behind `compare`.

    measures(ends)                        which figures there are
    figures(record, points, ends, looks)  key -> {"value", and where it has an interval "low", "high"} of one run
    unfit(record)                         why no verdict may rest on a run

Figures of the public part are those of the best of many, chosen by these figures; those of the sealed part were not chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from state.ledger import NULL_STAMP
from state.record import Record
from stats.comparison import widened
from stats.entropy import effective
from stats.progress import Point, area, best_at, curve
from stats.ranking import contenders
from view.format import NONE_STAMP, clean, duration

SEALED = "sealed_pgr"
AREA = "area_evaluations"
COSTS = ("evaluations", "compute_seconds", "dollars")
"""Axes of stats.progress on which runs are cut to the same length."""
MONEY = "dollars"
NO_SEALED, NO_PUBLIC = "no valid sealed figure", "no public PGR: the gap between weak and ceiling is not established"
NOTHING = "nothing of it competes"
STAMPS = {NONE_STAMP: "ran without isolation", NULL_STAMP: "null run"}
HARMLESS = {"near-duplicate"}
"""Flags that lead to no other track (eval/tracks.py)."""


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
        Measure(SEALED, "sealed PGR", "sealed", "higher"),
        Measure("sealed_lift", "sealed lift", "sealed", "higher"),
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


def words_of(one: dict) -> str:
    """A measure, as a dict, as it is called in a sentence: never without where it comes from."""
    return {"sealed": f"{one['label']} of the winner", "public": f"public {one['label']}"}.get(one["source"], one["label"])


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


def winner_failure(record: Record) -> str | None:
    """Why the winner of a run has no valid figure of the sealed part, in words; None where it has one, or the part was not opened.

    A figure by what no method may have is none, however good: it must not help the side of its run. Nor may it be left out as if
    the run had not been, since a run that fails says something of how it was started.
    """
    sealed = winner_sealed(record)
    if sealed is None:
        if record.sealed_unread:
            return "its sealed verdicts are another user's and cannot be read here"
        return "no finalist of it was scored on the sealed part" if record.closed else None
    winner, status = f"its winner {clean(sealed['submission'], 12)}", sealed.get("status") or "failed"
    track, flags = sealed.get("track") or "main", [flag for flag in sealed.get("flags") or () if flag not in HARMLESS]
    because = f" ({clean(', '.join(flags), 120)})" if flags else ""
    if status != "scored":
        return f"{winner} failed on the sealed part ({clean(status, 20)})"
    if track == "disqualified":
        return f"{winner} is disqualified on the sealed part{because}"
    if track != "main" or flags:
        return f"{winner} does not compete on the main track: {clean(track, 20)} on the sealed part{because}"
    if any(sealed.get(key) is None for key in ("pgr", "pgr_low", "pgr_high")):
        return f"{winner} has no PGR on the sealed part: the gap between weak and ceiling is not established"
    return None


def stamps_of(record: Record) -> list[str]:
    """What has to stand on everything that shows a figure of this run."""
    verdicts = [record.config, *record.verdicts.values(), *record.sealed]
    found = [NONE_STAMP] * any(one.get("isolation") == "none" for one in verdicts)
    return found + [NULL_STAMP] * any(bool(one.get("null")) for one in verdicts)


def unfit(record: Record) -> list[str]:
    """Why no verdict may rest on a run, in a few words each; [] where one may."""
    return [STAMPS[stamp] for stamp in stamps_of(record)] + [NO_SEALED] * (winner_failure(record) is not None)


def why_no_public(points: Sequence[Point]) -> str | None:
    """Why a run has no PGR on the public part; None where it has one. What competes later counts: until then the best is 0."""
    if any(point.best for point in points):
        return None
    return NO_PUBLIC if contenders([point.verdict for point in points]) else NOTHING


def openings_of(record: Record) -> int:
    """How often the sealed part of its task had been opened on its machine when it was for this run; 0 where it was not."""
    return max((verdict.get("openings") or 1 for verdict in record.sealed), default=0)


def figures(record: Record, points: Sequence[Point], ends: dict[str, float | None], looks: int) -> dict[str, dict]:
    """Measure -> {"value", ...} of what is known of a run; sealed ones also {"corrected_low", "corrected_high"}, for so many `looks`."""
    found: dict[str, dict] = {}
    sealed = winner_sealed(record)
    if sealed and winner_failure(record) is None:
        for key, name in ((SEALED, "pgr"), ("sealed_lift", "lift")):
            found |= {key: _sealed(sealed, name, looks)} if sealed.get(name) is not None else {}
    evaluated = [point.verdict for point in points]
    for axis in COSTS if why_no_public(points) is None else ():
        if not ends[axis]:
            continue
        found[f"area_{axis}"] = {"value": area(points, axis, ends[axis])}
        if best := best_at(points, axis, ends[axis] * (1 + 1e-9)):
            found[f"best_{axis}"] = {"value": best["pgr"], "low": best.get("pgr_low"), "high": best.get("pgr_high"), "submission": best["submission"]}
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
