"""One agent: a subprocess with a researcher that decides and hands that act, in the agent's sandbox, on its worktree.

    python -m swarm.agent RUN_FOLDER AGENT      started and supervised by the operator (swarm/run.py)
"""

from __future__ import annotations

import importlib
import sys

import tomli

from state.files import append_jsonl, utc_now
from state.lifeline import end_with_starter
from state.paths import RunPaths
from swarm.boxes import agent_box
from swarm.hands import Hands
from swarm.researchers import AgentConfig

RESEARCHERS = {"search": ("swarm.researchers.search", "SearchResearcher")}
"""Name -> (module, class). Imported only when an agent needs it."""


def main(arguments: list[str]) -> None:
    end_with_starter()
    paths, name = RunPaths(arguments[0]), arguments[1]
    config = tomli.loads(paths.toml.read_text())
    me = next(agent for agent in config["agents"] if agent["name"] == name)
    folder = paths.agent(name)
    hands = Hands(agent_box(paths, name, config["task"], config["isolation"]))
    text = paths.board / "prompts" / "directions" / f"{me['direction']}.md"
    about = AgentConfig(
        name=name,
        direction=text.read_text() if text.exists() else "",
        direction_name=me["direction"],
        run=config["name"],
        task=config["task"],
        seed=config["seed"],
        views=config["views"],
        folder=folder,
    )

    def record(entry: dict) -> None:
        append_jsonl(folder / "transcript.jsonl", {"time": utc_now(), **entry})

    module, kind = RESEARCHERS[me["researcher"]]
    researcher = getattr(importlib.import_module(module), kind)(about, hands, record)
    while researcher.step():
        pass


if __name__ == "__main__":
    main(sys.argv[1:])
