"""A folder of jsonl files in the published formats goes all the way, with embedded models. The commands of the README; those that
prepare run in this process, under the secret of the tests."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from aar import main
from eval.by_hand import evaluate
from eval.data.load import load_rows
from eval.task import GeneratedData, RatedData
from tests.home import small_preparations

ROOT = Path(__file__).parents[2]
EMBEDDED = ("--strong", "minilm-l6", "--weak", "logistic", "--students", "probe")


@pytest.fixture(scope="module")
def home(smoke, tmp_path_factory):
    """An AAR_HOME of its own that shares packages and models with the one of the session."""
    shared, home = smoke.folder.root.parent.parent, tmp_path_factory.mktemp("home")
    for name in ("packages", "models"):
        (home / name).symlink_to(shared / name)
    return home


def aar(home: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "aar.py", *arguments], cwd=ROOT, env={**os.environ, "AAR_HOME": str(home), **environment},
                          stdin=subprocess.DEVNULL, capture_output=True, text=True)


def write(folder: Path, rows: list[dict], sizes: tuple[int, int, int]) -> Path:
    """Three files of these sizes, the pool without labels and its labels in a file of their own."""
    folder.mkdir()
    ends = (sizes[0], sizes[0] + sizes[1], sum(sizes))
    parts = rows[: ends[0]], rows[ends[0] : ends[1]], rows[ends[1] : ends[2]]
    labels = [{"label": row["label"]} for row in parts[1]]
    pool = [{key: value for key, value in row.items() if key != "label"} for row in parts[1]]
    for name, content in {"train_label": parts[0], "train_unlabel": pool, "train_unlabel.labels": labels, "test": parts[2]}.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in content))
    return folder


def chat_rows(count: int) -> list[dict]:
    """Pairs of short reviews, of which one likes its film."""
    rows, rng = load_rows(RatedData(source="rated", set="movies", threshold=1.0)), random.Random(0)
    texts = {label: sorted((row.fields["text"] for row in rows if row.label == label), key=len) for label in (0, 1)}
    made = []
    for number in range(count):
        pair = [texts[0][number], texts[1][number]]
        better = rng.choice("AB")
        first, second = pair if better == "B" else reversed(pair)
        made.append({"prompt": f"Which review of film {number} likes it?", "first": first, "second": second, "label": better})
    return made


def math_rows(count: int) -> list[dict]:
    rows = load_rows(GeneratedData(source="arithmetic", questions=count // 6 + 1), b"any")
    rows.sort(key=lambda row: row.group)
    return [{**row.fields, "label": bool(row.label), "consistency_id": row.group, "consistency_key": row.key} for row in rows][:count]


def by_command(home: Path, task: str) -> dict:
    scored = aar(home, "eval", "methods/soft.py", "--task", task, "--json")
    assert scored.returncode == 0, scored.stderr
    return json.loads(scored.stdout)


def by_hand(home: Path, task: str) -> dict:
    """What that command runs, without its walk through the walls, and on one draw."""
    return evaluate(ROOT / "methods" / "soft.py", task, "bubblewrap", draws=1)


@pytest.mark.parametrize(("task", "rows", "sizes", "score"), [("chat", chat_rows, (220, 48, 80), by_command),
                                                              ("math", math_rows, (240, 60, 90), by_hand)])  # fmt: skip
def test_a_folder_in_the_published_format_is_prepared_and_scored(home, tmp_path, monkeypatch, capsys, task, rows, sizes, score):
    folder = write(tmp_path / "data", rows(sum(sizes)), sizes)
    monkeypatch.setenv("AAR_HOME", str(home))
    with small_preparations():
        main(["prepare", task, "--data", str(folder), *EMBEDDED], standalone_mode=False)
    assert f"task {task} is prepared" in capsys.readouterr().err
    verdict = score(home, task)
    assert verdict["status"] == "scored" and 0.4 < verdict["accuracy"] <= 1


def test_data_that_are_not_there_are_told_in_one_line(home, tmp_path):
    done = aar(home, "prepare", "code", "--data", str(tmp_path / "nowhere"), *EMBEDDED)
    said = done.stderr.strip().splitlines()
    assert done.returncode == 2 and [line for line in said if not line.startswith("prepare code:")] == said[-1:] and "nowhere" in said[-1]


def test_a_hub_model_that_cannot_be_had_is_told_in_one_line(home, tmp_path):
    folder = write(tmp_path / "data", math_rows(60), (20, 20, 20))
    done = aar(home, "prepare", "code", "--data", str(folder), *EMBEDDED, "--strong", "Qwen/Qwen3-4B-Base", HF_HUB_OFFLINE="1")
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 2 and last.startswith("aar: ") and "Qwen/Qwen3-4B-Base" in last and "Traceback" not in done.stderr
