"""Where everything lies: AAR_HOME for the machine, `.aar/runs/<run>` for a run."""

from __future__ import annotations

import os
import re
from pathlib import Path

from state.errors import UserError

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
"""What a run or an agent may be called: it becomes a folder and a part of a branch."""


def aar_home() -> Path:
    """The machine's folder for models, prepared tasks and feature blocks: $AAR_HOME or ~/.cache/aar, created if missing.

    Raises UserError where it cannot be written.
    """
    home = Path(os.environ.get("AAR_HOME") or Path.home() / ".cache" / "aar").expanduser().absolute()
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"AAR_HOME {home} cannot be made ({error.strerror}): set AAR_HOME to a folder you may write") from None
    if not os.access(home, os.W_OK | os.X_OK):
        raise UserError(f"AAR_HOME {home} is not writable: set AAR_HOME to a folder you may write")
    return home


class RunPaths:
    """The files of one run (DESIGN: state is plain files). `root` is `.aar/runs/<run>`."""

    def __init__(self, root: Path | str):
        self.root = Path(root).absolute()
        self.name = self.root.name
        self.toml = self.root / "run.toml"
        self.ledger = self.root / "ledger.jsonl"
        self.state = self.root / "state.json"
        self.lock = self.root / "operator.lock"
        self.log = self.root / "operator.log"
        self.repo = self.root / "repo.git"
        self.evaluator = self.root / "evaluator"
        self.board = self.root / "board"
        self.forum = self.board / "forum"
        self.spend = self.root / "spend.jsonl"
        self.control = self.root / "control.sock"
        self.opened = self.root / "opened.json"
        """Of a run that was opened from a bundle, to be looked at: {"file", "sha256", "time", "packed", "mirrored"}."""

    def agent(self, name: str) -> Path:
        """The folder of one agent: worktree/, home/, transcript.jsonl, agent.log, door.sock, model.sock."""
        return self.root / name

    def worktree(self, name: str) -> Path:
        return self.root / name / "worktree"

    def home(self, name: str) -> Path:
        """HOME of an agent's sandboxes: whatever runs inside keeps its own things here. Nothing of it is committed."""
        return self.root / name / "home"

    def door(self, name: str) -> Path:
        """The agent's socket to the broker."""
        return self.root / name / "door.sock"

    def model(self, name: str) -> Path:
        """The agent's socket to the model proxy."""
        return self.root / name / "model.sock"


def runs_folder(repository: Path | str) -> Path:
    return Path(repository) / ".aar" / "runs"


def all_runs(repository: Path | str) -> list[RunPaths]:
    """The runs of this repository, oldest first."""
    found = [RunPaths(toml.parent) for toml in runs_folder(repository).glob("*/run.toml")]
    return sorted(found, key=lambda paths: (_created(paths), paths.name))


def _created(paths: RunPaths) -> str:
    """When a run was started, as it says itself: a copied folder is no newer for it. "" where it does not say."""
    with open(paths.toml, "rb") as file:
        said = re.search(rb'^created = "([^"]*)"', file.read(4000), re.MULTILINE)
    return said[1].decode("ascii", "replace") if said else ""


def find_run(repository: Path | str, name: str | None) -> RunPaths:
    """The run called `name`, or the newest one. Raises UserError that names the runs there are."""
    runs = all_runs(repository)
    if name is None:
        if not runs:
            raise UserError("there is no run here yet: start one with `python aar.py --agents 9`")
        return runs[-1]
    for paths in runs:
        if paths.name == name:
            return paths
    if not runs:
        raise UserError(f"no run {name!r}: there is no run here yet; start one with `python aar.py --agents 9`")
    known = ", ".join(paths.name for paths in runs[-8:])
    raise UserError(f"no run {name!r} under {runs_folder(repository)}: {'the latest are' if len(runs) > 8 else 'there is'} {known}")
