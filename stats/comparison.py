"""Whether one way to run is better than another: differences between sides, each a handful of runs. Behind `python aar.py compare`.

    welch(first, second)                  difference of the means of two sides, with its interval
    holm([0.01, 0.04, None])              p values that stay honest where several pairs are looked at
    widened(0.6, 0.5, 0.7, looks=12)      an interval that still holds after so many looks at the same data
    needed(sd, difference)                runs a side that would tell a difference

Two runs of the same prompt end differently, so the unit is the run and not the submission or the item. The values of a side's runs,
as they were observed, spread by what differs from run to run and by the error with which each is measured; both are in their
standard deviation, and to add the interval of a single figure to it would count that error twice. What all runs have in common
because they are scored on the same draws and items moves both sides alike and cancels in the difference. So an interval says how
other runs would differ on these draws and items; it does not say how the same runs would differ on others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, stdev, variance

LEVEL, POWER = 0.95, 0.80
GRID = 1000
MOST_RUNS = 1000
"""More runs a side are not proposed to anybody."""


@dataclass(frozen=True)
class Mean:
    """Mean of the runs of one side and its interval (t, runs - 1 degrees of freedom); `sd` between runs. None with one run."""

    value: float
    low: float | None
    high: float | None
    sd: float | None
    runs: int


@dataclass(frozen=True)
class Difference:
    """First less second. `error` its standard error, `df` degrees of freedom, `p` two-sided; `sd` between runs of a side, pooled. All
    None but `value` where the spread within the sides is not known: one run on a side, or runs that do not differ at all."""

    value: float
    runs: tuple[int, int]
    low: float | None = None
    high: float | None = None
    p: float | None = None
    df: float | None = None
    sd: float | None = None
    error: float | None = None

    def tellable(self, level: float = LEVEL) -> float | None:
        """The true difference that as many runs, spread like these, find four times out of five by an interval of `level`."""
        return None if self.error is None else _shift(self.df, level) * self.error

    def at(self, level: float) -> tuple[float, float] | None:
        """The interval of another level."""
        if self.error is None:
            return None
        from scipy.stats import t

        half = float(t.ppf(0.5 + level / 2, self.df)) * self.error
        return self.value - half, self.value + half


def mean_of(values: Sequence[float], level: float = LEVEL) -> Mean:
    """ValueError where there are no values."""
    if not values:
        raise ValueError("no runs have no mean")
    value, count = fmean(values), len(values)
    if count < 2:
        return Mean(value, None, None, None, count)
    from scipy.stats import t

    sd = stdev(values)
    half = float(t.ppf(0.5 + level / 2, count - 1)) * sd / math.sqrt(count)
    return Mean(value, value - half, value + half, sd, count)


def welch(first: Sequence[float], second: Sequence[float], level: float = LEVEL) -> Difference:
    """Difference of the means of two sides, one value a run, without the assumption that both spread alike.

    Welch 1947, doi 10.1093/biomet/34.1-2.28; degrees of freedom by Satterthwaite 1946, doi 10.2307/3002019. With two runs a side these
    are between 1 and 2 and the interval is as wide as that deserves. ValueError where a side has no value.
    """
    if not first or not second:
        raise ValueError("a side without runs has no mean")
    value, runs = fmean(first) - fmean(second), (len(first), len(second))
    errors = [variance(side) / len(side) if len(side) > 1 else None for side in (first, second)]
    if None in errors or sum(errors) <= 0:
        return Difference(value, runs)
    from scipy.stats import t  # takes a while to load, and who only asks for widened does not need it

    error = math.sqrt(sum(errors))
    df = sum(errors) ** 2 / sum(e**2 / (n - 1) for e, n in zip(errors, runs, strict=True))
    half = float(t.ppf(0.5 + level / 2, df)) * error
    pooled = math.sqrt(sum((n - 1) * n * e for e, n in zip(errors, runs, strict=True)) / (sum(runs) - 2))
    return Difference(value, runs, value - half, value + half, float(2 * t.sf(abs(value) / error, df)), df, pooled, error)


def holm(values: Sequence[float | None]) -> list[float | None]:
    """p values adjusted so that among all of them the chance of any false finding stays what it is for one (Holm 1979, Scandinavian
    Journal of Statistics 6, 65-70), in their order. Those that are None were not tested and stay so."""
    tested = sorted((p, at) for at, p in enumerate(values) if p is not None)
    adjusted: list[float | None] = [None] * len(values)
    most = 0.0
    for rank, (p, at) in enumerate(tested):
        most = max(most, min(1.0, p * (len(tested) - rank)))
        adjusted[at] = most
    return adjusted


def level_after(looks: int, level: float = LEVEL) -> float:
    """The level at which each of `looks` intervals has to be taken so that all of them hold at once with `level` (Bonferroni)."""
    if looks < 1:
        raise ValueError(f"{looks} looks: an interval that is told was looked at once at least")
    return 1 - (1 - level) / looks


def widened(value: float, low: float, high: float, looks: int, level: float = LEVEL) -> tuple[float, float]:
    """An interval of `level` taken to `level_after(looks)`: each half in proportion to the normal quantile, so that what is lopsided
    stays so. With one look it is what it was."""
    normal = NormalDist().inv_cdf
    factor = normal(0.5 + level_after(looks, level) / 2) / normal(0.5 + level / 2)
    return value - factor * (value - low), value + factor * (high - value)


def power_of(difference: float, sd: float, runs: int, level: float = LEVEL) -> float:
    """Chance that `runs` runs on each of two sides, spread by `sd`, find a true `difference` with a two-sided t test (Cohen 1988)."""
    df = 2 * runs - 2
    return _power(abs(difference) / (sd * math.sqrt(2 / runs)), df, level)


def needed(sd: float, difference: float, level: float = LEVEL, power: float = POWER) -> int | None:
    """The least number of runs a side that finds a true `difference` with `power`; None where MOST_RUNS do not."""
    if sd <= 0 or difference == 0:
        return 2 if difference else None
    low, high = 1, 2
    while power_of(difference, sd, high, level) < power:
        low, high = high, 2 * high
        if low > MOST_RUNS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power_of(difference, sd, middle, level) >= power else (middle, high)
    return high if high <= MOST_RUNS else None


def _power(shift: float, df: float, level: float) -> float:
    """Chance that a t test of `df` degrees of freedom finds what is `shift` standard errors away.

    For a given error of the estimated spread it is a normal probability; the mean of these over GRID quantiles of the chi-squared
    distribution. (The noncentral t of scipy gives no number where the shift is large and degrees of freedom are few.)
    """
    import numpy as np
    from scipy.special import ndtr
    from scipy.stats import chi2, t

    limit = float(t.ppf(0.5 + level / 2, df)) * np.sqrt(chi2.ppf((np.arange(GRID) + 0.5) / GRID, df) / df)
    return float((ndtr(shift - limit) + ndtr(-shift - limit)).mean())


def _shift(df: float, level: float, power: float = POWER) -> float:
    """By how many standard errors a true difference has to be away to be found with `power`."""
    from scipy.optimize import brentq

    most = 10.0
    while _power(most, df, level) < power:  # of one degree of freedom and a high level it is thousands
        most *= 10
    return float(brentq(lambda shift: _power(shift, df, level) - power, 0.0, most, xtol=1e-4))
