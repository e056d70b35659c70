"""A whole run whose researchers are an agent CLI: operator, proxy, forwarded port, two models, until no turn is left."""

import contextlib
import json
import os
import sys
import threading

import psutil
import pytest
import tomli

from state.files import read_jsonl
from state.ledger import Ledger
from state.paths import RunPaths
from state.spend import Spend
from tests.messages_server import MessagesServer, held, turn
from tests.swarm.test_paid_run import see

KEY = "-".join(("sk", "test", "of", "a", "cli", "run"))  # in pieces: this file is part of every checkout
CLI = """[command]
argv = [{python}, {cli}, "--model", "{{model}}", "--session", "{{session}}"]
resume = [{python}, {cli}, "--model", "{{model}}", "--resume", "{{session}}"]
binds = [{cli}]
"""
WORK = (
    "env > env.txt; cat /proc/net/tcp > net.txt; aar task | tail -3",
    "cp methods/naive.py methods/mine.py; echo \"# $AAR_AGENT\" >> methods/mine.py; aar submit methods/mine.py --predict 0.2 --wait",
    "aar post --type insight --title 'What naive is worth' <<< 'Little, as expected.'",
)
TURNS = len(WORK) + 3
"""Of each agent: a session with all of WORK, and two runs that go on with it."""


def work(call, looked):
    """The next of WORK in each session, and then an end of the CLI's run. Behind the submission it is held until `looked` is set."""
    done = sum(block["type"] == "tool_use" for message in call.body["messages"] if message["role"] == "assistant" for block in message["content"])
    reply = turn("I try.", tools=[("bash", {"command": WORK[done]})]) if done < len(WORK) else turn("Enough for now.")
    return held(reply, 0, looked) if done >= 2 else reply


def environments() -> dict[int, bytes]:
    found = {}
    for process in psutil.process_iter():
        with contextlib.suppress(OSError, psutil.Error):
            found[process.pid] = open(f"/proc/{process.pid}/environ", "rb").read() + "\0".join(process.cmdline()).encode()
    return found


@pytest.fixture(scope="module")
def finished(smoke, module_checkout, tmp_path_factory):
    """(checkout, paths, server, printed, operator's pid, environments of all processes while it went on)"""
    cli = tmp_path_factory.mktemp("programs") / "cli.py"
    cli.write_bytes((module_checkout.folder / "tests" / "scripted_cli.py").read_bytes())
    (module_checkout.folder / "aar.toml").write_text(CLI.format(python=json.dumps(sys.executable), cli=json.dumps(str(cli))))
    looked = threading.Event()
    with MessagesServer(lambda call: work(call, looked), bytes_a_token=4.0) as server:
        process = module_checkout.start(
            "--models", "opus:1,sonnet:1", "--task", "smoke", "--researcher", "command", "--run", "cli", "--no-verify", "--yes", "--budget", "5",
            "--agent-turns", str(TURNS), env={**os.environ, "ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": server.url},
        )  # fmt: skip
        paths = RunPaths(module_checkout.folder / ".aar" / "runs" / "cli")
        try:
            see(process, lambda: paths.ledger.exists() and len(Ledger(paths.ledger).submissions) >= 2, "two submissions")
            seen = environments()
            looked.set()
            printed = process.communicate()[0]
        finally:
            process.kill()
        assert process.returncode == 0, printed
        yield module_checkout, paths, server, printed, process.pid, seen


def test_each_agent_works_with_its_own_model_until_no_turn_is_left(finished):
    _, paths, server, _, _, _ = finished
    spend = Spend(paths.spend)
    assert 0 < spend.dollars <= 5 and not spend.open and {spend.of(f"agent-{number}").turns for number in (1, 2)} == {TURNS}
    assert not [call.problem for call in server.calls if call.problem]
    models = {record["agent"]: record["model"] for record in read_jsonl(paths.spend)}
    assert models == {"agent-1": "claude-opus-5-5", "agent-2": "claude-sonnet-5-5"}
    assert all(f"limit of {TURNS} turns" in agent["note"] for agent in json.loads(paths.state.read_text())["agents"].values())


def test_their_submissions_predictions_and_posts_are_on_the_board_and_their_output_is_kept(finished):
    checkout, paths, _, _, _, _ = finished
    ledger = Ledger(paths.ledger)
    assert {v["agent"] for v in ledger.verdicts.values() if v["status"] == "scored"} == {"agent-1", "agent-2"}
    assert all(record["predict"] == 0.2 for record in ledger.submissions.values())
    assert checkout.git("ls-tree", "-r", "--name-only", "aar/cli/board", "forum/").count("what-naive-is-worth") == 2
    for agent in ("agent-1", "agent-2"):
        assert b'"ran"' in b"".join(file.read_bytes() for file in (paths.agent(agent) / "output").glob("*.log"))
        starts = [entry for entry in read_jsonl(paths.agent(agent) / "transcript.jsonl") if entry["kind"] == "start"]
        assert not starts[0]["resumed"] and starts[-1]["resumed"] and len({entry["session"] for entry in starts}) == 1


def test_the_key_is_in_no_process_but_the_operators_start_in_no_file_and_no_git_object(finished):
    checkout, paths, server, printed, operator, seen = finished
    assert {call.key for call in server.calls} == {KEY}
    inside = [pid for pid, said in seen.items() if b"AAR_AGENT=" in said]
    assert inside, "the control: sandboxes were seen"
    # A program that the operator is just starting has its environment, and its arguments, until it is another one.
    assert {said for said in seen.values() if KEY.encode() in said} == {seen[operator]}, "as SECURITY.md says"
    assert KEY not in printed and KEY not in checkout.git("log", "--all", "-p", "--format=%B")
    for file in paths.root.rglob("*"):
        assert not file.is_file() or file.is_symlink() or KEY.encode() not in file.read_bytes(), file
    environment = (paths.worktree("agent-1") / "env.txt").read_text()
    assert "ANTHROPIC_BASE_URL=http://127.0.0.1" in environment and server.url not in environment


def test_what_the_cli_is_started_with_is_frozen(finished):
    checkout, _, _, _, _, _ = finished
    frozen = tomli.loads(checkout.git("show", "aar/cli/board:run.toml"))
    assert frozen["command"]["argv"][2:] == ["--model", "{model}", "--session", "{session}"]
    assert [agent["model"] for agent in frozen["agents"]] == ["claude-opus-5-5", "claude-sonnet-5-5"]
