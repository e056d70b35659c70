"""The labels of generated tasks cannot be made again from what agents can read: the program, the task file and the open kit."""

import json

import pytest
from rich.console import Console

from eval.data.load import load_rows
from eval.practice import OPEN
from eval.prepare import _Preparation
from eval.prepared import PARTS, TaskFolder
from eval.task import load_task
from tests.home import same_secret


def written(task, home, monkeypatch):
    """Part -> texts, as a preparation in a fresh home writes them with a secret of its own, and the folder of the task."""
    monkeypatch.setenv("AAR_HOME", str(home))
    folder = TaskFolder(task)
    folder.root.parent.mkdir(parents=True)
    preparation = _Preparation(task, folder, Console(quiet=True))
    with same_secret(home.name):
        preparation._start_folder()
    preparation._write_parts()
    lines = {name: (folder.part(name) / "items.jsonl").read_text().splitlines() for name in (*PARTS, "region")}
    return {name: {json.loads(line)["text"] for line in part} for name, part in lines.items()}, folder


@pytest.mark.parametrize("name", ["arithmetic", "snippets"])
def test_whoever_has_the_program_and_the_task_file_but_not_the_secret_makes_other_rows(name, tmp_path, monkeypatch):
    task = load_task(name)
    task = task.model_copy(update={"data": task.data.model_copy(update={"questions": 150})})
    own, folder = written(task, tmp_path / "own", monkeypatch)
    # Another machine's preparation, and all that is open: no secret but the practice task's, names, and the words of the files.
    guesses = [written(task, tmp_path / "other", monkeypatch)[0]]
    for secret in (OPEN, name.encode(), bytes(32), task.description.encode()):
        rows = load_rows(task.data, secret)
        guesses.append({"all": {task.template.format(**row.fields) for row in rows}})
    everything = set().union(*own.values())
    assert all(len(everything & set().union(*guess.values())) < 0.01 * len(everything) for guess in guesses)
    # The control: who has the secret makes every one of them again.
    rows = load_rows(task.data, folder.secret.read_bytes())
    assert everything <= {task.template.format(**row.fields) for row in rows} and folder.secret.parent == folder.private


@pytest.mark.parametrize("name", ["arithmetic", "snippets"])
def test_without_a_secret_no_row_is_made(name):
    with pytest.raises(ValueError, match="made from a secret"):
        load_rows(load_task(name).data)


def test_a_task_file_cannot_name_a_seed():
    from pydantic import ValidationError

    from eval.task import GeneratedData
    with pytest.raises(ValidationError, match="seed"):
        GeneratedData(source="snippets", questions=20, seed=3)
