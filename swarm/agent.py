"""One agent: a subprocess with a researcher that decides and hands that act, in the agent's sandbox, on its worktree.

    python -m swarm.agent RUN_FOLDER AGENT      started and supervised by the operator (swarm/run.py)
"""

from __future__ import annotations

import importlib
import sys
from functools import partial

import tomli

from state.files import append_jsonl, utc_now
from state.lifeline import end_with_starter
from state.paths import RunPaths
from swarm.boxes import LASTING, agent_box
from swarm.hands import Hands
from swarm.prompts import direction_text
from swarm.researchers import PARKED, AgentConfig, Parked

RESEARCHERS = {
    "search": ("swarm.researchers.search", "SearchResearcher"),
    "claude": ("swarm.researchers.claude", "ClaudeResearcher"),
    "command": ("swarm.researchers.command", "CommandResearcher"),
}
"""Name -> (module, class). Imported only when an agent needs it."""
ASK_MODELS = ("claude", "command")
"""Researchers that cost money."""


def main(arguments: list[str]) -> int:
    end_with_starter()
    paths, name = RunPaths(arguments[0]), arguments[1]
    config = tomli.loads(paths.toml.read_text())
    me = next(agent for agent in config["agents"] if agent["name"] == name)
    folder = paths.agent(name)
    # One that lives in a single sandbox for hours is shown others' work there; else each command gets a sandbox as of now.
    hands = Hands(partial(agent_box, paths, name, config["task"], config["isolation"], lasting=me["researcher"] in LASTING))
    prompt = folder / "prompt.md"
    about = AgentConfig(
        name=name,
        direction=direction_text(paths, me["direction"]),
        direction_name=me["direction"],
        run=config["name"],
        task=config["task"],
        seed=config["seed"],
        views=config["views"],
        folder=folder,
        model=me.get("model", ""),
        prompt=prompt.read_text(encoding="utf-8") if prompt.exists() else "",
        settings=config,
    )

    def record(entry: dict) -> None:
        append_jsonl(folder / "transcript.jsonl", {"time": utc_now(), **entry})

    module, kind = RESEARCHERS[me["researcher"]]
    try:
        researcher = getattr(importlib.import_module(module), kind)(about, hands, record)
        while researcher.step():
            pass
    except Parked as reason:
        print(reason, file=sys.stderr)
        return PARKED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
