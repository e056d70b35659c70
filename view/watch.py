"""The status of a run, again and again until the run is over and verified: behind `python aar.py status RUN --watch`.

It reads files every two seconds and writes nothing, so a run does not notice whether, or by how many, it is watched. On a terminal
the picture is redrawn; in a pipe it is printed again when something happened, behind an empty line.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TextIO

from rich.console import Group
from rich.text import Text

from state.paths import RunPaths
from view.live import Terminal, live_on
from view.screen import painted, screen
from view.status import Follower

EVERY_SECONDS = 2.0
LAST_LOOKS = 5
"""At a run that was seen going on and is finished: nobody works on it for a moment before its winner is verified."""
HAPPENED = ("state", "verified", "verifying", "submissions", "scored", "posts", "queue", "best", "problems", "people")
LASTING = ("parked", "stopped", "present", "away")
OF_AGENTS = ("name", "restarts", "last_pgr", "best_pgr", "idea")
"""What makes a picture another one; clocks, money and what an agent does at this moment do not."""


@contextlib.contextmanager
def until_left(file: TextIO) -> Iterator[None]:
    """Ctrl-C, a closed pipe or a terminal that went away end what stands below, without a word."""
    try:
        yield
    except KeyboardInterrupt:
        pass
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)  # what is still buffered must not fail again at exit
        with contextlib.suppress(OSError, ValueError):
            os.dup2(nowhere, file.fileno())
        os.close(nowhere)


def is_screen(console: Terminal) -> bool:
    """Whether a picture can be redrawn there."""
    return console.is_terminal and not console.is_dumb_terminal


@contextlib.contextmanager
def redrawn(console: Terminal) -> Iterator[Callable[[dict, Sequence[Text]], None]]:
    """Gives `draw(facts, lines)`, which puts lines in the place of those before; when it is left, the whole of the last facts stays
    there, whether or not the terminal is high enough for it."""
    last: list[dict] = []
    try:
        with live_on(console, transient=True) as live:

            def draw(facts: dict, lines: Sequence[Text]) -> None:
                if not is_screen(console):  # it was one, and to what is none rich writes nothing, so that no write would fail
                    raise OSError(errno.EIO, "the terminal is gone")
                last[:] = [facts]
                live.update(Group(*lines), refresh=True)

            yield draw
    finally:
        for facts in last:
            print(painted(screen(facts, console.width), console.width), file=console.file, flush=True)


def watch(paths: RunPaths, file: TextIO | None = None, every: float = EVERY_SECONDS) -> None:
    """Show the status of a run until it is over or somebody leaves with Ctrl-C. UserError where the run cannot be read."""
    file = file or sys.stdout
    follower, console = Follower(paths), Terminal(file=file, highlight=False, markup=False)
    with until_left(file):
        if is_screen(console):
            with redrawn(console) as draw:
                _follow(follower, every, lambda facts: draw(facts, screen(facts, console.width, console.height - 1)))
        else:
            _follow(follower, every, Printed(file).show)


class Printed:
    """Prints pictures where nothing can be redrawn: only when something happened."""

    def __init__(self, file: TextIO):
        self.file, self.before = file, None

    def show(self, facts: dict) -> None:
        happened = what_happened(facts)
        if happened != self.before:
            print(("\n" if self.before else "") + painted(screen(facts), None), file=self.file, flush=True)
            self.before = happened


def _follow(follower: Follower, every: float, show: Callable[[dict], None]) -> None:
    looks = 1
    while True:
        facts = follower.facts()
        show(facts)
        if facts["alive"] or facts["verifying"]:
            looks = LAST_LOOKS
        elif looks == 1 or facts["verified"] or facts["state"] != "finished":
            return
        else:
            looks -= 1
        time.sleep(every)


def what_happened(facts: dict) -> tuple[list, list]:
    """What has to differ for a picture to be worth printing again."""
    agents = [[agent["state"] in LASTING and agent["state"], *(agent.get(name) for name in OF_AGENTS)] for agent in facts["agents"]]
    return [facts[name] for name in HAPPENED], agents
