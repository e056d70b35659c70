"""What the tests of the sandbox share."""
from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

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


def comes_true(condition: Callable[[], object], looks: int = 1200) -> bool:
    """Waits for it, a minute of looks: however slow or paused the machine is, as often as that it is asked."""
    for _ in range(looks):
        if condition():
            return True
        time.sleep(0.05)
    return False


def none_is_left(token: str) -> bool:
    """Waits for death, which is not instant after a SIGKILL; False if something lives on."""
    return comes_true(lambda: not alive(token))
