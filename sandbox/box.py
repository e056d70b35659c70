"""Runs a command inside the walls: its own namespaces, an allow-list root, hard limits, one kill for all.

    box = Box("shell", mounts=(Mount(worktree, "/aar/worktree", writable=True),), chdir="/aar/worktree")
    result = run(box, ["bash", "-c", "python -V; git log --oneline"])

`run` is for commands, `start` for sandboxes that are made ahead and told later what to do. Whatever comes
out (output, exit status, files) is a claim of the code inside, never a fact.
"""
from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from sandbox import launch, seccomp
from sandbox.capture import Capture
from sandbox.find import remedy
from sandbox.gpu import Device
from sandbox.handle import Handle, Limits, Result
from state.errors import UserError

__all__ = ["CAPTURE", "Box", "Handle", "Limits", "Mount", "Result", "run", "start"]

CAPTURE = -100  # for start(stdout=): collect output for Result.output, cut in the middle
FLOOD = 64  # output of more than this many times output_bytes ends the sandbox


@dataclass(frozen=True)
class Mount:
    """A file, folder or socket of the machine at `target` inside."""
    source: str | Path
    target: str
    writable: bool = False


@dataclass(frozen=True)
class Box:
    """A sandbox before it starts. `kind`: "shell", "job" or "method". `idle`: runs only when nothing else
    wants the processor. `gpu`: the number of the one GPU to show. `isolation` "none": limits without walls."""
    kind: str
    mounts: tuple[Mount, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    chdir: str = "/tmp"
    limits: Limits = Limits()
    idle: bool = False
    gpu: int | Device | None = None
    isolation: str = "bubblewrap"

    def inside(self, source: str | Path) -> str:
        """The path inside of a mounted path, or of one below a mounted folder. ValueError if none covers it."""
        source = Path(source)
        for mount in self.mounts:
            if source.is_relative_to(mount.source):
                if self.isolation == "none":
                    return str(source)
                return os.path.normpath(os.path.join(mount.target, source.relative_to(mount.source)))
        raise ValueError(f"{source} is not mounted in this {self.kind} sandbox")


def start(box: Box, argv: Sequence[str], *, stdin=subprocess.DEVNULL, stdout=CAPTURE, stderr=subprocess.STDOUT,
          pass_fds: Sequence[int] = (), parked: bool = False,
          on_output: Callable[[bytes], None] | None = None) -> Handle:
    """Starts `argv` inside and returns when the walls stand and the command begins.

    stdin, stdout, stderr are as for subprocess.Popen, or CAPTURE (the default). `pass_fds` keep their
    numbers inside. `parked`: no second is counted, and the watchdog looks once a second, until
    begin(). When the *process* that called this dies, by whatever signal, everything inside dies.
    UserError with bubblewrap's reason and the remedy when the walls cannot be built."""
    mark = os.urandom(16).hex() if box.isolation == "none" else None
    reading = writing = None
    if stdout == CAPTURE:
        reading, writing = os.pipe()
    streams = {"stdin": stdin, "stdout": stdout if writing is None else writing, "stderr": stderr}
    ours, theirs = socket.socketpair()
    with ours:
        try:
            popen = launch.launch(box, list(argv), theirs.fileno(), mark, streams, tuple(pass_fds))
        except BaseException:
            if reading is not None:
                os.close(reading)
            raise
        finally:
            theirs.close()  # or the end of a sandbox that never stood would not be seen
            if writing is not None:
                os.close(writing)
        first = launch.shake_hands(ours, popen, bare_metal=mark is not None)
        if first is None:
            _explain(box, popen, reading)
        writable = [os.fspath(m.source) for m in box.mounts if m.writable and os.path.isdir(m.source)]
        handle = Handle(popen, first, box.limits, writable, parked=parked, mark=mark)
        if reading is not None:
            most = box.limits.output_bytes
            handle.capture = Capture(reading, most, FLOOD * most, on_output, lambda: handle.kill("output"))
        launch.set_limits(handle, box)
        with suppress(BrokenPipeError):
            ours.send(b".")
    handle.watch()
    return handle


def run(box: Box, argv: Sequence[str], *, stdin: bytes = b"",
        on_output: Callable[[bytes], None] | None = None) -> Result:
    """Runs `argv` inside to its end, or to a limit. `on_output` gets output as it comes, from another thread.

    Everything inside is dead when this returns. The exit status is for display only. Errors as start()."""
    reader = seccomp.memfd(stdin, "stdin") if stdin else os.open(os.devnull, os.O_RDONLY)
    try:
        handle = start(box, argv, stdin=reader, on_output=on_output)
    finally:
        os.close(reader)
    try:
        return handle.wait()
    finally:
        handle.kill()  # only after an interrupt is anything left


def _explain(box: Box, popen: subprocess.Popen, reading: int | None) -> None:
    popen.kill()
    popen.wait()
    said = ""
    if reading is not None:
        with open(reading, "rb") as pipe:
            said = pipe.read(4000).decode(errors="replace").strip().replace("\n", "; ")
    message = f"the {box.kind} sandbox did not start: {said or 'bubblewrap ended without a reason'}"
    if "source path" not in said and box.isolation != "none":  # a missing mount is not the machine's fault
        message += f"; {remedy()}"
    raise UserError(message)
