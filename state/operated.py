"""Whether a run is being operated: whether a process holds its lock, which `swarm/access.py` takes."""

from __future__ import annotations

import fcntl

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
