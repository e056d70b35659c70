"""A `command` agent as a process of its own, for tests that kill it: python -m tests.swarm.command_driver FOLDER SETTINGS [STEPS]

FOLDER is the agent's: worktree/, home/, model.sock. SETTINGS is JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from sandbox.box import Box, Limits, Mount
from state.files import append_jsonl, read_jsonl
from state.lifeline import end_with_starter
from swarm.hands import Hands
from swarm.researchers import AgentConfig
from swarm.researchers.command import CommandResearcher
from tests.messages_replies import Call


def box_of(folder: Path) -> Box:
    """A shell as an agent has one, as far as a CLI needs it."""
    mounts = (Mount(folder / "worktree", "/aar/worktree", writable=True), Mount(folder / "home", "/aar/home", writable=True))
    env = {"HOME": "/aar/home", "PATH": "/usr/local/bin:/usr/bin:/bin"}
    return Box("shell", mounts=mounts, env=env, chdir="/aar/worktree", limits=Limits(seconds=60), idle=True)


def researcher_of(folder: Path, settings: dict, box: Box | None = None, prompt: str = "Find a mechanism.") -> CommandResearcher:
    """The researcher of the agent in `folder`, made with what is there. `researcher.pauses`: what it would have slept."""
    config = AgentConfig(
        name=folder.name, direction="", direction_name="none", run="run", task="smoke", seed=1, views=[], folder=folder,
        model="claude-opus-5-5", prompt=prompt, settings=settings,
    )  # fmt: skip
    researcher = CommandResearcher(config, Hands(box or box_of(folder)), lambda entry: append_jsonl(folder / "transcript.jsonl", entry))
    researcher.pauses = []
    researcher.sleep = researcher.pauses.append
    return researcher


def agent_folder(run: Path, name: str = "agent-1") -> Path:
    for part in ("worktree", "home"):
        (run / name / part).mkdir(parents=True)
    return run / name


def told_of(folder: Path, kind: str) -> list[dict]:
    """The entries of one kind in an agent's transcript."""
    return [entry for entry in read_jsonl(folder / "transcript.jsonl") if entry["kind"] == kind]


def last_words(call: Call) -> str:
    """What the user said last in a call of the model."""
    return [part["text"] for part in call.body["messages"][-1]["content"] if part["type"] == "text"][-1]


if __name__ == "__main__":
    end_with_starter()
    agent = researcher_of(Path(sys.argv[1]), json.loads(sys.argv[2]))
    for _ in range(int(sys.argv[3]) if len(sys.argv) > 3 else 1000):
        if not agent.step():
            break
