"""The luck of the best: how much better a winner looks because it was chosen, and what remains when that is taken off.

Whoever is best of many owes a part of the figure to chance, and the more were tried the larger that part. Shown beside the
raw PGR, never in its place:

    expected_maximum(n)     by how many standard errors the best of n equal methods looks better than it is
    shrunken(scores, s)     each score above the middle moved towards it, by as much as noise of size s explains their spread

Submissions of one run are scored on the same draws and items, so most of their error is the same for all: it moves the
leaderboard as a whole and lifts nobody. What chooses the winner is the error that each has for itself, and the lift, a
paired difference of two students, holds it twice: `own_noise` is the lift's standard error over the square root of 2.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist, mean, median

from stats.ranking import contenders

Z = NormalDist().inv_cdf(0.975)
MOST_FINALISTS = 5
FEWEST = 6
"""Scores that it takes to say how far apart methods really are."""


@lru_cache(maxsize=256)
def expected_maximum(count: int) -> float:
    """Expected maximum of `count` independent standard normal values; 0 for one, 2.75 for 200.

    The mean of a variable with distribution function F^n is the integral of 1 - F^n over what is positive, less that of F^n
    over what is negative (David and Nagaraja 2003, Order Statistics, section 3.1); trapezoids of width 0.01 over +-9.
    """
    if count < 1:
        raise ValueError(f"the maximum of {count} values is not defined")
    step, cdf = 0.01, NormalDist().cdf
    positive = sum(1 - cdf(step * i) ** count for i in range(1, 900)) + (1 - 0.5**count) / 2
    negative = sum(cdf(-step * i) ** count for i in range(1, 900)) + 0.5**count / 2
    return step * (positive - negative)


def own_noise(verdict: dict) -> float | None:
    """Standard error of a verdict's PGR that it does not share with the other submissions; None without an interval."""
    low, high = verdict.get("lift_low"), verdict.get("lift_high")
    return None if low is None or high is None else (high - low) / (2 * Z) / math.sqrt(2)


def shrunken(scores: Sequence[float], noise: float) -> list[float]:
    """Empirical-Bayes estimates of the true values behind `scores`, whose own standard error is `noise`, in their order.

        shrunken = m + (1 - noise^2 / v) (score - m)          v: observed spread, which is true spread + noise^2

    (Efron and Morris 1973, doi 10.1080/01621459.1973.10481350.) Methods fail far below the others and never win far above
    them, and that long tail would pass for true spread at the top. So the middle m is the median and v the mean square above
    it, and of what lies below it nothing is known: it stays as it is, and no score rises. Where v does not exceed what noise
    alone gives, nothing is left of the differences above the middle.
    """
    middle = median(scores)
    above = [(score - middle) ** 2 for score in scores if score > middle]
    spread = mean(above) if above else 0.0
    kept = max(0.0, 1 - noise**2 / spread) if spread > 0 else 0.0
    return [min(score, middle + kept * (score - middle)) if score > middle else score for score in scores]


@dataclass(frozen=True)
class Luck:
    """What chance does to the best of a leaderboard. `gain`: by how much PGR the best of `count` equal methods would look
    better than it is; `shrunken`: submission -> what is left of its PGR."""

    count: int
    noise: float
    gain: float
    shrunken: dict[str, float]


def luck(verdicts: Sequence[dict]) -> Luck | None:
    """The luck among submissions that compete: scored on the main track, on as many draws as the best rung has, repeats of
    earlier code left out. None where there are fewer than FEWEST.
    """
    rivals = [v for v in verdicts if v.get("status") == "scored" and v.get("track", "main") == "main" and not v.get("same_as")
              and "near-duplicate" not in (v.get("flags") or ()) and v.get("pgr") is not None and own_noise(v) is not None]
    most = max((v["draws"] for v in rivals), default=0)
    rivals = [v for v in rivals if v["draws"] == most]
    if len(rivals) < FEWEST:
        return None
    noise = math.sqrt(median(own_noise(v) ** 2 for v in rivals))
    names = [v["submission"] for v in rivals]
    values = shrunken([v["pgr"] for v in rivals], noise)
    return Luck(len(rivals), noise, expected_maximum(len(rivals)) * noise, dict(zip(names, values, strict=True)))


def leaders(public: Mapping[str, dict]) -> set[str]:
    """The best of a leaderboard, submission -> verdict: those that a verification may choose by their figures."""
    return {verdict["submission"] for verdict in contenders(list(public.values()))[:MOST_FINALISTS]}


def role(verdict: dict, best: Collection[str]) -> str:
    """What a sealed verdict was made for: a control, or one of the `best` of its run, or what somebody named who asked for it."""
    return "control" if verdict.get("control") else "finalist" if verdict["submission"] in best else "asked for"


@dataclass(frozen=True)
class Gap:
    """By how much PGR the mean finalist and the mean of so many controls changed from public to sealed; `half`: half the 95 % interval
    of the difference, infinite where a verdict has no interval."""

    chosen: float
    drawn: float
    controls: int
    half: float

    @property
    def owed(self) -> float:
        """What finalists lost beyond controls."""
        return self.drawn - self.chosen

    @property
    def kept(self) -> bool | None:
        """Whether finalists lost less than controls; None where the interval holds 0."""
        return None if abs(self.owed) <= self.half else self.owed < 0


def _changes(sealed: Sequence[dict], public: Mapping[str, dict]) -> dict[str, list[tuple[float, float]]]:
    """Role -> what PGR changed by from public to sealed and half the interval of that, each submission once."""
    best, changed = leaders(public), {"finalist": {}, "asked for": {}, "control": {}}
    for after in sealed:
        before = public.get(after["submission"], {})
        if after.get("pgr") is not None and before.get("pgr") is not None:
            changed[role(after, best)][after["submission"]] = after["pgr"] - before["pgr"], math.hypot(_half(before), _half(after))
    return {name: list(some.values()) for name, some in changed.items()}


def _half(verdict: dict) -> float:
    low, high = verdict.get("pgr_low"), verdict.get("pgr_high")
    return math.inf if low is None or high is None else (high - low) / 2


def selection_gap(sealed: Sequence[dict], public: Mapping[str, dict]) -> Gap | None:
    """What finalists changed by beside what controls did, which is due to other draws and items; None without both.

    `sealed`: verdicts, some with `control`; `public`: submission -> verdict. Finalists are the best on the leaderboard, not whatever
    somebody asked for. All verdicts count as independent: those of one part share draws, which makes the interval too wide.
    """
    changed = _changes(sealed, public)
    chosen, drawn = changed["finalist"], changed["control"]
    if not chosen or not drawn:
        return None
    half = math.hypot(*(half / len(some) for some in (chosen, drawn) for _, half in some))
    return Gap(_mean(chosen), _mean(drawn), len(drawn), half)


def _mean(changes: Sequence[tuple[float, float]]) -> float:
    return round(mean(change for change, _ in changes), 2) + 0.0  # as it is told, so that sums are right; never -0.00


def owed_to_selection(sealed: Sequence[dict], public: Mapping[str, dict]) -> str | None:
    """The same in words, and that without controls nothing can be told; None where nothing has both figures."""
    changed = _changes(sealed, public)
    if not changed["control"]:
        names = {"finalist": "finalists changed by", "asked for": "what was asked for changed by"}
        words = [f"{names[name]} {_mean(some):+.2f} PGR" for name, some in changed.items() if some]
        unknown = "without controls it cannot be told what of that is owed to having been chosen"
        return f"From public to sealed, {' and '.join(words)}: {unknown}." if words else None
    gap = selection_gap(sealed, public)
    if gap is None:
        return None
    size, low, high = abs(gap.owed), abs(gap.owed) - gap.half, abs(gap.owed) + gap.half
    if gap.kept is None:
        within = f" [{gap.owed - gap.half:+.2f}, {gap.owed + gap.half:+.2f}]" if math.isfinite(gap.half) else ""
        owed = f"what finalists owed to having been chosen, {gap.owed:+.2f}{within}, cannot be told from so few"
    elif gap.kept:
        less = f"{size:.2f} [{low:.2f}, {high:.2f}] less than controls"
        owed = f"finalists lost {less}, so nothing shows that they owed anything to having been chosen"
    else:
        owed = f"finalists lost {size:.2f} [{low:.2f}, {high:.2f}] more than controls, which is what they owed to having been chosen"
    changes = f"finalists changed by {gap.chosen:+.2f} PGR and controls by {gap.drawn:+.2f} (mean of {gap.controls})"
    return f"From public to sealed, {changes}: {owed}."
