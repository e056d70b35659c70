"""The search researcher at a scripted door: real commands, real commits, real fits on a small made-up task."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from state.files import append_jsonl, read_jsonl
from swarm.hands import Outcome
from swarm.researchers import AgentConfig
from swarm.researchers.search import PATIENCE, SearchResearcher
from view.story import OVER

ROOT = Path(__file__).resolve().parents[2]
VIEWS = ["last:16", "mean:16"]


class PlainHands:
    """The agent's shell without walls: what matters here is what is asked of it."""

    def __init__(self, worktree: Path, run: Path, agent: str) -> None:
        self.worktree, self.calls = worktree, 0
        self.env = {
            "PATH": f"{run / 'bin'}:{os.environ['PATH']}",
            "AAR_FORUM": str(run / "forum"),
            "AAR_TEST_RUN": str(run),
            "AAR_AGENT": agent,
            "PYTHONPATH": str(ROOT),
            "HOME": str(run),
            "OMP_NUM_THREADS": "1",
        }

    def sh(self, command: str, stdin: str = "", seconds: float = 60.0) -> Outcome:
        self.calls += 1
        done = subprocess.run(
            ["bash", "-c", command],
            input=stdin,
            text=True,
            cwd=self.worktree,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        return Outcome(done.returncode, done.stdout)


class Run:
    """A folder with a repository, a forum and the scripted door."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "forum").mkdir(parents=True)
        (folder / "bin").mkdir()
        command = folder / "bin" / "aar"
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tests.swarm.scripted_door "$@"\n')
        command.chmod(0o755)
        self.git("init", "-q", "-b", "main", str(folder / "base"))
        for setting in (("user.name", "tester"), ("user.email", "tester@example.org")):
            self.git("-C", str(folder / "base"), "config", *setting)
        self.git("-C", str(folder / "base"), "commit", "-q", "--allow-empty", "-m", "base")

    def git(self, *arguments: str) -> str:
        return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout

    def agent(self, name: str = "agent-1", direction: str = "simplicity", seed: int = 1) -> SearchResearcher:
        """A researcher on its folder: new, or the same one come back to life."""
        worktree, private = self.folder / name / "worktree", self.folder / name
        if not worktree.exists():
            self.git("-C", str(self.folder / "base"), "worktree", "add", "-q", "-b", f"aar/run/{name}", str(worktree))
        text = (ROOT / "prompts" / "directions" / f"{direction}.md").read_text()
        config = AgentConfig(name, text, direction, "run", "made-up", seed, VIEWS, private)
        researcher = SearchResearcher(
            config,
            PlainHands(worktree, self.folder, name),
            lambda record: append_jsonl(private / "transcript.jsonl", record),
        )
        researcher.pause = lambda seconds: None
        return researcher

    def ledger(self) -> list[dict]:
        return read_jsonl(self.folder / "ledger.jsonl")

    def posts(self) -> list[str]:
        return [path.read_text() for path in sorted((self.folder / "forum").iterdir())]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path / "run")


def test_a_first_step_ends_with_a_commit_a_verdict_a_post_and_a_notebook(run: Run) -> None:
    agent = run.agent()
    assert agent.step() and agent.step()
    first, second = run.ledger()
    shown = run.git("-C", str(run.folder / "base"), "show", "--stat", second["commit"])
    assert second["method"] in shown and "notebook.md" in shown
    assert f"- {first['submission']} " in (run.folder / "agent-1" / "worktree" / "notebook.md").read_text()
    assert first["status"] == second["status"] == "scored"
    assert len(run.posts()) >= 1 and f"submission: {first['submission']}" in run.posts()[0]
    assert "Predicted PGR" in run.posts()[0]


def test_no_recipe_is_submitted_twice_by_two_agents_who_read_each_other(run: Run) -> None:
    agents = [run.agent("agent-1", "noisy-channel"), run.agent("agent-2", "noisy-channel", seed=2)]
    while len(run.ledger()) < 6:
        assert all(agent.step() for agent in agents)
    verdicts, base = run.ledger(), str(run.folder / "base")
    sources = [run.git("-C", base, "show", f"{v['commit']}:{v['method']}") for v in verdicts]
    trees = [ast.dump(ast.parse(source)) for source in sources]
    assert len(set(trees)) == len({(v["agent"], v["method"]) for v in verdicts}) == len(verdicts)
    kinds = [entry["kind"] for entry in read_jsonl(run.folder / "agent-2" / "transcript.jsonl")]
    assert "taken" in kinds  # both began with the same idea, and the second saw that in time


def test_a_child_of_somebody_elses_method_names_its_commit(run: Run) -> None:
    run.agent("agent-1", "noisy-channel").step()
    first = {**run.ledger()[0], "pgr": 0.9, "lift": 0.6, "lift_low": 0.5}  # far ahead of all that agent-2 will find
    (run.folder / "ledger.jsonl").write_text(json.dumps(first) + "\n")
    other = run.agent("agent-2", "simplicity")
    for _ in range(7):
        assert other.step()
    plans = [entry for entry in read_jsonl(run.folder / "agent-2" / "transcript.jsonl") if entry["kind"] == "plan"]
    assert any(first["commit"] in plan["inspired_by"] for plan in plans)
    assert f"Inspired-by: {first['commit']}" in run.git("-C", str(run.folder / "base"), "log", "aar/run/agent-2")


def test_an_agent_that_comes_back_goes_on_as_if_it_had_never_been_away(tmp_path: Path) -> None:
    away, steady = Run(tmp_path / "away"), Run(tmp_path / "steady")
    for _ in range(4):
        assert away.agent().step()  # a new researcher for each step
    agent = steady.agent()
    for _ in range(4):
        assert agent.step()
    assert [v["method"] for v in away.ledger()] == [v["method"] for v in steady.ledger()]
    assert [v["pgr"] for v in away.ledger()] == [v["pgr"] for v in steady.ledger()]
    assert len(away.posts()) == len(steady.posts())


def test_a_submission_that_was_cut_off_is_made_again_with_the_same_files(run: Run) -> None:
    """Then the run knows it by its commit, and nothing is scored twice."""
    assert run.agent().step()
    (run.folder / "die-before-scoring").touch()
    assert run.agent().step()
    back = run.agent()
    assert back.pending is not None and back.step() and back.cycle == 2
    again = run.git("-C", str(run.folder / "base"), "diff", "aar/run/agent-1~1", "aar/run/agent-1")
    assert again == "" and len(run.ledger()) == 2 and len(run.posts()) == 1


def test_a_verdict_that_was_lost_on_its_way_is_found_in_the_scores_and_not_asked_for_again(run: Run) -> None:
    assert run.agent().step()
    (run.folder / "die-after-scoring").touch()
    agent = run.agent()
    assert agent.step() and agent.pending is not None
    back = run.agent()
    assert back.step() and back.pending is None and back.cycle == 2
    assert len(run.ledger()) == 2


def test_a_door_that_stays_shut_ends_the_researcher(run: Run) -> None:
    (run.folder / "refuse").write_text("aar: the run does not answer")
    agent = run.agent()
    assert [agent.step() for _ in range(PATIENCE)] == [True] * (PATIENCE - 1) + [False]


def test_a_door_that_will_take_no_more_ends_it_at_once(run: Run) -> None:
    (run.folder / "refuse").write_text(f"aar: the run {OVER}")
    assert not run.agent().step()
    assert read_jsonl(run.folder / "agent-1" / "transcript.jsonl")[-1]["reason"] == f"the run {OVER}"


def test_a_cycle_asks_little_of_the_sandbox(run: Run) -> None:
    agent = run.agent()
    run.agent("agent-2", "evolution").step()
    for _ in range(4):
        assert agent.step()
    assert agent.hands.calls <= 2 * 4


def test_scores_of_a_long_run_are_taken_in_page_by_page(run: Run) -> None:
    verdict = {
        "agent": "agent-7",
        "commit": "0" * 40,
        "method": "methods/x.py",
        "status": "crashed",
        "track": "main",
        "rung": "quick",
        "draws": 0,
        "pgr": None,
        "lift": None,
        "lift_low": None,
        "error": "e" * 400,
    }
    lines = [json.dumps({"submission": f"s{n:04d}", **verdict}) for n in range(1, 251)]
    (run.folder / "ledger.jsonl").write_text("\n".join(lines) + "\n")
    agent = run.agent()
    agent._observe()
    assert len(agent.scores) == 250 and agent._known_up_to() == "s0250"


def test_what_a_person_writes_in_the_forum_moves_what_is_tried(run: Run) -> None:
    (run.folder / "forum" / "20260101T000000Z-alice-hint.md").write_text(
        "---\nagent: alice\n---\n\nTry clusters, clusters!\n"
    )
    agent = run.agent()
    agent._observe()
    assert "clusters" in agent.people


def test_the_agent_process_needs_neither_numpy_nor_torch() -> None:
    code = (
        "import sys; import swarm.researchers.search as search; search.write(search.Recipe()); "
        "sys.exit(bool({'numpy', 'torch', 'sklearn'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
