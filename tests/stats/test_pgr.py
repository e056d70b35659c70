"""PGR, its interval and paired differences, against cases worked out by hand and against simulations."""

import numpy as np
import pytest

from stats.pgr import Bootstrap, Estimate, by_draw, estimate_difference, estimate_pgr, in_words, pgr
from stats.ranking import contenders, ranked
from tests.stats.made_up import DRAWS, GROUP_OF, ITEMS, simulated


def test_pgr_agrees_with_a_hand_computed_case():
    assert pgr(student=0.75, weak=0.6, ceiling=0.85) == pytest.approx(0.6)
    with pytest.raises(ValueError):
        pgr(0.5, 0.6, 0.6)


def correct(accuracies: list[float], items: int) -> np.ndarray:
    """(draws, items): exactly these accuracies."""
    return np.stack([np.arange(items) < round(a * items) for a in accuracies]).astype(np.float32)


def test_the_estimate_is_a_ratio_of_means_over_draws():
    # Draw 1 has a gap of .2 of which .1 is recovered, draw 2 a gap of .4 of which .3: 0.4 / 0.6, not (.5 + .75) / 2.
    weak, ceiling, student = correct([0.6, 0.5], 1000), correct([0.8, 0.9], 1000), correct([0.7, 0.8], 1000)
    estimate = estimate_pgr(student, weak, ceiling, Bootstrap(2, np.arange(1000)))
    assert estimate.value == pytest.approx(0.4 / 0.6)
    assert estimate.low < estimate.value < estimate.high


def test_figures_by_draw_are_over_the_gap_of_all_draws_so_that_their_mean_is_the_estimate():
    # Gaps of .2 and .4, of which .1 and .3 are recovered: .1 / .3 and .3 / .3, not .5 and .75.
    weak, ceiling, student = correct([0.6, 0.5], 1000), correct([0.8, 0.9], 1000), correct([0.7, 0.8], 1000)
    naive = correct([0.65, 0.85], 1000)
    assert by_draw(student, weak, weak, ceiling) == [0.3333, 1.0]
    assert by_draw(student, naive, weak, ceiling) == [0.1667, -0.1667]
    rng = np.random.default_rng(0)
    made = simulated(rng, {"weak": 0.6, "ceiling": 0.85, "student": 0.7, "naive": 0.65})
    bootstrap = Bootstrap(DRAWS, GROUP_OF)
    lift = estimate_difference(made["student"], made["naive"], made["weak"], made["ceiling"], bootstrap)
    assert np.mean(by_draw(made["student"], made["naive"], made["weak"], made["ceiling"])) == pytest.approx(lift.value, abs=6e-5)


def test_a_difference_of_identical_answers_is_exactly_zero():
    weak, ceiling, student = correct([0.6] * 3, 500), correct([0.9] * 3, 500), correct([0.7] * 3, 500)
    difference = estimate_difference(student, student, weak, ceiling, Bootstrap(3, np.arange(500)))
    assert (difference.value, difference.low, difference.high) == (0, 0, 0)
    assert in_words(difference) == "within noise"


def test_the_bootstrap_of_one_draw_agrees_with_the_normal_formula():
    items = 4000
    answers = correct([0.7], items)
    samples = Bootstrap(1, np.arange(items), resamples=4000).accuracies(answers)
    assert samples.mean() == pytest.approx(0.7, abs=0.002)
    assert samples.std() == pytest.approx(np.sqrt(0.7 * 0.3 / items), rel=0.06)


def test_items_of_one_group_are_resampled_together():
    answers = correct([0.7], 600)
    alone = Bootstrap(1, np.arange(600)).accuracies(answers).std()
    grouped = Bootstrap(1, np.arange(600) // 6).accuracies(answers).std()  # six equal answers a group
    assert grouped == pytest.approx(alone * np.sqrt(6), rel=0.15)


def test_a_gap_that_is_not_established_gives_no_pgr():
    weak, ceiling = correct([0.60], 300), correct([0.61], 300)
    assert estimate_pgr(ceiling, weak, ceiling, Bootstrap(1, np.arange(300))) == Estimate(None, None, None)


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match="shape"):
        Bootstrap(2, np.arange(10)).accuracies(np.ones((1, 10)))


def test_words_follow_the_interval():
    assert in_words(Estimate(0.2, 0.1, 0.3)) == "better"
    assert in_words(Estimate(-0.2, -0.3, -0.1)) == "worse"
    assert in_words(Estimate(0.1, -0.1, 0.3)) == "within noise"
    assert in_words(Estimate(None, None, None)) is None


TRIALS = 300
TRUTHS = {"weak": 0.60, "ceiling": 0.85, "student": 0.75, "other": 0.70}   # a PGR of .6, and .2 more than the other's


def test_intervals_over_groups_and_draws_cover_the_truth_and_others_do_not():
    """Nominal 95 %. Allowed: .93 to .97, and two standard errors of a share of 300 trials on either side."""
    rng = np.random.default_rng(5)
    ways = {"both": GROUP_OF, "draws alone": np.zeros(ITEMS, int), "single items": np.arange(ITEMS)}
    ways = {name: Bootstrap(DRAWS, units, resamples=400, seed=3) for name, units in ways.items()}
    covered = {name: np.zeros(2) for name in ways}
    for _ in range(TRIALS):
        found = simulated(rng, TRUTHS)
        weak, ceiling = found["weak"], found["ceiling"]
        for name, bootstrap in ways.items():
            value = estimate_pgr(found["student"], weak, ceiling, bootstrap)
            lift = estimate_difference(found["student"], found["other"], weak, ceiling, bootstrap)
            covered[name] += value.low <= 0.6 <= value.high, lift.low <= 0.2 <= lift.high
    pgr_share, lift_share = covered["both"] / TRIALS
    chance = 2 * np.sqrt(0.95 * 0.05 / TRIALS)
    assert 0.93 - chance <= pgr_share <= 0.97 + chance
    assert 0.93 - chance <= lift_share <= 0.97 + chance
    assert (covered["draws alone"] / TRIALS < 0.90).all()
    assert (covered["single items"] / TRIALS < 0.93).all()


def test_a_leaderboard_is_ordered_by_lower_bound_and_rung_not_by_luck():
    lucky = {"submission": "s1", "status": "scored", "rung": "quick", "pgr": 0.9, "pgr_low": 0.7}
    sure = {"submission": "s2", "status": "scored", "rung": "full", "pgr": 0.6, "pgr_low": 0.5}
    surer = {"submission": "s3", "status": "scored", "rung": "full", "pgr": 0.58, "pgr_low": 0.55}
    failed = {"submission": "s4", "status": "crashed", "rung": "full", "pgr_low": None}
    assert [v["submission"] for v in ranked([lucky, failed, sure, surer])] == ["s3", "s2", "s1", "s4"]


def test_where_the_gap_is_not_established_a_leaderboard_goes_by_accuracy_and_not_by_name():
    def scored(name, accuracy, **more):
        return {"submission": name, "status": "scored", "track": "main", "rung": "full", "accuracy": accuracy, "pgr_low": None, **more}
    verdicts = [scored("s1", 0.61), {"submission": "s0", "status": "crashed", "track": "main"}, scored("s2", 0.72), scored("s3", 0.66)]
    assert [v["submission"] for v in ranked(verdicts)] == ["s2", "s3", "s1", "s0"]
    assert [v["submission"] for v in contenders(verdicts)] == ["s2", "s3", "s1"]
