"""A task whose students are fine-tuned where it is searched: anchors by the same students, and methods that run behind the walls. A
real model."""

import numpy as np
import pytest

from eval.engine import Engine
from eval.scan import scan
from eval.score import Anchored, correctness
from eval.slots import Slot
from eval.task import FineTuning, Split
from tests.eval.checked import CHECK
from tests.home import prepare_small


@pytest.fixture(scope="module")
def prepared(smoke):
    task = smoke.task.model_copy(update={
        "name": "smoke-finetuned", "views": ("mean:1",), "student": "finetune", "verify_student": "probe", "labelled": 120,
        "pool": 120, "search_draws": 1, "sealed_draws": 1, "student_seeds": 1, "memory_mib": 3000, "fit_seconds": 1200.0,
        "finetune": FineTuning(method="full", head="head", epochs=2, lr=2e-4, batch=16, max_tokens=24),
        "split": Split(validation=(0, 40), public=(500, 700), sealed=(3500, 3535), region=(6500, 6850)),
    })  # fmt: skip
    return prepare_small(task)


def test_the_ceiling_is_a_fine_tuned_student_and_beats_the_teacher(prepared):
    anchors = prepared.anchors("search", [0])
    assert "l2" not in prepared.settings["finetune"]["ceiling"]["recipe"]
    assert anchors.ceiling.mean() > anchors.weak.mean() + 0.03


def test_a_method_gets_fine_tuned_students_behind_the_walls(prepared):
    source = CHECK + """
def fit(w2s):
    student = w2s.student()
    epochs = []
    student.fit(w2s.texts, w2s.weak, on_epoch=lambda epoch, s: epochs.append(epoch))
    w2s.log("epochs", len(epochs))
    check(epochs == [1, 2], epochs)
    check(type(student).__name__ == "FineTuned")
    other = w2s.student(init=student.state())
    check(abs(other.predict_proba(w2s.texts[:4]) - student.predict_proba(w2s.texts[:4])).max() < 1e-4)
    return student
"""
    engine = Engine(prepared, b"f" * 32, "bubblewrap", [Slot(0)])
    try:
        outcome = engine.run(source, "methods/x.py", [0], scan(source.encode(), "x.py"), Slot(0))
    finally:
        engine.close()
    assert outcome.error is None and outcome.status == "scored"
    right = correctness(prepared, "search", outcome.predictions)
    figures = Anchored.of(prepared, "search", [0]).figures(right)
    # Better than chance, by a one-sided test at 5 %: .559 of 194 items; .619 with the draws of `same_secret`.
    assert right.mean() > 0.5 + 1.645 * np.sqrt(0.25 / right.shape[-1]) and np.isfinite(figures["accuracy"])
