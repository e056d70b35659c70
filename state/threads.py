"""Waiting for a thread."""

from __future__ import annotations

import threading

LOOK_SECONDS = 0.05


def join_patiently(thread: threading.Thread, seconds: float) -> bool:
    """Whether `thread` has ended within `seconds`, counted in looks: a machine that stands still loses one of them, not all."""
    for _ in range(max(1, round(seconds / LOOK_SECONDS))):
        thread.join(LOOK_SECONDS)
        if not thread.is_alive():
            return True
    return False
