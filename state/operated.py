"""Whether a run is being operated: whether a process holds its lock, which `swarm/access.py` takes. And which process that is."""

from __future__ import annotations

import fcntl
from pathlib import Path

from state.paths import RunPaths


def is_operated(paths: RunPaths) -> bool:
    """Whether a process holds the operator's lock. It is tried for reading only, so that two who look do not see each other, and let go
    at once."""
    try:
        with open(paths.lock, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def born(pid: int) -> int | None:
    """When a process began, in clock ticks since the machine did; None where there is none. A number may be another process's later: with
    this beside it, it names one."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (FileNotFoundError, ProcessLookupError):
        return None
