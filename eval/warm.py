"""Method sandboxes started ahead: each has imported numpy and waits for one job, and is thrown away after it.

A fresh sandbox costs a few tenths of a second, most of it spent importing numpy. That happens while nobody waits.
"""

from __future__ import annotations

import os
import queue
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import eval.runner
from eval.handed import FOLDER, library_files
from eval.models import model_mounts
from eval.wire import Channel, WireError
from sandbox.box import Box, Handle, Limits, Mount, start
from sandbox.honeypot import Honeypot
from state.errors import UserError

START = "import sys; sys.path.insert(0, sys.argv[1]); from eval.runner import main; main(int(sys.argv[2]))"
START_SECONDS = 60.0
PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds between the tries to start a sandbox for a job: a want of descriptors or processes is often over by then."""

_baited = threading.Lock()
"""Held while the baits of a sandbox lie in a folder, which is until it has started."""


class SandboxFailed(UserError):
    """A method sandbox could not be started: the machine's fault, not the method's. In one line."""

    def __init__(self, words: str):
        super().__init__(" ".join(words.split()))


def leave(code: int) -> NoReturn:
    """End this process at once, whatever its threads are doing. Its sandboxes end with it; no baits are left behind."""
    _baited.acquire()
    os._exit(code)


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
        ours, theirs = socket.socketpair()
        with theirs, open(os.devnull) as spare, _baited, ExitStack() as undo:
            if box.isolation == "none":
                folder = None
            else:
                folder = tempfile.mkdtemp(prefix="aar-evaluator-")
                undo.callback(shutil.rmtree, folder, ignore_errors=True)
            for one in (ours, theirs, spare):  # closed first: where descriptors are wanting, it takes these to remove a folder
                undo.callback(one.close)
            self.honeypot = Honeypot(folder)
            undo.callback(self.honeypot.close)
            self.handle = self._start(replace(box, mounts=(*box.mounts, *self.honeypot.mounts)), theirs.fileno())
            undo.callback(self.handle.kill)
            self.honeypot.hide()
            undo.pop_all()
        self.channel = Channel(ours)

    @staticmethod
    def _start(box: Box, channel: int) -> Handle:
        # The last path component of the library is the package itself.
        library = str(Path(box.inside(Path(eval.runner.__file__))).parent.parent)
        return start(box, [sys.executable, "-s", "-c", START, library, str(channel)], pass_fds=(channel,), parked=True)

    def wait_until_ready(self) -> None:
        self.channel.socket.settimeout(START_SECONDS)
        try:
            self.channel.receive()
        except WireError as error:
            self.close()
            said = self.handle.wait().output.decode(errors="replace")[-400:]
            raise SandboxFailed(f"a method sandbox did not start ({error}): {said}") from None
        self.channel.socket.settimeout(None)

    def close(self) -> None:
        self.channel.socket.close()
        self.handle.kill()
        self.honeypot.close()


def start_one(box: Box) -> WarmSandbox:
    """A sandbox that is ready for a job. Raises SandboxFailed."""
    try:
        sandbox = WarmSandbox(box)
        sandbox.wait_until_ready()
    except (OSError, RuntimeError) as error:  # no descriptor, process or thread left to start one with
        raise SandboxFailed(f"a method sandbox did not start: {error}") from None
    except UserError as error:
        raise SandboxFailed(str(error)) from None
    return sandbox


def start_patiently(box: Box) -> WarmSandbox:
    """The same after several tries, each a longer pause after the last. Raises SandboxFailed where none succeeds."""
    for pause in PAUSES:
        try:
            return start_one(box)
        except SandboxFailed:
            time.sleep(pause)
    return start_one(box)


class WarmPool:
    """Keeps `ahead` sandboxes waiting. `take()` hands one out and starts the next."""

    def __init__(self, box: Box, ahead: int):
        self.box = box
        self.ready: queue.SimpleQueue[WarmSandbox | None] = queue.SimpleQueue()
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
                self.ready.put(start_one(self.box))
            except SandboxFailed:
                self.ready.put(None)
            if self.closed:  # meanwhile: nobody takes this one
                self._leave()

    def take(self) -> WarmSandbox:
        """A sandbox that is ready for a job. Raises SandboxFailed where none can be started now."""
        sandbox = self.ready.get()
        self._wanted.release()
        # That one could not be started ahead, perhaps long ago, is no reason why this job should not get one.
        return sandbox or start_patiently(self.box)

    def close(self) -> None:
        self.closed = True
        self._wanted.release()
        self._thread.join(timeout=5)
        self._leave()

    def _leave(self) -> None:
        with suppress(queue.Empty):
            while True:
                if (sandbox := self.ready.get_nowait()) is not None:
                    sandbox.close()
