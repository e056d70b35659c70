"""The raw output of an agent CLI, kept as it comes: OUTPUT/0001.log, 0002.log, ..., the oldest given up for the newest."""

from __future__ import annotations

import json
import re
import threading
from pathlib import Path

from state.threads import join_patiently

FILE_BYTES = 8 << 20
MOST_FILES = 64
TAIL_BYTES = 20_000
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")


class Output:
    """Reads `descriptor` to its end in a thread of its own. Every run begins a file; a file that is full goes on in the next.
    `total`: bytes so far; `name`: the file it began with."""

    def __init__(self, folder: Path, descriptor: int):
        folder.mkdir(mode=0o700, exist_ok=True)
        self.total = 0
        self._folder, self._descriptor, self._tail = folder, descriptor, b""
        self._number = max([int(file.stem) for file in folder.glob("*.log") if file.stem.isdigit()], default=0)
        self._open()
        self.name = f"{self._number:04}.log"
        self._thread = threading.Thread(target=self._read, daemon=True, name="cli-output")
        self._thread.start()

    def _open(self) -> None:
        self._number += 1
        self._file = open(self._folder / f"{self._number:04}.log", "wb", buffering=0)
        for old in sorted(self._folder.glob("*.log"), key=lambda file: int(file.stem))[:-MOST_FILES]:
            old.unlink()

    def _read(self) -> None:
        with open(self._descriptor, "rb", buffering=0) as pipe:
            while piece := pipe.read(1 << 16):
                self.total += len(piece)
                self._tail = (self._tail + piece)[-TAIL_BYTES:]
                if self._file.tell() + len(piece) > FILE_BYTES:
                    self._file.close()
                    self._open()
                self._file.write(piece)
        self._file.close()

    def last_words(self) -> str:
        """The last line that says something, once everything that could write is dead."""
        join_patiently(self._thread, 5.0)
        lines = self._tail.decode(errors="replace").strip().splitlines()
        return _CONTROL.sub("", _said(lines[-1]) if lines else "nothing").strip()[:200] or "nothing"


def _said(line: str) -> str:
    """The words in a line that may be JSON."""
    try:
        found = json.loads(line)
    except ValueError:
        return line
    for _ in range(4):
        if isinstance(found, dict):
            found = next((found[key] for key in ("error", "result", "message", "data", "subtype") if found.get(key)), line)
    return " ".join((found if isinstance(found, str) else line).split())
