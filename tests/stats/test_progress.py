"""The progress curve: what led when, and the area under it."""

import pytest

from stats.progress import area, best_at, curve
from tests.view.made import verdict


def points(*pgrs, **fields):
    made = [verdict(f"s{number:04d}", pgr=pgr, **fields) for number, pgr in enumerate(pgrs, 1)]
    return curve(made, lambda one: 10.0 * int(one["submission"][1:]), lambda at: at / 100)


def test_the_best_is_the_one_with_the_highest_lower_bound():
    wide = verdict("s0002", pgr=0.7) | {"pgr_low": 0.1}
    found = curve([verdict("s0001", pgr=0.5), wide, verdict("s0003", pgr=0.6)], lambda one: 0.0)
    assert [point.best["submission"] for point in found] == ["s0001", "s0001", "s0003"]
    assert [point.rises for point in found] == [True, False, True]


def test_what_does_not_compete_never_leads():
    others = [verdict("s0001", pgr=0.9, track="elicitation"), verdict("s0002", pgr=0.9, flags=["near-duplicate"]), verdict("s0003", pgr=None, status="crashed")]
    assert [point.best for point in curve(others, lambda one: 0.0)] == [None, None, None]


def test_repeats_of_earlier_code_are_no_evaluations():
    assert len(curve([verdict("s0001"), verdict("s0002", same_as="s0001")], lambda one: 0.0)) == 1


def test_the_area_is_the_mean_height_of_the_steps():
    # The first evaluation is paid for before anything is known: 0, then 0.4 for one, then 0.6 for one.
    assert area(points(0.4, 0.6, 0.2), "evaluations") == pytest.approx((0 + 0.4 + 0.6) / 3)
    assert area(points(0.4, 0.6, 0.2), "seconds", 25.0) == pytest.approx((0 * 10 + 0.4 * 10 + 0.6 * 5) / 25)


def test_an_area_beyond_what_was_seen_is_not_told():
    assert area(points(0.4), "evaluations", 5) is None
    assert area([], "evaluations") is None


def test_the_best_at_equal_cost_counts_only_what_came_by_then():
    found = points(0.4, 0.6)
    assert best_at(found, "seconds", 19.9)["submission"] == "s0001"
    assert best_at(found, "dollars", 0.2)["submission"] == "s0002"
    assert best_at(found, "seconds", 5.0) is None
