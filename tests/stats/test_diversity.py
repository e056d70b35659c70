"""The effective number of different ideas, by code and by answers."""

import numpy as np
import pytest

from stats.diversity import answer_diversity, code_diversity, vendi
from stats.similarity import answers, profile
from tests.conftest import ROOT


def test_as_many_as_there_are_where_no_two_are_alike_and_one_where_all_are():
    assert vendi(np.eye(7)) == pytest.approx(7) and vendi(np.ones((7, 7))) == pytest.approx(1)
    groups = np.kron(np.eye(3), np.ones((4, 4)))  # three ideas, four times each
    assert vendi(groups) == pytest.approx(3)


def test_it_lies_between_one_and_n_and_grows_as_one_becomes_less_alike():
    rng = np.random.default_rng(0)
    for n in (2, 5, 12):
        points = rng.standard_normal((n, 40))
        points /= np.linalg.norm(points, axis=1, keepdims=True)
        assert 1 <= vendi(np.clip(points @ points.T, -1, 1)) <= n
    pair = [vendi(np.array([[1, a], [a, 1]])) for a in (1.0, 0.9, 0.5, 0.0)]
    assert pair == sorted(pair) and pair[0] == pytest.approx(1) and pair[-1] == pytest.approx(2)


def test_different_methods_are_many_and_changed_constants_of_one_are_one():
    methods = [file.read_text() for file in sorted((ROOT / "methods").glob("[a-z]*.py"))][:12]
    constants = [methods[0].replace("def fit", f"ANY = {number}\n\n\ndef fit") for number in range(12)]
    many, few = (code_diversity([profile(source) for source in sources]) for sources in (methods, constants))
    assert many > 4 and few == pytest.approx(1, abs=0.01)


def made(rng, share, base):
    """(3, 500, 2) chances that differ from `base` in about that share of answers."""
    turned = rng.random(base.shape) < share
    positive = np.where(turned, 1 - base, base)
    return answers(np.stack([1 - positive, positive], axis=-1))


def test_answers_that_differ_in_a_few_are_one_idea_and_in_many_are_as_many():
    rng = np.random.default_rng(1)
    base = rng.random((3, 500))
    nearly = answer_diversity([made(rng, 0.002, base) for _ in range(12)])
    apart = answer_diversity([made(rng, 0.10, base) for _ in range(12)])
    assert nearly < 1.5 < 6 < apart <= 12


def test_submissions_of_one_draw_are_compared_on_that_draw():
    rng = np.random.default_rng(2)
    base = rng.random((3, 500))
    full, one = made(rng, 0.0, base), made(rng, 0.0, base[:1])
    assert answer_diversity([full, one]) == pytest.approx(1)
