"""Bad input is one clear line, exit code 2, and nothing is lost."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from eval.client import baselines, evaluate_by_hand, transfer
from state.errors import UserError
from state.ledger import Ledger
from tests.conftest import ROOT
from view.scores import verdict_text


def refused(result: tuple[int, str], *words: str) -> None:
    code, printed = result
    lines = printed.strip().splitlines()
    assert code == 2 and len(lines) == 1 and lines[0].startswith("aar: "), printed
    for word in words:
        assert word in lines[0], printed


@pytest.mark.parametrize(
    "arguments, words",
    [
        (("--agents", "0"), ["--agents 0"]),
        (("--agents", "2", "--task", "nope"), ["unknown task 'nope'", "reviews"]),
        (("--agents", "2", "--task", "smoke", "--run", "Bad Name"), ["--run 'Bad Name'"]),
        (("--agents", "2", "--task", "smoke", "--researcher", "oracle"), ["oracle", "search"]),
        (("--agents", "2", "--task", "smoke", "--minutes", "1", "--hours", "1"), ["one of them"]),
        (("--agents", "2", "--task", "smoke", "--gpus", "99"), ["99"]),
        (("--agents", "two"), ["two"]),
        (("status", "nowhere"), ["nowhere"]),
        (("scores",), ["there is no run here yet"]),
        (("resume", "nowhere"), ["nowhere"]),
        (("stop", "nowhere"), ["nowhere"]),
        (("verify", "nowhere"), ["nowhere"]),
        (("clean", "nowhere"), ["nowhere"]),
        (("say", "nowhere", "hello"), ["nowhere"]),
        (("say", "nowhere", " "), ["the text is empty"]),
        (("clean", ".."), [".."]),
        (("--task", "smoke"), ["--agents 9"]),
        (("--minutes", "3", "status"), ["--minutes"]),
        (("scores", "--limit", "0"), ["--limit"]),
        (("eval", "methods/none.py", "--task", "smoke"), ["no method file"]),
        (("baselines", "smoke", "--draws", "9"), ["--draws 9", "3 search draws"]),
        (("transfer", "methods/naive.py", "--prepare"), ["--tasks"]),
        (("prepare", "smoke", "--data", "."), ["--data", "smoke"]),
        (("prepare", "nope"), ["nope"]),
        (("--frobnicate",), ["frobnicate"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_bad_input_is_one_clear_line(smoke, module_checkout, arguments, words):
    refused(module_checkout.aar(*arguments), *words)
    assert not (module_checkout.folder / ".aar" / "runs").exists()


@pytest.mark.parametrize(
    "ask, words",
    [
        (lambda project: evaluate_by_hand(Path("methods/naive.py"), "nope", "bubblewrap"), "unknown task 'nope'"),
        (lambda project: baselines("nope", "bubblewrap", None, None, print), "unknown task 'nope'.*reviews"),
        (lambda project: baselines("smoke", "bubblewrap", None, "naive,none", print), "'none'.*tuned_naive"),
        (lambda project: transfer(["methods/none.py"], None, "bubblewrap", print, project), "no method file methods/none.py"),
        (lambda project: transfer(["nowhere"], None, "bubblewrap", print, project), "nowhere"),
    ],
    ids=("eval-task", "baselines-task", "baselines-methods", "transfer-file", "transfer-run"),
)
def test_bad_input_that_commands_find_behind_their_walls_is_one_clear_line(smoke, module_checkout, ask, words):
    """What these commands do when the walls have been tried, which takes most of their time; `baselines --draws 9` above is one of them."""
    with pytest.raises(UserError, match=words) as told:
        ask(module_checkout.folder)
    assert "\n" not in str(told.value)


def test_a_detached_head_is_refused(smoke, checkout):
    checkout.git("checkout", "--quiet", "--detach")
    refused(checkout.aar("--agents", "2", "--task", "smoke"), "detached")


def test_a_folder_without_git_is_refused(smoke, checkout):
    os.rename(checkout.folder / ".git", checkout.folder / "git-away")
    refused(checkout.aar("--agents", "2", "--task", "smoke"), "not a git repository")


def test_uncommitted_changes_are_refused_but_not_under_prompts_and_an_existing_run_is_refused_and_untouched(smoke, checkout):
    (checkout.folder / "methods" / "naive.py").write_text("# changed\n")
    refused(checkout.aar("--agents", "2", "--task", "smoke"), "methods/naive.py", "--allow-dirty")
    checkout.git("checkout", "--quiet", "methods/naive.py")
    with open(checkout.folder / "prompts" / "researcher.md", "a") as prompt:
        prompt.write("\nBe bold.\n")
    with checkout.going("bold", "--agents", "1", "--task", "smoke", until=lambda paths: Ledger(paths.ledger).submissions) as paths:
        pass
    assert "Be bold." in checkout.git("show", "aar/bold/board:prompts/researcher.md")
    ledger = paths.ledger.read_bytes()
    refused(checkout.aar("--agents", "1", "--task", "smoke", "--run", "bold"), "exists already")
    assert ledger and paths.ledger.read_bytes() == ledger


def test_a_home_that_cannot_be_written_is_refused(smoke, checkout, monkeypatch):
    (checkout.folder / "file").write_text("")
    monkeypatch.setenv("AAR_HOME", str(checkout.folder / "file" / "home"))
    refused(checkout.aar("--agents", "1", "--task", "smoke"), "AAR_HOME")


def test_an_unprepared_task_says_what_to_type(checkout, monkeypatch, tmp_path):
    monkeypatch.setenv("AAR_HOME", str(tmp_path / "home"))
    refused(checkout.aar("--agents", "1", "--task", "smoke"), "python aar.py prepare smoke")
    refused(checkout.aar("eval", "methods/naive.py", "--task", "smoke"), "python aar.py prepare smoke")


def test_an_evaluator_that_cannot_work_ends_the_run_with_its_own_words(smoke, checkout, monkeypatch, tmp_path):
    home = tmp_path / "home"
    shutil.copytree(smoke.folder.root, home / "tasks" / "smoke")
    for shared in ("models", "features"):
        (home / shared).symlink_to(smoke.folder.root.parent.parent / shared)
    (home / "tasks" / "smoke" / "private" / "public" / "labels.npy").unlink()
    monkeypatch.setenv("AAR_HOME", str(home))
    code, printed = checkout.aar("--agents", "1", "--task", "smoke", "--run", "broken")
    last = printed.strip().splitlines()[-1]
    assert code == 2 and "the evaluator fails again and again" in last and "labels.npy" in last
    restarts = [json.loads(line) for line in (checkout.folder / ".aar/runs/broken/ledger.jsonl").read_text().splitlines()]
    assert sum(record.get("event") == "evaluator-restarted" for record in restarts) <= 6


def test_outside_the_environment_the_command_finds_it_or_says_what_to_type(checkout, tmp_path):
    bare = [sys._base_executable, "aar.py", "runs", "--json"]
    clean = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "AAR_HOME": os.environ["AAR_HOME"]}
    found = subprocess.run(bare, cwd=checkout.folder, capture_output=True, text=True, env=clean)
    assert found.returncode == 0 and json.loads(found.stdout) == []
    (checkout.folder / ".venv").unlink()
    missing = subprocess.run([*bare[:1], "-S", *bare[1:]], cwd=checkout.folder, capture_output=True, text=True, env=clean)
    assert missing.returncode != 0 and "make setup" in missing.stderr and len(missing.stderr.splitlines()) == 1


def test_by_hand_a_method_is_scored_with_interval_lift_and_anchors(smoke, module_checkout):
    code, printed = module_checkout.aar("eval", "methods/confident.py", "--task", "smoke", "--json")
    verdict = json.loads(printed)
    assert code == 0 and verdict["pgr_low"] < verdict["pgr"] < verdict["pgr_high"] and verdict["draws"] == len(smoke.search_draws)
    for word in ("PGR", "lift", "weak", "ceiling", "tuned naive", "family filtering"):
        assert word in verdict_text(verdict), "what the command prints without --json"


def test_without_walls_nothing_starts_and_what_is_allowed_is_stamped(smoke, checkout, monkeypatch, tmp_path):
    """A `bwrap` that cannot build walls stands in the way: the refusal must name the remedy, the permission must stamp."""
    fake = tmp_path / "bin"
    fake.mkdir()
    (fake / "bwrap").write_text("#!/bin/sh\n[ \"$1\" = --version ] && { echo bubblewrap 0.11.0; exit; }\necho 'bwrap: No permissions to create a new namespace' >&2; exit 1\n")
    (fake / "bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake}:{os.environ['PATH']}")
    code, printed = checkout.aar("--agents", "1", "--task", "smoke", "--run", "open")
    assert code == 2 and "namespace" in printed and not (checkout.folder / ".aar/runs/open").exists()
    with checkout.going("open", "--agents", "1", "--task", "smoke", "--allow-unisolated", until=lambda paths: Ledger(paths.ledger).verdicts) as paths:
        pass
    assert {verdict["isolation"] for verdict in Ledger(paths.ledger).verdicts.values()} == {"none"}
    assert "isolation" in checkout.printed.lower() and "none" in checkout.printed.lower()
    assert "none" in checkout.git("show", "aar/open/board:results.tsv")


def test_the_help_names_every_command():
    printed = subprocess.run([sys.executable, "aar.py", "--help"], cwd=ROOT, capture_output=True, text=True).stdout
    for command in ("prepare", "eval", "baselines", "transfer", "doctor", "status", "scores", "say", "stop", "resume", "verify", "runs", "clean"):
        assert command in printed
