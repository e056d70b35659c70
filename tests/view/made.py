"""A small run made by hand: real files in the formats of DESIGN section 7, written through state/."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from state.files import append_jsonl, utc_now, write_atomic
from state.paths import RunPaths, runs_folder

FRESH = "2126-11-23T14:00:00Z"
"""When an operator last wrote its state: so late that it is silent for nobody, however long a machine stands still."""
HOSTILE = "x\x1b[2Jy\x1b]0;owned\x07z\u202e[bold red]q\x9b31m\r\nFAKE LINE"


def verdict(submission: str, agent: str = "agent-1", pgr: float | None = 0.5, **fields: object) -> dict:
    scored = {} if pgr is None else {"pgr": pgr, "pgr_low": pgr - 0.05, "pgr_high": pgr + 0.05}
    lift = {} if pgr is None else {"lift": pgr - 0.45, "lift_low": pgr - 0.5, "lift_high": pgr - 0.4}
    return {
        "submission": submission, "commit": "c0ffee" * 6 + "c0de", "method": "methods/x.py", "agent": agent, "family": "filtering",
        "track": "main", "status": "scored", "rung": "full", "draws": 8, "flags": [], "isolation": "bubblewrap",
        "method_seconds": 1.25, "overhead_seconds": 0.2, "peak_memory_mib": 80.0, "error": None, "time": "2026-11-23T14:00:00Z",
        "pgr": None, "pgr_low": None, "pgr_high": None, "lift": None, "lift_low": None, "lift_high": None,
        **scored, **lift, **fields,
    }  # fmt: skip


def add(paths: RunPaths, one: dict) -> None:
    """Append a submission and its verdict to the ledger."""
    keys = ("submission", "agent", "commit", "method", "family")
    append_jsonl(paths.ledger, {"kind": "submission", **{key: one[key] for key in keys}, "time": utc_now()})
    append_jsonl(paths.ledger, {"kind": "verdict", **one})


def make_run(repository: Path, name: str = "first", agents: int = 2, isolation: str = "bubblewrap") -> RunPaths:
    paths = RunPaths(runs_folder(repository) / name)
    paths.forum.mkdir(parents=True)
    lines = [f'name = "{name}"', 'created = "2026-11-23T13:00:00Z"', 'task = "reviews"', "seconds_limit = 600.0", "seed = 0"]
    lines += ['researcher = "search"', f'base = "{"ab12" * 10}"', 'base_branch = "main"', f'isolation = "{isolation}"']
    lines += ["dirty = false", "slots = 1"]
    for number in range(1, agents + 1):
        lines += ["[[agents]]", f'name = "agent-{number}"', f'direction = "idea-{number}"', 'researcher = "search"']
    paths.toml.write_text("\n".join(lines) + "\n")
    return paths


def commit_of(paths: RunPaths, folder: Path, files: dict[str, str]) -> str:
    """A commit in a run's own repository that holds these files."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@x", "-c", "init.defaultBranch=main", "--git-dir", str(paths.repo), "--work-tree", str(folder)]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "base"]):
        subprocess.run([*git, *words], check=True, cwd=folder)
    return subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()


def write_state(paths: RunPaths, state: str, **fields: object) -> dict:
    agent = {"state": "scoring", "since": utc_now(), "pid": 1, "restarts": 1, "submissions": 3, "last_pgr": 0.4, "note": HOSTILE}
    facts = {"pid": 1, "state": state, "seconds_used": 60.0, "seconds_limit": 600.0, "time": FRESH, "queue": 2}
    facts |= {"agents": {"agent-1": agent}, "best": None, "problems": []} | fields
    write_atomic(paths.state, json.dumps(facts), durable=False)  # as the operator does: who reads it meanwhile finds no half of it
    return facts


@contextlib.contextmanager
def as_another_user() -> Iterator[None]:
    """As a user who owns nothing here, which only root can become. What is used within has to be imported before."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    os.setresuid(65534, 65534, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)
