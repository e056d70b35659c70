"""Method sandboxes started ahead: each has imported numpy and waits for one job, and is thrown away after it.

A fresh sandbox costs a few tenths of a second, most of it spent importing numpy. That happens while nobody waits.
"""

from __future__ import annotations

import queue
import socket
import sys
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import eval.runner
from eval.handed import FOLDER, library_files
from eval.models import model_mounts
from eval.wire import Channel, WireError
from sandbox.box import Box, Handle, Limits, Mount, start
from sandbox.honeypot import Honeypot
from state.errors import UserError

START = "import sys; sys.path.insert(0, sys.argv[1]); from eval.runner import main; main(int(sys.argv[2]))"
START_SECONDS = 60.0


class SandboxFailed(Exception):
    """A method sandbox could not be started: the machine's fault, not the method's."""


def method_box(limits: Limits, isolation: str, gpu: int | None = None, models: Mapping[str, Path] | None = None) -> Box:
    """The walls around a submitted method: our runner's files and the `models` (size -> folder) that it is handed, read-only,
    and nothing else of the project or of the machine's models."""
    mounts = [Mount(file, f"{FOLDER}/{file.name}") for file in library_files()]
    for size, model in (models or {}).items():
        mounts += [Mount(file, f"{models_folder(isolation, size, model)}/{name}") for file, name in model_mounts(model)]
    return Box(
        kind="method",
        mounts=tuple(mounts),
        env={},
        chdir="/tmp",
        limits=limits,
        gpu=gpu,
        isolation=isolation,
    )


def models_folder(isolation: str, size: str, model: Path) -> str:
    """Where a model lies for the code inside."""
    return str(model) if isolation == "none" else f"/aar/models/{size}"


class WarmSandbox:
    """One method sandbox with its channel and its baits. Use it for one job, then `close()`.

    `honeypot.touched()` says, also after `close()`, which baits the job touched; none without isolation: there are none."""

    def __init__(self, box: Box):
        self.honeypot = Honeypot(None if box.isolation == "none" else tempfile.mkdtemp(prefix="aar-evaluator-"))
        box = replace(box, mounts=(*box.mounts, *self.honeypot.mounts))
        ours, theirs = socket.socketpair()
        # The last path component of the library is the package itself.
        library = str(Path(box.inside(Path(eval.runner.__file__))).parent.parent)
        try:
            with theirs:
                self.handle: Handle = start(
                    box,
                    [sys.executable, "-s", "-c", START, library, str(theirs.fileno())],
                    pass_fds=(theirs.fileno(),),
                    parked=True,
                )
        except BaseException:
            ours.close()
            self.honeypot.close()
            raise
        self.honeypot.hide()
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
        self.honeypot.close()


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
