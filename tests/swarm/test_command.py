"""Any agent CLI as the researcher: it works inside the sandbox, goes on where it was, and is given up when it cannot work."""

import json
import os
import socketserver
import subprocess
import sys
import threading
from dataclasses import replace

import pytest

from swarm.presets import NO_KEY
from swarm.researchers import Parked
from swarm.researchers.cli import PORT
from tests.conftest import ROOT
from tests.messages_server import MessagesServer, turn
from tests.sandbox.help import alive, new_token, none_is_left
from tests.swarm.command_driver import agent_folder, box_of, last_words, researcher_of, told_of

CLI = str(ROOT / "tests" / "scripted_cli.py")
SCRIPTED = {
    "argv": [sys.executable, CLI, "--model", "{model}", "--session", "{session}"],
    "resume": [sys.executable, CLI, "--model", "{model}", "--resume", "{session}"],
    "binds": [CLI],
}


def bash(command, text=""):
    return turn(text, tools=[("bash", {"command": command})])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in ("LOST_SECONDS", "SHORT_SECONDS"):  # every run is a short one here, however slow the machine is, or paused
        monkeypatch.setattr(f"swarm.researchers.command.{name}", float("inf"))
    return agent_folder(tmp_path / "run")


@pytest.fixture
def model(folder):
    """Starts a scripted model on the agent's socket; a list of replies, or a function."""
    servers = []

    def serve(script):
        replies = script if callable(script) else lambda call: script[min(call.number, len(script) - 1)]
        servers.append(MessagesServer(replies, path=folder / "model.sock"))
        return servers[-1]

    yield serve
    for server in servers:
        server.close()


@pytest.fixture
def door(folder):
    """The agent's door, as far as it tells news: `door.news` is told once; `door.cursors` are those it was asked with."""

    class Door(socketserver.ThreadingUnixStreamServer):
        daemon_threads = True

        def server_bind(self):
            self.socket.bind(str(folder / "door.sock"))

    class Answer(socketserver.StreamRequestHandler):
        def handle(self):
            request = json.loads(self.rfile.readline())
            assert request["do"] == "news"
            door.cursors.append(request["cursor"])
            heard = (request["cursor"] or {}).get("heard", 0)
            told = [{"kind": "post", "text": text} for text in door.news[heard:]]
            self.wfile.write(json.dumps({"news": told, "cursor": {"heard": len(door.news)}}).encode() + b"\n")

    with Door(None, Answer) as door:
        door.news, door.cursors = [], []
        threading.Thread(target=door.serve_forever, args=(0.02,), daemon=True).start()
        yield door
        door.shutdown()


def test_the_cli_works_in_the_worktree_and_is_told_to_go_on_in_the_same_session(folder, model):
    server = model([bash("pwd; echo found > found.txt; cat /aar/prompt.md", "I look."), turn("That is it."), turn("More.")])
    agent = researcher_of(folder, {"command": SCRIPTED}, prompt="Find a mechanism: a long text.")
    assert agent.step() and agent.step()
    assert (folder / "worktree" / "found.txt").read_text() == "found\n"
    first, second, third = server.calls
    assert last_words(first) == "Find a mechanism: a long text.\n" and first.body["model"] == "claude-opus-5-5" and first.key == NO_KEY
    assert second.body["messages"][2]["content"][0]["content"] == "/aar/worktree\nFind a mechanism: a long text."
    assert len(third.body["messages"]) == 5 and last_words(third).startswith("Go on with your research.")
    starts, ends = told_of(folder, "start"), told_of(folder, "end")
    assert [start["resumed"] for start in starts] == [False, True] and len({start["session"] for start in starts}) == 1
    assert [(end["number"], end["exit"], end["ended"], end["session_exists"]) for end in ends] == [(1, 0, None, True), (2, 0, None, True)]
    logs = [(folder / "output" / entry["log"]).read_text() for entry in told_of(folder, "running")]
    assert "I look." in logs[0] and "More." in logs[1]


def test_a_kill_just_before_the_cli_starts_leaves_a_session_that_is_tried_and_then_begun_anew(folder, model):
    server = model([turn("one")])
    researcher = researcher_of(folder, {"command": SCRIPTED})
    researcher.record({"kind": "start", "number": 1, "session": "never-begun", "resumed": False, "told": "", "cursor": None})
    agent = researcher_of(folder, {"command": SCRIPTED})  # as it finds itself after the kill
    agent.step()
    agent.step()
    assert [start["resumed"] for start in told_of(folder, "start")] == [False, True, False] and len(server.calls) == 1
    assert "session that is lost" in last_words(server.calls[0])
    assert not any(call.problem for call in server.calls)


def test_news_is_told_once_and_also_after_a_restart(folder, model, door):
    server = model([turn("one"), turn("two"), turn("three")])
    agent = researcher_of(folder, {"command": SCRIPTED})
    agent.step()
    door.news.append("agent-2 posted: simple heads win\nreally")
    agent.step()
    researcher_of(folder, {"command": SCRIPTED}).step()
    assert [("simple heads win\n  really" in last_words(call)) for call in server.calls] == [False, True, False]
    assert last_words(server.calls[2]).startswith("Go on") and door.cursors == [None, {"heard": 0}, {"heard": 1}]


def test_a_killed_agent_takes_the_cli_with_it_and_the_next_one_goes_on_in_its_session(folder, model):
    token = new_token()
    os.mkfifo(folder / "worktree" / "at-work")
    working = f"bash -c 'echo yes > at-work; sleep 1000; true' {token}"
    server = model([bash("echo first"), bash(working), turn("I go on.")])
    command = [sys.executable, "-m", "tests.swarm.command_driver", str(folder), json.dumps({"command": SCRIPTED})]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE) as process:
        assert (folder / "worktree" / "at-work").read_text() == "yes\n" and alive(token)
        process.kill()
    assert none_is_left(token)
    researcher_of(folder, {"command": SCRIPTED}).step()
    starts = told_of(folder, "start")
    assert [start["resumed"] for start in starts] == [False, True] and starts[0]["session"] == starts[1]["session"]
    last = server.calls[-1]
    assert last.problem is None and "cut off (this agent was stopped)" in last_words(last)
    assert [part["content"] for part in last.body["messages"][-1]["content"] if part["type"] == "tool_result"] == ["interrupted"]


def test_a_session_that_is_lost_is_begun_anew_with_the_prompt(folder, model):
    server = model([turn("one"), turn("two")])
    agent = researcher_of(folder, {"command": SCRIPTED})
    agent.step()
    for file in (folder / "home" / "sessions").iterdir():
        file.unlink()
    agent.step()
    assert len(server.calls) == 1 and "No session found" in told_of(folder, "end")[1]["words"]
    agent.step()
    starts = told_of(folder, "start")
    assert [start["resumed"] for start in starts] == [False, True, False] and starts[2]["session"] != starts[0]["session"]
    assert last_words(server.calls[1]).startswith("Find a mechanism.") and "session that is lost" in last_words(server.calls[1])


def test_a_cli_that_fails_at_once_again_and_again_is_given_up_with_its_last_words(folder, model):
    model([turn("never asked")])
    words = "import sys; sys.exit('\\x1b[31mno such option: --fast\\x1b[0m')"
    agent = researcher_of(folder, {"command": {"argv": [sys.executable, "-c", words]}})
    with pytest.raises(Parked, match=r"python[\d.]* failed 5 times in a row: no such option: --fast$"):
        for _ in range(6):
            agent.step()
    assert agent.pauses == [1, 2, 4, 8]
    assert len({start["session"] for start in told_of(folder, "start")}) == 5  # it never had one


def test_a_cli_that_ends_well_without_asking_the_model_is_given_up_too(folder, model):
    model([turn("never asked")])
    agent = researcher_of(folder, {"command": {"argv": [sys.executable, "-c", "print('bye')"]}})
    with pytest.raises(Parked, match="ended without asking the model 5 times in a row: bye"):
        for _ in range(6):
            agent.step()


@pytest.mark.parametrize(("command", "words"), [
    ({"argv": ["no-such-cli", "-p"]}, "there is no program 'no-such-cli'"),
    ({"preset": "cloud"}, "there is no preset 'cloud' of an agent CLI: there is claude, opencode, codex"),
    ({"argv": ["bash", "{sesion}"]}, "has no field {sesion}; there is model, "),
    ({"argv": ["bash"], "binds": ["/no/such/folder"]}, "there is no file or folder /no/such/folder"),
])  # fmt: skip
def test_settings_that_make_no_sense_are_one_clear_line_before_anything_starts(folder, command, words):
    with pytest.raises(Parked) as found:
        researcher_of(folder, {"command": command})
    assert words in str(found.value) and "\n" not in str(found.value)


def test_output_without_end_is_kept_in_files_of_a_size_and_the_oldest_go(folder, model, monkeypatch):
    model([turn("never asked")])
    monkeypatch.setattr("swarm.researchers.output.FILE_BYTES", 100_000)
    monkeypatch.setattr("swarm.researchers.output.MOST_FILES", 3)
    code = "for number in range(100_000): print(number)"
    agent = researcher_of(folder, {"command": {"argv": [sys.executable, "-c", code]}})
    agent.step()
    files = sorted((folder / "output").iterdir())
    numbers = [int(file.stem) for file in files]
    assert len(numbers) == 3 and numbers[0] > 1 and numbers == list(range(numbers[0], numbers[0] + 3))
    assert all(file.stat().st_size <= 100_000 for file in files)
    assert files[-1].read_text().endswith("\n99999\n") and told_of(folder, "end")[0]["words"] == "99999"


def test_without_walls_each_cli_has_a_port_of_its_own(folder, model):
    server = model([bash("echo $ANTHROPIC_BASE_URL; pwd"), turn("done")])
    box = box_of(folder)
    bare = replace(box, isolation="none", env={**box.env, "HOME": str(folder / "home")})
    researcher_of(folder, {"command": SCRIPTED}, box=bare).step()
    url, place = server.calls[1].body["messages"][2]["content"][0]["content"].split()
    assert url.startswith("http://127.0.0.1:") and int(url.rsplit(":", 1)[1]) != PORT and place == str(folder / "worktree")
