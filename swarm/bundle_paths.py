"""What the branches of a run may have changed since its base: what AAR itself commits, and nothing else. Used by `bundle` and `open`.

    for branch, words in unpublished(repo, base, refs): ...      words: commit, path, and what is wrong

An agent's branch has method files and notes, the board's has posts, prompts and results: plain text, no links, nothing that is
run. A branch that was made by hand could have a Makefile, a conftest.py or a workflow for whoever checks it out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from swarm.bundle_git import answer, git, objects
from swarm.post_text import one_line
from swarm.worktree import CONTROL, MOST_BYTES, is_published

BOARD = "board"
ON_BOARD = re.compile(r"(?:forum|prompts)/(?:[^/.][^/]*/)*[^/.][^/]*\.md|results\.(?:tsv|md)|run\.toml|verification\.md|report\.html")
"""What swarm/board.py commits."""
PLAIN, NOTHING = "100644", "000000"


def unpublished(repo: Path, base: str, refs: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """(branch, what is wrong with it in words) of what AAR would not have committed on top of `base`, branch by branch."""
    steering = {
        name for name, kind, data in objects(repo)
        if (kind == "commit" and CONTROL.search(data.decode("utf-8", "replace"))) or (kind == "blob" and _is_no_text(data))
    }  # fmt: skip
    for ref in refs:
        branch = ref.rpartition("/")[2]
        commits = [line.split() for line in answer(repo, "rev-list", "--reverse", "--parents", f"{base}..{ref}").splitlines()]
        for commit, *parents in commits:
            if len(parents) != 1:
                yield branch, f"branch {branch}, commit {commit[:12]}: it has {len(parents)} parents"
            if commit in steering:
                yield branch, f"branch {branch}, commit {commit[:12]}: its message holds characters that steer a terminal"
        ids = "".join(f"{commit}\n" for commit, *_ in commits)
        done = git(repo, "diff-tree", "--stdin", "-r", "-m", "--root", "--raw", "-z", "--no-renames", data=ids.encode())
        if done.returncode != 0:
            raise RuntimeError(f"git diff-tree failed: {done.stderr.decode(errors='replace').strip()[-400:]}")
        commit, parts = "", iter(done.stdout.split(b"\0"))
        for part in parts:
            if not part.startswith(b":"):
                commit = part.decode().strip()[:12] or commit
                continue
            _, mode, _, blob, what = part.decode("ascii", "replace").split()
            path = next(parts).decode("utf-8", "replace")
            if wrong := _wrong(branch, path, mode if what != "D" else NOTHING, blob in steering):
                yield branch, f"branch {branch}, commit {commit}: {one_line(path, 100)} {wrong}"


def _wrong(branch: str, path: str, mode: str, steers: bool) -> str:
    """What is wrong with a changed path; "" where nothing is."""
    if not (path.isprintable() and ON_BOARD.fullmatch(path) if branch == BOARD else is_published(path)):
        return "is nothing that the board has" if branch == BOARD else "is nothing that an agent publishes"
    if mode not in (PLAIN, NOTHING):
        return f"is no plain file (mode {mode})"
    return "is no plain text" if steers and branch != BOARD else ""


def _is_no_text(data: bytes) -> bool:
    """As `swarm.worktree.snapshot` judges it: too large, no UTF-8, or characters that could steer a terminal."""
    try:
        return len(data) > MOST_BYTES or bool(CONTROL.search(data.decode("utf-8")))
    except UnicodeDecodeError:
        return True
