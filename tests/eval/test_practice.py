import importlib.util
from pathlib import Path

import numpy as np

from eval.practice import practice_of
from eval.task import load_task, task_names, tell
from eval.w2s import open_kit, practice_test

METHODS = Path(__file__).parents[2] / "methods"


def accuracy(model, folder) -> float:
    batch, labels = practice_test(folder)
    return float(((model.predict_proba(batch)[:, 1] > 0.5) == labels).mean())


def test_a_method_can_be_tried_to_its_accuracy_without_a_submission(smoke):
    spec = importlib.util.spec_from_file_location("soft", METHODS / "soft.py")
    method = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(method)
    folder = smoke.folder.practice
    assert 0.4 < accuracy(method.fit(open_kit(folder)), folder) < 1


def test_true_labels_teach_more_than_the_practice_teacher(smoke):
    folder = smoke.folder.practice
    kit, truth = open_kit(folder), np.load(folder / "labels.npy")
    best = accuracy(kit.student().fit(kit.texts, truth), folder)
    assert best > accuracy(kit.student().fit(kit.texts, kit.weak), folder) and best > 0.6


def test_practice_items_are_of_another_concept(smoke):
    kit = open_kit(smoke.folder.practice)
    assert set(kit.items[0].fields) != set(smoke.parts["public"].fields[0])
    for name in task_names():
        task = load_task(name)
        practice = practice_of(task)
        assert practice.data.source != task.data.source


def test_no_question_of_the_practice_test_is_in_its_pool(smoke):
    kit, (batch, _) = open_kit(smoke.folder.practice), practice_test(smoke.folder.practice)
    assert not {item.fields["question"] for item in kit.items} & {item.fields["question"] for item in batch.items}


def test_what_was_told_of_another_task_is_not_meant_for_the_practice_task(smoke, tmp_path, monkeypatch):
    monkeypatch.setenv("AAR_HOME", str(tmp_path))
    (tmp_path / "models").symlink_to(smoke.folder.root.parent.parent / "models")
    tell("snippets", weak="minilm-l6")
    assert load_task("snippets").teachers[0].kind == "finetune"
    assert practice_of(smoke.task).teachers == load_task("snippets", as_told=False).teachers
    assert practice_of(smoke.task).teachers[0].kind == "forest"
