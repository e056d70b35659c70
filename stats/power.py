"""What a task can tell apart: the smallest true difference in PGR that its draws and items will show, before anything is run."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from stats.pgr import Bootstrap, gap_is_established

ERRORS = NormalDist().inv_cdf(0.975) + NormalDist().inv_cdf(0.80)
"""2.80: a true difference of as many standard errors is found, by a two-sided test at 5 %, four times out of five."""
MIXTURES = 8


def resolvable(weak: np.ndarray, ceiling: np.ndarray, tuned_naive: np.ndarray, bootstrap: Bootstrap) -> float | None:
    """The smallest lift over tuned naive, in PGR, that is found four times out of five; from correctness (draws, items).

    It is 2.8 standard errors (Cohen 1988, Statistical Power Analysis: 80 % power, 5 % two-sided) of the paired difference
    between tuned naive and a comparable student, by the bootstrap over groups x draws. How precise a paired difference is
    depends on how often two students disagree and on whether they do so on the same items, and no student other than the
    anchors is known yet. The comparable one is made of them: on a random half of the groups it answers as the ceiling does,
    on the others as tuned naive. That is a good method, half way to the ceiling; the mean variance over MIXTURES such
    halves is taken. Standard errors of the lifts that the methods of the library then had were near it: on `reviews` it says
    .031, their median over twenty methods was .028; on `smoke` .079 and .090 (`python aar.py baselines`).

    None where the gap is not established, or where the anchors were imported and say nothing about single items.
    """
    difference = (ceiling - tuned_naive).astype(np.float32)
    if np.ptp(difference) == 0 or not gap_is_established(weak, ceiling, bootstrap):
        return None
    rng = np.random.default_rng(0)
    halves = ((rng.random(bootstrap.groups) < 0.5)[bootstrap.group_of] for _ in range(MIXTURES))
    variance = np.mean([bootstrap.accuracies(difference * half).var() for half in halves])
    return float(ERRORS * np.sqrt(variance) / (ceiling.mean() - weak.mean()))
