"""How well agents foretell their own results: the PGR that they expect when they submit against the one that is found."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, stdev

TINY = 1e-9
"""Figures are told to two digits; what they sum up to is not exact."""
FEWEST = 5
"""Predictions that it takes to say which way somebody errs."""


@dataclass(frozen=True)
class Forecast:
    """`predicted` by the agent at submission; `pgr` with its interval as agents are told."""

    submission: str
    agent: str
    predicted: float
    pgr: float
    low: float
    high: float

    @property
    def error(self) -> float:
        """Above 0: it expected too much."""
        return self.predicted - self.pgr

    @property
    def held(self) -> bool:
        """Whether the verdict's interval holds the prediction."""
        return self.low - TINY <= self.predicted <= self.high + TINY


@dataclass(frozen=True)
class Calibration:
    """Of `n` forecasts: mean error, mean absolute error, and the share that the verdicts' intervals hold."""

    n: int
    mean_error: float
    mean_absolute_error: float
    held: float


def forecasts(submissions: dict[str, dict], views: Sequence[dict]) -> list[Forecast]:
    """Of verdicts as agents may see them, in their order, those with a prediction and a figure to hold against it. Repeats of
    earlier code are left out: what they get was known."""
    found = []
    for view in views:
        predicted = submissions.get(view["submission"], {}).get("predict")
        if predicted is not None and view["pgr"] is not None and view["pgr_low"] is not None and not view.get("same_as"):
            found.append(Forecast(view["submission"], view["agent"], predicted, view["pgr"], view["pgr_low"], view["pgr_high"]))
    return found


def calibration(made: Sequence[Forecast]) -> Calibration:
    """Of at least one forecast."""
    n = len(made)
    errors = [one.error for one in made]
    return Calibration(n, sum(errors) / n, sum(map(abs, errors)) / n, sum(one.held for one in made) / n)


def mean_error_interval(made: Sequence[Forecast]) -> tuple[float, float, float] | None:
    """Mean error with its 95 % interval by Student's t; None of fewer than FEWEST."""
    if len(made) < FEWEST:
        return None
    from scipy.special import stdtrit  # takes a while to load, and not all who import this ask for it

    errors = [one.error for one in made]
    middle, half = mean(errors), float(stdtrit(len(errors) - 1, 0.975)) * stdev(errors) / math.sqrt(len(errors))
    return middle, middle - half, middle + half
