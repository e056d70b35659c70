import pytest

from stats.entropy import effective, family_diversity


def test_equal_shares_of_k_families_count_as_k_and_one_family_as_one():
    assert effective([5, 5, 5]) == pytest.approx(3)
    assert effective([7]) == 1
    assert effective([]) == 0
    assert 1 < effective([9, 1]) < 1.5


def test_only_the_families_within_the_window_count():
    found = family_diversity(["a", "b", "c", "c", "c"], window=2)
    assert found == pytest.approx([1, 2, 2, 1, 1])


def test_a_window_over_all_is_the_diversity_of_all_so_far():
    names = ["a", "b", "a", "c", "b", "a"]
    expected = [effective([names[: at + 1].count(name) for name in set(names)]) for at in range(len(names))]
    assert family_diversity(names, window=100) == pytest.approx(expected)


def test_a_window_that_holds_nothing_is_refused():
    with pytest.raises(ValueError, match="window of 0"):
        family_diversity(["a"], 0)
