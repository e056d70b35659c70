"""Races a commit: what an agent publishes is swapped for a link to somebody else's file while the trusted side reads it.

    python -m swarm.race_probe          prints the attempts as JSON, in the form of sandbox/walls.py

The racer is real code in a real sandbox, which swaps all the time; `swarm.worktree.snapshot` reads against it. The control
opens the same path in the ordinary way and does get hold of the secret.
"""

from __future__ import annotations

import json
import secrets
import sys
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from sandbox.box import Box, Handle, Mount, start
from state.errors import UserError
from swarm.boxes import JOB, SHELL
from swarm.worktree import snapshot

RACED = "methods/raced.py"
MOST_SNAPSHOTS = 100_000
"""Before a race is given up. Counted and not timed: however slow the machine, as many are tried."""
RACER_SECONDS = 3600.0  # it is killed when the race is over
ENOUGH = 20
"""Snapshots that met the link, and as many that met the plain file, before a race is over."""
SWAP_FILE = """
import os, sys
while True:
    os.symlink(sys.argv[1] + "/raced.py", "methods/link")
    os.rename("methods/link", "methods/raced.py")
    with open("methods/plain", "w") as file:
        file.write("# my own\\n")
    os.rename("methods/plain", "methods/raced.py")
"""
SWAP_FOLDER = """
import os, sys
while True:
    os.rename("methods", "aside")
    os.symlink(sys.argv[1], "methods")
    os.unlink("methods")
    os.rename("aside", "methods")
"""
RACES = {"race_commit_with_swapped_file": SWAP_FILE, "race_commit_with_swapped_folder": SWAP_FOLDER}


def race_rows(isolation: str = "bubblewrap") -> list[dict]:
    """[{"name", "sandbox", "blocked", "control", "detail"}], to stand beside the others; [] where there are no walls."""
    if isolation == "none":
        return []
    return [_race(name, kind) for name in RACES for kind in ("shell", "job")]


def _race(name: str, kind: str) -> dict:
    with tempfile.TemporaryDirectory(prefix="aar-race-") as folder:
        worktree, outside = Path(folder, "worktree"), Path(folder, "outside")
        (worktree / "methods").mkdir(parents=True)
        outside.mkdir()
        secret = secrets.token_hex(16)
        (outside / "raced.py").write_text(secret)
        (worktree / RACED).write_text("# my own\n")
        limits = replace(SHELL if kind == "shell" else JOB, seconds=RACER_SECONDS)
        box = Box(kind, (Mount(worktree, "/aar/worktree", writable=True),), chdir="/aar/worktree", limits=limits)
        racer = start(box, [sys.executable, "-I", "-S", "-c", RACES[name], str(outside)])
        try:
            return {"name": name, "sandbox": kind, **_read_against(racer, worktree, secret.encode())}
        finally:
            racer.kill()


def _read_against(racer: Handle, worktree: Path, secret: bytes) -> dict:
    leaked = control = False
    refused = read = 0
    for _ in range(MOST_SNAPSHOTS):
        if leaked or racer.poll() is not None or (control and refused >= ENOUGH and read >= ENOUGH):
            break
        try:
            files = snapshot(worktree)
        except UserError:
            refused += 1
        else:
            read += RACED in files
            leaked = any(secret in data for data in files.values())
        with suppress(OSError):
            control = control or secret in (worktree / RACED).read_bytes()
    said = "the secret was committed" if leaked else f"{refused} snapshots refused, {read} of the agent's own file"
    return {"blocked": not leaked and refused > 0 and read > 0, "control": control, "detail": said}


if __name__ == "__main__":
    print(json.dumps(race_rows(), indent=2))
