"""Predicted against observed."""

import pytest
from scipy.stats import ttest_1samp

from stats.calibration import FEWEST, Forecast, calibration, forecasts, mean_error_interval

SUBMISSIONS = {"s1": {"predict": 0.5}, "s2": {"predict": None}, "s3": {"predict": 0.1}, "s4": {"predict": 0.9}, "s5": {"predict": 0.3}}


def view(name, pgr, half=0.1, **more):
    low, high = (None, None) if pgr is None else (pgr - half, pgr + half)
    return {"submission": name, "agent": "agent-1", "pgr": pgr, "pgr_low": low, "pgr_high": high, **more}


def test_only_predictions_that_there_is_a_figure_for_count_and_no_repeats_of_known_ones():
    views = [view("s1", 0.4), view("s2", 0.4), view("s3", None), view("s4", 0.4, same_as="s1"), view("s9", 0.1)]
    assert [one.submission for one in forecasts(SUBMISSIONS, views)] == ["s1"]


def test_mean_error_absolute_error_and_how_many_intervals_hold():
    made = forecasts(SUBMISSIONS, [view("s1", 0.4), view("s3", 0.4), view("s4", 0.3), view("s5", 0.4)])
    found = calibration(made)
    assert [round(one.error, 6) for one in made] == [0.1, -0.3, 0.6, -0.1]
    assert (found.n, found.mean_error, found.mean_absolute_error) == (4, pytest.approx(0.075), pytest.approx(0.275))
    assert found.held == 0.5, "the ends of an interval belong to it"


@pytest.mark.parametrize("count", [5, 6, 10, 31, 501])
def test_an_agents_mean_error_has_the_interval_of_students_t_and_needs_some_predictions(count):
    errors = [(0.001, 0.03, 0.08, 0.09, 0.06)[at % 5] for at in range(count)]
    made = [Forecast(f"s{at}", "agent-1", 0.5 + error, 0.5, 0.4, 0.6) for at, error in enumerate(errors)]
    expected = ttest_1samp(errors, 0).confidence_interval(0.95)
    assert mean_error_interval(made) == pytest.approx((sum(errors) / count, expected.low, expected.high), abs=1e-9)
    assert mean_error_interval(made[: FEWEST - 1]) is None
