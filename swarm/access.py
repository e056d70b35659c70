"""How a process gets at a run: its configuration, its repository, the lock that makes it the only operator."""

from __future__ import annotations

import json
import time
from pathlib import Path

from filelock import FileLock, Timeout

from state.config import read_config
from state.errors import UserError
from state.ledger import Ledger
from state.operated import is_operated
from state.paths import RunPaths
from state.record import cut_off_words, is_closed, last_opening
from swarm.repo import RunRepo


TRIES, TRIES_AT_A_LOOK, PAUSE_SECONDS = 50, 500, 0.02


def load_config(paths: RunPaths) -> dict:
    """run.toml and the people who joined since."""
    return read_config(paths)


def current_budget(paths: RunPaths, config: dict) -> dict:
    """What may be spent: as the run began, and as `resume --budget` said since."""
    try:
        later = json.loads((paths.root / "budget.json").read_text())
    except FileNotFoundError:
        later = {}
    return {**config.get("budget", {}), **later}


def open_repo(paths: RunPaths, config: dict) -> RunRepo:
    return RunRepo(paths.repo, config["name"], Path(config["user_git"]))  # one that was opened may have a folder of another name


def read_opened(paths: RunPaths) -> dict | None:
    """What is known of the bundle that a run was opened from; None where it is a run of this machine."""
    try:
        return json.loads(paths.opened.read_text())
    except FileNotFoundError:
        return None


def check_own(paths: RunPaths) -> None:
    """UserError where a run was opened from a bundle: it is there to be read."""
    if (opened := read_opened(paths)) is not None:
        raise UserError(f"run {paths.name} was opened from the bundle {opened['file']}: it can be looked at, not gone on with")


def hold_run(paths: RunPaths) -> FileLock:
    """The lock that makes one process the operator of a run. UserError where another one is, or where none may be."""
    check_own(paths)
    return take_lock(paths)


def take_lock(paths: RunPaths) -> FileLock:
    """The same lock, of whatever run. Whoever only looks keeps it for microseconds (state/operated.py), an operator for long: so it is
    tried again, by count, and longer where somebody looks, who may be suspended meanwhile."""
    lock, operated = FileLock(paths.lock), 0
    for _ in range(TRIES_AT_A_LOOK):
        try:
            lock.acquire(timeout=0)
        except Timeout:
            operated += is_operated(paths)
            if operated == TRIES:
                break
            time.sleep(PAUSE_SECONDS)
        else:
            return lock
    raise UserError(f"run {paths.name} is being operated already: `python aar.py status {paths.name}`")


def open_for_submissions(paths: RunPaths, held: bool = False) -> None:
    """UserError where the run's sealed figures are known: they must reach no agent that can still submit. Or where it is not ours.
    `held`: this process operates it."""
    check_own(paths)
    events = Ledger(paths.ledger).events
    opening = last_opening(events)
    if opening and not is_closed(paths, events):
        if not held and is_operated(paths):
            look = f"python aar.py status {paths.name}"
            raise UserError(f"run {paths.name} is being verified, which closes it: `{look}` says how far that is")
        raise UserError(cut_off_words(paths.name, opening))
    if opening:
        raise UserError(f"run {paths.name} was verified on the sealed part and takes no more submissions: start a new run")
