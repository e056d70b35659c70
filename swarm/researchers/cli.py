"""An agent CLI in its agent's sandbox: what is mounted and set for it, how it is started, and what it prints.

    cli = Cli(config)
    running = cli.start(hands.box, session, resumed=False, words=prompt)
    running.handle.wait(); running.output.last_words()
"""

from __future__ import annotations

import os
import socket
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from sandbox import seccomp
from sandbox.box import Box, Handle, Limits, Mount, start
from state.errors import UserError
from state.files import write_atomic
from swarm import forward
from swarm.presets import NO_KEY, command_of, fill, fill_env
from swarm.programs import Program, find_program
from swarm.researchers import AgentConfig, Parked
from swarm.researchers.output import Output

PORT = 8199
LIMITS = Limits(seconds=366 * 86400.0, memory_mib=4096, processes=256, file_mib=1024, disk_mib=1024)
"""A CLI lives as long as the run; its sandbox dies with the agent's process."""
TURNS_A_RUN = 50
"""After so many turns a CLI that can be told ends, and hears the news."""


@dataclass(frozen=True)
class Running:
    """One run of the CLI. `argv` as it is inside, without the forwarder."""

    handle: Handle
    output: Output
    argv: list[str]


class Cli:
    """The CLI of an agent. Parked where [command] makes no sense or the program is not there."""

    def __init__(self, config: AgentConfig):
        self.config = config
        try:
            self.command = command_of(config.settings.get("command", {}))
            names = {self.command.argv[0], self.command.resume[0]}
            self.programs: dict[str, Program] = {
                name: find_program(name, self.command.binds, [config.folder.parent]) for name in names
            }
        except UserError as error:
            raise Parked(str(error)) from None
        self.name = Path(self.command.argv[0]).name

    def start(self, box: Box, session: str, resumed: bool, words: str) -> Running:
        """`box`: the agent's sandbox. `words` are its standard input. UserError where the walls cannot be built."""
        box = self._around(box)
        port = PORT if box.isolation != "none" else _free_port()
        argv, env = self._filled(box, port, session, resumed)
        lead = [sys.executable, "-I", "-S", box.inside(forward.__file__), str(port), box.inside(self._socket), "--"]
        reading, writing = os.pipe()
        output = Output(self.config.folder / "output", reading)
        stdin = seccomp.memfd(words.encode(errors="replace"), "prompt")
        try:
            handle = start(replace(box, env={**box.env, **env}), [*lead, *argv], stdin=stdin, stdout=writing)
        finally:
            os.close(stdin)
            os.close(writing)
        return Running(handle, output, argv)

    @property
    def _socket(self) -> Path:
        return self.config.folder / "model.sock"

    def _around(self, box: Box) -> Box:
        """The agent's sandbox with the program in it, and its way to the model."""
        prompt = self.config.folder / "prompt.md"
        if not prompt.exists():
            write_atomic(prompt, self.config.prompt)
        more = [
            Mount(self._socket, "/aar/model.sock"),
            Mount(forward.__file__, "/aar/lib/forward.py"),
            Mount(prompt, "/aar/prompt.md"),
            *(mount for program in self.programs.values() for mount in program.mounts),
        ]
        there = {mount.target for mount in box.mounts}
        mounts = (*box.mounts, *(mount for mount in dict.fromkeys(more) if mount.target not in there))
        # Not at idle priority: a CLI that gets no time while the evaluator works loses its connections. See forward.NICENESS.
        return replace(box, mounts=mounts, limits=LIMITS, idle=False)

    def _filled(self, box: Box, port: int, session: str, resumed: bool) -> tuple[list[str], dict[str, str]]:
        model, url = self.config.settings.get("model", {}), f"http://127.0.0.1:{port}"
        values = {
            "model": self.config.model, "effort": model.get("effort", ""), "max_tokens": str(model.get("max_tokens", 16_000)),
            "prompt_file": box.inside(self.config.folder / "prompt.md"), "session": session, "home": box.env.get("HOME", "/tmp"),
            "worktree": box.chdir, "port": str(port), "url": url, "max_turns": str(TURNS_A_RUN),
        }  # fmt: skip
        template = self.command.resume if resumed else self.command.argv
        program = self.programs[template[0]]
        env = {
            "ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": NO_KEY, "OPENAI_BASE_URL": f"{url}/v1", "OPENAI_API_KEY": NO_KEY,
            "NO_PROXY": "127.0.0.1,localhost", "PATH": os.pathsep.join([box.env.get("PATH", "/usr/bin:/bin"), *program.folders]),
            **fill_env(self.command.env, values),
        }  # fmt: skip
        return [program.path, *fill(template[1:], values)], env


def _free_port() -> int:
    """For where there are no walls: all agents share the machine's loopback."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]
