"""The strong model's own answers: handed to a file that plainly asks for them, and to no other. A real language model."""

import pytest

from eval.engine import Engine
from eval.scan import scan
from eval.score import correctness
from eval.slots import Slot
from eval.task import Split, load_task
from tests.eval.checked import CHECK
from tests.home import prepare_small

ZERO_SHOT = """
class Model:
    def __init__(self, student):
        self.student = student
    def predict_proba(self, batch):
        return self.student.zero_shot(batch)
def fit(w2s):
    student = w2s.student()
    check(student.zero_shot(w2s.texts[:3]).shape == (3, 2))
    return Model(student)
"""
HIDDEN = ZERO_SHOT.replace("self.student.zero_shot(batch)", "getattr(self.student, 'zero' + '_shot')(batch)").replace(
    "student.zero_shot(w2s.texts[:3])", "getattr(student, 'zero' + '_shot')(w2s.texts[:3])")
CONTRAST = """
import numpy as np
class Model:
    def __init__(self, w2s, w, b):
        self.w2s, self.w, self.b = w2s, w, b
    def difference(self, items):
        student = self.w2s.student()
        no, yes = (student.embed(self.w2s.render(items, answer=answer)) for answer in self.w2s.answers)
        return yes - no
    def predict_proba(self, batch):
        p = 1 / (1 + np.exp(-(self.difference(batch.items) @ self.w + self.b)))
        return np.stack([1 - p, p], 1)
def fit(w2s):
    model = Model(w2s, None, 0.0)
    x, sign = model.difference(w2s.items), 2 * w2s.weak[:, 1] - 1
    model.w = (x * sign[:, None]).mean(0) - x.mean(0) * sign.mean()
    model.b = -np.median(x @ model.w)
    return model
"""
LIVE = """
def fit(w2s):
    student = w2s.student()
    written = student.generate(["The capital of France is"], max_new_tokens=3)
    check(written.shape == (1,) and "Paris" in written[0], written)
    states = student.embed(["a text that nobody prepared"], layers=2, pool="last")
    check(states.shape == (1, 576) and student.tokenizer("a").input_ids)
    odds = student.zero_shot(["Review: wonderful!\\nSentiment:", "Review: dreadful!\\nSentiment:"])
    check(odds[0, 1] > odds[1, 1], odds)
    return student.fit(w2s.texts, w2s.weak)
"""


@pytest.fixture(scope="module")
def prepared(smoke):
    task = load_task("reviews").model_copy(update={
        "name": "smoke-prompts", "views": ("last:1",), "labelled": 24, "pool": 24, "search_draws": 1, "sealed_draws": 1,
        "student_seeds": 1, "memory_mib": 3000, "fit_seconds": 600.0, "max_tokens": 32,
        "split": Split(validation=(0, 35), public=(500, 550), sealed=(3500, 3535), region=(6500, 6570)),
    })  # fmt: skip
    return prepare_small(task, prompts=True)


@pytest.fixture(scope="module")
def engine(prepared):
    engine = Engine(prepared, b"e" * 32, "bubblewrap", [Slot(0)])
    yield engine
    engine.close()


def run(engine, source, draw=0):
    source = CHECK + source
    return engine.run(source, "methods/x.py", [draw], scan(source.encode(), "x.py"), Slot(0))


def test_zero_shot_answers_beat_the_weak_teacher_and_compete_on_their_own_track(engine, prepared):
    outcome = run(engine, ZERO_SHOT)
    assert outcome.error is None
    right = correctness(prepared, "search", outcome.predictions)
    assert right.mean() > prepared.anchors("search", [0]).weak.mean()
    found = scan(ZERO_SHOT.encode(), "x.py")
    assert found.track == "elicitation" and found.uses == {"zero_shot"}


def test_a_file_that_hides_what_it_asks_for_is_not_handed_it(engine):
    assert scan(HIDDEN.encode(), "x.py").track == "main"
    outcome = run(engine, HIDDEN)
    assert outcome.status == "crashed" and "not handed to this file" in outcome.error


def test_contrast_pairs_come_for_the_pool_and_for_test_items(engine):
    assert scan(CONTRAST.encode(), "x.py").uses == {"contrast"}
    assert run(engine, CONTRAST).error is None


def test_a_file_that_asks_for_the_model_can_use_it_on_texts_of_its_own(engine):
    outcome = run(engine, LIVE)
    assert outcome.error is None, outcome.error


def test_where_the_prompts_were_not_prepared_the_way_to_it_is_told(engine):
    assert "prepare smoke-prompts --prompts" in run(engine, ZERO_SHOT, draw=1).error  # sealed items were not asked about yet
