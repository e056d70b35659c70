"""`isolation: none`, for --allow-unisolated: the limits and the kill without the walls. Contains nothing."""
from __future__ import annotations

import ctypes
import os
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from sandbox.box import Box

PR_SET_PDEATHSIG = 1
MARK = "AAR_BOX"  # in the environment of everything started, so that what left its session is found again
MOST_ROUNDS = 200
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent() -> None:
    """Runs in the child before exec."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def outside(box: Box, inside: str) -> str:
    """The machine's path for a path inside the box."""
    for mount in box.mounts:
        if inside == mount.target or inside.startswith(mount.target + "/"):
            return os.fspath(mount.source) + inside[len(mount.target):]
    return inside


def kill_all(leader: int, mark: str) -> None:
    """Kills the session of `leader`, which is not buried yet, and all that carries `mark`, until none is left."""
    for _ in range(MOST_ROUNDS):
        victims = [process for process in psutil.process_iter() if _belongs(process, leader, mark)]
        for process in list(victims):
            try:
                process.kill()
            except psutil.AccessDenied:  # as for what became another user's: nobody waits for that
                victims.remove(process)
            except psutil.Error:
                pass
        if not victims:
            return
        time.sleep(0.01)  # a death is not instant


def _belongs(process: psutil.Process, leader: int, mark: str) -> bool:
    with suppress(psutil.Error, OSError):
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return os.getsid(process.pid) == leader or process.environ().get(MARK) == mark
    return False
