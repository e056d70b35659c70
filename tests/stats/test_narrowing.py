"""When a swarm is told that its ideas narrow."""

from stats.narrowing import narrowing


def levels(*pairs, over=12):
    return [{"code": code, "predictions": predictions, "over": over} for code, predictions in pairs]


def test_it_is_said_when_both_have_fallen_clearly_below_the_highest_level():
    said = narrowing(levels((4.0, 3.0), (6.2, 4.1), (5.0, 3.8), (3.1, 2.2)))
    assert "last 12 scored submissions amount to about 3 different methods by their code and 2 by their answers; it has been 6 and 4" in said


def test_nothing_is_said_while_only_one_of_them_falls_or_neither():
    assert narrowing(levels((6.0, 4.0), (3.0, 3.0))) is None
    assert narrowing(levels((6.0, 4.0), (5.0, 2.0))) is None
    assert narrowing(levels((3.0, 2.0), (6.0, 4.0))) is None
    assert narrowing([]) is None


def test_levels_are_held_against_those_over_as_many_submissions_only():
    assert narrowing([*levels((11.0, 9.0), over=11), *levels((4.0, 3.0))]) is None
    assert narrowing(levels((4.0, 4.0), (1.0, 1.0), over=4)) is None


def test_the_line_changes_only_with_the_level_so_that_it_is_not_told_again_with_every_verdict():
    before = levels((6.2, 4.1), (3.1, 2.2))
    assert narrowing([*before, *levels((3.2, 2.1))]) == narrowing(before)
    assert narrowing([*before, *levels((6.0, 4.0))]) is None
