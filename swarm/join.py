"""A person at work in a run: a shell, or one command, in the sandbox of an agent that has a person for a researcher.

    code = join(paths, "alice", None, [])                     a shell, on this terminal
    code = join(paths, "alice", None, ["aar", "scores"])      one command; stdin and stdout are passed through

The sandbox belongs to this process and dies with it; the operator sees the person leave when the connection ends. Where the
operator ends it, the sandbox ends too.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import re
import socket
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

from sandbox.box import Box, Handle, Limits, Result, start
from state.config import read_config
from state.errors import UserError
from state.files import append_jsonl, utc_now
from state.operated import is_operated
from state.paths import NAME, RunPaths
from swarm.access import open_for_submissions
from swarm.boxes import agent_box
from swarm.sockets import connect_to
from swarm.terminal import Terminal

LIMITS = Limits(seconds=366 * 86400.0, memory_mib=4096, processes=256, file_mib=1024, disk_mib=1024)
NICENESS = 10
"""Behind the evaluator, but not starved while it works, as it is for agents that live in one sandbox."""
STARTING_SECONDS = 15.0
"""How long whoever joins waits for an operator that has just started."""
INTERRUPTED = 130
PASSED_ON = ("TERM", "COLORTERM", "LANG", "LC_ALL", "TZ")
MOST_DIRECTION = 20_000


def join(paths: RunPaths, name: str | None, direction: str | None, command: list[str]) -> int:
    """Take part in a run until the shell or the command ends; its exit code. `direction`: a file, for one who is new."""
    open_for_submissions(paths)
    name = name or login_name()
    if not NAME.fullmatch(name):
        raise UserError(f"--name {name!r}: lower-case letters, digits, - and _, at most 40")
    text = _direction(Path(direction)) if direction else ""
    interactive = not command and sys.stdin.isatty() and sys.stdout.isatty()
    if not command and not interactive:
        print("aar: no terminal here: the shell reads its commands from standard input", file=sys.stderr, flush=True)
    with Presence(paths, name, text) as presence:
        config = read_config(paths)
        box = person_box(paths, config, name)
        record(paths, name, {"kind": "session", "command": command or ["bash"], "terminal": interactive})
        if interactive:
            print(greeting(config, box, name, presence.again), flush=True)
            # Set by a command: the shell that is pid 1 inside takes a prompt out of its environment.
            shell = ["env", f"PS1={name}@{paths.name}:\\w\\$ ", "bash"]
            result = Terminal(sys.stdin.fileno(), sys.stdout.fileno()).show(box, shell, NICENESS, presence.watch)
        else:
            result = pass_through(box, command or ["bash"], presence)
        code = _told(paths, presence, box, result)
        record(paths, name, {"kind": "session-end", "exit": code, "ended": result.ended, "seconds": round(result.seconds, 1)})
        return code


def login_name() -> str:
    """The user's login name as a name for an agent."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user whom the machine does not know
        user = ""
    return re.sub(r"^[^a-z0-9]+", "", re.sub(r"[^a-z0-9_-]+", "-", user.lower()))[:40] or "person"


def _direction(file: Path) -> str:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--direction {file}: {error.strerror if isinstance(error, OSError) else 'not UTF-8'}") from None
    if len(text) > MOST_DIRECTION:
        raise UserError(f"--direction {file}: {len(text)} characters, of which a direction may have {MOST_DIRECTION}")
    return text


def person_box(paths: RunPaths, config: dict, name: str) -> Box:
    """The shell of an agent, for as long as a person wants, with what an interactive bash likes to know."""
    box = agent_box(paths, name, config["task"], config["isolation"], lasting=True)
    env = {variable: os.environ[variable] for variable in PASSED_ON if os.environ.get(variable)}
    env |= {
        "SHELL": "/bin/bash", "USER": name, "LOGNAME": name,
        # Kept at once: the sandbox may be killed. It is the person's own record of what was tried, and when.
        "HISTFILE": f"{box.env['HOME']}/.bash_history", "HISTTIMEFORMAT": "%F %T ", "HISTSIZE": "100000", "PROMPT_COMMAND": "history -a",
    }  # fmt: skip
    return replace(box, env={**box.env, **env}, limits=LIMITS, idle=False)


def greeting(config: dict, box: Box, name: str, again: bool) -> str:
    """Three lines: the task, the door, where things lie."""
    back = "welcome back: your files are as you left them" if again else "your worktree and your branch are new"
    prompt = next((box.inside(mount.source) for mount in box.mounts if mount.target == "/aar/prompt.md"), "the README")
    return "\n".join([
        f"you are {name} in run {config['name']}, task {config['task']}; {back}",
        "`aar task` says what it is about, `aar news` what happens, `aar submit methods/x.py --wait` has a method scored, `aar -h` the rest",
        f"here: your worktree; {prompt}: how it goes; {box.env['AAR_FORUM']}: posts; {box.env['AAR_TASK']}: the open kit; `exit` leaves",
    ])  # fmt: skip


def record(paths: RunPaths, name: str, entry: dict) -> None:
    append_jsonl(paths.agent(name) / "transcript.jsonl", {"time": utc_now(), **entry})


def pass_through(box: Box, command: list[str], presence: Presence) -> Result:
    """Run a command inside on this process's own stdin, stdout and stderr."""
    handle = start(box, ["nice", "-n", str(NICENESS), *command], stdin=None, stdout=None, stderr=None)
    presence.watch(handle)
    try:
        return handle.wait()
    except KeyboardInterrupt:
        handle.kill("interrupted")
        return replace(handle.wait(), returncode=INTERRUPTED)
    finally:
        handle.kill()


def _told(paths: RunPaths, presence: Presence, box: Box, result: Result) -> int:
    """Say what ended the sandbox, if it did not end by itself; the exit code."""
    if presence.over:
        print(f"aar: {presence.over}", file=sys.stderr)
        return 1
    if result.ended in ("memory", "disk", "processes"):
        most = {"memory": f"{box.limits.memory_mib} MiB", "disk": f"{box.limits.disk_mib} MiB", "processes": box.limits.processes}[result.ended]
        print(f"aar: the sandbox was ended: more {result.ended} than the {most} of a shell; join again, heavy work goes to `aar job`", file=sys.stderr)
        return 1
    if result.ended == "watchdog":
        print(f"aar: the sandbox could not be watched and was ended: join run {paths.name} again", file=sys.stderr)
        return 1
    return result.returncode & 255


class Presence:
    """A person's connection to the operator: there while it is open. UserError where the run does not take the person in."""

    def __init__(self, paths: RunPaths, name: str, direction: str):
        self.paths, self.name = paths, name
        self.over: str | None = None
        """Why the operator ended it; None while it has not."""
        self._leaving = threading.Event()
        self._socket = _connect(paths)
        self._lines = self._socket.makefile("rb")
        try:
            self._socket.sendall(json.dumps({"do": "join", "name": name, "direction": direction}).encode() + b"\n")
            answer = self._hear()
            if "error" in answer:
                raise UserError(answer["error"])
            if "over" in answer:
                raise UserError(self._words(answer))
        except OSError:
            self.close()
            raise UserError(self._words({})) from None
        except UserError:
            self.close()
            raise
        self.again: bool = answer["again"]

    def _hear(self) -> dict:
        """The operator's next line; {} where it is gone."""
        line = self._lines.readline()
        return json.loads(line) if line.endswith(b"\n") else {"over": None}

    def _words(self, answer: dict) -> str:
        run = self.paths.name
        if why := answer.get("over"):
            return f"run {run} is over: {why}; `python aar.py resume {run} --keep-open` would open it again for people"
        return f"the operator of run {run} is gone: `python aar.py resume {run} --keep-open`, then join again; nothing is lost"

    def watch(self, handle: Handle) -> None:
        """End the sandbox when the operator ends the connection."""

        def wait() -> None:
            answer: dict = {}
            with contextlib.suppress(OSError, ValueError):  # closed, by either side
                answer = self._hear()
            if not self._leaving.is_set():
                self.over = self._words(answer)
                handle.kill("over")

        threading.Thread(target=wait, daemon=True, name="presence").start()

    def __enter__(self) -> Presence:
        return self

    def __exit__(self, *error: object) -> None:
        self._leaving.set()
        self.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def _connect(paths: RunPaths) -> socket.socket:
    """A connection to the run's operator, waited for where it has just started."""
    until = time.monotonic() + STARTING_SECONDS
    while True:
        try:
            return connect_to(paths.control)
        except (FileNotFoundError, ConnectionRefusedError):
            pass
        if not is_operated(paths):
            raise UserError(f"run {paths.name} does not go on: `python aar.py resume {paths.name} --keep-open` opens it for people")
        if time.monotonic() > until:
            raise UserError(f"run {paths.name} is just ending or being verified: try again in a moment")
        time.sleep(0.1)
