"""What agents are told of a verdict: enough to work by, and no more than the exposure meter counts."""

import math
import random

from state.ledger import WIDTHS_TOLD, agent_view, bits_told

NAIVE = 0.3971  # the PGR of tuned naive on a rung: the same for all


def verdict(pgr: float, half: float = 0.05, **fields) -> dict:
    lift = pgr - NAIVE
    figures = {"pgr": pgr, "pgr_low": pgr - half, "pgr_high": pgr + half, "lift": lift, "lift_low": lift - half, "lift_high": lift + half}
    return {"status": "scored", "method_seconds": 1.0, **figures, **fields}


def figures(one: dict) -> tuple:
    return tuple(agent_view(one)[name] for name in ("pgr", "pgr_low", "pgr_high", "lift", "lift_low", "lift_high"))


def test_no_second_figure_tells_what_the_first_was_rounded_to():
    """Between two steps of PGR nothing else that is told moves, however finely the true figure does."""
    seen: dict[float, set] = {}
    for step in range(4000):
        told = figures(verdict(0.4 + step * 1e-5, 0.0437 + step * 1e-7))
        seen.setdefault(told[0], set()).add(told)
    assert len(seen) > 3 and all(len(views) == 1 for views in seen.values())


def test_an_interval_that_is_told_holds_the_true_one_and_is_at_most_a_third_wider():
    rng = random.Random(0)
    for _ in range(500):
        pgr, half = rng.uniform(-0.9, 1.4), rng.uniform(0.03, 0.5)
        told = figures(verdict(pgr, half))
        width = (told[2] - told[1]) / 2
        assert half - 1e-9 <= width <= half * 4 / 3 + 1e-9
        assert abs(told[0] - pgr) <= 0.005 + 1e-9 and abs(told[3] - (pgr - NAIVE)) <= 0.011


def test_far_off_figures_and_wide_intervals_are_cut():
    assert figures(verdict(-7.3))[0] == -1.0 and figures(verdict(9.9))[0] == 1.5
    told = figures(verdict(0.5, 4.0))
    assert round(told[2] - told[0], 2) == WIDTHS_TOLD[-1]


def test_no_more_views_are_possible_than_the_bits_that_are_counted():
    rng, views = random.Random(1), set()
    for _ in range(20_000):
        one = verdict(rng.uniform(-2, 2), rng.choice((0.011, 0.3)), rung=rng.choice(("quick", "full")), against_best=rng.choice(("better", "worse", None)))
        views.add(tuple(sorted((key, str(value)) for key, value in agent_view(one).items())))
    assert 1000 < len(views) <= 2 ** bits_told(one)


def test_repeats_and_failures_tell_nearly_nothing():
    assert bits_told(verdict(0.5, same_as="s0001")) == 0
    assert bits_told({"status": "crashed", "promotion": None}) == 0 and bits_told({"status": "crashed", "promotion": "random"}) == 1
    assert math.isclose(bits_told(verdict(0.1)), bits_told(verdict(0.9)))


def test_of_what_was_disqualified_no_figure_is_told():
    one = verdict(0.4321, track="disqualified", against_best="worse", flags=["label-flips"], submission="s0001")
    view = agent_view(one)
    assert view["flags"] == ["label-flips"] and "0.4" not in str(view) and view["against_best"] is None
    assert bits_told(one) < bits_told(verdict(0.4321)) / 3


def test_the_figures_of_a_near_duplicate_are_those_of_the_earlier_submission():
    one = verdict(0.4321, flags=["near-duplicate"], reasons=["the code of s0007"], track="main", submission="s0009")
    view = agent_view(one)
    assert view["pgr"] is None and view["lift_low"] is None and view["reasons"] == ["the code of s0007"]
    assert bits_told(one) < bits_told(verdict(0.4321)) / 3


def test_agents_are_told_why_a_method_was_flagged_unless_the_words_hold_test_figures():
    one = verdict(0.5, flags=["word-list", "needs-no-teacher"], reasons=["holds 61 words", "accuracy 0.7131 with shuffled teachers"])
    view = agent_view(one)
    assert view["flags"] == one["flags"] and view["reasons"] == ["holds 61 words"]


def test_verdicts_without_figures_are_told_as_they_are():
    view = agent_view({"status": "scored", "pgr": None, "lift": None, "method_seconds": 1.26, "flags": ["near-duplicate"]})
    assert view["pgr"] is None and view["lift_low"] is None and view["flags"] == ["near-duplicate"] and view["method_seconds"] == 1.0
