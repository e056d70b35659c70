import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from safetensors.numpy import save_file

from eval.blocks import Blocks
from eval.draws import make_draw
from eval.models import resolve_model
from eval.prepare import prepare, summary
from eval.prepared import PARTS, build_key, open_prepared
from eval.task import FolderData, Prompts, TeacherSpec, load_task
from state.errors import UserError
from state.paths import aar_home
from tests.sandbox.help import over

ROOT = Path(__file__).parents[2]


def numbers(smoke):
    return [*smoke.search_draws, *smoke.sealed_draws, "open"]


def test_labels_and_test_texts_are_in_no_file_that_agents_may_read(smoke):
    shown = "".join(path.read_text() for path in smoke.folder.open.rglob("*") if path.suffix in (".md", ".json", ".jsonl"))
    for name in PARTS:
        for text in smoke.parts[name].texts:
            assert json.dumps(text, ensure_ascii=False)[1:-1] not in shown
    assert all(set(json.loads(line)) == {"text", "fields"} for line in (smoke.folder.kit / "items.jsonl").read_text().splitlines())
    files = {path.name for path in smoke.folder.kit.iterdir()}
    assert files == {"items.jsonl", "groups.npy", "teachers.npy", "kit.json", "mean-4.npy", "mean-6.npy"}


def test_where_models_lie_on_this_machine_is_listed_for_the_operator_and_shown_to_no_agent(smoke):
    """Agents are shown a copy of `open` under another root, in which links that lead out of it lead nowhere."""
    listed = json.loads((smoke.folder.open / "models.json").read_text())["strong"]
    assert {name for _, name in listed} >= {"config.json", "model.safetensors"} and all(Path(file).is_file() for file, _ in listed)
    for path in smoke.folder.open.rglob("*"):
        if path.is_symlink():
            assert smoke.folder.open not in path.resolve().parents and not Path(os.readlink(path)).is_absolute()
        elif path.suffix in (".md", ".json", ".jsonl"):
            assert str(aar_home()) not in path.read_text(), path


def test_what_is_private_is_closed_to_everybody_else(smoke):
    assert smoke.folder.private.stat().st_mode & 0o777 == 0o700
    for path in smoke.folder.private.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_pool_labelled_and_test_items_are_strangers_to_each_other(smoke):
    tests = {text for name in PARTS for text in smoke.parts[name].texts}
    assert not tests & set(smoke.region.texts)
    for number in numbers(smoke):
        with np.load(smoke.folder.draw(number)) as stored:
            labelled, pool = set(stored["labelled"]), set(stored["pool"])
        assert len(labelled) == smoke.task.labelled and len(pool) == smoke.task.pool and not labelled & pool


def test_a_draw_follows_from_the_secret_and_its_number_alone(smoke):
    secret = smoke.folder.secret.read_bytes()
    again = make_draw(smoke, secret, 2)
    with np.load(smoke.folder.draw(2)) as stored:
        assert all(np.array_equal(stored[name], again[name]) for name in again)
    assert not np.array_equal(make_draw(smoke, bytes(32), 2)["pool"], again["pool"])
    assert not np.array_equal(make_draw(smoke, secret, 1)["pool"], again["pool"])


def test_the_teacher_calls_as_much_of_the_pool_positive_as_of_its_labelled_items(smoke):
    for number in numbers(smoke):
        with np.load(smoke.folder.draw(number)) as stored:
            rate = smoke.region.labels[stored["labelled"]].mean()
        assert abs((smoke.draw(number).weak[:, 1] > 0.5).mean() - rate) < 0.02


def test_a_draw_has_what_the_evaluator_needs(smoke):
    draw = smoke.draw(1)
    n = smoke.task.pool
    assert draw.phase == "search" and smoke.draw(smoke.sealed_draws[0]).phase == "sealed"
    assert len(draw.texts) == len(draw.fields) == len(draw.groups) == len(draw.labels) == n
    assert draw.teachers.shape == (1, n, 2) and draw.teachers.dtype == np.float32
    assert list(draw.features) == list(smoke.task.views)
    row = smoke.region.texts.index(draw.texts[5])
    assert all(np.array_equal(draw.features[view][5], smoke.region.features[view][row]) for view in draw.features)
    assert draw.labels[5] == smoke.region.labels[row]
    with pytest.raises(ValueError, match="draw 99"):
        smoke.draw(99)


def test_anchors_have_the_shape_and_the_order_that_scores_are_taken_against(smoke):
    seeds = smoke.task.student_seeds
    for phase, part, draws in (("search", "public", smoke.search_draws), ("sealed", "sealed", smoke.sealed_draws)):
        items, found = len(smoke.parts[part].texts), smoke.anchors(phase, draws)
        assert found.weak.shape == (len(draws), items) and found.weak.dtype == bool
        assert found.ceiling.shape == found.tuned_naive.shape == (seeds, len(draws), items)
        backwards = smoke.anchors(phase, draws[::-1])
        assert np.array_equal(backwards.ceiling, found.ceiling[:, ::-1])
        assert found.ceiling.mean() > found.weak.mean() + 0.03
    with pytest.raises(ValueError, match="the search draws"):
        smoke.anchors("search", smoke.sealed_draws)


def test_an_unprepared_task_is_refused_with_the_command_to_say(tmp_path, monkeypatch):
    monkeypatch.setenv("AAR_HOME", str(tmp_path))
    with pytest.raises(UserError, match="task smoke is not prepared .*python aar.py prepare smoke"):
        open_prepared("smoke")


def test_a_task_that_was_defined_otherwise_is_not_taken_for_prepared():
    task = load_task("smoke")
    assert build_key(task.model_copy(update={"pool": task.pool + 1})) != build_key(task)
    assert build_key(task.model_copy(update={"description": "Other words."})) == build_key(task)


def test_preparing_again_changes_nothing(smoke):
    before = {path: path.stat().st_mtime_ns for path in smoke.folder.root.rglob("*")}
    prepare("smoke", quiet=True)
    assert before == {path: path.stat().st_mtime_ns for path in smoke.folder.root.rglob("*")}
    assert "weak 0." in summary(smoke) and "\n" not in summary(smoke)


def test_opening_a_prepared_task_imports_no_heavy_library(smoke):
    code = ("import sys; from eval.prepared import open_prepared; p = open_prepared('smoke'); p.draw(0); p.anchors('search', [0]);"
            "print([name for name in ('torch', 'transformers', 'sklearn', 'scipy') if name in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.fixture
def other_home(smoke, tmp_path):
    """An AAR_HOME with the models and packages of the first one and nothing prepared."""
    (tmp_path / "packages").mkdir(mode=0o700)
    for file in (aar_home() / "packages").iterdir():
        if not file.name.startswith("."):
            os.link(file, tmp_path / "packages" / file.name) if file.stat().st_dev == tmp_path.stat().st_dev \
                else shutil.copy(file, tmp_path / "packages")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "minilm-l6").symlink_to(aar_home() / "models" / "minilm-l6")
    return tmp_path


SMALL = """
import sys, time
from pathlib import Path
import eval.blocks, eval.features, eval.practice
from eval.features import compute_features
from eval.prepare import prepare_task
from eval.task import Split, load_task

hold = Path(sys.argv[1])


def held(encoder, items, folder, progress, workers=None):
    # While `hold` is there, what is read since is told nobody: each worker comes to the end of its chunk and gets no other one.
    at_start = []

    def told(done, total):
        at_start.append(done)
        while done > at_start[0] and hold.exists():
            time.sleep(0.02)
        progress(done, total)

    return compute_features(encoder, items, folder, told, workers=int(sys.argv[2]))


eval.blocks.compute_features = held
eval.features.WORTH_A_WORKER["cpu"] = 1e9  # or so little to read were work for one
eval.practice.QUESTIONS = 10
split = Split(validation=(0, 30), public=(500, 540), sealed=(3500, 3530), region=(6500, 6700))
changes = {"views": ("mean:6",), "labelled": 50, "pool": 60, "search_draws": 1, "sealed_draws": 1, "student_seeds": 1, "split": split}
prepare_task(load_task("smoke").model_copy(update=changes))
"""


def test_a_killed_preparation_takes_its_workers_along_and_goes_on_later_while_another_one_waits_for_it(other_home):
    hold = other_home / "hold"
    hold.touch()
    command = [sys.executable, "-c", SMALL, str(hold)]  # and how many workers: each takes seconds to load torch
    here = {"AAR_HOME": str(other_home), "CUDA_VISIBLE_DEVICES": ""}  # a GPU reads it all at once
    options = {"cwd": ROOT, "env": {**os.environ, **here}, "stderr": subprocess.PIPE, "text": True}
    private, features = other_home / "tasks" / "smoke" / "private", other_home / "features" / "smoke"

    def chunks():
        """Those of hidden states that are there, and which file each is."""
        return {path: path.stat().st_ino for path in features.glob("*/.text-*/chunk-*.npz")}

    def until(more, process):
        while not more():
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.05)

    first = subprocess.Popen([*command, "2"], **options)
    until(chunks, first)
    workers = psutil.Process(first.pid).children(recursive=True)
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    assert workers
    for worker in workers:
        while not over(worker):
            time.sleep(0.05)
    secret, done = (private / "secret").read_bytes(), chunks()
    assert done and all(list(np.load(path)) == ["mean:6"] for path in done), "a torn chunk was left"

    second = subprocess.Popen([*command, "1"], **options)
    until(lambda: len(chunks()) > len(done), second)
    assert chunks().items() >= done.items(), "what was done is done again"
    third = subprocess.Popen([*command, "1"], **options)
    said = third.stderr.readline()
    hold.unlink()
    said = [second.communicate()[1], said + third.communicate()[1]]
    assert second.returncode == third.returncode == 0, said
    assert "another process is preparing smoke: waiting for it" in said[1] and "another process" not in said[0]
    assert all("task smoke is prepared" in text for text in said)
    assert (private / "secret").read_bytes() == secret
    assert not list(features.glob("*/.text-*/*")) and (private / "prepared.json").exists()


def test_answers_that_a_language_model_was_taught_to_give_count_and_those_that_nobody_was_do_not(smoke):
    def key(answers, **changes):
        prompts = Prompts(zero_shot="{text}?", answers=answers)
        return build_key(smoke.task.model_copy(update={"prompts": prompts, **changes}))

    no, bad = (" no", " yes"), (" bad", " good")
    assert key(no) == key(bad) == build_key(smoke.task)
    taught = {"teachers": (TeacherSpec(kind="finetune", model="minilm-l6"),)}
    for changes in (taught, {"student": "finetune"}, {"verify_student": "finetune"}):
        assert key(no, **changes) != key(bad, **changes)


def test_a_model_in_a_folder_of_the_user_that_changed_in_place_is_noticed(smoke, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    shutil.copy(resolve_model("minilm-l6") / "tokenizer.json", folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "num_hidden_layers": 2, "hidden_size": 8}))
    save_file({"weights": np.ones((2, 8), np.float32)}, folder / "model.safetensors")
    task = smoke.task.model_copy(update={"strong": str(folder), "views": ("last:1",)})
    weak = smoke.task.model_copy(update={"teachers": (TeacherSpec(kind="finetune", model=str(folder)),)})

    def known():
        return build_key(task), build_key(weak), Blocks(task, folder)._digest(smoke.region.fields[:3], "text")

    before = known()
    assert before == known() and build_key(smoke.task) == build_key(smoke.task.model_copy())
    weights = folder / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-4] + bytes(4))  # as many bytes as before
    os.utime(weights, ns=(0, weights.stat().st_mtime_ns + 1))
    assert all(one != other for one, other in zip(before, known()))


def test_a_folder_that_a_task_file_names_is_the_same_wherever_a_command_is_typed(tmp_path, monkeypatch):
    data = FolderData(source="jsonl", format="binary", folder="capitals")
    assert data.path == ROOT / "capitals" and FolderData(source="jsonl", format="binary", folder="~/x").path == Path.home() / "x"
    task = load_task("smoke").model_copy(update={"data": FolderData(source="jsonl", format="binary", folder=os.path.relpath(tmp_path, ROOT))})
    here = build_key(task)
    (tmp_path / "test.jsonl").write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert build_key(task) != here
    known = build_key(task)
    monkeypatch.chdir(ROOT)
    assert build_key(task) == known
