"""Probing of the scorer is told from honest changes: flips however they are disguised, near-duplicates, and who is to
blame."""

import numpy as np
import pytest

from eval.probing import Register, examine

SOURCE = "import numpy as np\n\n\ndef fit(w2s):\n    return w2s.student().fit(w2s.texts, w2s.weak, l2={l2})\n"
OTHER = "def fit(w2s):\n    for _ in range(3):\n        x = [i for i in w2s.items if i]\n    return {'x': x}\n"
DRAWS, ITEMS = 4, 1200


def chances(logits: np.ndarray) -> np.ndarray:
    positive = 1 / (1 + np.exp(-logits))
    return np.stack([1 - positive, positive], axis=-1)


def base(rng: np.random.Generator) -> np.ndarray:
    """Logits of a method (draws, items): what is known of an item, and what a draw's pool makes of it."""
    return 1.5 * rng.normal(size=ITEMS) + 0.7 * rng.normal(size=(DRAWS, ITEMS))


def honest(logits: np.ndarray, rng: np.random.Generator, size: float) -> np.ndarray:
    """The same method changed: every answer moves a little, in each draw by itself."""
    return logits + size * rng.normal(size=logits.shape)


def flipped(logits: np.ndarray, rng: np.random.Generator, share: float, disguise: str) -> np.ndarray:
    """Answers to items chosen by a hash turned over in all draws."""
    at = rng.random(ITEMS) < share
    out = np.where(at, -logits, logits)
    if disguise == "doubt":
        out = np.where(at, np.sign(out) * 1e-3, out)
    return 50 * np.sign(out) if disguise == "certainty" else out


def names(found: list[tuple[str, str]]) -> list[str]:
    return [flag for flag, _ in found]


@pytest.mark.parametrize("disguise", ["none", "doubt", "certainty"])
@pytest.mark.parametrize("share", [0.01, 0.05, 0.2, 0.5])
def test_flips_by_a_hash_are_found_within_ten_submissions_however_they_are_disguised(share, disguise):
    rng = np.random.default_rng(3)
    logits, register = base(rng), Register()
    register.add("s0000", "agent-2", OTHER, chances(honest(logits, rng, 1.0)))
    for number in range(1, 11):
        predictions = chances(flipped(logits, rng, share, disguise))
        found = register.examine("agent-1", SOURCE.format(l2=number), predictions)
        if "label-flips" in names(found):
            reason = dict(found)["label-flips"]
            assert "of its answers differ from s00" in reason and ("% of these lie far" in reason or "the same in all draws" in reason)
            return
        register.add(f"s{number:04d}", "agent-1", SOURCE.format(l2=number), predictions, names(found))
    pytest.fail("not found")


@pytest.mark.parametrize("size", [0.02, 0.1, 0.3, 1.0, 3.0])
def test_honest_changes_of_any_size_are_no_flips(size):
    rng, found = np.random.default_rng(5), []
    for _ in range(5):
        logits, register = base(rng), Register()
        for number in range(8):
            predictions = chances(honest(logits, rng, size))
            found += register.examine("agent-1", SOURCE.format(l2=number), predictions)
            register.add(f"s{number:04d}", "agent-1", SOURCE.format(l2=number), predictions)
    assert "label-flips" not in names(found)


def test_opposite_signs_in_some_draws_are_no_flips():
    rng = np.random.default_rng(0)
    logits = base(rng)
    other = honest(logits, rng, 0.3) * np.array([1, -1, 1, -1])[:, None]
    assert examine(SOURCE.format(l2=2), chances(other), [("s0001", "", SOURCE.format(l2=1), chances(logits))]) == []


def test_a_near_duplicate_is_nearly_the_same_in_code_and_in_answers():
    rng = np.random.default_rng(0)
    predictions, source = chances(base(rng)), SOURCE.format(l2=0.3)
    moved = predictions.copy()
    moved[0, 7] = moved[0, 7, ::-1]
    earlier = [("s0001", "agent-2", source, predictions)]
    assert names(examine(SOURCE.format(l2=0.4), moved, earlier)) == ["near-duplicate"]
    assert examine(OTHER, moved, earlier) == []
    assert examine(SOURCE.format(l2=0.4), chances(base(rng)), earlier) == []


def test_flips_of_unsure_answers_only_are_a_near_duplicate_and_a_change_of_mind_is_none():
    """A hash that turns over every second unsure answer leaves all others as they were; a method that changes does not."""
    rng, source = np.random.default_rng(4), SOURCE.format(l2=0.3)
    logits = base(rng)
    unsure = np.abs(logits) < 0.4
    turned = np.where(unsure & (rng.random(ITEMS) < 0.5), -logits, logits)
    earlier = [("s0001", "agent-1", source, chances(logits))]
    assert names(examine(SOURCE.format(l2=1), chances(turned), earlier, "agent-1")) == ["near-duplicate"]
    assert examine(SOURCE.format(l2=1), chances(honest(logits, rng, 0.3)), earlier, "agent-1") == []
    assert examine(OTHER, chances(turned), earlier, "agent-1") == [], "another idea for what is unsure is an idea"


def test_a_near_duplicate_is_referred_to_the_one_whose_figures_were_told():
    rng, register = np.random.default_rng(4), Register()
    predictions = chances(base(rng))
    for number, flags in enumerate(([], ["near-duplicate"])):
        register.add(f"s000{number + 1}", "agent-1", SOURCE.format(l2=number), predictions, flags)
    [(flag, reason)] = register.examine("agent-2", SOURCE.format(l2=9), predictions)
    assert flag == "near-duplicate" and "s0001" in reason


def test_nobody_can_have_a_method_flagged_by_submitting_flips_of_it_first():
    rng = np.random.default_rng(1)
    logits, register = base(rng), Register()
    register.add("s0001", "agent-2", SOURCE.format(l2=1), chances(flipped(logits, rng, 0.1, "none")))
    second = chances(flipped(logits, rng, 0.1, "none"))
    found = register.examine("agent-2", SOURCE.format(l2=2), second)
    assert "label-flips" in names(found), "the control: the one who flips is found"
    register.add("s0002", "agent-2", SOURCE.format(l2=2), second, names(found))
    assert register.examine("agent-1", SOURCE.format(l2=3), chances(logits)) == []


def test_a_quick_rung_of_one_draw_is_compared_with_full_ones():
    rng = np.random.default_rng(2)
    logits, register = base(rng), Register()
    register.add("s0001", "agent-1", SOURCE.format(l2=1), chances(logits))
    assert "s0001" in register and "s0002" not in register and len(register) == 1
    bad, good = flipped(logits, rng, 0.1, "none")[:1], honest(logits, rng, 0.3)[:1]
    assert "label-flips" in names(register.examine("agent-1", SOURCE.format(l2=2), chances(bad)))
    assert register.examine("agent-1", SOURCE.format(l2=2), chances(good)) == []
