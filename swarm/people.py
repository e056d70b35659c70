"""People as agents of a run: whoever joins gets what an agent has, a worktree on a branch of its own, a door, and the same rules.

    people = People(paths, config, repo, desk, open_place)
    people.enter("alice", "a direction in her own words")      makes all of it, or finds it again
    people.leave("alice")

A person is in joined.jsonl before anything is made, and what is missing of it is made whenever the run is operated anew. So
whoever comes back, after a crash as well, finds the worktree as it was left.
"""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Callable

from state.config import is_person, note_person
from state.errors import UserError
from state.files import utc_now, write_atomic
from state.paths import NAME, RunPaths
from swarm.boxes import prepare_agent_folder
from swarm.desk import Desk
from swarm.prompts import DIRECTIONS, NONE, direction_text, write_prompt
from swarm.repo import RunRepo

FOLDER = "people"
"""Within the board's directions."""
MOST_PEOPLE = 64
"""Who may ever have joined a run."""
LEAVING_SECONDS = 2.0
"""How long whoever comes back at once waits until it is noticed that they had left."""


def make_person(paths: RunPaths, config: dict, repo: RunRepo, name: str) -> None:
    """Make what is missing of a person's branch, worktree and folder."""
    folder = paths.agent(name)
    folder.mkdir(exist_ok=True)
    repo.add_branch(name, config["base"])
    if not (folder / "gitfile").exists():  # it is written last: without it the worktree may be there in part
        shutil.rmtree(paths.worktree(name), ignore_errors=True)
        repo.add_worktree(name, paths.worktree(name))
    prepare_agent_folder(paths, name)
    if not (folder / "prompt.md").exists():
        write_prompt(paths, config, name, person=True)


class People:
    """The people of one run. Thread-safe. `open_place(name)` opens the door of one who is new."""

    def __init__(self, paths: RunPaths, config: dict, repo: RunRepo, desk: Desk, open_place: Callable[[str], None]):
        self.paths, self.config, self.repo, self.desk, self.open_place = paths, config, repo, desk, open_place
        self.names = [agent["name"] for agent in config["agents"] if is_person(agent)]
        self.present: dict[str, str] = {}
        """Name -> since when, UTC."""
        self.closed: str | None = None
        """Why nobody may come in any more."""
        self._lock = threading.Condition()
        self._ready = set(self.names)

    def enter(self, name: str, direction: str) -> dict:
        """Somebody is there from now on; what to tell about it. UserError where the name is no person's, is taken or is there."""
        with self._lock:
            if self.closed:
                raise UserError(self.closed)
            known = {agent["name"]: agent for agent in self.config["agents"]}
            if name not in known:
                self._note(name, direction)
            elif not is_person(known[name]):
                raise UserError(f"{name} is an agent of run {self.paths.name}: choose another name with --name")
            elif not self._lock.wait_for(lambda: name not in self.present, LEAVING_SECONDS):
                raise UserError(f"{name} is in run {self.paths.name} already: leave there first, or choose another name with --name")
            elif direction and direction.strip() != direction_text(self.paths, known[name]["direction"]).strip():
                raise UserError(f"{name} began with another direction, which stays: leave out --direction, or choose another --name")
            if name not in self._ready:
                make_person(self.paths, self.config, self.repo, name)
                self.desk.sharing.add(name, lasting=True)
                self.open_place(name)
                self._ready.add(name)
            self.present[name] = utc_now()
            self.desk.ledger_event("joined", name, "again" if name in known else "for the first time")
            self.desk.board_changed.set()
        return {"name": name, "again": name in known}

    def _note(self, name: str, direction: str) -> None:
        if not NAME.fullmatch(name):
            raise UserError(f"--name {name!r}: lower-case letters, digits, - and _, at most 40")
        if self.paths.agent(name).exists() or re.fullmatch(r"agent-\d+", name):
            raise UserError(f"--name {name}: the run needs this name itself, choose another")
        if len(self.names) >= MOST_PEOPLE:
            raise UserError(f"{MOST_PEOPLE} people have joined run {self.paths.name}: come back under a name that is known")
        about = f"{FOLDER}/{name}" if direction.strip() else NONE
        if direction.strip():
            file = self.paths.board / DIRECTIONS / f"{about}.md"
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(file, direction.strip() + "\n")
        self.config["agents"].append(note_person(self.paths, name, about))
        self.desk.directions[name] = about
        self.names.append(name)

    def leave(self, name: str) -> None:
        with self._lock:
            if self.present.pop(name, None) is not None:
                self.desk.ledger_event("left", name, "")
                self._lock.notify_all()
