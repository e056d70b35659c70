"""What a person does to a run from outside: say something in its forum, stop it, clean it away."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from git.exc import GitError

from state.config import is_person
from state.errors import UserError
from state.ledger import Ledger
from state.operated import born, is_operated
from state.paths import NAME, RunPaths, find_run
from state.record import is_closed
from swarm.access import check_own, load_config, open_repo, read_opened, take_lock
from swarm.board import Board
from swarm.forum import write_post
from swarm.repo import open_user_repository

LOOK_SECONDS, STOP_LOOKS, START_LOOKS = 0.1, 600, 1200
"""How often it is looked whether a run has stopped or started. Counted, not timed: a machine may be suspended meanwhile."""


def say_in_forum(paths: RunPaths, author: str, kind: str, title: str, body: str) -> str:
    """Write a person's post; its file name. The operator commits it, or this does where there is none."""
    check_own(paths)
    if not NAME.fullmatch(author) or author == "board" or (paths.root / author).exists():
        raise UserError(f"--name {author!r}: a person's name in lower case that is no agent's")
    if kind == "result":
        raise UserError("a result names a submission and comes from its agent: use --type insight, question, hypothesis or error")
    name = write_post(paths.forum, author, kind, title, body)
    if not is_operated(paths):
        publish_board(paths, f"Post by {author}")
    return name


def who_reads(paths: RunPaths) -> str:
    """Who will read what was just posted, where it is not agents at work; else ""."""
    if is_operated(paths):
        return ""
    if is_closed(paths, Ledger(paths.ledger).events):
        return "the run is closed: people read it on its board, no agent does"
    return f"nobody operates the run now: its agents read it when `python aar.py resume {paths.name}` goes on"


def publish_board(paths: RunPaths, message: str) -> None:
    """Commit what is new on the board of a run that nobody operates, and copy its refs. UserError where that cannot be done.
    One that was opened from a bundle keeps the branches that it came with, and a folder that was copied here does not touch those of the
    repository that it was copied from."""
    if read_opened(paths) is not None:
        return
    config = load_config(paths)
    try:
        repo = open_repo(paths, config)
        Board(paths, repo).commit(message, at_the_end=True)
    except (GitError, OSError, RuntimeError, subprocess.CalledProcessError) as error:
        missing = next((place for place in (paths.repo, paths.board) if not place.exists()), None)
        why = f"{missing} is missing" if missing else " ".join(str(error).split())[:300]
        raise UserError(f"nothing can be committed to the board of run {paths.name}: {why}") from None
    if not _is_at_home(paths, config):
        return
    if problem := repo.mirror():
        raise UserError(f"done, but {problem}")


def _is_at_home(paths: RunPaths, config: dict) -> bool:
    """Whether a run lies in the repository that it was started in."""
    asked = ["git", "-C", str(paths.root.parents[2]), "rev-parse", "--absolute-git-dir"]
    done = subprocess.run(asked, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return done.returncode == 0 and Path(done.stdout.strip()).resolve() == Path(config["user_git"]).resolve()


def _operator_pid(paths: RunPaths) -> int | None:
    """The process that operates the run; None where state.json names one that is gone."""
    try:
        said = json.loads(paths.state.read_text())
    except FileNotFoundError:
        return None
    return said["pid"] if said.get("born") == born(said["pid"]) is not None else None


def stop_run(paths: RunPaths) -> str:
    """Ask the operator of a run to end it and wait until it has; a line about it."""
    check_own(paths)
    if not is_operated(paths):
        return f"run {paths.name} is not going on"
    pid = _operator_pid(paths)
    if pid is None:
        raise UserError(f"run {paths.name} is held by a process that has just started, or is being verified: try again in a moment")
    os.kill(pid, signal.SIGTERM)
    for _ in range(STOP_LOOKS):
        if not is_operated(paths):
            for_people = all(map(is_person, load_config(paths)["agents"]))
            return f"run {paths.name} is stopped; `python aar.py resume {paths.name}{' --keep-open' if for_people else ''}` goes on"
        time.sleep(LOOK_SECONDS)
    raise UserError(f"run {paths.name} (process {pid}) did not stop within {STOP_LOOKS * LOOK_SECONDS:.0f} s: `kill -9 {pid}` loses nothing")


def go_on_in_background(paths: RunPaths, project: Path, seconds: float | None, no_verify: bool, keep_open: bool = False) -> str:
    """Go on with a run in a process that outlives this one and its terminal; its output goes to operator.log. What to tell."""
    arguments = [] if seconds is None else ["--minutes", str(seconds / 60)]
    arguments += ["--yes", *(["--no-verify"] if no_verify else []), *(["--keep-open"] if keep_open else [])]
    with open(paths.log, "ab") as log:
        child = subprocess.Popen(
            [sys.executable, str(project / "aar.py"), "resume", paths.name, *arguments],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=project,
        )  # fmt: skip
    looks = 0
    while not is_operated(paths):
        if child.poll() is not None or (looks := looks + 1) > START_LOOKS:
            last = paths.log.read_text(encoding="utf-8", errors="replace").strip().rpartition("\n")[2].removeprefix("aar: ")
            raise UserError(f"run {paths.name} did not start in the background: {last} (all of it: {paths.log})")
        time.sleep(LOOK_SECONDS)
    lines = [f"run {paths.name} goes on in the background; its output is in {paths.log}"]
    return "\n".join([*lines, f"    python aar.py status {paths.name}", f"    python aar.py stop {paths.name}"])


def clean_plan(paths: RunPaths, force: bool, project: Path) -> dict:
    """What cleaning would remove: `delete` and `keep` (branches), `heads` (their commits), `force`, `text`. UserError while the run goes on.

    Branches that an earlier cleaning kept are found without the run's folder.
    """
    if paths.root.exists() and is_operated(paths):
        raise UserError(f"run {paths.name} is going on: `python aar.py stop {paths.name}` first")
    return _plan(paths, force, project)


def _plan(paths: RunPaths, force: bool, project: Path) -> dict:
    user = open_user_repository(project)
    prefix = f"aar/{paths.name}/"
    if (opened := read_opened(paths)) is not None:  # only what came with it is its own
        prefix = f"aar/{load_config(paths)['name']}/" if opened["mirrored"] else "aar//"
    ours = [head for head in user.heads if head.name.startswith(prefix)]
    if not paths.root.exists() and not ours:
        find_run(project, paths.name)
    others = [head.commit for head in user.heads if not head.name.startswith(prefix)]
    current = None if user.head.is_detached else user.active_branch.name
    if current in [head.name for head in ours]:
        raise UserError(f"{current} is checked out here: `git switch` to another branch first")
    merged = [head.name for head in ours if any(user.is_ancestor(head.commit, other) for other in others)]
    delete = [head.name for head in ours if force or head.name in merged]
    keep = [head.name for head in ours if head.name not in delete]
    lines = [f"folder   {paths.root if paths.root.exists() else 'none'}", f"branches {', '.join(delete) or 'none'}"]
    if keep:
        lines.append(f"kept, since they are merged nowhere (--force deletes them too): {', '.join(keep)}")
    return {"delete": delete, "keep": keep, "force": force, "heads": {head.name: head.commit.hexsha for head in ours}, "text": "\n".join(lines)}


def clean_run(paths: RunPaths, plan: dict, project: Path) -> None:
    """Do what `plan` says, unless it is another plan by now. Branches that are kept hold their commits in the user's own repository."""
    lock = take_lock(paths) if paths.root.exists() else None
    try:
        if _plan(paths, plan["force"], project) != plan:
            raise UserError(f"nothing was removed: run {paths.name} or a branch of it has changed meanwhile; say it again")
        _clean(paths, plan, project)
    finally:
        if lock is not None:
            lock.release()


def _clean(paths: RunPaths, plan: dict, project: Path) -> None:
    user = open_user_repository(project)
    if plan["keep"] and paths.root.exists():
        problem = open_repo(paths, load_config(paths)).mirror()
        if problem:
            raise UserError(f"nothing was removed: {problem}")
    for name in plan["delete"]:
        user.git.branch("-D", name)
    if paths.root.exists():
        shutil.rmtree(paths.root)
