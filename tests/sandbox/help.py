"""What the tests of the sandbox share."""
from __future__ import annotations

import secrets
import sys
from contextlib import suppress
from pathlib import Path

import psutil

from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]


def python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", code, *arguments]


def new_token() -> str:
    """For an argument list: finds a process again from outside, whatever its number."""
    return f"aar-test-{secrets.token_hex(8)}"


def alive(token: str) -> list[int]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if token in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
    return found


def over(process: psutil.Process) -> bool:
    """Whether a process is gone or a zombie. It may go between two questions about it."""
    with suppress(psutil.NoSuchProcess):
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    return True


def none_is_left(token: str) -> bool:
    """Waits for death, which is not instant after a SIGKILL."""
    return until(lambda: not alive(token), lambda: f"the end of {alive(token)}")
