"""The luck of the best of many, against published values and against simulations in which the truth is known."""

import numpy as np
import pytest

from stats.selection import FEWEST, Z, expected_maximum, leaders, luck, own_noise, owed_to_selection, role, selection_gap, shrunken


@pytest.mark.parametrize("count, published", [(1, 0.0), (2, 0.5642), (3, 0.8463), (10, 1.5388), (100, 2.5076)])
def test_the_expected_maximum_of_normal_values_is_the_published_one(count, published):
    assert expected_maximum(count) == pytest.approx(published, abs=2e-4)  # Harter 1961, Biometrika 48


def verdicts(scores, noise: float, **fields) -> list[dict]:
    """Verdicts whose lifts have the interval that `noise` of each student's own gives: two students, sqrt(2) as wide."""
    half = Z * noise * np.sqrt(2)
    return [{"submission": f"s{i:04d}", "status": "scored", "track": "main", "draws": 8, "pgr": float(score), "lift": score - 0.3,
             "lift_low": score - 0.3 - half, "lift_high": score - 0.3 + half, **fields} for i, score in enumerate(scores)]


def test_the_noise_of_one_student_is_read_off_the_interval_of_its_lift():
    assert own_noise(verdicts([0.5], 0.03)[0]) == pytest.approx(0.03)
    assert own_noise({"lift_low": None}) is None


TRUTHS = {
    "all equal": lambda rng: np.full(85, 0.4),
    "normal": lambda rng: rng.normal(0.4, 0.05, 85),
    "many failures": lambda rng: np.where(rng.random(85) < 0.6, rng.normal(0.5, 0.03, 85), rng.normal(0.1, 0.2, 85)),
}


@pytest.mark.parametrize("kind", TRUTHS)
def test_the_shrunken_score_of_a_winner_is_unbiased_and_the_raw_one_is_not(kind):
    """Bias over 400 simulated runs of 85 submissions, each with noise of its own (.04) and noise that all share (.05)."""
    rng, noise, raw, left = np.random.default_rng(7), 0.04, [], []
    for _ in range(400):
        true = TRUTHS[kind](rng)
        scores = true + rng.normal(0, noise, len(true))
        winner = int(np.argmax(scores))
        raw.append(scores[winner] - true[winner])
        left.append(shrunken(scores + rng.normal(0, 0.05), noise)[winner] - true[winner])
    assert np.mean(raw) > 0.05
    assert abs(np.mean(left)) < 0.02


def test_the_gain_of_the_best_of_equal_methods_is_what_a_simulation_gives():
    rng = np.random.default_rng(8)
    best = rng.normal(0, 0.045, (2000, 200)).max(1).mean()
    assert luck(verdicts(np.full(200, 0.4), 0.045)).gain == pytest.approx(best, abs=0.003)
    assert best == pytest.approx(0.12, abs=0.01)


def test_clear_differences_stay_and_the_order_is_kept():
    scores = [0.1, 0.9, 0.4, 0.6, 0.2, 0.5]
    left = shrunken(scores, 0.01)
    assert left == pytest.approx(scores, abs=0.01)
    assert np.argsort(left).tolist() == np.argsort(scores).tolist()
    assert shrunken([0.4] * 5, 0.1) == [0.4] * 5


@pytest.mark.parametrize("noise", [0.01, 0.1, 1.0])
def test_no_score_rises_and_what_lies_below_the_middle_stays(noise):
    scores = [-0.3, 0.22, 0.4, 0.42, 0.45, 0.53]
    left = shrunken(scores, noise)
    assert left[:3] == scores[:3] and all(0.41 - 1e-9 <= after <= before for after, before in zip(left[3:], scores[3:], strict=True))


def test_only_what_competes_counts():
    rivals = verdicts(np.linspace(0.3, 0.6, FEWEST), 0.02)
    others = [
        *verdicts([0.9], 0.02, submission="quick", draws=1), *verdicts([0.9], 0.02, submission="other", track="elicitation"),
        *verdicts([0.6], 0.02, submission="copy", same_as="s0005"), {"submission": "failed", "status": "crashed", "draws": 8},
    ]  # fmt: skip
    found = luck(rivals + others)
    assert found.count == FEWEST and set(found.shrunken) == {v["submission"] for v in rivals}
    assert luck(rivals[1:] + others) is None


def figures(name: str, pgr: float, half: float | None = 0.05, **fields) -> dict:
    low, high = (None, None) if half is None else (pgr - half, pgr + half)
    return {"submission": name, "status": "scored", "track": "main", "rung": "full", "pgr": pgr, "pgr_low": low, "pgr_high": high, **fields}


PUBLIC = {name: figures(name, pgr) for name, pgr in (("s0001", 0.7), ("s0002", 0.5), ("s0003", 0.5))}


def sealed(winner: float, drawn: float, half: float | None) -> list[dict]:
    return [figures("s0001", winner, half), *(figures(name, drawn, half, control=True) for name in ("s0002", "s0003"))]


@pytest.mark.parametrize(
    ("winner", "half", "kept", "words"),
    [
        (0.6, 0.3, None, "what finalists owed to having been chosen, +0.12 [-0.25, +0.49], cannot be told from so few"),
        (0.72, 0.3, None, "cannot be told from so few"),
        (0.6, None, None, "what finalists owed to having been chosen, +0.12, cannot be told from so few"),
        (0.3, 0.05, False, "finalists lost 0.42 [0.33, 0.51] more than controls, which is what they owed"),
        (0.9, 0.05, True, "finalists lost 0.18 [0.09, 0.27] less than controls, so nothing shows"),
    ],
)
def test_what_is_owed_to_selection_is_told_only_beyond_what_the_intervals_allow(winner, half, kept, words):
    """Half-widths in quadrature: public .05 and sealed `half` of one finalist, and of two controls over two."""
    verdicts = sealed(winner, 0.52, half)
    assert selection_gap(verdicts, PUBLIC).kept is kept and words in owed_to_selection(verdicts, PUBLIC)


def test_without_controls_it_is_said_that_nothing_can_be_told():
    verdicts = [figures("s0001", 0.45)]
    assert selection_gap(verdicts, PUBLIC) is None
    words = "finalists changed by -0.25 PGR: without controls it cannot be told what of that is owed to having been chosen"
    assert owed_to_selection(verdicts, PUBLIC) == f"From public to sealed, {words}."
    assert owed_to_selection([], PUBLIC) is None


def test_what_somebody_named_that_is_not_among_the_best_is_no_finalist():
    public = {f"s{at:04d}": figures(f"s{at:04d}", at / 20) for at in range(1, 9)}
    best = leaders(public)
    named = [role({"submission": name, **more}, best) for name, more in (("s0008", {}), ("s0002", {}), ("s0003", {"control": True}))]
    assert named == ["finalist", "asked for", "control"]
    assert "what was asked for changed by +0.10" in owed_to_selection([figures("s0002", 0.2)], public)
