"""The luck of the best: how much better a winner looks because it was chosen, and what remains when that is taken off.

Whoever is best of many owes a part of the figure to chance, and the more were tried the larger that part. Shown beside the
raw PGR, never in its place:

    expected_maximum(n)     by how many standard errors the best of n equal methods looks better than it is
    shrunken(scores, s)     each score moved towards the middle of all, by as much as noise of size s explains their spread

Submissions of one run are scored on the same draws and items, so most of their error is the same for all: it moves the
leaderboard as a whole and lifts nobody. What chooses the winner is the error that each has for itself, and the lift, a
paired difference of two students, holds it twice: `own_noise` is the lift's standard error over the square root of 2.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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
    it. Where v does not exceed what noise alone gives, nothing is left of the differences.
    """
    middle = median(scores)
    above = [(score - middle) ** 2 for score in scores if score > middle]
    spread = mean(above) if above else 0.0
    kept = max(0.0, 1 - noise**2 / spread) if spread > 0 else 0.0
    return [middle + kept * (score - middle) for score in scores]


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


def selection_gap(sealed: Sequence[dict], public: Mapping[str, dict]) -> tuple[float, float, int] | None:
    """By how much PGR the finalists changed from public to sealed, by how much the controls did, and how many controls there are; None
    without both.

    `sealed`: verdicts, some with `control`; `public`: submission -> verdict. Finalists are the best on the leaderboard, not whatever
    somebody asked for; each counts once. What controls change by is due to other draws and items.
    """
    best = {verdict["submission"] for verdict in contenders(list(public.values()))[:MOST_FINALISTS]}
    changed: dict[bool, dict[str, float]] = {False: {}, True: {}}
    for verdict in sealed:
        name, control = verdict["submission"], bool(verdict.get("control"))
        before = public.get(name, {}).get("pgr")
        if verdict.get("pgr") is not None and before is not None and (control or name in best):
            changed[control][name] = verdict["pgr"] - before
    if not changed[False] or not changed[True]:
        return None
    chosen, drawn = (round(mean(changed[control].values()), 2) for control in (False, True))
    return chosen, drawn, len(changed[True])


def owed_to_selection(sealed: Sequence[dict], public: Mapping[str, dict]) -> str | None:
    """The same in words."""
    found = selection_gap(sealed, public)
    if found is None:
        return None
    chosen, drawn, controls = found
    gap = round(drawn - chosen, 2)
    more = f"lost {gap:.2f} more than" if gap > 0 else f"lost {-gap:.2f} less than" if gap < 0 else "changed as much as"
    owed = "which is what they owed to having been chosen" if gap > 0 else "so nothing shows that they owed anything to having been chosen"
    return (
        f"From public to sealed, finalists changed by {chosen:+.2f} PGR and controls by {drawn:+.2f} (mean of {controls}): "
        f"finalists {more} controls, {owed}, as far as so few can tell."
    )
