"""What agents are told at their start: rendered for each, frozen, and edited by a fork without touching anything else."""

import hashlib
from pathlib import Path

import pytest

from state.errors import UserError
from state.paths import RunPaths
from swarm.prompts import freeze_prompts, write_prompt

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def run(smoke, tmp_path):
    paths = RunPaths(tmp_path / "run")
    for folder in (paths.board, paths.agent("agent-1"), paths.agent("agent-2")):
        folder.mkdir(parents=True)
    return paths


def config(**changes):
    agents = [{"name": "agent-1", "direction": "evolution"}, {"name": "agent-2", "direction": "none"}]
    return {"agents": agents, "task": "smoke", "seconds_limit": 7200.0, "submissions_limit": 40, "fleet_submissions_limit": 90, **changes}


def test_the_prompt_holds_the_facts_of_the_run_and_the_direction_of_its_agent(run):
    hashes, starts = freeze_prompts(ROOT, run.board)
    assert "evolution" in starts and len(starts) == 9
    text = write_prompt(run, config(evaluations_an_hour=930, budget={"dollars": 9.0}), "agent-1")
    assert "You are agent-1, one of 2" in text and "2 hours" in text and "40 submissions" in text and "930 verdicts" in text
    assert "$4.50" in text and "without gradients" in text and "smallest difference in PGR" in text and "2212.03827" in text
    assert "{{" not in text and "{%" not in text
    assert (run.board / "prompts/rendered/agent-1.md").read_text() == text == (run.agent("agent-1") / "prompt.md").read_text()
    source = (run.board / "prompts/researcher.md").read_bytes()
    assert hashes["prompts/researcher.md"] == hashlib.sha256(source).hexdigest()


def test_an_agent_without_a_direction_is_told_of_none(run):
    freeze_prompts(ROOT, run.board, directions="none")
    text = write_prompt(run, config(), "agent-2")
    assert "Where you begin" not in text and "without gradients" not in text and "for your thinking" not in text


def test_another_prompt_and_other_directions_take_their_place(run, tmp_path):
    (tmp_path / "mine.md").write_text("You: {{ agent }}. {{ direction }}")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "evolution.md").write_text("Only this.")
    _, starts = freeze_prompts(ROOT, run.board, tmp_path / "mine.md", str(tmp_path / "d"))
    assert starts == ["evolution"] and write_prompt(run, config(), "agent-1") == "You: agent-1. Only this."


@pytest.mark.parametrize(("text", "words"), [("{{ agnt }}", "'agnt' is undefined"), ("a\n{% if %}", "line 2"), (None, "No such file")])
def test_a_prompt_that_does_not_render_is_told_in_one_line(run, tmp_path, text, words):
    if text is not None:
        (tmp_path / "bad.md").write_text(text)
    with pytest.raises(UserError) as told:
        freeze_prompts(ROOT, run.board, tmp_path / "bad.md")
    assert words in str(told.value) and "bad.md" in str(told.value) and "\n" not in str(told.value)


def test_a_folder_without_directions_is_told(run, tmp_path):
    with pytest.raises(UserError, match="--directions none"):
        freeze_prompts(ROOT, run.board, directions=str(tmp_path / "nowhere"))
