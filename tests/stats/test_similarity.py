"""Likeness of code and of answers."""

import numpy as np
import pytest

from stats.similarity import answers, code_similarity, flips, is_told, profile, surety

ONE = '''"""A method."""
import numpy as np
SHARE = 0.25
def fit(w2s):
    keep = w2s.weak.max(axis=1) > np.quantile(w2s.weak.max(axis=1), SHARE)
    return w2s.student().fit(w2s.texts[keep], w2s.weak[keep])
'''


def alike(one: str, other: str) -> float:
    return float(code_similarity(profile(one), profile(other)[None])[0])


def test_names_constants_and_words_about_the_code_do_not_count():
    other = ONE.replace("keep", "chosen").replace("0.25", "0.9").replace("A method.", "Quite another thing.").replace("SHARE", "PART")
    assert alike(ONE, other) == 1.0


def test_other_code_is_less_alike_the_more_of_it_differs():
    little = ONE.replace("w2s.weak[keep])", "w2s.weak[keep], l2=0.1)")
    much = "def fit(w2s):\n    for i in range(3):\n        if i:\n            x = [j for j in w2s.items]\n    return x\n"
    assert 1 > alike(ONE, little) > 0.8 > alike(ONE, much) and alike(ONE, much) < 0.3


def chances(positive) -> np.ndarray:
    positive = np.asarray(positive, float)
    return np.stack([1 - positive, positive], axis=-1)


def test_surety_is_a_rank_and_ties_are_nowhere_far():
    assert np.allclose(surety(chances([[0.5, 0.9, 0.2, 0.6]])), [[0.125, 0.875, 0.625, 0.375]])
    tied = surety(chances([[0.0, 1.0, 1.0, 0.0]]))
    assert np.allclose(tied, 0.5) and not is_told(tied)


def test_flips_are_counted_by_cell_item_and_how_sure_either_was():
    base = np.linspace(0.01, 0.99, 101)[None].repeat(4, axis=0)
    flipped = base.copy()
    flipped[:, [3, 45]] = 1 - flipped[:, [3, 45]]  # one far from the boundary, one near
    found = flips(answers(chances(base)), [answers(chances(base)), answers(chances(flipped))])
    assert found.cells.tolist() == [0, 8] and found.far.tolist() == [0, 4]
    assert found.share[1] == pytest.approx(2 / 101) and found.elsewhere.tolist() == [1.0, 1.0]
    assert np.unpackbits(found.items[1]).nonzero()[0].tolist() == [3, 45] and found.repeated[1] == 1.0
    assert found.varied.tolist() == [0.0, 0.0]


def test_a_submission_of_one_draw_is_compared_on_that_draw_and_an_opposite_sign_is_no_flipping():
    rng = np.random.default_rng(0)
    full = chances(rng.random((3, 200)))
    signs = full.copy()
    signs[1] = 1 - signs[1]
    found = flips(answers(full), [answers(signs)])
    assert found.cells[0] == 0 and found.share[0] == pytest.approx(1 / 3)
    assert flips(answers(full[:1]), [answers(signs)]).share[0] == 0.0
