"""Checks the files of a run that came from somebody else, before anything reads them. Used by `open`.

    config = check_files(folder, manifest)       UserError that names the file, the line and the field
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import tomli
from pydantic import BaseModel, ValidationError

from state.errors import UserError
from state.posts import read_post
from swarm.bundle_file import SEALED, Manifest
from swarm.opened_fields import is_time
from swarm.opened_records import (
    Config,
    Diversity,
    Event,
    Isolation,
    Loose,
    OtherCall,
    Pairs,
    Person,
    Reserved,
    Settled,
    State,
    Submission,
    TranscriptLine,
    Transfer,
    Verdict,
)

MOST_LINES = 2_000_000
RESERVED = ("board", "evaluator", "bin")


def _ledger_model(record: dict) -> type[BaseModel]:
    return {"submission": Submission, "verdict": Verdict}.get(str(record.get("kind")), Event)


def _call_model(record: dict) -> type[BaseModel]:
    return {"reserved": Reserved, "settled": Settled}.get(str(record.get("kind")), OtherCall)


LISTS: dict[str, Callable[[dict], type[BaseModel]]] = {
    "ledger.jsonl": _ledger_model, "joined.jsonl": lambda _: Person, "spend.jsonl": _call_model,
    "diversity.jsonl": lambda _: Diversity, SEALED: lambda _: Verdict,
}  # fmt: skip
SINGLE: dict[str, type[BaseModel]] = {
    "state.json": State, "isolation.json": Isolation, "pairs.json": Pairs, "transfer.json": Transfer, "budget.json": Loose,
}


def check_files(folder: Path, manifest: Manifest) -> dict:
    """Check all that views read as records; run.toml as a dict. UserError for the first thing that is wrong."""
    try:
        config = tomli.loads((folder / "run.toml").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError("the bundle has no run.toml: it is no run") from None
    except (ValueError, RecursionError):
        raise UserError("the bundle's run.toml cannot be read: have it made again") from None
    _check(Config, config, "run.toml")
    for field, told in (("name", manifest.run), ("base", manifest.base), ("task", manifest.task)):
        if config[field] != told:
            raise UserError(f"the bundle's run.toml has another {field} than its manifest: it was tampered with")
    for name, model_of in LISTS.items():
        if (folder / name).exists():
            for number, record in enumerate(_records(folder / name, name), 1):
                _check(model_of(record), record, f"{name} line {number}")
    for name, model in SINGLE.items():
        if (folder / name).exists():
            _check(model, _json((folder / name).read_bytes(), name), name)
    agents = {agent["name"] for agent in config["agents"]} | {person["name"] for person in _records(folder / "joined.jsonl", "joined.jsonl")}
    for name in agents & set(RESERVED):
        raise UserError(f"the bundle has an agent called {name}, which no agent can be: it was tampered with")
    folders = {member.name.partition("/")[0] for member in manifest.members if member.name.endswith(("/transcript.jsonl", "/agent.log"))}
    for name in (folders | set(manifest.branches)) - agents - {"board"} | folders & set(RESERVED):
        raise UserError(f"the bundle has files or a branch of {name}, who is no agent of the run: it was tampered with")
    for name in folders:
        if (folder / name / "transcript.jsonl").exists():
            where = f"{name}/transcript.jsonl"
            for number, record in enumerate(_records(folder / where, where), 1):
                _check(TranscriptLine, record, f"{where} line {number}")
    for file in (folder / "board").rglob("*"):
        if file.is_file():
            _check_text(file, str(file.relative_to(folder)))
    return config


def _check_text(file: Path, name: str) -> None:
    """A file of the board; of a post also its time, which ends in a terminal."""
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UserError(f"the bundle's {name} is not UTF-8: have it made again") from None
    post = read_post(name, text) if file.parent.name == "forum" else None
    if post is not None and post.time:
        try:
            is_time(post.time)
        except ValueError:
            raise UserError(f"the bundle's {name} is not as it should be: 'time' no time such as 2026-11-23T14:00:00Z") from None


def _records(file: Path, name: str) -> list[dict]:
    if not file.exists():
        return []
    data = file.read_bytes()
    lines = data[: data.rfind(b"\n") + 1].splitlines()
    if len(lines) > MOST_LINES:
        raise UserError(f"the bundle's {name} has {len(lines)} lines: nothing was opened")
    return [_json(line, f"{name} line {number}") for number, line in enumerate(lines, 1) if line]


def _json(data: bytes, where: str) -> dict:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise UserError(f"the bundle's {where} is no JSON: have it made again") from None
    if not isinstance(value, dict):
        raise UserError(f"the bundle's {where} is no JSON object: have it made again")
    return value


def _check(model: type[BaseModel], record: dict, where: str) -> None:
    try:
        model.model_validate(record)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))[:60]
        raise UserError(f"the bundle's {where} is not as it should be: {ascii(field)} {ascii(first['msg'])[1:-1][:120]}") from None
