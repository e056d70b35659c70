"""Waiting for what happens in another process or thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")
LOOKS, PAUSE_SECONDS = 2400, 0.05


def until(condition: Callable[[], Found], what: object = "it", looks: int = LOOKS) -> Found:
    """What `condition` finds, once it finds something. It is looked a number of times, not for a time: a machine that is slow, or paused,
    fails no test. What never happens does, after two minutes."""
    for _ in range(looks):
        if found := condition():
            return found
        time.sleep(PAUSE_SECONDS)
    raise AssertionError(f"{what() if callable(what) else what} did not happen")
