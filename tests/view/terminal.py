"""A real terminal of any size, in which a few lines of Python run; what stands on it afterwards, and what was sent to it."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
from pathlib import Path

from rich.cells import cell_len

from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]
STEERING = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
OURS = re.compile(r"\x1b\[(?:[0-9;]*m|\?25[lh]|2K|\d*A|1A|H)")
"""What may be sent: colours, the cursor hidden and shown, lines redrawn."""


class Shown:
    """A process in a terminal of `columns` by `rows`. `raw`: all that it sent."""

    def __init__(self, code: str, columns: int, rows: int = 24, **env: str):
        self.columns, self.raw = columns, ""
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        about = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
        about |= {"TERM": "xterm-256color", "PYTHONPATH": str(ROOT), **env}
        self.process = subprocess.Popen([sys.executable, "-c", code], stdin=theirs, stdout=theirs, stderr=theirs, env=about, start_new_session=True)
        os.close(theirs)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")  # a read may end in the middle of a character
        while True:
            try:
                data = os.read(self._ours, 1 << 16)
            except OSError:  # nobody holds the other end any more
                data = b""
            self.raw += decoder.decode(data, final=not data)
            if not data:
                return

    def see(self, words: str) -> None:
        """Wait until `words` were sent."""
        until(lambda: words in self.plain, lambda: f"{words!r} never came:\n{self.plain}\nThis")

    def press_ctrl_c(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def ended(self) -> int:
        """Its exit code, when it has ended and all that it sent was read."""
        try:
            until(lambda: self.process.poll() is not None, lambda: f"an end after\n{self.plain}\n")
            until(lambda: not self._reader.is_alive(), "the end of what it sent")
        finally:
            self.process.kill()
        return self.process.returncode

    @property
    def plain(self) -> str:
        return STEERING.sub("", self.raw).replace("\r\n", "\n")

    def check(self) -> None:
        """Nothing is wider than the terminal, and nothing but our own colours and redrawing steers it."""
        for line in re.split(r"[\r\n]+", self.plain):
            assert cell_len(line) <= self.columns, (cell_len(line), line)
        assert "\x1b" not in OURS.sub("", self.raw), re.findall(r"\x1b.{0,12}", OURS.sub("", self.raw))
        assert not set(self.raw) & set("\u202e\x07\x9b\u200f"), "hostile text got through"


def in_terminal(code: str, columns: int, rows: int = 24) -> Shown:
    """Run `code` to its end there; it must end well."""
    shown = Shown(code, columns, rows)
    assert shown.ended() == 0, shown.plain
    return shown


def in_pipe(code: str) -> str:
    """What the same code prints where no terminal is; no escape is among it."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert "\x1b" not in done.stdout and "\u202e" not in done.stdout
    return done.stdout
