"""Opens a run that somebody else packed, to be looked at. Behind `python aar.py open FILE`.

    paths = open_bundle(project, Path("1128-2305.aar.tar.gz"), None, print)

Nothing of it is trusted (swarm/bundle_file.py, bundle_git.py, bundle_paths.py, opened_files.py, opened_board.py), nothing of it is run,
and it cannot be gone on with: `opened.json` in its folder says so, and whatever would write to a run asks for that (swarm/access.py).
It is unpacked among the runs and gets its name in one step: a run is there whole, or not at all. Its figures are its sender's: what
contradicts itself is refused, what was made up alike everywhere is not found out, and status, `show` and report say whose figures they are.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import tomli_w

from state.errors import UserError
from state.files import utc_now, write_atomic
from state.paths import NAME, RunPaths, runs_folder
from swarm.access import open_repo
from swarm.bundle_file import MOST_BYTES, REPO, Manifest, read_bundle, sha256_of
from swarm.bundle_git import git, unpack
from swarm.bundle_paths import BOARD, unpublished
from swarm.opened_board import check_board
from swarm.opened_files import check_files
from swarm.post_text import one_line


def open_bundle(project: Path, file: Path, name: str | None, tell: Callable[[str], None]) -> RunPaths:
    """Open a bundle as the run `name` (default: its own) of this project. UserError, with nothing left behind, where it is no
    bundle, is damaged or was tampered with, or where there is a run of this name."""
    if not file.is_file():
        raise UserError(f"no file {file}: name one that `python aar.py bundle RUN` made")
    if name is not None and not NAME.fullmatch(name):
        raise UserError(f"--as {one_line(name)!r}: lower-case letters, digits, - and _, at most 40")
    if file.stat().st_size > MOST_BYTES:
        raise UserError(f"{file} is larger than any bundle may be ({MOST_BYTES} bytes): nothing was opened")
    home = runs_folder(project)
    home.mkdir(parents=True, exist_ok=True)
    if not (home.parent / ".gitignore").exists():
        write_atomic(home.parent / ".gitignore", "*\n")
    # In the folder of the runs, which may be on another disk; one deeper than a run, so that nobody takes it for one.
    outer = Path(tempfile.mkdtemp(prefix=".opening-", dir=home))
    scratch = outer / "run"
    try:
        scratch.mkdir()
        manifest = read_bundle(file, scratch)
        root = home / (name or manifest.run)
        if root.exists():
            raise UserError(f"there is a run {root.name} here already: give this one another name with --as NAME")
        config = check_files(scratch, manifest)
        unpack(scratch / REPO, manifest.base, manifest.refs(), scratch / "repo.git")
        for _, words in unpublished(scratch / "repo.git", manifest.base, manifest.refs()):
            raise UserError(f"the bundle's {words}, and AAR commits nothing like that: it was tampered with, nothing was opened")
        check_board(scratch, scratch / "repo.git", manifest.branches.get(BOARD))
        _settle(scratch, config, manifest, file, _git_folder(project))
        scratch.chmod(0o755)
        scratch.rename(root)
    finally:
        shutil.rmtree(outer, ignore_errors=True)
    paths = RunPaths(root)
    tell(_words(paths, manifest))
    tell("all figures are as its sender gave them: nobody signed them, and AAR scored none of them here")
    tell(f"no page came with it, `python aar.py report {paths.name}` makes one")
    tell(_mirror(paths, config, manifest))
    return paths


def _git_folder(project: Path) -> str:
    done = subprocess.run(["git", "-C", str(project), "rev-parse", "--absolute-git-dir"], capture_output=True, stdin=subprocess.DEVNULL)
    return done.stdout.decode().strip() or str(project / ".git")


def _settle(folder: Path, config: dict, manifest: Manifest, file: Path, user_git: str) -> None:
    """What is known here and not by the sender: where the repository is, that no process works on it, that it was opened."""
    config["user_git"] = user_git
    (folder / "run.toml").write_text(tomli_w.dumps(config), encoding="utf-8")
    (folder / REPO).unlink(missing_ok=True)
    (folder / "board" / "forum").mkdir(parents=True, exist_ok=True)
    (folder / "evaluator").mkdir(exist_ok=True)
    (folder / "evaluator").chmod(0o700)
    (folder / "ledger.jsonl").touch()
    if (folder / "state.json").exists():
        state = json.loads((folder / "state.json").read_bytes())
        state |= {"pid": None, "evaluator_pid": None, "proxy_pid": None, "state": "finished" if state["state"] == "finished" else "stopped"}
        state["agents"] = {name: {**agent, "pid": None} for name, agent in state.get("agents", {}).items()}
        (folder / "state.json").write_text(json.dumps(state, indent=1))
    note = {"file": file.name, "sha256": sha256_of(file), "time": utc_now(), "packed": manifest.time, "mirrored": False}
    RunPaths(folder).opened.write_text(json.dumps(note))


def _words(paths: RunPaths, manifest: Manifest) -> str:
    parts = [
        f"opened run {manifest.run}" + (f" as {paths.name}" if paths.name != manifest.run else ""),
        f"task {manifest.task}, begun {manifest.created}, packed {manifest.time}",
        "closed, with sealed verdicts" if manifest.sealed else "not closed when it was packed: no sealed verdicts",
    ]
    return "; ".join(parts) + (f"; left out: {', '.join(manifest.left_out)}" if manifest.left_out else "")


def _mirror(paths: RunPaths, config: dict, manifest: Manifest) -> str:
    """Copy the branches into the user's repository, where they fit there and are nobody else's; what to tell about it."""
    user, wanted = Path(config["user_git"]), manifest.refs()
    here = f"python aar.py does not need them; git does with: git --git-dir {paths.repo} log --branches"
    if not wanted:
        return "it came without its history"
    if git(user, "cat-file", "-e", f"{manifest.base}^{{commit}}").returncode != 0:
        return f"its base commit {manifest.base[:12]} is not in your repository, so its branches are not either; {here}"
    if git(user, "for-each-ref", f"refs/heads/aar/{manifest.run}/").stdout.strip():
        return f"your repository has branches aar/{manifest.run}/* already, which stay as they are; {here}"
    if problem := open_repo(paths, config).mirror():
        return f"{one_line(problem, 300)}; {here}"
    note = json.loads(paths.opened.read_text())
    write_atomic(paths.opened, json.dumps({**note, "mirrored": True}))
    return f"its branches are in your repository: git log --branches='aar/{manifest.run}/*' --not {manifest.base[:12]}"
