"""The table of all methods: equal draws, nothing scored twice, nothing lost, a row for whatever goes wrong. Real sandboxes."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from eval.baselines import ANCHOR, baselines
from eval.client import check_submittable
from state.errors import UserError
from tests.eval.homes import private_home, write_methods

ROOT = Path(__file__).parents[2]
NAIVE = "return w2s.student().fit(w2s.texts, w2s.weak[:, 1] > 0.5, l2=0.01)"
SOFT = "return w2s.student().fit(w2s.texts, w2s.weak, l2=0.3)"
WORSE = "return w2s.student().fit(w2s.texts, w2s.weak[:, 1] < 0.5, l2=0.01)"
NOISY = "rows = w2s.rng.permutation(len(w2s.texts))[:200]\nreturn w2s.student().fit(w2s.texts[rows], w2s.weak[rows], l2=0.3)"


@pytest.fixture
def home(smoke, tmp_path, monkeypatch):
    home = private_home(tmp_path)
    monkeypatch.setenv("AAR_HOME", str(home))
    return home


def table(folder: Path, **options) -> tuple[dict[str, dict], list[dict], dict]:
    """Rows by method in the order of the table, the events, and the facts."""
    events: list[dict] = []
    asked = {"draws": None, "names": None, **options}
    facts = baselines("smoke", "bubblewrap", asked["draws"], asked["names"], events.append, folder)
    return {row["method"]: row for row in facts["rows"]}, events, facts


def test_every_method_has_a_row_best_lower_bound_first_and_failures_say_why(home, tmp_path):
    asks = "return w2s.student().zero_shot(w2s.texts)"
    folder = write_methods(tmp_path / "m", soft=SOFT, worse=WORSE, broken="return 1 / 0", asks=asks, refused="import os\nreturn os")
    rows, events, facts = table(folder)
    names = list(rows)
    scored = [name for name in names if rows[name]["status"] == "scored"]
    assert set(scored) == {"soft.py", "worse.py", ANCHOR} and names[:3] == scored and scored[-1] == "worse.py"
    lows = [rows[name]["pgr_low"] for name in scored]
    assert lows == sorted(lows, reverse=True)
    assert rows["worse.py"]["lift_high"] < 0 < rows["soft.py"]["lift_high"]
    assert rows[ANCHOR]["lift"] == 0 and rows[ANCHOR]["accuracy"] == pytest.approx(facts["tuned_naive_accuracy"])
    assert "ZeroDivisionError" in rows["broken.py"]["error"]
    assert rows["asks.py"]["status"] == "n/a" and "no prompts" in rows["asks.py"]["error"]
    assert rows["refused.py"]["status"] == "rejected" and "imports os" in rows["refused.py"]["error"]
    assert sorted(event["method"] for event in events if event["event"] == "done") == ["broken.py", "soft.py", "worse.py"]
    assert 0.05 < facts["resolvable"] < 0.6 and facts["items"] == 484 and facts["draws"] == 3


def test_what_was_scored_is_not_run_again_unless_it_does_something_else(home, tmp_path):
    folder = write_methods(tmp_path / "m", naive=NAIVE, soft=SOFT)
    first, _, facts = table(folder)
    file = folder / "soft.py"
    file.write_text(file.read_text().replace("A method of a test", "Other words").replace('"test"', '"other"'))
    again, events, _ = table(folder)
    assert [event["event"] for event in events] == ["begin"] and events[0]["known"] == 2
    assert again["soft.py"]["pgr"] == first["soft.py"]["pgr"] and again["soft.py"]["family"] == "other"
    file.write_text(file.read_text().replace("0.3", "0.4"))
    _, events, _ = table(folder)
    assert [event["method"] for event in events if event["event"] == "done"] == ["soft.py"]
    _, events, fewer = table(folder, draws=1, names=["naive"])
    assert events[0]["missing"] == 1 and fewer["draws"] == 1 and fewer["table"] != facts["table"]


def test_every_call_meets_the_same_draws_orders_and_seeds(home, tmp_path):
    folder = write_methods(tmp_path / "m", noisy=NOISY)
    first, _, facts = table(folder)
    os.unlink(facts["file"])
    second, events, _ = table(folder)
    assert any(event["event"] == "done" for event in events) and second["noisy.py"]["status"] == "scored"
    assert [first["noisy.py"][name] for name in ("accuracy", "pgr_low")] == [second["noisy.py"][name] for name in ("accuracy", "pgr_low")]


def test_a_kill_costs_no_more_than_the_method_that_was_running(home, tmp_path):
    folder = write_methods(tmp_path / "m", a_naive=NAIVE, b_soft=SOFT, c_hangs="while True: pass")
    command = [sys.executable, "-m", "eval.baselines", "smoke", "--folder", str(folder)]
    awaited = {("done", "a_naive.py"), ("done", "b_soft.py"), ("started", "c_hangs.py")}  # a machine may have slots for all three
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            event = json.loads(line)
            awaited.discard((event["event"], event.get("method")))
            if not awaited:
                os.kill(process.pid, signal.SIGKILL)
    with open(home / "tasks" / "smoke" / "baselines.jsonl", "a") as kept:
        kept.write('{"torn": "li')  # and the line that was being written
    write_methods(folder, c_hangs=NOISY)
    rows, events, _ = table(folder)
    assert events[0] == {"event": "begin", "task": "smoke", "known": 2, "missing": 1}
    assert [rows[name]["status"] for name in ("a_naive.py", "b_soft.py", "c_hangs.py")] == ["scored"] * 3


def test_figures_made_without_walls_are_never_taken_for_others(home, tmp_path):
    folder = write_methods(tmp_path / "m", naive=NAIVE)
    _, _, facts = table(folder)
    file = Path(facts["file"])
    file.write_text(file.read_text().replace('"isolation":"bubblewrap"', '"isolation":"none"'))
    _, events, _ = table(folder)
    assert events[0]["known"] == 0


def test_what_is_not_there_is_one_clear_line(home, tmp_path):
    folder = write_methods(tmp_path / "m", naive=NAIVE)
    with pytest.raises(UserError, match="no method 'gone' in m/: there is naive"):
        table(folder, names=["gone"])
    with pytest.raises(UserError, match="--draws 9: task smoke has 3 search draws"):
        table(folder, draws=9)
    with pytest.raises(UserError, match="unknown task 'nope'"):
        check_submittable("nope")


def test_the_command_prints_and_saves_the_table_and_its_process_stays_light(home):
    command = [sys.executable, "-X", "importtime", "aar.py", "baselines", "smoke", "--draws", "1", "--methods", "naive,soft"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout == (home / "tasks" / "smoke" / "baselines-of-some.md").read_text()
    assert all(words in done.stdout for words in ("| naive.py ", "| soft.py ", "reference", "smallest difference"))
    said = [line for line in done.stderr.splitlines() if not line.startswith("import time:")]
    assert said[0] == "baselines smoke: 2 methods to run, 0 known from before" and len(said) == 3
    loaded = {line.split("|")[-1].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "view.baselines" in loaded and not loaded & {"numpy", "torch", "sklearn", "transformers"}
