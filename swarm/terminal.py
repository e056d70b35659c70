"""A sandbox with a terminal of its own, shown on the terminal of whoever started it.

    code = Terminal(sys.stdin.fileno(), sys.stdout.fileno()).show(box, ["bash"])

What is typed goes in as it is, Ctrl-C and Ctrl-Z included: job control is that of the shell inside. The size of the window is
passed on whenever it changes. The terminal outside gets its settings back in every case but `kill -9`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import selectors
import signal
import sys
import termios
import tty
from collections.abc import Callable, Iterator, Sequence

from sandbox.box import Box, Handle, Result, start

PIECE = 1 << 16
MOST_TYPED = 1 << 16
"""Bytes that may wait for a program which does not read; until then nothing more is taken from the terminal outside."""
OWN_TERMINAL = """
import fcntl, os, signal, sys, termios
try:
    os.tcgetpgrp(0)
except OSError:
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
else:
    os.setpgid(0, 0)
    before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    os.tcsetpgrp(0, os.getpid())
    signal.signal(signal.SIGTTOU, before)
os.nice(int(sys.argv[1]))
os.execvp(sys.argv[2], sys.argv[2:])
"""
"""Runs inside, and makes standard input the terminal by which a shell controls its jobs. Bubblewrap, in the session that it begins,
may have opened it already, which is enough for the kernel: then a process group of its own has to do."""
CLEAN = b"\x1b[?1049l\x1b[?2004l\x1b[?1000l\x1b[?1002l\x1b[?1006l\x1b[?25h\x1b[0m\r\n"
"""What a program that is killed cannot take back: another screen, bracketed paste, the mouse, a hidden cursor, colours."""
ENDS = (signal.SIGTERM, signal.SIGHUP)


class Terminal:
    """The terminal outside, by its two descriptors."""

    def __init__(self, read: int, write: int):
        self.read, self.write = read, write

    def show(self, box: Box, argv: Sequence[str], niceness: int = 0, on_start: Callable[[Handle], None] = lambda handle: None) -> Result:
        """Run `argv` inside until it ends. `on_start(handle)` may keep the handle, to kill it from another thread."""
        ours, theirs = os.openpty()
        try:
            self._pass_size(ours)
            argv = [sys.executable, "-I", "-S", "-c", OWN_TERMINAL, str(niceness), *argv]
            try:
                handle = start(box, argv, stdin=theirs, stdout=theirs, stderr=theirs)
            finally:
                os.close(theirs)
            try:
                with self._as_it_is_typed(), _signals(lambda: self._pass_size(ours)):
                    on_start(handle)
                    self._copy(ours)
                    result = handle.wait()
                    if result.ended:
                        self._put(CLEAN)
                    return result
            finally:
                handle.kill()  # it is over, but for a terminal that went away or a signal
        finally:
            os.close(ours)

    def _pass_size(self, ours: int) -> None:
        size = fcntl.ioctl(self.read, termios.TIOCGWINSZ, b"\0" * 8)
        fcntl.ioctl(ours, termios.TIOCSWINSZ, size)

    @contextlib.contextmanager
    def _as_it_is_typed(self) -> Iterator[None]:
        """Each key as it is pressed, without echo and signals, until this is left."""
        before = termios.tcgetattr(self.read)
        try:
            tty.setraw(self.read)
            yield
        finally:
            with contextlib.suppress(termios.error):  # it is gone
                termios.tcsetattr(self.read, termios.TCSANOW, before)

    def _copy(self, ours: int) -> None:
        """Both ways until nobody inside holds the terminal any more, or the one outside is gone."""
        os.set_blocking(ours, False)  # a program that does not read must not keep its own output from being shown
        typed = b""
        with selectors.DefaultSelector() as selector:
            selector.register(self.read, selectors.EVENT_READ)
            selector.register(ours, selectors.EVENT_READ)
            while True:
                selector.modify(ours, selectors.EVENT_READ | (selectors.EVENT_WRITE if typed else 0))
                for key, events in selector.select():
                    if key.fd == self.read:
                        try:
                            piece = os.read(self.read, PIECE)
                        except OSError:  # hung up
                            piece = b""
                        if not piece:
                            return
                        typed += piece
                        if len(typed) >= MOST_TYPED:
                            selector.unregister(self.read)
                        continue
                    if events & selectors.EVENT_READ:
                        try:
                            piece = os.read(ours, PIECE)
                        except OSError:  # EIO: all inside have closed it
                            return
                        if not piece or not self._put(piece):
                            return
                    if events & selectors.EVENT_WRITE and typed:
                        with contextlib.suppress(OSError):  # it is full, or all inside have closed it, which reading tells
                            typed = typed[os.write(ours, typed) :]
                        if len(typed) < MOST_TYPED and self.read not in selector.get_map():
                            selector.register(self.read, selectors.EVENT_READ)

    def _put(self, piece: bytes) -> bool:
        """Show it; False where the terminal is gone."""
        try:
            while piece:
                piece = piece[os.write(self.write, piece) :]
        except OSError:
            return False
        return True


@contextlib.contextmanager
def _signals(on_size: Callable[[], None]) -> Iterator[None]:
    """While this lasts: a new size is passed on, and a request to end ends this process in order."""

    def end(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    handlers = {signal.SIGWINCH: lambda *_: on_size(), **dict.fromkeys(ENDS, end)}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
