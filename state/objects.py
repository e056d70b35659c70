"""Reads a run's bare repository: files of commits, and what commits say of themselves. It never writes.

    read_files(repo, [(commit, path), ...])     their contents, with one git process for all of them
    read_trailers(repo, refs)                   commit -> its trailers
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterable
from pathlib import Path

FIELD, RECORD = "\x1f", "\x1e"


def read_files(repo: Path, wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """(commit, path) -> text, for those that are there. Bytes that are no UTF-8 are replaced."""
    asked = [(commit, path) for commit, path in dict.fromkeys(wanted) if "\n" not in path]
    if not asked or not repo.exists():
        return {}
    process = subprocess.Popen(
        ["git", "--git-dir", str(repo), "cat-file", "--batch"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    lines = "".join(f"{commit}:{path}\n" for commit, path in asked).encode()
    threading.Thread(target=_feed, args=(process, lines), daemon=True).start()
    found = {}
    with process:
        for key in asked:
            words = process.stdout.readline().split()
            if len(words) < 3 or words[-2] != b"blob":
                if len(words) >= 3 and words[-1].isdigit():  # a folder: skip what it holds
                    process.stdout.read(int(words[-1]) + 1)
                continue
            found[key] = process.stdout.read(int(words[-1]) + 1)[:-1].decode("utf-8", "replace")
    return found


def _feed(process: subprocess.Popen, lines: bytes) -> None:
    try:
        process.stdin.write(lines)
        process.stdin.close()
    except OSError:  # the reader gave up
        pass


def list_files(repo: Path, commit: str, folder: str) -> list[str]:
    """The paths of the files right in `folder` at `commit`; [] where there is none."""
    done = _git(repo, "ls-tree", "--name-only", commit, f"{folder.rstrip('/')}/")
    return done.splitlines()


def read_trailers(repo: Path, run: str) -> dict[str, dict[str, list[str]]]:
    """commit -> trailer -> values, of all commits on this run's branches: {"Agent": [...], "Inspired-by": [...], ...}."""
    form = f"%H{FIELD}%(trailers:unfold,only){RECORD}"
    text = _git(repo, "log", f"--branches=aar/{run}/*", f"--format={form}")
    found: dict[str, dict[str, list[str]]] = {}
    for record in text.split(RECORD):
        commit, _, lines = record.strip().partition(FIELD)
        if not commit:
            continue
        trailers: dict[str, list[str]] = {}
        for line in lines.splitlines():
            key, colon, value = line.partition(": ")
            if colon:
                trailers.setdefault(key, []).append(value.strip())
        found[commit] = trailers
    return found


def _git(repo: Path, *arguments: str) -> str:
    if not repo.exists():
        return ""
    done = subprocess.run(["git", "--git-dir", str(repo), *arguments], capture_output=True, stdin=subprocess.DEVNULL)
    return done.stdout.decode("utf-8", "replace")


def read_tree(repo: Path, commit: str) -> dict[str, str]:
    """name -> object id of what lies at the top of a commit: two commits with the same id for a folder have the same files in it."""
    rows = (line.partition("\t") for line in _git(repo, "ls-tree", commit).splitlines())
    return {name: about.split()[2] for about, _, name in rows}
