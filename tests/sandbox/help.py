"""What the tests of the sandbox share."""
from __future__ import annotations

import secrets
import sys
import time
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


def none_is_left(token: str, patience_seconds: float = 20.0) -> bool:
    """Waits for death, which is not instant after a SIGKILL; False if something lives on."""
    end = time.monotonic() + patience_seconds
    while alive(token):
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True
