"""Ends a helper process when the process that started it is gone, however it went.

The starter keeps the write end of a pipe and never writes. A `kill -9` closes it, and the helper sees the end of file.
"""

from __future__ import annotations

import os
import threading


def end_with_starter(descriptor: int = 0) -> None:
    """End this process at once when `descriptor` (standard input) reaches its end."""

    def watch() -> None:
        while os.read(descriptor, 1024):
            pass
        os._exit(0)

    threading.Thread(target=watch, daemon=True, name="lifeline").start()
