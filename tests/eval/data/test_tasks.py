"""The task files and the page that tells how to write one."""
import json
import re
from pathlib import Path

import pytest
import tomli

from eval.data.load import load_rows
from eval.task import (
    FOLDER,
    FineTuning,
    FolderData,
    GeneratedData,
    HubData,
    ImportedAnchors,
    Prompts,
    RatedData,
    Split,
    Task,
    TeacherSpec,
    load_task,
    task_names,
    tell,
)
from state.errors import UserError

PAGE = (FOLDER / "README.md").read_text(encoding="utf-8")
FIELDS = {"rated": {"text"}, "preference": {"prompt", "first", "second"}, "binary": {"question", "choice"}}


def blocks(kind):
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)


def fields_of(task):
    return FIELDS["rated" if task.data.source == "rated" else getattr(task.data, "format", "binary")]


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("AAR_HOME", str(tmp_path))
    return tmp_path


def test_the_example_of_the_page_is_a_task_and_loads_its_rows(tmp_path):
    task = Task.model_validate(tomli.loads(blocks("toml")[0]))
    files = re.findall(r"`capitals/([\w.]+)`", PAGE)
    assert len(files) == len(blocks("jsonl")) == 3
    for file, lines in zip(files, blocks("jsonl")):
        (tmp_path / file).write_text(lines, encoding="utf-8")
    rows = load_rows(task.data.model_copy(update={"folder": str(tmp_path)}))
    assert len(rows) == 6 and len({row.group for row in rows}) == 3
    assert task.template.format(**rows[0].fields).endswith("Label:")


@pytest.mark.parametrize("model", [Task, Split, RatedData, GeneratedData, FolderData, HubData, Prompts, FineTuning, TeacherSpec,
                                   ImportedAnchors])
def test_the_page_explains_every_field(model):
    told = set(re.findall(r"`\[*([\w.]+)\]*`", PAGE))
    assert not set(model.model_fields) - told - {"source", "set"} - {name for name in ("data",) if "[data]" in PAGE}


def test_the_page_names_every_task():
    assert not [name for name in task_names() if f"`{name}`" not in PAGE]


@pytest.mark.parametrize("name", task_names())
def test_templates_and_prompts_use_the_fields_of_the_items_and_braces_in_texts_do_no_harm(name):
    task = load_task(name)
    fields = dict.fromkeys(fields_of(task), "set {x} of {0} {")
    rendered = [task.template.format(**fields)]
    if task.prompts:
        rendered.append(task.prompts.zero_shot.format(**fields))
        completed = task.prompts.contrast.format(**fields, answer=task.prompts.answers[1])
        assert completed == rendered[1] + task.prompts.answers[1]
    assert all(text.count("set {x} of {0} {") == len(fields) for text in rendered)


@pytest.mark.parametrize("name", ["chat", "math", "code", "helpsteer", "shp", "openmath"])
def test_tasks_for_large_models_ask_for_a_label_and_train_as_published(name):
    task = load_task(name)
    assert task.template.endswith("Label:") and task.prompts.answers in ((" A", " B"), (" False", " True"))
    assert (task.strong, task.teachers[0].model) == ("Qwen/Qwen3-4B-Base", "Qwen/Qwen1.5-0.5B-Chat")
    assert all(len(revision) == 40 for revision in (task.revision, task.teachers[0].revision))
    for settings in (task.finetune, task.teachers[0].finetune):
        assert (settings.rank, settings.alpha, settings.rslora, settings.targets) == (32, 32, True, "all-linear")
        assert (settings.epochs, settings.lr, settings.warmup, settings.batch) == (5, 1e-4, 0.1, 32)
    assert (task.student_of("search"), task.student_of("sealed")) == ("probe", "finetune")


def test_only_news_is_kept_from_development_among_the_human_rated_tasks():
    assert {name for name in task_names() if load_task(name).transfer_only} >= {"news"}
    assert not any(load_task(name).transfer_only for name in ("reviews", "smoke", "amazon", "tweets"))


@pytest.mark.parametrize("name", ["amazon", "news", "tweets"])
def test_a_rated_task_has_the_items_its_draws_need_and_draws_differ(name):
    task = load_task(name)
    parts = [task.split.part_of(int(row.digest[:12], 16) % 10_000) for row in load_rows(task.data)]
    assert task.labelled + task.pool < 0.8 * parts.count("region")
    assert min(parts.count("public"), parts.count("sealed")) > 500 and parts.count("validation") > 120


def test_a_folder_and_embedded_models_can_be_told_to_chat(smoke, home):
    shared = smoke.folder.root.parent.parent
    folder = home / "data"
    folder.mkdir()
    for number, file in enumerate(("train_label", "train_unlabel", "test")):
        rows = [{"prompt": f"P{number} {row}", "first": "one", "second": "two"} for row in range(4)]
        if file != "train_unlabel":
            rows = [{**row, "label": "A"} for row in rows]
        (folder / f"{file}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(UserError, match="--data FOLDER"):
        load_rows(load_task("chat").data)
    (home / "models").symlink_to(shared / "models")
    tell("chat", data=str(folder), strong="smollm2-135m", weak="forest")
    task = load_task("chat")
    assert (task.strong, task.revision, task.teachers[0].kind) == ("smollm2-135m", None, "forest")
    assert len(load_rows(task.data)) == 12 and Path(task.data.folder) == folder
