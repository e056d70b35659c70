"""How the best of a run rose: over evaluations, seconds, seconds of compute and dollars.

    curve(verdicts, seconds, dollars)     a point for each verdict, with the best until then
    area(points, "evaluations", end)      mean of that best over the first `end` units: the area under the progress curve

The best until then is the one with the highest lower bound, as on the leaderboard (`stats/ranking.py`), so that the curve
shows what a person would have been told at the time; its PGR can therefore fall by a little when a better known method
takes the lead. Until something competes the best is 0: what a teacher alone gives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from stats.ranking import contends, sort_key

AXES = ("evaluations", "seconds", "compute_seconds", "dollars")


@dataclass(frozen=True)
class Point:
    """After one verdict: how many `evaluations` there were, `seconds` since the start, `compute_seconds` in methods,
    around them and in audits, `dollars` spent on models; the `verdict`, and the `best` until then (None while nothing competes)."""

    evaluations: int
    seconds: float
    compute_seconds: float
    dollars: float
    verdict: dict
    best: dict | None

    @property
    def pgr(self) -> float:
        return (self.best or {}).get("pgr") or 0.0

    @property
    def rises(self) -> bool:
        """Whether this verdict took the lead."""
        return self.best is not None and self.best["submission"] == self.verdict["submission"]


def compute_seconds(verdict: dict) -> float:
    """What a verdict took of a slot: in the method, around it, and in its audits; 0 for the code of an earlier one."""
    if verdict.get("same_as"):
        return 0.0
    return sum(verdict.get(name) or 0.0 for name in ("method_seconds", "overhead_seconds", "audit_seconds"))


def curve(
    verdicts: Sequence[dict], seconds: Callable[[dict], float], dollars: Callable[[float], float] = lambda at: 0.0
) -> list[Point]:
    """A point for each of `verdicts` (in the order they came), without repeats of code that was scored before.

    `seconds(verdict)`: when it came, in seconds since the start; `dollars(seconds)`: what models had cost by then.
    """
    points: list[Point] = []
    best: dict | None = None
    computed = 0.0
    for verdict in verdicts:
        if verdict.get("same_as"):
            continue
        computed += compute_seconds(verdict)
        if contends(verdict) and verdict.get("pgr") is not None and (best is None or sort_key(verdict) < sort_key(best)):
            best = verdict
        at = seconds(verdict)
        points.append(Point(len(points) + 1, at, computed, dollars(at), verdict, best))
    return points


def area(points: Sequence[Point], axis: str, end: float | None = None) -> float | None:
    """Mean of the best's PGR while `axis` (of AXES) went from 0 to `end` (default: as far as the points go): what was found early
    counts for longer. None where `end` is 0 or lies beyond the points."""
    if not points:
        return None
    last = getattr(points[-1], axis)
    end = last if end is None else end
    if end <= 0 or end > last * (1 + 1e-9):
        return None
    total, before, level = 0.0, 0.0, 0.0
    for point in points:
        at = min(getattr(point, axis), end)
        total += level * (at - before)
        before, level = at, point.pgr
        if at >= end:
            break
    return total / end


def best_at(points: Sequence[Point], axis: str, end: float) -> dict | None:
    """The best when `axis` had reached `end`; None where nothing competed by then."""
    within = [point for point in points if getattr(point, axis) <= end]
    return within[-1].best if within else None
