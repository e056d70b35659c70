"""The two sandboxes an agent's own commands run in: the shell (low priority, always there) and the job (in a slot)."""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path

from eval.client import FOLDER, library_files
from sandbox.box import Box, Limits, Mount
from sandbox.honeypot import Honeypot, bait_mounts
from state.files import write_atomic
from state.paths import RunPaths, aar_home

SHELL = Limits(seconds=120, memory_mib=2048, processes=64, file_mib=64, disk_mib=256, output_bytes=60_000)
JOB = Limits(seconds=600, memory_mib=8192, processes=128, file_mib=1024, disk_mib=1024, output_bytes=200_000)

SOLO_REPO, SOLO_FORUM, SHARED = "solo.git", "solo-forum", "shared"
"""In an agent's folder: what it sees of the run before it sees all (swarm/sharing.py), and the mark that it does."""
LASTING = ("command", "shell")
"""Researchers that live in one sandbox for hours."""


def prepare_agent_folder(paths: RunPaths, agent: str) -> None:
    """What the boxes of an agent mount: the command `aar`, a `.git` that says where the git is inside, and its HOME, which
    outlives them."""
    binaries = paths.root / "bin"
    binaries.mkdir(exist_ok=True)
    command = f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -I -S "${{AAR_LIB:-/aar/lib}}/door.py" "$@"\n'
    write_atomic(binaries / "aar", command, mode=0o755)
    write_atomic(paths.agent(agent) / "gitfile", f"gitdir: /aar/repo.git/worktrees/{worktree_id(paths, agent)}\n")
    paths.home(agent).mkdir(mode=0o700, exist_ok=True)


def worktree_id(paths: RunPaths, agent: str) -> str:
    """The name git gave to the worktree's administration in repo.git/worktrees."""
    return Path((paths.worktree(agent) / ".git").read_text().removeprefix("gitdir: ").strip()).name


def agent_honeypot(paths: RunPaths, agent: str, isolation: str) -> Honeypot:
    """The baits that all shells and jobs of one agent are shown, made anew. The operator holds it while it operates the run:

        honeypots = {name: agent_honeypot(paths, name, isolation) for name in names}      # before any agent starts
        for name, bait in touched_baits(honeypots):                                       # now and then
            desk.ledger_event("honeypot", name, f"touched {bait}")

    `close()` each at the end. Without isolation there are no baits."""
    return Honeypot(None if isolation == "none" else _private(paths, agent))


def touched_baits(honeypots: dict[str, Honeypot]) -> list[tuple[str, str]]:
    """(agent, path of a bait inside) for each bait that was touched since the last call. About 10 microseconds an agent; where one was opened,
    once a second or two."""
    return [(agent, bait) for agent, honeypot in honeypots.items() for bait in honeypot.news()]


def _private(paths: RunPaths, agent: str) -> Path:
    return paths.agent(agent) / "private"


def view_of(paths: RunPaths, agent: str, lasting: bool = False) -> tuple[Path, Path]:
    """The repository and the forum that a sandbox which starts now shows: the run's, or the agent's own view of them."""
    folder = paths.agent(agent)
    if (folder / SOLO_REPO).exists() and (lasting or not (folder / SHARED).exists()):
        return folder / SOLO_REPO, folder / SOLO_FORUM
    return paths.repo, paths.forum


def agent_box(
    paths: RunPaths, agent: str, task: str, isolation: str, kind: str = "shell", gpu: int | None = None, lasting: bool = False
) -> Box:
    """`kind`: shell or job. What it may read and write is the table of DESIGN section 4. Made anew for each command, so that
    it shows others' work as soon as the agent may see it; `lasting`: for a sandbox that lives on for hours."""
    worktree = paths.worktree(agent)
    repo, forum = view_of(paths, agent, lasting)
    mounts = [
        Mount(worktree, "/aar/worktree", writable=True),
        Mount(paths.home(agent), "/aar/home", writable=True),
        Mount(paths.agent(agent) / "gitfile", "/aar/worktree/.git"),
        Mount(repo, "/aar/repo.git"),
        Mount(forum, "/aar/forum"),
        Mount(aar_home() / "tasks" / task / "open", "/aar/task"),
        Mount(paths.door(agent), "/aar/door.sock"),
        Mount(paths.root / "bin", "/aar/bin"),
        Mount(Path(__file__).parent / "door.py", "/aar/lib/door.py"),
        *(Mount(file, f"{FOLDER}/{file.name}") for file in library_files()),
    ]
    prompt = paths.agent(agent) / "prompt.md"
    if prompt.exists():
        mounts.append(Mount(prompt, "/aar/prompt.md"))
    if kind == "job":
        models = json.loads((aar_home() / "tasks" / task / "open" / "models.json").read_text(encoding="utf-8"))
        mounts += [Mount(file, f"/aar/models/{size}/{name}") for size, files in models.items() for file, name in files]
    if isolation == "none":
        mounts = [mount for mount in mounts if Path(mount.source).name != "gitfile"]
    else:
        mounts += bait_mounts(_private(paths, agent))
    bare = Box(kind=kind, mounts=tuple(mounts), isolation=isolation)
    env = {
        "PATH": os.pathsep.join([bare.inside(paths.root / "bin"), os.path.dirname(sys.executable), "/usr/local/bin:/usr/bin:/bin"]),
        "HOME": bare.inside(paths.home(agent)),
        "AAR_DOOR": bare.inside(paths.door(agent)),
        "AAR_FORUM": bare.inside(forum),
        "AAR_TASK": bare.inside(aar_home() / "tasks" / task / "open"),
        "AAR_LIB": bare.inside(Path(__file__).parent / "door.py").removesuffix("/door.py"),
        "AAR_AGENT": agent,
        "PYTHONPATH": str(Path(bare.inside(library_files()[0])).parent.parent),  # for `from eval.w2s import open_kit`
        **({"AAR_MODELS": "/aar/models"} if kind == "job" and isolation != "none" else {}),
        # The worktree belongs to the operator's user, who may be another one inside.
        "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*",
        "GIT_OPTIONAL_LOCKS": "0",
    }  # fmt: skip
    return Box(
        kind=kind,
        mounts=tuple(mounts),
        env=env,
        chdir=bare.inside(worktree),
        limits=JOB if kind == "job" else SHELL,
        idle=kind == "shell",
        gpu=gpu,
        isolation=isolation,
    )
