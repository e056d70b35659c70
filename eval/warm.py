"""Method sandboxes started ahead: each has imported numpy and waits for one job, and is thrown away after it.

A fresh sandbox costs a few tenths of a second, most of it spent importing numpy. That happens while nobody waits.
"""

from __future__ import annotations

import queue
import socket
import sys
import threading
from pathlib import Path

import eval.runner
import eval.student
import eval.w2s
import eval.wire
from eval.wire import Channel, WireError
from sandbox.box import Box, Handle, Limits, Mount, start
from state.errors import UserError

LIBRARY = "/aar/lib/eval"
START = "import sys; sys.path.insert(0, sys.argv[1]); from eval.runner import main; main(int(sys.argv[2]))"
START_SECONDS = 60.0


class SandboxFailed(Exception):
    """A method sandbox could not be started: the machine's fault, not the method's."""


def method_box(limits: Limits, isolation: str, gpu: int | None = None) -> Box:
    """The walls around a submitted method: our runner's files read-only, and nothing else of the project."""
    folder = Path(eval.runner.__file__).parent
    files = [folder / "__init__.py"] + [Path(m.__file__) for m in (eval.runner, eval.student, eval.w2s, eval.wire)]
    return Box(
        kind="method",
        mounts=tuple(Mount(file, f"{LIBRARY}/{file.name}") for file in files),
        env={},
        chdir="/tmp",
        limits=limits,
        gpu=gpu,
        isolation=isolation,
    )


class WarmSandbox:
    """One method sandbox with its channel. Use it for one job, then `close()`."""

    def __init__(self, box: Box):
        ours, theirs = socket.socketpair()
        # The last path component of the library is the package itself.
        library = str(Path(box.inside(Path(eval.runner.__file__))).parent.parent)
        with theirs:
            self.handle: Handle = start(
                box,
                [sys.executable, "-s", "-c", START, library, str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                parked=True,
            )
        self.channel = Channel(ours)

    def wait_until_ready(self) -> None:
        self.channel.socket.settimeout(START_SECONDS)
        try:
            self.channel.receive()
        except WireError as error:
            self.close()
            said = self.handle.wait(10).output.decode(errors="replace")[-400:]
            raise SandboxFailed(f"a method sandbox did not start ({error}): {said}") from None
        self.channel.socket.settimeout(None)

    def close(self) -> None:
        self.channel.socket.close()
        self.handle.kill()


class WarmPool:
    """Keeps `ahead` sandboxes waiting. `take()` hands one out and starts the next."""

    def __init__(self, box: Box, ahead: int):
        self.box = box
        self.ready: queue.SimpleQueue[WarmSandbox | SandboxFailed] = queue.SimpleQueue()
        self.closed = False
        self._wanted = threading.Semaphore(ahead)
        self._thread = threading.Thread(target=self._fill, daemon=True)
        self._thread.start()

    def _fill(self) -> None:
        while True:
            self._wanted.acquire()
            if self.closed:
                return
            try:
                sandbox = WarmSandbox(self.box)
                sandbox.wait_until_ready()
            except (SandboxFailed, UserError, OSError) as error:  # OSError: no descriptor or process left to start one with
                self.ready.put(SandboxFailed(str(error)))
            else:
                self.ready.put(sandbox)

    def take(self) -> WarmSandbox:
        """A sandbox that is ready for a job. Raises SandboxFailed where none could be started."""
        sandbox = self.ready.get()
        self._wanted.release()
        if isinstance(sandbox, SandboxFailed):
            raise sandbox
        return sandbox

    def close(self) -> None:
        self.closed = True
        self._wanted.release()
        self._thread.join(timeout=5)
        while not self.ready.empty():
            sandbox = self.ready.get()
            if isinstance(sandbox, WarmSandbox):
                sandbox.close()
