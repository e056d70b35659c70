"""A task whose finalists are fine-tuned and whose search is scored with probes, each with anchors of its own; its weak model is a
language model too. And anchors that were not all trained here, which every figure says. Tiny models, real training."""

import json
import os

import numpy as np
import pytest

from eval.asking import Questions
from eval.engine import Engine
from eval.prepared import Prepared
from eval.scan import scan
from eval.score import Anchored, correctness
from eval.slots import Slot
from eval.task import FineTuning, ImportedAnchors, Split, TeacherSpec
from state.paths import aar_home
from tests.eval.checked import CHECK
from tests.eval.tiny import save_tiny
from tests.home import prepare_small


@pytest.fixture(scope="module")
def prepared(smoke, tmp_path_factory):
    home, shared = tmp_path_factory.mktemp("home"), aar_home()
    for name in ("models", "packages"):
        (home / name).symlink_to(shared / name)
    settings = FineTuning(head="head", epochs=1, rank=2, lr=1e-3, batch=16, max_tokens=32)
    weak = str(save_tiny(home / "weak", hidden_size=16, num_hidden_layers=1))
    teacher = TeacherSpec(kind="finetune", model=weak, finetune=settings.model_copy(update={"lr": 1e-2}))
    task = smoke.task.model_copy(update={
        "name": "two-kinds", "strong": str(save_tiny(home / "strong")), "views": ("last:2", "mean:1"), "teachers": (teacher,),
        "student": "probe", "verify_student": "finetune", "finetune": settings, "labelled": 30, "pool": 40, "search_draws": 2,
        "sealed_draws": 1, "student_seeds": 1, "anchor_draws": 1, "memory_mib": 3000, "fit_seconds": 600.0, "verify_fit_seconds": 900.0,
        "split": Split(validation=(0, 40), public=(500, 560), sealed=(3500, 3540), region=(6500, 6640)),
    })  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "AAR_HOME", str(home))
        yield prepare_small(task)


@pytest.fixture(scope="module")
def engine(prepared):
    engine = Engine(prepared, b"k" * 32, "bubblewrap", [Slot(0)])
    yield engine
    engine.close()


def run(engine, body, draws):
    source = CHECK + "def fit(w2s):\n" + "".join(f"    {line}\n" for line in body.splitlines())
    return engine.run(source, "methods/x.py", draws, scan(source.encode(), "methods/x.py"), Slot(0))


def test_each_kind_of_student_has_recipes_and_anchors_of_its_own(prepared):
    assert set(prepared.settings) == {"probe", "finetune"}
    assert "l2" in prepared.settings["probe"]["ceiling"]["recipe"] and "l2" not in prepared.settings["finetune"]["ceiling"]["recipe"]
    with np.load(prepared.folder.anchors(0)) as search, np.load(prepared.folder.anchors(2)) as sealed:
        assert search["ceiling"].shape == (1, len(prepared.parts["public"].texts))
        assert sealed["ceiling"].shape == (1, len(prepared.parts["sealed"].texts))


WEAK_TOO = """
weak, strong = w2s.student(size="weak"), w2s.student()
weak.fit(w2s.texts, w2s.weak)
check(weak.predict_proba(w2s.texts[:3]).shape == (3, 2))
check(weak.embed(w2s.texts[:3]).shape == (3, 16) and strong.embed(w2s.texts[:3]).shape == (3, 32))
try:
    w2s.student(size="medium")
except ValueError as error:
    check("strong, weak" in str(error), str(error))
else:
    check(False)
"""


def test_a_method_gets_probes_on_search_draws_and_fine_tuned_students_of_both_models_on_sealed_ones(engine, prepared):
    body = "student = w2s.student()\ncheck(type(student).__name__ == '{}', type(student))\nreturn student.fit(w2s.texts, w2s.weak)"
    for draws, kind, part in (([0], "Student", "public"), ([2], "FineTuned", "sealed")):
        outcome = run(engine, (WEAK_TOO if kind == "FineTuned" else "") + body.format(kind), draws)
        assert outcome.error is None and outcome.predictions.shape == (1, len(prepared.parts[part].texts), 2)


def test_a_probe_is_of_the_strong_model_alone(engine):
    assert "this task has one student, 'strong'" in run(engine, "return w2s.student(size='weak')", [0]).error


def test_a_fine_tuned_teacher_answers_questions_too_and_trained_anew_it_says_the_same(prepared):
    questions, draw = Questions(prepared, lambda number, count: np.arange(count)), prepared.draw(1)
    labels, refitted, other = (questions.answer({**question, "number": 0}, [1])[1]["labels"] for question in (
        {"ask": "label", "fields": draw.fields[:20]}, {"ask": "refit", "prefix": ""}, {"ask": "refit", "prefix": "wonderful film "}))
    assert np.allclose(labels, draw.weak[:20], atol=1e-5) and np.allclose(refitted, draw.weak, atol=1e-5) and np.ptp(labels[:, 1]) > 0.01
    assert other.shape == refitted.shape and not np.allclose(other, refitted, atol=1e-3)


def test_a_draw_without_anchors_takes_the_mean_of_the_others_and_figures_say_so(prepared):
    alone, both = prepared.anchors("search", [0]), prepared.anchors("search", [1, 0])
    assert not prepared.folder.anchors(1).exists() and alone.origin == ""
    assert np.array_equal(both.ceiling[:, 0], alone.ceiling[:, 0]) and np.array_equal(both.ceiling[:, 1], alone.ceiling[:, 0])
    assert both.weak.shape == (2, len(prepared.parts["public"].texts)) and both.weak[0].tolist() != both.weak[1].tolist()
    figures = Anchored.of(prepared, "search", [0, 1]).figures(both.weak)
    assert figures["anchors"] == "ceiling and tuned naive on 1 of 2 draws"
    assert "anchors" not in Anchored.of(prepared, "search", [0]).figures(alone.weak)


def test_imported_anchors_are_the_scale_and_every_figure_carries_where_they_are_from(smoke):
    imported = ImportedAnchors(weak=0.6, ceiling=0.9, tuned_naive=0.66, origin="a table of a paper")
    prepared = Prepared(smoke.task.model_copy(update={"anchors": imported}), smoke.folder)
    labels = prepared.parts["public"].labels
    chances = np.eye(2)[np.where(np.arange(len(labels)) % 4 < 3, labels, 1 - labels)]
    right = correctness(prepared, "search", np.stack([chances] * 3))
    figures = Anchored.of(prepared, "search", [0, 1, 2]).figures(right)
    assert figures["pgr"] == pytest.approx((right.mean() - 0.6) / 0.3, abs=1e-4) and figures["anchors"] == "imported: a table of a paper"
    assert figures["lift"] == pytest.approx((right.mean() - 0.66) / 0.3, abs=1e-4) and figures["weak_accuracy"] == pytest.approx(0.6)
    assert json.loads(json.dumps(figures))["anchors"] == figures["anchors"]
