"""The real `claude` CLI as the researcher, against the scripted model.

AAR_TEST_CLAUDE names the program. Else it is the one on PATH, or npm installs one into AAR_HOME/programs (245 MB, once a machine,
given up after two minutes). AAR_TEST_CLAUDE=none leaves these tests out.
"""

import json
import os
import shutil
import subprocess
import sys

import pytest

from state.paths import aar_home
from swarm.presets import NO_KEY, PRESETS
from swarm.programs import PROGRAMS
from tests.conftest import ROOT
from tests.messages_server import MessagesServer, error, turn
from tests.sandbox.help import alive, new_token, none_is_left
from tests.swarm.command_driver import agent_folder, last_words, researcher_of, told_of
from tests.waiting import until

PACKAGE = "@anthropic-ai/claude-code@2.1.197"
INSTALL_SECONDS = 120


@pytest.fixture(scope="module")
def claude():
    """The path of the CLI."""
    named = os.environ.get("AAR_TEST_CLAUDE", "")
    if named == "none":
        pytest.skip("AAR_TEST_CLAUDE=none")
    folder = aar_home() / PROGRAMS
    kept = folder / "node_modules" / ".bin" / "claude"
    if found := named or shutil.which("claude") or (str(kept) if kept.exists() else ""):
        return found
    if shutil.which("npm") is None:
        pytest.skip("no claude on PATH, and no npm to install it: AAR_TEST_CLAUDE=/path/to/claude names one")
    try:
        done = subprocess.run(
            ["npm", "install", "--prefix", str(folder), "--no-fund", "--no-audit", PACKAGE],
            capture_output=True, text=True, timeout=INSTALL_SECONDS, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm could not install {PACKAGE} within {INSTALL_SECONDS} s")
    if done.returncode or not kept.exists():
        pytest.skip(f"npm could not install {PACKAGE}: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}")
    return str(kept)


@pytest.fixture
def folder(tmp_path):
    return agent_folder(tmp_path / "run")


def settings_for(claude):
    preset = PRESETS["claude"]
    command = {"preset": "claude", "argv": [claude, *preset.argv[1:]], "resume": [claude, *preset.resume[1:]]}
    return {"command": command, "model": {"effort": "high", "max_tokens": 9000}}


def bash(command):
    return turn("I try.", tools=[("Bash", {"command": command, "description": "try"})])


def test_it_runs_tools_in_the_sandbox_goes_on_in_its_session_and_asks_for_nothing_but_its_model(folder, claude):
    replies = [bash("echo made > made.txt; env; cat /proc/net/dev | wc -l"), turn("So it is."), turn("And on.")]
    with MessagesServer(lambda call: replies[min(call.number, 2)], path=folder / "model.sock", strict=False) as server:
        agent = researcher_of(folder, settings_for(claude))
        agent.step()
        agent.step()
    assert (folder / "worktree" / "made.txt").read_text() == "made\n"
    assert [call.body["model"] for call in server.calls] == ["claude-opus-5-5"] * 3
    assert {call.body["max_tokens"] for call in server.calls} == {9000} and {call.key for call in server.calls} == {NO_KEY}
    assert server.calls[0].body["output_config"] == {"effort": "high"} and server.calls[0].body["stream"] is True
    assert not [tool for call in server.calls for tool in call.body["tools"] if tool.get("type", "custom") != "custom"]
    assert {path for _, path in server.requests} <= {"/v1/messages", "/v1/messages/count_tokens", "/aar/budget", "/v1/models", "/"}
    assert "Find a mechanism." in json.dumps(server.calls[0].body["messages"]) and last_words(server.calls[2]).startswith("Go on")
    assert "So it is." in json.dumps(server.calls[2].body["messages"])
    assert [(end["exit"], end["session_exists"], end["words"]) for end in told_of(folder, "end")] == [(0, True, "So it is."), (0, True, "And on.")]


def test_killed_in_the_middle_of_a_command_it_goes_on_in_its_session(folder, claude):
    token = new_token()
    os.mkfifo(folder / "worktree" / "at-work")
    replies = [bash(f"echo yes > at-work; bash -c 'sleep 1000; true' {token}"), turn("Again.")]
    with MessagesServer(lambda call: replies[min(call.number, 1)], path=folder / "model.sock", strict=False) as server:
        settings = settings_for(claude)
        command = [sys.executable, "-m", "tests.swarm.command_driver", str(folder), json.dumps(settings)]
        with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE) as process:
            assert (folder / "worktree" / "at-work").read_text() == "yes\n"
            until(lambda: alive(token), "the command, which starts behind the echo")
            until(lambda: any('"tool_use"' in file.read_text() for file in (folder / "home").rglob("*.jsonl")), "the file of its session")
            process.kill()
        assert none_is_left(token)
        agent = researcher_of(folder, settings)
        for _ in range(2):
            agent.step()
    starts = told_of(folder, "start")
    assert "Again." in told_of(folder, "end")[0]["words"] and starts[1]["resumed"] and starts[1]["session"] == starts[0]["session"]
    assert "Find a mechanism." in json.dumps(server.calls[1].body["messages"]) and "cut off" in last_words(server.calls[1])


def test_it_ends_at_once_when_it_is_told_that_the_money_is_gone(folder, claude):
    gone = error(402, "billing_error", "the budget of 5 dollars is spent", headers={"aar-refused": "budget"})
    with MessagesServer(lambda call: gone, path=folder / "model.sock", strict=False) as server:
        researcher_of(folder, settings_for(claude)).step()
    assert len(server.calls) == 1 and "the budget of 5 dollars is spent" in told_of(folder, "end")[0]["words"]


def test_opencode_works_and_goes_on_too(folder):
    program = os.environ.get("AAR_TEST_OPENCODE") or shutil.which("opencode")
    if program is None:
        pytest.skip("no opencode on PATH: AAR_TEST_OPENCODE=/path/to/opencode names one")
    preset = PRESETS["opencode"]
    command = {"preset": "opencode", "argv": [program, *preset.argv[1:]], "resume": [program, *preset.resume[1:]]}

    def script(call):
        if not call.body.get("tools"):
            return turn("A title")
        asked = [message for message in call.body["messages"] if message["role"] == "assistant"]
        return turn("So it is.") if asked else turn("I try.", tools=[("bash", {"command": "echo made > made.txt", "description": "try"})])

    with MessagesServer(script, path=folder / "model.sock", strict=False) as server:
        agent = researcher_of(folder, {"command": command, "model": {"max_tokens": 9000}})
        agent.step()
        agent.step()
    assert (folder / "worktree" / "made.txt").read_text() == "made\n"
    assert {call.body["model"] for call in server.calls} == {"claude-opus-5-5"} and max(call.body["max_tokens"] for call in server.calls) == 9000
    assert [end["exit"] for end in told_of(folder, "end")] == [0, 0]
    assert "made.txt" in json.dumps(server.calls[-1].body["messages"]) and "Go on with your research" in json.dumps(server.calls[-1].body)
