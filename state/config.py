"""What a run was started with, and who joined it since: the one reader of both.

    config = read_config(paths)      run.toml; behind its agents, in config["agents"], stand the people of joined.jsonl

run.toml is frozen at the start. A person who joins is appended to joined.jsonl, with the same keys that an agent has there.
"""

from __future__ import annotations

import tomli

from state.errors import UserError
from state.files import append_jsonl, read_jsonl, utc_now
from state.paths import RunPaths

JOINED = "joined.jsonl"
PERSON = "shell"
"""The researcher of an agent that is a person."""


def read_config(paths: RunPaths) -> dict:
    """The configuration of a run. UserError where it cannot be read."""
    try:
        config = tomli.loads(paths.toml.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{paths.toml} cannot be read ({error}): `git show aar/{paths.name}/board:run.toml` has a copy") from None
    known = {agent["name"] for agent in config.setdefault("agents", [])}
    for record in read_jsonl(paths.root / JOINED):
        if record["name"] not in known:
            known.add(record["name"])
            config["agents"].append({key: record[key] for key in ("name", "direction", "researcher")})
    return config


def note_person(paths: RunPaths, name: str, direction: str) -> dict:
    """Have a person among the agents of a run from now on, durably; the entry in config["agents"]."""
    agent = {"name": name, "direction": direction, "researcher": PERSON}
    append_jsonl(paths.root / JOINED, {**agent, "time": utc_now()})
    return agent


def is_person(agent: dict) -> bool:
    """Whether an entry of config["agents"] is a person."""
    return agent.get("researcher") == PERSON
