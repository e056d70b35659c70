"""How often the quick rung is wrong: what became of submissions that it would have turned away and chance sent on.

A few submissions without a chance reach the full rung all the same (`promotion` is "random"). Those that there do at least
as well as the best then would have been lost: their share estimates the rate of wrong rejections.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

Z = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True)
class Rejections:
    """Of `sent_on` random promotions, `wrong` did at least as well as the best then; their share with its 95 % interval."""

    sent_on: int
    wrong: int
    rate: float | None
    low: float | None
    high: float | None


def wilson(successes: float, trials: int, z: float = Z) -> tuple[float, float]:
    """Interval of a share, 95 % unless `z` says otherwise (Wilson 1927, doi 10.1080/01621459.1927.10502953): (0, 1) where
    nothing was tried."""
    if trials == 0:
        return 0.0, 1.0
    share, extra = successes / trials, z**2 / trials
    half = z * math.sqrt((share * (1 - share) + extra / 4) / trials)
    return max(0.0, (share + extra / 2 - half) / (1 + extra)), min(1.0, (share + extra / 2 + half) / (1 + extra))


def wrong_rejections(verdicts: Mapping[str, dict]) -> Rejections:
    """From a run's verdicts by submission. A difference of PGR to the best then is a paired one, since all are scored on the
    same draws and items against the same anchors; failures on the full rung were rightly turned away."""
    sent_on = wrong = 0
    for verdict in verdicts.values():
        if verdict.get("promotion") != "random" or verdict.get("same_as"):
            continue
        rival = verdicts.get(verdict.get("best") or "", {})
        if verdict.get("status") == "scored" and (verdict.get("pgr") is None or rival.get("pgr") is None):
            continue
        sent_on += 1
        wrong += verdict.get("status") == "scored" and verdict["pgr"] >= rival["pgr"]
    if not sent_on:
        return Rejections(0, 0, None, None, None)
    return Rejections(sent_on, wrong, wrong / sent_on, *wilson(wrong, sent_on))


def rejections_words(found: Rejections) -> str:
    if found.rate is None:
        return "wrong rejections by the quick rung: n/a (0 random promotions)"
    return (
        f"wrong rejections by the quick rung: {found.rate:.0%} [{found.low:.0%}, {found.high:.0%}]: {found.wrong} of {found.sent_on} "
        "that chance sent on did at least as well as the best then"
    )
