"""Whole runs of agents that ask a model: nine at once against a scripted Messages API, through proxy, sandbox, broker and evaluator."""

import json
import os
import re
import signal

import pytest

from state.files import read_jsonl
from state.ledger import Ledger
from state.paths import RunPaths
from state.spend import Spend
from tests.messages_server import MessagesServer
from tests.scripted_research import agent_of, research
from tests.waiting import until

KEY = "-".join(("sk", "test", "not", "a", "real", "key"))  # in pieces: this file is part of every checkout
AGENTS = 9


def see(process, condition, what):
    """Wait for it while the process goes on."""
    until(lambda: process.poll() is not None or condition(), what)
    assert process.poll() is None, f"the run ended before {what}: {process.communicate()[0]}"


def paid(checkout, server, name, *more):
    arguments = ("--agents", str(AGENTS), "--task", "smoke", "--researcher", "claude", "--run", name, "--yes", *more)
    return checkout.start(*arguments, env={**os.environ, "ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": server.url})


@pytest.fixture(scope="module")
def finished(smoke, module_checkout):
    """(checkout, paths, server, printed) of nine agents that went on until their money was spent, over two kills."""
    # Short answers, so that what is set aside for a call is little; long tokens, so that the money is spent after a hundred turns.
    (module_checkout.folder / "aar.toml").write_text("[model]\nmax_tokens = 1500\n")
    with MessagesServer(research, bytes_a_token=1.0) as server:
        process = paid(module_checkout, server, "paid", "--budget", "2.5", "--share-after", "0.1")
        paths = RunPaths(module_checkout.folder / ".aar" / "runs" / "paid")
        see(process, lambda: paths.ledger.exists() and len(Ledger(paths.ledger).verdicts) >= 3, "three verdicts")
        agent = json.loads(paths.state.read_text())["agents"]["agent-2"]["pid"]
        os.kill(agent, signal.SIGKILL)
        had = len(Ledger(paths.ledger).verdicts)
        see(process, lambda: len(Ledger(paths.ledger).verdicts) >= had + 2, "more verdicts")
        spent = Spend(paths.spend).dollars
        process.kill()
        process.communicate()
        resumed = module_checkout.start(
            "resume", "paid", "--yes", env={**os.environ, "ANTHROPIC_API_KEY": KEY}
        )
        printed = resumed.communicate()[0]
        assert resumed.returncode == 0, printed
        yield module_checkout, paths, server, printed, spent


def test_the_run_ends_when_its_money_is_spent_and_stays_under_its_budget(finished):
    _, paths, _, printed, before = finished
    spend = Spend(paths.spend)
    assert before < spend.dollars <= 2.5 and spend.dollars > 2.0, "the restart goes on with what was left"
    assert not spend.open
    state = json.loads(paths.state.read_text())
    assert state["state"] == "finished" and state["spend_dollars"] == pytest.approx(spend.dollars, abs=1e-3)
    assert all("budget" in agent["note"] for agent in state["agents"].values()), state["agents"]


def test_a_run_whose_money_is_spent_before_its_time_stays_open_for_more(finished):
    _, paths, _, printed, _ = finished
    assert "resume paid --budget DOLLARS` goes on" in printed and not (paths.board / "verification.md").exists()


def test_every_agent_was_scored_posted_and_noted_and_the_board_holds_predictions(finished):
    checkout, paths, _, _, _ = finished
    ledger = Ledger(paths.ledger)
    names = {f"agent-{number + 1}" for number in range(AGENTS)}
    assert {v["agent"] for v in ledger.verdicts.values() if v["status"] == "scored"} == names
    posts = checkout.git("ls-tree", "-r", "--name-only", "aar/paid/board", "forum/").split()
    assert len([name for name in posts if "-agent-" in name]) >= AGENTS
    assert all(record["predict"] is not None for record in ledger.submissions.values())
    assert "Predicted against observed" in checkout.git("show", "aar/paid/board:results.md")
    assert "methods/" in checkout.git("show", "aar/paid/agent-3:notebook.md")


def test_no_request_broke_the_rules_of_the_api_and_no_key_but_the_proxys_reached_it(finished):
    _, _, server, _, _ = finished
    assert [call.problem for call in server.calls if call.problem] == []
    assert {call.key for call in server.calls} == {KEY}
    assert {agent_of(call) for call in server.calls} >= {f"agent-{number + 1}" for number in range(AGENTS)}


def test_the_killed_agent_went_on_in_its_conversation_and_ran_nothing_twice(finished):
    _, paths, _, _, _ = finished
    entries = read_jsonl(paths.agent("agent-2") / "transcript.jsonl")
    begun = [entry["tool_use_id"] for entry in entries if entry.get("kind") == "begin"]
    assert len(begun) == len(set(begun)) > 4
    assert sum(entry.get("kind") == "user" and "Your work begins now" in str(entry.get("content")) for entry in entries) == 1


def test_the_key_is_in_no_file_of_the_run_and_no_git_object(finished):
    checkout, paths, _, printed, _ = finished
    assert KEY not in printed
    for file in paths.root.rglob("*"):
        if file.is_file() and not file.is_symlink():
            assert KEY.encode() not in file.read_bytes(), file
    everything = checkout.git("log", "--all", "-p", "--format=%B")
    assert KEY not in everything and "agent-1" in everything


def test_prompts_model_and_settings_are_frozen_into_the_run(finished):
    checkout, _, _, _, _ = finished
    frozen = checkout.git("show", "aar/paid/board:run.toml")
    assert re.search(r'(?m)^model = "claude-opus-5-5"$', frozen) and "context_tokens" in frozen and "handoff_share" in frozen
    assert re.search(r'"prompts/researcher.md" = "[0-9a-f]{64}"', frozen) and "dollars = 2.5" in frozen
    assert "You are agent-4, one of 9" in checkout.git("show", "aar/paid/board:prompts/rendered/agent-4.md")


def test_status_tells_what_was_spent_and_for_what(finished):
    checkout, _, _, _, _ = finished
    code, printed = checkout.aar("status", "paid")
    assert code == 0 and re.search(r"spent \$2\.\d\d of \$2\.50", printed) and "a verdict" in printed and "claude-opus-5-5" in printed
    facts = json.loads(checkout.aar("status", "paid", "--json")[1])
    assert facts["spend_dollars"] > 2 and all(agent["dollars"] > 0 and agent["turns"] > 4 for agent in facts["agents"])


def test_a_verified_board_can_be_had_afterwards(finished):
    checkout, _, _, _, _ = finished
    code, printed = checkout.aar("verify", "paid")
    assert code == 0 and "sealed" in printed
