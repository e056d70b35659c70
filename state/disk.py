"""What is said of a file system that takes nothing, or of a file that may not be touched: in one line, with what to do about it."""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
from collections.abc import Iterator
from pathlib import Path


def disk_words(error: OSError) -> str | None:
    """What is said of an error that is none of the program; None where it may be one."""
    return full_words(error) or read_only_words(error) or foreign_words(error)


def full_words(error: OSError) -> str | None:
    """What is said of a full disk; None where it is not full."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return None
    return f"the disk is full ({error.filename or 'while writing'}): free some space"


def read_only_words(error: OSError) -> str | None:
    """What is said of a file system that is mounted for reading only; None where that is not what went wrong."""
    if error.errno != errno.EROFS:
        return None
    return f"the file system is read-only ({error.filename or 'while writing'}): mount it for writing, or do this in a copy elsewhere"


def foreign_words(error: OSError) -> str | None:
    """What is said of a file that may not be read or written; None where that is not what went wrong."""
    if not isinstance(error, PermissionError) or error.filename is None:
        return None
    file = Path(os.fsdecode(error.filename)).absolute()
    place = next(one for one in (file, *file.parents) if os.access(one, os.F_OK))  # a file in a closed folder is not even seen
    owner = place.stat().st_uid
    if owner == os.geteuid():
        return f"{file} may not be read or written ({error.strerror}): see its permissions, and those of its folder"
    name = next((user.pw_name for user in pwd.getpwall() if user.pw_uid == owner), str(owner))
    return f"{place} belongs to another user ({error.strerror}): ask them, or do this as {name}"


@contextlib.contextmanager
def on_disk(place: Path) -> Iterator[None]:
    """For what writes below `place`: an error that names no file, as that of a write does not, names this place."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(place)
        raise
