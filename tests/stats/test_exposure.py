"""The exposure meter: its bound holds against a real attack, and it says so where it says nothing."""

import numpy as np
import pytest

from stats.exposure import excess, exposure, exposure_words, independent_items, luck_words, most_bits


def test_the_bound_holds_against_an_attacker_that_keeps_what_scores_better():
    """Blum and Hardt's attack on exact accuracies of n random labels: it gains much, and stays below the bound."""
    rng, items, queries = np.random.default_rng(0), 1000, 200
    labels = rng.random(items) < 0.5
    votes = np.zeros(items)
    for _ in range(queries):
        guess = rng.random(items) < 0.5
        votes += np.where(guess, 1, -1) * (1 if (guess == labels).mean() > 0.5 else -1)
    gained = ((votes > 0) == labels).mean() - 0.5
    assert 0.1 < gained < excess(queries * 1.0, items), "one bit a query is all that this attack uses"


def test_bits_at_which_the_bound_reaches_a_gap_are_its_inverse():
    assert excess(most_bits(0.2, 3000), 3000) == pytest.approx(0.2)
    assert most_bits(0.001, 100) == 0.0


@pytest.mark.parametrize("bits, items, delta", [(-1, 10, 0.05), (1, 0, 0.05), (1, 10, 0.0)])
def test_nonsense_has_no_bound(bits, items, delta):
    with pytest.raises(ValueError, match="no bound is defined"):
        excess(bits, items, delta)


def test_items_of_one_group_count_once():
    assert independent_items([1] * 50) == 50
    assert independent_items([4] * 50) == pytest.approx(50)
    assert 1 < independent_items([99, 1, 1]) < 1.1


def told(number: int, **fields) -> list[dict]:
    one = {"status": "scored", "track": "main", "draws": 8, "pgr": 0.5, "lift": 0.1, "lift_low": 0.05, "lift_high": 0.15}
    scale = {"independent_items": 3000, "weak_accuracy": 0.6, "ceiling_accuracy": 0.85}
    return [{**one, **scale, "submission": f"s{i:04d}", **fields} for i in range(number)]


def test_the_meter_names_a_figure_while_there_is_one_and_is_plain_where_the_bound_is_vacuous():
    few, many = (exposure(told(number), [25.0] * number) for number in (3, 100))
    assert 0 < few.pgr < 1 and f"at most {few.pgr:.2f} PGR" in exposure_words(few)
    assert many.pgr is None and "no bound (vacuous beyond about" in exposure_words(many)
    at_last = exposure(told(many.last), [25.0] * many.last)
    assert at_last.pgr is not None and exposure(told(many.last + 1), [25.0] * (many.last + 1)).pgr is None


def test_verdicts_that_told_nothing_do_not_count():
    found = exposure(told(5), [25.0, 0.0, 0.0, 25.0, 0.0])
    assert (found.verdicts, found.bits) == (2, 50.0)


def test_without_the_size_of_the_public_part_no_bound_is_made_up():
    found = exposure(told(8, independent_items=None), [25.0] * 8)
    assert found.pgr is None and found.excess is None and "not known" in exposure_words(found)
    assert "best of 8 methods" in luck_words(found)
    assert exposure([], []).verdicts == 0 and luck_words(exposure([], [])) is None
