"""Reads what an agent may publish out of its worktree: a few kinds of text file, never through a link.

The worktree belongs to code that nobody trusts, and may change while it is read. So each path is opened step by step
from the worktree's own descriptor, every step refusing links, and the bytes that were read are what is committed.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from state.errors import UserError

METHOD = re.compile(r"methods/[a-z][a-z0-9_]{0,60}\.py")
NOTE = re.compile(r"notes/[a-z0-9][a-z0-9_-]{0,60}\.md")
FOLDERS = {"methods": METHOD, "notes": NOTE}
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""What could steer the terminal of who reads a diff."""
MOST_BYTES = 64_000
MOST_BYTES_TOGETHER = 1_500_000
MOST_FILES = 400


def is_published(path: str) -> bool:
    """Whether this path of a worktree is committed at all: methods/*.py, notes/*.md, notebook.md."""
    return path == "notebook.md" or bool(METHOD.fullmatch(path) or NOTE.fullmatch(path))


def snapshot(worktree: Path) -> dict[str, bytes]:
    """Path -> bytes of all published files. UserError for one that is no plain text file or too large."""
    files: dict[str, bytes] = {}
    root = os.open(worktree, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _add(files, root, "notebook.md", "notebook.md")
        for folder, pattern in FOLDERS.items():
            try:
                descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=root)
            except FileNotFoundError:
                continue
            except OSError:
                raise UserError(f"{folder} in the worktree is not a plain folder: nothing is read through links") from None
            try:
                for name in sorted(os.listdir(descriptor)):
                    if pattern.fullmatch(f"{folder}/{name}"):
                        _add(files, descriptor, name, f"{folder}/{name}")
            finally:
                os.close(descriptor)
    finally:
        os.close(root)
    if sum(map(len, files.values())) > MOST_BYTES_TOGETHER:
        raise UserError(f"methods/ and notes/ hold more than {MOST_BYTES_TOGETHER} bytes: remove what is not needed")
    if len(files) > MOST_FILES:
        raise UserError(f"{len(files)} files under methods/ and notes/: at most {MOST_FILES} are committed, remove some")
    return files


def _add(files: dict[str, bytes], folder: int, name: str, path: str) -> None:
    try:
        # O_NONBLOCK: opening a pipe that was put there must not hang the broker.
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        return
    except OSError:
        raise UserError(f"{path} is not a plain file: links and devices are not committed, remove it") from None
    with os.fdopen(descriptor, "rb") as file:
        about = os.fstat(descriptor)
        # A hard link could show a file of somebody else, which this side may read and the agent may not.
        if not stat.S_ISREG(about.st_mode) or about.st_nlink != 1:
            raise UserError(f"{path} is not a plain file: links and devices are not committed, remove it")
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise UserError(f"{path} is larger than {MOST_BYTES} bytes: split it or shorten it")
    try:
        if CONTROL.search(data.decode("utf-8")):
            raise UserError(f"{path} holds control characters: only plain text is committed")
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8 text: only text is committed") from None
    files[path] = data
