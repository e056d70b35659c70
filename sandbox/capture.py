"""Keeps the beginning and the end of an endless output, in bounded memory."""
from __future__ import annotations

import os
import threading
from collections.abc import Callable

from state.threads import join_patiently

MOST_SECONDS = 5.0


class Capture:
    """Reads `descriptor` to its end in a thread of its own and keeps `limit` bytes, cut in the middle.

    `on_output` is called with each piece as it comes; `on_flood` once, when `flood` bytes have passed."""

    def __init__(self, descriptor: int, limit: int, flood: int, on_output: Callable[[bytes], None] | None,
                 on_flood: Callable[[], None]) -> None:
        self.total = 0
        self._descriptor, self._limit, self._flood = descriptor, limit, flood
        self._on_output, self._on_flood = on_output, on_flood
        self._head, self._tail = bytearray(), bytearray()
        self._thread = threading.Thread(target=self._read, name="sandbox-output", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        half = self._limit // 2
        flooded = False
        try:
            while piece := os.read(self._descriptor, 1 << 16):
                self.total += len(piece)
                room = half - len(self._head)
                self._head += piece[:max(0, room)]
                self._tail += piece[max(0, room):]
                if len(self._tail) > 2 * half + (1 << 16):
                    del self._tail[:-half]
                if self.total > self._flood and not flooded:
                    flooded = True
                    self._on_flood()
                if self._on_output is not None:
                    self._on_output(piece)
        finally:
            os.close(self._descriptor)

    def text(self) -> bytes:
        """What was read, with a note where the middle is missing. Waits for the end, but not for whoever keeps it open for seconds."""
        join_patiently(self._thread, MOST_SECONDS)
        head, tail = bytes(self._head), bytes(self._tail)
        half = self._limit // 2
        cut = self.total - len(head) - min(len(tail), half)
        if cut <= 0:
            return head + tail
        return head + f"\n[... {cut} bytes cut ...]\n".encode() + tail[-half:]
