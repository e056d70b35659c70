"""A null run: teachers that know nothing, whatever they are asked, and anchors by which nothing is worth 0."""

from pathlib import Path

import numpy as np
import pytest

from eval.engine import Engine
from eval.null import null_anchors
from eval.scan import scan
from eval.score import Anchored, correctness
from eval.shuffle import ShuffledTeacher, shuffled_positions
from eval.slots import Slot
from tests.eval.checked import CHECK

METHODS = Path(__file__).parents[2] / "methods"
SECRET = b"n" * 32
ASKS = """
import numpy as np
def fit(w2s):
    order = np.arange(len(w2s.texts))[::-1]
    check(np.allclose(w2s.teacher.label(w2s.items[order]), w2s.weak[order], atol=1e-6), "asked again it says the same as before")
    check(np.allclose(w2s.teacher.label(w2s.items[:1]), w2s.weak[:1], atol=1e-6), "and of a single item")
    return w2s.student().fit(w2s.texts, w2s.weak)
"""


def run(smoke, source, null, **options):
    engine = Engine(smoke, SECRET, "bubblewrap", [Slot(0)], null)
    try:
        return engine.run(source, "methods/x.py", list(smoke.search_draws), scan(source.encode(), "x.py"), Slot(0), **options)
    finally:
        engine.close()


def test_in_a_null_run_a_good_method_is_worth_nothing_and_otherwise_something(smoke):
    source = (METHODS / "soft.py").read_text()
    draws = list(smoke.search_draws)
    null, real = null_anchors(smoke, "search", draws, SECRET), Anchored.of(smoke, "search", draws)
    nothing = null.figures(correctness(smoke, "search", run(smoke, source, null=True).predictions))
    something = real.figures(correctness(smoke, "search", run(smoke, source, null=False).predictions))
    # Three draws: what shuffled labels happen to teach is not nothing in each, one way round or the other.
    assert abs(nothing["accuracy"] - 0.5) < 0.15 and nothing["pgr_low"] < 0.5
    assert something["accuracy"] > nothing["accuracy"] + 0.02, "the control: the same method gains from a teacher that knows something"
    assert abs(null.weak.mean() - 0.5) < 0.05 < real.weak.mean() - 0.5


@pytest.mark.parametrize("options", [{"null": True}, {"null": False, "shuffled": True}], ids=["null run", "audit"])
def test_a_shuffled_teacher_that_is_asked_says_what_it_said(smoke, options):
    outcome = run(smoke, CHECK + ASKS, **options)
    assert outcome.error is None


def test_a_shuffled_teacher_knows_nothing_of_new_items_either():
    fields = [{"text": f"item {n}"} for n in range(400)]
    said = np.arange(400) % 2
    positions = shuffled_positions(400, 7)
    assert sorted(positions) == list(range(400)) and (said[positions] == said).mean() < 0.6
    teacher = ShuffledTeacher(fields, said, positions)
    assert (teacher(fields) == said[positions]).all()
    new = [{"text": f"item {n}!"} for n in range(400)]
    assert 0.35 < (teacher(new) == said).mean() < 0.65 and (teacher(new) == teacher(new)).all()
