"""Methods are taken to other tasks as they are: files and a run's best, each against the task's own anchors. Real sandboxes."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

import eval.task
from eval.client import baselines, check_submittable, evaluate_by_hand
from eval.client import transfer as by_command
from eval.prepared import TaskFolder, build_key
from eval.transfer import chosen_tasks, from_files, from_run, transfer, worst
from state.errors import UserError
from state.paths import RunPaths
from tests.eval.homes import add_twin, private_home, write_methods
from tests.eval.test_baselines import NAIVE, SOFT
from tests.view.made import add, make_run, verdict
from view.transfer import transfer_text


@pytest.fixture
def tasks(smoke, tmp_path, monkeypatch):
    """The tasks `smoke` and `twin`, which is only for transfer and prepared as well, and `later`, which is not."""
    folder = tmp_path / "tasks"
    folder.mkdir()
    text = (eval.task.FOLDER / "smoke.toml").read_text()
    (folder / "smoke.toml").write_text(text)
    (folder / "twin.toml").write_text(text.replace('name = "smoke"', 'name = "twin"\ntransfer_only = true'))
    (folder / "later.toml").write_text(text.replace('name = "smoke"', 'name = "later"'))
    home = private_home(tmp_path)
    monkeypatch.setattr(eval.task, "FOLDER", folder)
    monkeypatch.setenv("AAR_HOME", str(home))
    add_twin(home, eval.task.load_task("twin"))
    return home


def run_with(tmp_path: Path, **bodies: str) -> RunPaths:
    """A run whose submissions are the methods in `bodies`, committed, the first one the best."""
    user = tmp_path / "user"
    user.mkdir()
    write_methods(user / "methods", **bodies)
    for arguments in (["init", "--quiet"], ["add", "-A"], ["-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "--quiet", "-m", "x"]):
        subprocess.run(["git", *arguments], cwd=user, check=True)
    paths = make_run(tmp_path)
    subprocess.run(["git", "clone", "--quiet", "--bare", str(user), str(paths.repo)], check=True)
    paths.toml.write_text(paths.toml.read_text().replace('task = "reviews"', 'task = "smoke"'))
    head = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=user, text=True).strip()
    for number, name in enumerate(bodies, 1):
        add(paths, verdict(f"s{number:04d}", pgr=0.8 - 0.1 * number, commit=head, method=f"methods/{name}.py"))
    shutil.rmtree(user)
    return paths


def test_a_matrix_has_a_row_for_each_method_and_task_and_what_is_known_is_not_run_again(tasks, tmp_path):
    folder = write_methods(tmp_path / "m", naive=NAIVE, soft=SOFT)
    candidates, events = from_files(sorted(folder.glob("*.py"))), []
    facts = transfer(candidates, ["smoke", "twin", "later"], "bubblewrap", events.append)
    assert [(row["method"], row["task"], row["status"]) for row in facts["rows"]] == [
        (method, task, "scored") for task in ("smoke", "twin") for method in ("naive.py", "soft.py")
    ]
    assert facts["missing"] == [{"task": "later", "error": "not prepared: `python aar.py prepare later`", "asked": True}]
    assert [task["transfer_only"] for task in facts["tasks"]] == [False, True]
    assert all(row["lift_low"] < row["lift"] < row["lift_high"] for row in facts["rows"])
    again: list[dict] = []
    twice = transfer(candidates, ["twin", "smoke"], "bubblewrap", again.append)
    assert sorted(row["time"] for row in twice["rows"]) == sorted(row["time"] for row in facts["rows"])
    assert {event["event"] for event in again} == {"begin"}


def test_of_a_run_the_best_three_are_taken_from_their_commits(tasks, tmp_path):
    paths = run_with(tmp_path, soft=SOFT, naive=NAIVE, other=SOFT.replace("0.3", "1.0"), last=SOFT.replace("0.3", "3.0"))
    candidates, developed_on = from_run(paths)
    assert [one.name for one in candidates] == ["s0001 soft.py", "s0002 naive.py", "s0003 other.py"] and developed_on == "smoke"
    assert b"l2=1.0" in candidates[2].source
    facts = transfer(candidates[:1], ["twin"], "bubblewrap", lambda event: None, developed_on)
    assert facts["worst"] == {"s0001 soft.py": "twin"} and facts["developed_on"] == "smoke"
    with pytest.raises(UserError, match="no scored submission"):
        from_run(make_run(tmp_path / "empty"))
    add(paths, verdict("s0009", pgr=0.99, commit="f" * 40, method="methods/soft.py"))
    with pytest.raises(UserError, match="has no methods/soft.py of commit ffffffffffff"):
        from_run(paths)


def test_without_names_all_prepared_tasks_are_taken_the_runs_own_first(tasks):
    ready, missing = chosen_tasks(None, "smoke")
    assert ready == ["smoke", "twin"] and [(one["task"], one["asked"]) for one in missing] == [("later", False)]
    assert chosen_tasks(None, None)[0] == ["twin"]  # `smoke` is for tests
    with pytest.raises(UserError, match="python aar.py prepare later"):
        chosen_tasks(["later"], None)
    with pytest.raises(UserError, match="unknown task 'nope'"):
        chosen_tasks(["nope"], None)


def test_the_worst_task_is_never_the_one_that_a_method_was_developed_on():
    rows = [{"task": "a", "pgr": 0.1}, {"task": "b", "pgr": 0.4}, {"task": "c", "pgr": 0.3}, {"task": "d", "pgr": None}, {"task": "e"}]
    assert worst(rows, "a")["task"] == "c" and worst(rows, None)["task"] == "a"
    assert worst(rows[3:], None) is None


def redefined(task: str, *changes: tuple[str, str]) -> None:
    """The task as if it had been prepared with these changes of its file."""
    file = eval.task.FOLDER / f"{task}.toml"
    text = file.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    file.write_text(text)
    done = TaskFolder(eval.task.load_task(task)).done
    done.write_text(json.dumps({**json.loads(done.read_text()), "key": build_key(eval.task.load_task(task))}))


FEWER_VIEWS = 'views = ["mean:6", "mean:4"]', 'views = ["mean:6"]'


def test_a_method_that_asks_for_what_a_task_has_not_has_a_cell_that_says_so_and_the_rest_goes_on(tasks, tmp_path):
    candidates, developed_on = from_run(run_with(tmp_path, lower="return w2s.student(view='mean:4').fit(w2s.texts, w2s.weak)", soft=SOFT))
    redefined("twin", FEWER_VIEWS)
    facts = transfer(candidates, ["twin", "smoke"], "bubblewrap", lambda event: None, developed_on)
    cells = {(row["method"], row["task"]): row for row in facts["rows"]}
    assert {cell: row["status"] for cell, row in cells.items()} == {
        ("s0001 lower.py", "twin"): "crashed", ("s0002 soft.py", "twin"): "scored",
        ("s0001 lower.py", "smoke"): "scored", ("s0002 soft.py", "smoke"): "scored",
    }  # fmt: skip
    assert cells["s0001 lower.py", "twin"]["error"].endswith("no feature view 'mean:4': this task has mean:6")
    line = next(line for line in transfer_text(facts).splitlines() if "s0001 lower.py on twin" in line)
    assert "crashed" in line and "no feature view 'mean:4': this task has mean:6" in line


def test_what_came_of_a_run_is_kept_in_its_folder_and_of_files_nowhere_else(tasks, tmp_path):
    paths = run_with(tmp_path, soft=SOFT)
    facts = by_command([paths.name], "smoke", "bubblewrap", lambda event: None, tmp_path)
    kept = json.loads((paths.root / "transfer.json").read_text())
    assert kept["rows"] == facts["rows"] and [row["status"] for row in kept["rows"]] == ["scored"]
    assert kept["developed_on"] == "smoke" and kept["time"].endswith("Z")
    (paths.root / "transfer.json").unlink()
    by_command([str(write_methods(tmp_path / "m", soft=SOFT) / "soft.py")], "smoke", "bubblewrap", lambda event: None, tmp_path)
    assert not (paths.root / "transfer.json").exists()


def test_a_task_whose_model_is_gone_is_missing_and_the_others_are_scored(tasks, tmp_path):
    redefined("twin", ('strong = "minilm-l6"', 'strong = "smollm2-135m"'), FEWER_VIEWS)
    models = (tasks / "models").resolve()
    (tasks / "models").unlink()
    (tasks / "models").mkdir()
    (tasks / "models" / "minilm-l6").symlink_to(models / "minilm-l6")
    candidates = from_files([write_methods(tmp_path / "m", soft=SOFT) / "soft.py"])
    facts = transfer(candidates, ["twin", "smoke"], "bubblewrap", lambda event: None)
    assert [row["task"] for row in facts["rows"]] == ["smoke"] and [one["task"] for one in facts["missing"]] == ["twin"]
    assert "smollm2-135m" in facts["missing"][0]["error"] and "\n" not in facts["missing"][0]["error"]
    with pytest.raises(UserError, match="smollm2-135m"):
        transfer(candidates, ["twin"], "bubblewrap", lambda event: None)


def test_two_files_of_one_name_are_told_apart(tmp_path):
    paths = [write_methods(tmp_path / folder, soft=SOFT) / "soft.py" for folder in ("one", "two")]
    assert [one.name for one in from_files(paths)] == [str(path) for path in paths]


def test_a_task_for_transfer_only_takes_no_submission(tasks):
    for attempt in (lambda: check_submittable("twin"), lambda: evaluate_by_hand(Path("methods/naive.py"), "twin", "bubblewrap"),
                    lambda: baselines("twin", "bubblewrap", None, None, print)):
        with pytest.raises(UserError, match="task twin is only for transfer.*python aar.py transfer"):
            attempt()
    check_submittable("smoke")


def test_a_name_that_is_neither_file_nor_run_is_one_clear_line(tmp_path):
    make_run(tmp_path)
    with pytest.raises(UserError, match="no method file gone.py"):
        by_command(["gone.py"], None, "bubblewrap", print, tmp_path)
    with pytest.raises(UserError, match="no run 'gone'.*first"):
        by_command(["gone"], None, "bubblewrap", print, tmp_path)
