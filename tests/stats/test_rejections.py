"""The rate of wrong rejections, and the interval of a share."""

import pytest

from stats.rejections import rejections_words, wilson, wrong_rejections


def test_the_interval_is_the_published_one():
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)  # Newcombe 1998, Statistics in Medicine 17, method 3
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(0, 20)[0] == pytest.approx(0.0) and 0.1 < wilson(0, 20)[1] < 0.2


def verdicts(*pgrs: float | None) -> dict[str, dict]:
    found = {"s0001": {"submission": "s0001", "status": "scored", "pgr": 0.6, "promotion": "first"}}
    for number, pgr in enumerate(pgrs, 2):
        status = "crashed" if pgr is None else "scored"
        found[f"s{number:04d}"] = {"status": status, "pgr": pgr, "promotion": "random", "best": "s0001", "same_as": None}
    return found


def test_only_what_chance_sent_on_and_did_as_well_as_the_best_then_was_wrongly_rejected():
    known = verdicts(0.3, 0.6, 0.7, None)
    known["s0009"] = {"status": "scored", "pgr": 0.9, "promotion": "upper bound", "best": "s0001"}
    known["s0010"] = {**known["s0004"], "same_as": "s0004"}
    found = wrong_rejections(known)
    assert (found.sent_on, found.wrong, found.rate) == (4, 2, 0.5)
    assert found.low < 0.5 < found.high and "50% [" in rejections_words(found) and "2 of 4" in rejections_words(found)


def test_without_random_promotions_there_is_no_rate():
    assert rejections_words(wrong_rejections(verdicts())) == "wrong rejections by the quick rung: n/a (0 random promotions)"
