"""People in a run: a shell on a terminal of its own, single commands, coming back, and a run that stays open for them.

One run with one searching agent, whose time is over early on; it is kept open. People do as they would: through `aar.py join`.
"""

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import termios

import pytest

from state.files import read_jsonl
from state.ledger import Ledger
from state.operated import is_operated
from state.paths import RunPaths, aar_home
from tests.waiting import LOOKS, PAUSE_SECONDS, until
from view.status import status_facts

METHOD = '''"""Naive, a person's."""
FAMILY = "naive"


def fit(w2s):
    return w2s.student().fit(w2s.texts, (w2s.weak[:, 1] > 0.5).astype(float), l2=3.5)
'''


class Shell:
    """`aar.py join` on a pseudo-terminal, as a person has it."""

    def __init__(self, checkout, *arguments: str, size=(33, 101)):
        waits, goes = os.pipe()
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.read(waits, 1)
            os.chdir(checkout.folder)
            os.environ["TERM"] = "xterm"
            os.execv(sys.executable, [sys.executable, "aar.py", "join", *arguments])
        self.resize(*size)
        self.before, self.seen = self.flags(), b""
        os.write(goes, b".")
        os.close(waits), os.close(goes)

    def resize(self, rows, columns):
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        os.write(self.terminal, text.encode())

    def see(self, pattern: str) -> re.Match:
        """Wait until `pattern` is shown behind what was seen before."""
        poller, looks = select.poll(), 0  # unlike select(), for descriptors of any number
        poller.register(self.terminal, select.POLLIN)
        while not (found := re.search(pattern.encode(), self.seen)):
            if poller.poll(1000 * PAUSE_SECONDS):
                self.seen += self._read()
            else:
                assert (looks := looks + 1) < LOOKS, f"no {pattern!r} in {self.seen!r}"
        self.seen = self.seen[found.end() :]
        return found

    def _read(self) -> bytes:
        try:
            piece = os.read(self.terminal, 65536)
        except OSError:
            piece = b""
        assert piece, f"it ended: {self.seen!r}"
        return piece

    def flags(self) -> list:
        """Settings of the terminal, without what is in flight."""
        return termios.tcgetattr(self.terminal)[:4]

    def ended(self) -> int:
        """Its exit code, once it has ended by itself."""
        with contextlib.suppress(AssertionError):
            while True:
                self.seen += self._read()
        _, status = os.waitpid(self.pid, 0)
        os.close(self.terminal)
        return os.waitstatus_to_exitcode(status)


class Run:
    def __init__(self, checkout, name):
        self.checkout, self.name = checkout, name
        self.paths = RunPaths(checkout.folder / ".aar" / "runs" / name)
        self.process: subprocess.Popen | None = None

    def operate(self, *arguments):
        """Start an operator and wait until the run is open for people."""
        self.process = self.checkout.start(*arguments, stdout=subprocess.DEVNULL)
        until(lambda: self.state() == ("open", self.process.pid), f"the opening of {self.name}")

    def facts(self) -> dict:
        return status_facts(self.paths)

    def state(self) -> tuple:
        with contextlib.suppress(FileNotFoundError):
            said = json.loads(self.paths.state.read_text())
            return said["state"], said["pid"]
        return ()

    def row(self, name) -> dict:
        return next(agent for agent in self.facts()["agents"] if agent["name"] == name)

    def events(self, name) -> list[str]:
        return [event["event"] for event in Ledger(self.paths.ledger).events if event["agent"] == name]

    def join(self, name, *command, stdin="", arguments=()) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "aar.py", "join", self.name, "--name", name, *arguments, *(["--", *command] if command else [])],
            cwd=self.checkout.folder, input=stdin, capture_output=True, text=True,
        )  # fmt: skip

    def shell(self, name, **options) -> Shell:
        shell = Shell(self.checkout, self.name, "--name", name, **options)
        shell.see(f"{name}@{self.name}:.*[$#] ")
        return shell


@pytest.fixture(scope="module")
def run(smoke, module_checkout):
    """A run whose only agent has had its time."""
    run = Run(module_checkout, "people")
    run.operate("--agents", "1", "--task", "smoke", "--run", "people", "--minutes", "0.05", "--seed", "1", "--keep-open")
    yield run
    if is_operated(run.paths):
        assert module_checkout.aar("stop", "people")[0] == 0
    run.process.wait()


def test_when_the_agents_time_is_over_the_run_is_open_and_its_agents_have_stopped(run):
    until(lambda: run.row("agent-1")["pid"] is None, "the end of the agent")
    agent = run.row("agent-1")
    assert (run.facts()["state"], agent["state"], agent["person"]) == ("open", "stopped", False)
    code, said = run.checkout.aar("status", "people")
    assert code == 0 and "run people: open" in said and "no people are there" in said


def test_a_command_has_a_method_scored_and_its_commit_is_on_the_persons_branch_in_the_users_repository(run):
    (run.checkout.folder / "idea.md").write_text("Trust the teacher less where it is sure.\n")
    done = run.join(
        "ada", "bash", "-c", "cat > methods/ada.py && aar submit methods/ada.py --predict 0.4 --wait", stdin=METHOD, arguments=("--direction", "idea.md")
    )
    (run.checkout.folder / "idea.md").unlink()
    assert done.returncode == 0 and re.search(r"s\d{4} ada +methods/ada.py: PGR", done.stdout), (done.stdout, done.stderr)
    mine = [v for v in Ledger(run.paths.ledger).verdicts.values() if v["agent"] == "ada"]
    assert [v["status"] for v in mine] == ["scored"]
    row = until(lambda: run.row("ada")["state"] == "away" and run.row("ada"), "ada's absence")
    assert (row["person"], row["submissions"], row["last_pgr"], row["direction"]) == (True, 1, mine[0]["pgr"], "people/ada")
    assert (run.paths.board / "prompts/directions/people/ada.md").read_text() == "Trust the teacher less where it is sure.\n"
    until(lambda: "aar/people/ada" in run.checkout.git("branch", "--list", "aar/people/*"), "the mirror of the branch")
    commit = mine[0]["commit"]
    until(lambda: commit in run.checkout.git("rev-parse", "aar/people/ada"), "the mirror of the commit")
    assert "Agent: ada" in (message := run.checkout.git("log", "-1", commit)) and "Direction: people/ada" in message
    until(lambda: run.events("ada") == ["joined", "left"], "the note that ada left")


def test_exit_codes_streams_and_scripts_come_through(run):
    done = run.join("ada", "bash", "-c", "echo out; echo wrong >&2; exit 7")
    assert (done.returncode, done.stdout, done.stderr) == (7, "out\n", "wrong\n")
    assert run.join("ada", "no-such-command").returncode == 127
    piped = run.join("ada", stdin="echo $AAR_AGENT; ls methods/ada.py; exit 3\n")
    assert (piped.returncode, piped.stdout) == (3, "ada\nmethods/ada.py\n")


def test_the_walls_keep_a_person_from_labels_other_worktrees_and_the_network_as_they_keep_agents(run):
    labels = next((aar_home() / "tasks" / "smoke" / "private").rglob("*.npy"), None) or next(
        file for file in (aar_home() / "tasks" / "smoke" / "private").rglob("*") if file.is_file()
    )
    other = run.paths.worktree("agent-1") / "methods" / "README.md"
    for file in (labels, other, run.paths.control):
        assert os.path.lexists(file), "the control: outside it is there"
        assert run.join("ada", "ls", str(file)).returncode != 0
    reach = "import socket; socket.create_connection(('127.0.0.1', {}), 5)"
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        socket.create_connection(("127.0.0.1", port), 5).close()
        assert run.join("ada", "python3", "-c", reach.format(port)).returncode != 0
    assert run.join("ada", "ls", "/aar/task").returncode == 0, "the control: what is hers is there"


def test_a_shell_has_a_terminal_of_its_own_with_job_control_size_and_ctrl_c(run):
    shell = Shell(run.checkout, "people", "--name", "bob")
    shell.see("you are bob in run people, task smoke")
    shell.see("aar task.*aar news")
    shell.see("/aar/prompt.md")
    shell.see(r"bob@people:.*[$#] ")
    assert until(lambda: run.row("bob")["state"] == "present" and run.row("bob"), "bob's presence")["person"]
    assert "1 person is there" in run.checkout.aar("status", "people")[1]
    shell.type("stty size; test -t 0 && echo is-$((40 + 2))-terminal\r")
    shell.see("33 101\r\n")
    shell.see("is-42-terminal")
    shell.resize(20, 60)
    until_size = "until [ \"$(stty size)\" = '20 60' ]; do sleep 0.05; done; echo resized-$((1 + 1))\r"
    shell.type(until_size)
    shell.see("resized-2")
    shell.type("sh -c 'echo begun-$((2 + 1)); exec sleep 1000'\r")
    shell.see("begun-3")
    shell.type("\x03")
    shell.type("echo after-$?\r")
    shell.see("after-130")
    shell.type("sh -c 'echo begun-$((2 + 2)); exec sleep 1000'\r")
    shell.see("begun-4")
    shell.type("\x1a")
    shell.see("Stopped")
    shell.type("jobs; kill %1; wait; echo jobs-$((5 + 1))\r")
    shell.see("jobs-6")
    shell.type(": < /dev/tty && echo named-$((6 + 1))\r")  # a program finds its terminal by name
    shell.see("named-7")
    shell.type("echo 'unfinished' > notes.txt; aar scores; exit 9\r")
    shell.see("submissions left")
    assert shell.ended() == 9
    until(lambda: run.row("bob")["state"] == "away", "bob's absence")
    until(lambda: run.events("bob") == ["joined", "left"], "the note that bob left")  # it is written a moment later


def test_whoever_comes_back_finds_the_files_and_the_history(run):
    done = run.join("bob", "bash", "-c", "cat notes.txt; grep -c unfinished $HOME/.bash_history; git branch --show-current")
    assert done.stdout.split() == ["unfinished", "1", "aar/people/bob"], (done.stdout, done.stderr)
    sessions = [entry["kind"] for entry in read_jsonl(run.paths.agent("bob") / "transcript.jsonl")]
    assert sessions == ["session", "session-end"] * 2


def test_the_terminal_is_as_it_was_however_the_shell_ended(run):
    for end in ("exit\r", "kill -9 $$\r", signal.SIGTERM):
        shell = Shell(run.checkout, "people", "--name", "bob")
        shell.see(r"bob@people:.*[$#] ")
        assert shell.flags() != shell.before, "the control: meanwhile each key is passed on as it is"
        shell.type(end) if isinstance(end, str) else os.kill(shell.pid, end)
        until(lambda shell=shell: shell.flags() == shell.before, f"the end by {end!r}")
        code = shell.ended()
        assert code == {"exit\r": 0, "kill -9 $$\r": 137}.get(end, 143)


def test_two_are_there_at_once_but_no_one_twice_and_no_agents_name_is_taken(run):
    ada, bob = run.shell("ada"), run.shell("bob")
    until(lambda: {"ada", "bob"} <= {a["name"] for a in run.facts()["agents"] if a["state"] == "present"}, "both")
    assert "2 people are there" in run.checkout.aar("status", "people")[1]
    for name, words in {"ada": "is in run people already", "agent-1": "is an agent of run people", "board": "needs this name"}.items():
        refused = run.join(name, "true")
        assert refused.returncode == 2 and words in refused.stderr and refused.stderr.count("\n") == 1, refused.stderr
    assert "lower-case" in run.join("Ada!", "true").stderr
    ada.type("aar post --type insight --title 'Ada was here' <<< 'And wrote it down.'\r")
    ada.see("post 2")
    bob.type("cat $AAR_FORUM/*ada-was*\r")
    bob.see("And wrote it down")
    for shell in (ada, bob):
        shell.type("exit\r")
        assert shell.ended() == 0


def test_a_sandbox_dies_with_the_process_that_joined(run):
    shell = run.shell("bob")
    seconds = 10**6 + os.getpid()
    shell.type(f"(sleep {seconds} &) ; echo running-$((3 + 4))\r")
    shell.see("running-7")
    sleepers = lambda: subprocess.run(["pgrep", "-f", f"^sleep {seconds}"], capture_output=True).stdout  # noqa: E731
    until(sleepers, "the start of it")
    os.kill(shell.pid, signal.SIGKILL)
    assert shell.ended() == -signal.SIGKILL
    until(lambda: not sleepers(), "the end of all inside")
    until(lambda: run.row("bob")["state"] == "away", "bob's absence")


def test_killed_and_resumed_open_a_run_has_its_people_as_they_left_and_starts_no_agent(run):
    shell = run.shell("bob")
    shell.type("echo kept > more.txt; echo wrote-$((4 + 4))\r")
    shell.see("wrote-8")
    run.process.kill()
    run.process.wait()
    shell.see("aar: the operator of run people is gone: `python aar.py resume people --keep-open`")
    assert shell.ended() == 1
    refused = run.join("bob", "true")
    assert refused.returncode == 2 and "`python aar.py resume people --keep-open` opens it" in refused.stderr
    before = run.events("agent-1")
    run.operate("resume", "people", "--keep-open", "--yes")
    assert run.join("bob", "cat", "more.txt", "notes.txt").stdout == "kept\nunfinished\n"
    assert run.join("cyd", "git", "log", "-1", "--format=%H").stdout.strip() == run.checkout.git("rev-parse", "main").strip()
    agent = run.row("agent-1")
    assert (agent["state"], agent["pid"], run.events("agent-1")) == ("stopped", None, before)


def test_stop_ends_an_open_run_tells_who_is_there_and_seals_nothing(run):
    shell = run.shell("bob")
    assert run.checkout.aar("stop", "people")[0] == 0
    shell.see("aar: run people is over: it was stopped")
    assert shell.ended() == 1
    assert run.process.wait() == 0
    assert run.facts()["state"] == "stopped" and run.row("bob")["state"] == "away"
    assert not (run.paths.board / "verification.md").exists()
    assert "Ada was here" in run.checkout.git("grep", "-h", "Ada was", "aar/people/board", "--", "forum")


def test_without_being_kept_open_a_run_ends_when_its_time_is_over_whoever_is_there(run):
    for minutes in ("0.25", "1.5"):
        process = run.checkout.start("resume", "people", "--minutes", minutes, "--no-verify", stdout=subprocess.DEVNULL)
        until(lambda process=process: run.state()[1:] == (process.pid,), "the start")
        with contextlib.suppress(AssertionError):  # a slow machine's person comes too late for the first time
            shell = run.shell("bob")
            shell.type("aar task\r")
            shell.see(r"\d+ s left")
            break
        process.wait()
    shell.see("aar: run people is over: it came to its end")
    assert shell.ended() == 1 and process.wait() == 0
    assert run.facts()["state"] == "finished"


def test_a_run_without_agents_is_for_people_only_and_ends_by_stop(smoke, module_checkout):
    run = Run(module_checkout, "alone")
    run.operate("--agents", "0", "--task", "smoke", "--run", "alone", "--keep-open")
    assert "no end of time" in run.join("eve", "aar", "task").stdout
    assert module_checkout.aar("stop", "alone")[0] == 0 and run.process.wait() == 0


def test_what_is_touched_just_before_the_end_is_in_the_ledger(smoke, module_checkout):
    run = Run(module_checkout, "alone")
    run.operate("resume", "alone", "--keep-open")
    shell = run.shell("eve")
    run.process.send_signal(signal.SIGSTOP)  # it does not look again before it is asked to stop
    shell.type("wc -c < /aar/private/labels.npy\r")
    shell.see(r"\r\d+\r\n")
    run.process.send_signal(signal.SIGTERM)
    run.process.send_signal(signal.SIGCONT)
    assert run.process.wait() == 0 and shell.ended() == 1
    assert [record["agent"] for record in read_jsonl(run.paths.ledger) if record.get("event") == "honeypot"] == ["eve"]
