"""Questions to the teacher: answered from the other side of the wall, and metered there. Real sandboxes, real teachers."""

import re

import numpy as np
import pytest

from eval.asking import MOST_LABELS, MOST_REFITS, Questions
from eval.engine import Engine
from eval.prepared import Prepared
from eval.scan import scan
from eval.slots import Slot
from tests.eval.checked import CHECK


@pytest.fixture(scope="module")
def engine(smoke):
    engine = Engine(smoke, b"q" * 32, "bubblewrap", [Slot(0)])
    yield engine
    engine.close()


def run(engine, source, draws=(0,), **options):
    source = CHECK + source
    return engine.run(source, "methods/x.py", list(draws), scan(source.encode(), "methods/x.py"), Slot(0), **options)


def test_a_check_that_fails_is_seen(engine):
    assert "check failed" in run(engine, "def fit(w2s):\n    check(len(w2s.texts) == 1)\n").error


def test_the_teacher_labels_pool_items_as_it_did_before(engine):
    source = """
import numpy as np
def fit(w2s):
    again = w2s.teacher.label(w2s.items[:50])
    check(again.shape == (50, 2), again.shape)
    check(np.allclose(again, w2s.weak[:50], atol=1e-5), np.abs(again - w2s.weak[:50]).max())
    check(np.allclose(w2s.teacher.label(w2s.texts[:5]), w2s.weak[:5], atol=1e-5))
    return w2s.student().fit(w2s.texts, w2s.weak)
"""
    outcome = run(engine, source, draws=(0, 1, 2))
    assert outcome.error is None and outcome.status == "scored"


def test_the_teacher_labels_texts_that_nobody_showed_it(engine):
    source = """
import numpy as np
def fit(w2s):
    shouted = w2s.teacher.label([text.upper() for text in w2s.texts[:40]])
    check(np.allclose(shouted, w2s.weak[:40], atol=1e-5), shouted)
    check(not np.allclose(w2s.teacher.label(["nothing of the kind"]), w2s.weak[:1], atol=1e-3))
    return w2s.student().fit(w2s.texts, w2s.weak)
"""
    assert run(engine, source).error is None


def test_a_refit_is_in_the_order_of_the_pool_and_hears_the_prefix(engine):
    source = """
import numpy as np
def fit(w2s):
    same, other = w2s.teacher.refit(""), w2s.teacher.refit("film movie the and bad good ")
    check(np.allclose(same, w2s.weak, atol=1e-5))
    check(same.shape == other.shape and not np.allclose(other, w2s.weak, atol=1e-3))
    check(np.corrcoef(other[:, 1], w2s.weak[:, 1])[0, 1] > .5)
    return w2s.student().fit(w2s.texts, (same + other) / 2)
"""
    assert run(engine, source, draws=(0, 1)).error is None


def test_a_fourth_refit_is_refused_in_words(engine):
    source = "def fit(w2s):\n    for i in range(4):\n        w2s.teacher.refit('x' * i)\n"
    assert f"at most {MOST_REFITS} times a draw" in run(engine, source).error


def test_labelling_without_end_is_refused_in_words(engine, smoke):
    source = "def fit(w2s):\n    while True:\n        w2s.teacher.label(w2s.items)\n"
    assert f"at most {MOST_LABELS * smoke.task.pool} items" in run(engine, source).error


@pytest.mark.parametrize("question", [None, 3, {}, {"ask": "labels", "number": 0}, {"ask": "label", "number": 99},
                                      {"ask": "label", "number": 0, "fields": [{"text": 3}]},
                                      {"ask": "label", "number": 0, "fields": [{"text": "a", "label": "b"}]},
                                      {"ask": "refit", "number": 0, "prefix": "x" * 10_000}, {"ask": "_label", "number": 0}])
def test_what_is_no_question_is_refused_and_harms_nobody(smoke, question):
    header, arrays = Questions(smoke, lambda number, count: np.arange(count)).answer(question, [0])
    assert set(header) == {"refused"} and not arrays


def test_with_true_labels_in_the_teachers_place_nobody_can_ask_the_teacher(engine):
    source = "def fit(w2s):\n    w2s.teacher.refit('')\n    return w2s.student().fit(w2s.texts, w2s.weak)\n"
    outcome = run(engine, source, true_labels=True)
    assert outcome.status == "crashed" and "withheld" in outcome.error


def test_the_ceiling_by_a_methods_own_recipe_is_better_than_the_method(engine, smoke):
    from eval.score import Anchored, correctness
    source = "def fit(w2s):\n    return w2s.student().fit(w2s.texts, w2s.weak)\n"
    weak, true = run(engine, source, smoke.search_draws), run(engine, source, smoke.search_draws, true_labels=True)
    anchored = Anchored.of(smoke, "search", smoke.search_draws)
    right, best = (correctness(smoke, "search", one.predictions) for one in (weak, true))
    figures = anchored.by_own_recipe(right, best)
    assert best.mean() > right.mean() + 0.02
    # The weak anchor differs between machines, as their draws do: only the definition of PGR holds on all of them.
    expected = (right.mean() - anchored.weak.mean()) / (best.mean() - anchored.weak.mean())
    assert figures["recipe_pgr"] == pytest.approx(expected, abs=1e-6) and figures["recipe_pgr"] < 1


def test_an_error_on_true_labels_says_nothing_of_them(engine):
    source = "def fit(w2s):\n    raise ValueError(str(w2s.weak[:, 1].tolist()))\n"
    assert not re.search(r"[01]\.\d", run(engine, source, true_labels=True).error)
    assert re.search(r"[01]\.\d", run(engine, source).error)  # the positive control: the same error where it holds no secret


@pytest.mark.parametrize("error, told", [(MemoryError("12 GiB"), "not enough memory"), (RuntimeError("/home/me"), "RuntimeError"),
                                         (OSError(28, "/home/me"), "OSError")])
@pytest.mark.parametrize("ask", ["label", "refit"])
def test_what_goes_wrong_while_a_teacher_is_trained_is_told_and_ends_nobody(smoke, error, told, ask):
    def fail(*arguments):
        raise error

    questions = Questions(smoke, fail, shuffle=fail)
    header, arrays = questions.answer({"ask": ask, "number": 0, "fields": [smoke.region.fields[0]] if ask == "label" else []}, [0])
    assert set(header) == {"refused"} and told in header["refused"] and "/home" not in header["refused"] and not arrays


def test_a_prefix_that_is_too_long_is_refused_in_words(smoke):
    header, _ = Questions(smoke, lambda number, count: np.arange(count)).answer({"ask": "refit", "number": 0, "prefix": "x" * 3000}, [0])
    assert header == {"refused": "a prefix has at most 2000 characters, not 3,000"}


def test_a_question_is_answered_without_reading_hidden_states(smoke, tmp_path):
    prepared = Prepared(smoke.task, smoke.folder)
    prepared.blocks.root = tmp_path  # where there are none
    questions = Questions(prepared, lambda number, count: np.arange(count))
    for question in ({"ask": "label", "fields": smoke.region.fields[:3]}, {"ask": "refit"}):
        header, arrays = questions.answer({**question, "number": 0}, [0])
        assert not header and len(arrays["labels"]) in (3, smoke.task.pool)
