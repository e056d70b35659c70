"""An agent CLI behind the real proxy: the budget ends it, and there is no way out of its sandbox but the one to its model."""

import json
import os
import secrets
import signal
import socket
import socketserver
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from state.paths import RunPaths
from swarm.boxes import agent_box, prepare_agent_folder
from swarm.key import Key
from swarm.proxy_client import ProxyClient
from swarm.researchers.command import MOST_FALLS
from tests.messages_server import MessagesServer, turn
from tests.swarm.command_driver import last_words, researcher_of, told_of
from tests.swarm.test_command import SCRIPTED, bash

MODEL = "claude-opus-5-5"
PROBE = Path(__file__).parent / "cli_probe.py"


@pytest.fixture
def paths(tmp_path, smoke, monkeypatch):
    """The folders of a run with one agent, as far as its sandbox needs them."""
    monkeypatch.setattr("swarm.researchers.command.SHORT_SECONDS", float("inf"))  # every run is a short one, on a slow machine too
    paths = RunPaths(tmp_path / "run")
    paths.repo.mkdir(parents=True)
    paths.forum.mkdir(parents=True)
    worktree = paths.worktree("agent-1")
    worktree.mkdir(parents=True)
    (worktree / ".git").write_text(f"gitdir: {paths.repo}/worktrees/agent-1\n")
    prepare_agent_folder(paths, "agent-1")
    paths.door("agent-1").touch()
    return paths


class Behind:
    """The real proxy of one agent in front of a scripted model."""

    def __init__(self, paths, script, limits=None, key="sk-test-key", url=None):
        self.events = []
        self.server = MessagesServer(script)
        self.proxy = ProxyClient(paths, {"agent-1": [MODEL]}, Key(key, "x-api-key"), url or self.server.url, limits or {}, {}, self.events.append)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.proxy.close()
        self.server.close()


def agent_in(paths):
    box = agent_box(paths, "agent-1", "smoke", "bubblewrap", lasting=True)
    return researcher_of(paths.agent("agent-1"), {"command": SCRIPTED}, box=box)


def test_it_is_told_to_go_on_until_the_budget_is_spent_and_is_then_finished(paths):
    with Behind(paths, lambda call: turn(f"turn {call.number}"), {"agent_turns": 3}) as behind:
        agent, steps = agent_in(paths), 0
        while agent.step():
            steps += 1
        doing = json.loads((paths.agent("agent-1") / "activity.json").read_text())
        assert len(behind.server.calls) == 3 and 3 <= steps <= 4
        assert doing["doing"] == "finished" and told_of(paths.agent("agent-1"), "finished")[0]["reason"] == doing["note"]
        assert sum(end["turns"] for end in told_of(paths.agent("agent-1"), "end")) == 3
        assert last_words(behind.server.calls[2]).startswith("Go on")
        assert agent.pauses[:2] == [2, 4], "and a third one where the CLI ended before its last turn was settled"


def test_an_api_that_does_not_answer_is_waited_for_and_not_held_against_the_cli(paths):
    with socket.socket() as nobody:  # bound, not listening
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        with Behind(paths, lambda call: turn("never"), url=url):
            agent = agent_in(paths)
            for _ in range(MOST_FALLS):
                agent.step()
            assert agent.pauses == [1, 2, 4, 8, 16] and len(told_of(paths.agent("agent-1"), "trouble")) == MOST_FALLS
            assert "127.0.0.1" in json.loads((paths.agent("agent-1") / "activity.json").read_text())["note"]


def test_the_proxy_may_die_and_come_back_while_the_cli_lives(paths):
    def script(call):
        if call.number == 1:
            os.kill(behind.proxy.pid, signal.SIGKILL)
        return bash(f"echo {call.number}") if call.number < 4 else turn("done")

    with Behind(paths, script) as behind:
        agent = agent_in(paths)
        for _ in range(4):
            agent.step()
            if any("done" in end["words"] for end in told_of(paths.agent("agent-1"), "end")):
                break
        assert "gone" in [event["event"] for event in behind.events]
        assert "done" in told_of(paths.agent("agent-1"), "end")[-1]["words"]
        assert not any(call.problem for call in behind.server.calls)


def test_from_inside_there_is_no_key_no_other_service_and_no_other_destination(paths, tmp_path, monkeypatch):
    key, service = "sk-test-" + secrets.token_hex(16), secrets.token_hex(16)
    monkeypatch.setenv("ANTHROPIC_API_KEY", key)  # as in the operator's own environment
    (tmp_path / "dotenv").write_text(f"ANTHROPIC_API_KEY={key}\n")
    (paths.worktree("agent-1") / "probe.py").write_text(PROBE.read_text())

    class Answer(socketserver.BaseRequestHandler):
        def handle(self):
            self.request.sendall(service.encode())

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answer) as other:
        threading.Thread(target=other.serve_forever, args=(0.02,), daemon=True).start()
        port = other.server_address[1]
        command = f"{sys.executable} probe.py {port} /"
        with Behind(paths, lambda call: bash(command) if call.number == 0 else turn("done"), key=key) as behind:
            agent_in(paths).step()
        # The control: outside of the walls the same program finds the key in both places, and reaches the service.
        control = subprocess.run([sys.executable, str(PROBE), str(port), str(tmp_path)], capture_output=True, text=True)
        other.shutdown()
    outside = json.loads(control.stdout)
    assert {place.partition(" ")[0] for place in outside["keys"]} == {"environment", "file"}
    assert outside["service"]["127.0.0.1"] == service
    calls = behind.server.calls
    found = json.loads(calls[2].body["messages"][2]["content"][0]["content"])
    assert {call.key for call in calls} == {key}  # it was in use meanwhile
    assert found["keys"] == [] and service not in json.dumps(found)
    assert found["allowed"] == 200 and len(calls) == 3
    assert set(found["refused"].values()) <= {400, 403}, found["refused"]
    assert "refused" in {event["event"] for event in behind.events}
