"""An agent with the researcher `claude` in a folder of its own, against a scripted server on its socket.

    python -m tests.swarm.thinker FOLDER        lives the agent until it has finished: whenever its process is killed, another
                                                begins on the same folder. Prints the pid of each.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from sandbox.bare import die_with_parent
from sandbox.box import Box, Limits, Mount
from state.files import append_jsonl, read_jsonl, utc_now
from state.lifeline import end_with_starter
from swarm.hands import Hands
from swarm.researchers import AgentConfig
from swarm.researchers.claude import ClaudeResearcher

LIMITS = Limits(seconds=60, memory_mib=256, processes=32, file_mib=8, disk_mib=40, output_bytes=60_000)


class Thinker:
    """`settings` are those of [model]; `news` is what the researcher asks between turns."""

    def __init__(self, folder: Path, settings: dict[str, Any] | None = None, direction: str = "look at thresholds", prompt: str = "You are agent-1."):
        self.folder = folder
        for name in ("worktree", "home"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        self.transcript = folder / "transcript.jsonl"
        self.config = AgentConfig(
            name="agent-1", direction=direction, direction_name="thresholds", run="r", task="smoke", seed=1, views=[], folder=folder,
            model="claude-opus-5-5", prompt=prompt, settings={"model": settings or {}},
        )  # fmt: skip
        mounts = (Mount(folder / "worktree", "/aar/worktree", writable=True), Mount(folder / "home", "/aar/home", writable=True))
        self.hands = Hands(Box("shell", mounts=mounts, env={"HOME": "/aar/home"}, chdir="/aar/worktree", limits=LIMITS))

    def start(self, news=None) -> ClaudeResearcher:
        """As if the agent's process had just been started."""
        return ClaudeResearcher(self.config, self.hands, self.record, news=news or (lambda cursor: ([], cursor)))

    def record(self, entry: dict[str, Any]) -> None:
        append_jsonl(self.transcript, {"time": utc_now(), **entry})

    def entries(self, *kinds: str) -> list[dict[str, Any]]:
        return [entry for entry in read_jsonl(self.transcript) if not kinds or entry["kind"] in kinds]

    def results(self) -> list[str]:
        return [entry["content"] for entry in self.entries("result")]

    def doing(self) -> tuple[str, str]:
        about = json.loads((self.folder / "activity.json").read_text())
        return about["doing"], about["note"]


def run(researcher: ClaudeResearcher, most: int = 100) -> int:
    """Steps until the researcher has no more to do; how many they were."""
    for number in range(1, most + 1):
        if not researcher.step():
            return number
    raise AssertionError(f"not finished after {most} steps")


def live(folder: Path) -> None:
    """One life of the agent."""
    researcher = Thinker(folder).start()
    researcher.patience.sleep = lambda seconds: None
    while researcher.step():
        pass


if __name__ == "__main__":
    end_with_starter()
    status = 1
    while status:
        pid = os.fork()  # the SDK is imported once, not for every life
        if pid == 0:
            die_with_parent()
            live(Path(sys.argv[1]))
            os._exit(0)
        print(pid, flush=True)
        status = os.waitpid(pid, 0)[1]
