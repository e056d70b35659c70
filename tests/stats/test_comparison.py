"""Differences between sides of runs: intervals that cover, no verdict from one run, honest p values among several pairs."""

import numpy as np
import pytest
from scipy.stats import ttest_ind

from stats.comparison import Difference, holm, level_after, mean_of, needed, power_of, welch, widened

SIMULATIONS = 2000


def observed(rng, runs, mean=0.6, between=0.05, own=0.03, shared=0.0):
    """Sealed figures of some runs: what differs from run to run, each run's own error of measurement, and what is the same for all."""
    return list(mean + shared + rng.normal(0, between, runs) + rng.normal(0, own, runs))


@pytest.mark.parametrize(("runs", "betweens"), [((3, 3), (0.05, 0.05)), ((5, 3), (0.05, 0.05)), ((6, 4), (0.02, 0.08))])
def test_the_interval_covers_no_difference_as_often_as_it_says_though_runs_of_a_side_differ(runs, betweens):
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(SIMULATIONS):
        shared = rng.normal(0, 0.2)  # the draws and items: far larger, and the same for all
        found = welch(*(observed(rng, n, between=sd, shared=shared) for n, sd in zip(runs, betweens, strict=True)))
        covered += found.low <= 0 <= found.high
    assert 0.93 <= covered / SIMULATIONS <= 0.97


def test_two_runs_a_side_are_told_less_often_than_they_could_be_never_more():
    rng = np.random.default_rng(1)
    found = [welch(observed(rng, 2), observed(rng, 2)) for _ in range(SIMULATIONS)]
    assert sum(one.low <= 0 <= one.high for one in found) / SIMULATIONS >= 0.94


def test_an_interval_of_measurement_alone_covers_too_little():
    # What would be told of two single runs by their sealed intervals, without what differs from run to run.
    rng = np.random.default_rng(2)
    half = 1.96 * np.hypot(0.03, 0.03)
    covered = sum(abs(observed(rng, 1)[0] - observed(rng, 1)[0]) <= half for _ in range(SIMULATIONS))
    assert covered / SIMULATIONS < 0.80


def test_a_true_difference_is_found_as_often_as_the_power_says():
    rng = np.random.default_rng(3)
    found = sum(welch(observed(rng, 6, 0.7, own=0), observed(rng, 6, 0.6, own=0)).p < 0.05 for _ in range(SIMULATIONS))
    assert found / SIMULATIONS == pytest.approx(power_of(0.1, 0.05, 6), abs=0.03)


def test_one_run_on_a_side_never_yields_an_interval():
    for sides in (([0.9], [0.1]), ([0.9], [0.1, 0.2, 0.15]), ([0.9, 0.8], [0.1])):
        found = welch(*sides)
        assert (found.low, found.high, found.p, found.tellable(), found.at(0.99)) == (None,) * 5
        assert found.value > 0.5


def test_runs_that_do_not_differ_at_all_yield_none_either():
    assert welch([0.5, 0.5], [0.3, 0.3]) == Difference(pytest.approx(0.2), (2, 2))


def test_the_p_value_is_that_of_welch():
    first, second = [0.61, 0.55, 0.70, 0.66], [0.50, 0.52, 0.49]
    known = ttest_ind(first, second, equal_var=False)
    found = welch(first, second)
    assert found.p == pytest.approx(known.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(known.confidence_interval()))
    assert found.at(0.95) == pytest.approx((found.low, found.high))


def test_with_two_runs_a_side_the_interval_is_as_wide_as_that_deserves():
    two, many = welch([0.6, 0.7], [0.4, 0.5]), welch([0.6, 0.7] * 4, [0.4, 0.5] * 4)
    assert two.df == pytest.approx(2.0) and two.high - two.low > 4 * (many.high - many.low)


def test_holm_keeps_the_chance_of_any_false_finding_among_all_pairs():
    rng = np.random.default_rng(4)
    plain = adjusted = 0
    for _ in range(SIMULATIONS // 2):
        sides = [observed(rng, 4) for _ in range(4)]
        values = [welch(sides[a], sides[b]).p for a in range(4) for b in range(a)]
        plain += min(values) < 0.05
        adjusted += min(holm(values)) < 0.05
    assert adjusted / (SIMULATIONS // 2) <= 0.06
    assert plain / (SIMULATIONS // 2) > 0.10  # so that there is something to keep


def test_holm_leaves_one_pair_as_it_is_and_those_that_were_not_tested_out():
    assert holm([0.04]) == [0.04]
    assert holm([0.04, None, 0.01, 0.03]) == [pytest.approx(0.06), None, pytest.approx(0.03), pytest.approx(0.06)]
    assert holm([]) == []


def test_an_interval_corrected_for_one_opening_is_the_plain_one_and_widens_with_each_more():
    assert widened(0.6, 0.5, 0.75, looks=1) == pytest.approx((0.5, 0.75))
    widths = [high - low for low, high in (widened(0.6, 0.5, 0.75, looks) for looks in (1, 2, 5, 20, 100))]
    assert widths == sorted(widths) and widths[-1] > 1.7 * widths[0]
    low, high = widened(0.6, 0.5, 0.75, looks=7)
    assert (high - 0.6) / (0.6 - low) == pytest.approx(0.15 / 0.1)


def test_all_of_many_corrected_intervals_hold_at_once():
    rng = np.random.default_rng(5)
    errors = rng.normal(0, 1, (SIMULATIONS, 10))
    half = 1.96
    wide = widened(0.0, -half, half, looks=10)[1]
    assert (np.abs(errors) < half).all(axis=1).mean() < 0.7
    assert (np.abs(errors) < wide).all(axis=1).mean() == pytest.approx(0.95, abs=0.02)


def test_the_runs_that_are_needed_find_the_difference_four_times_out_of_five_and_one_fewer_does_not():
    runs = needed(0.1, 0.1)
    assert runs == 17  # as in any table of the t test for a difference of one standard deviation
    assert power_of(0.1, 0.1, runs) >= 0.8 > power_of(0.1, 0.1, runs - 1)
    assert needed(0.1, 1e-4) is None and needed(0.1, 10.0) == 2 and needed(0.1, 0.0) is None


def test_what_can_be_told_is_what_the_same_runs_find_four_times_out_of_five():
    first, second = [0.6, 0.7, 0.65, 0.62], [0.5, 0.6, 0.55, 0.52]
    found = welch(first, second)
    assert power_of(found.tellable(), found.sd, 4) == pytest.approx(0.8, abs=0.005)


def test_after_many_openings_only_more_can_be_told_also_by_two_runs_a_side():
    first, second = [0.6, 0.7, 0.65, 0.62], [0.5, 0.6, 0.55, 0.52]
    found = welch(first, second)
    assert power_of(found.tellable(level_after(60)), found.sd, 4, level_after(60)) == pytest.approx(0.8, abs=0.005)
    assert found.tellable(level_after(60)) > 1.5 * found.tellable()
    few = welch([0.5, 0.6], [0.3, 0.30001])  # one degree of freedom
    assert few.df < 1.01 and few.tellable(level_after(200)) > 100 * few.error


def test_the_mean_of_a_side_has_an_interval_only_over_several_runs():
    assert mean_of([0.5]).low is None and mean_of([0.5]).sd is None
    found = mean_of([0.5, 0.6, 0.7])
    assert found.value == pytest.approx(0.6) and found.high - 0.6 == pytest.approx(4.303 * 0.1 / 3**0.5, abs=1e-3)


def test_what_has_no_values_or_no_looks_is_refused():
    for refused in (lambda: mean_of([]), lambda: welch([], [0.1, 0.2]), lambda: level_after(0)):
        with pytest.raises(ValueError):
            refused()
