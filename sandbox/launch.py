"""Starts the processes of a sandbox: bwrap with its descriptors, the handshake with its pid 1, its rlimits."""
from __future__ import annotations

import os
import resource
import socket
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox import bare, cgroup, pids, seccomp, wall, watchdog
from sandbox.find import find_bwrap
from sandbox.handle import MIB, Handle

if TYPE_CHECKING:
    from sandbox.box import Box

START_LOOKS, LOOK_SECONDS = 120, 0.25  # a pause of the machine is one look
DATA_HEADROOM_MIB = 512  # so that slow growth meets the watchdog ("memory") and one huge array a MemoryError


def launch(box: Box, argv: list[str], door: int, mark: str | None, streams: dict,
           pass_fds: tuple[int, ...]) -> subprocess.Popen:
    """Popen of bwrap (or, with isolation "none", of the command) from the one thread that lives long enough."""
    if mark is not None:
        return _starter_thread().submit(
            subprocess.Popen, wall.first_process(door, argv), cwd=bare.outside(box, box.chdir),
            env={**wall.inner_environment(box), bare.MARK: mark}, start_new_session=True, pass_fds=(*pass_fds, door),
            preexec_fn=bare.die_with_parent, **streams).result()
    return _starter_thread().submit(_launch_bwrap, box, argv, door, streams, pass_fds).result()


def _launch_bwrap(box: Box, argv: list[str], door: int, streams: dict, pass_fds: tuple[int, ...]) -> subprocess.Popen:
    made: list[int] = []
    try:
        made.append(seccomp.memfd(seccomp.program(gpu=box.gpu is not None), "seccomp"))
        arguments = ["--seccomp", str(made[0])]
        for path, content in wall.small_files().items():
            made.append(seccomp.memfd(content, "etc"))
            arguments += ["--perms", "0444", "--file", str(made[-1]), path]
        # By descriptor: what is mounted and set is nothing for everybody's `ps`.
        arguments += wall.flags(box)
        made.append(seccomp.memfd(b"\0".join(map(os.fsencode, arguments)) + b"\0", "arguments"))
        # A clean environment for bwrap itself: --clearenv does not reach its own.
        return subprocess.Popen([find_bwrap(), "--args", str(made[-1]), "--", *wall.first_process(door, argv)],
                                env={"PATH": wall.PATH}, cwd="/", start_new_session=True,
                                pass_fds=(*pass_fds, *made, door), **streams)
    finally:
        for descriptor in made:
            os.close(descriptor)


def shake_hands(ours: socket.socket, popen: subprocess.Popen, bare_metal: bool) -> int | None:
    """Waits for pid 1 of the sandbox and returns its pid; None if it never came."""
    ours.settimeout(LOOK_SECONDS)
    for _ in range(START_LOOKS):
        try:
            if ours.recv(1):
                inside = [popen.pid] if bare_metal else watchdog.tree(popen.pid)[1:]  # which may have died since
                return inside[0] if inside else None
        except TimeoutError:
            continue
        except ConnectionResetError:
            pass
        break
    return None


def set_limits(handle: Handle, box: Box) -> None:
    """From outside, on a pid 1 that waits for the word: nothing of the command has run yet."""
    pid, limits = handle.first, box.limits
    wanted = [(resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, limits.file_mib * MIB)]
    if box.gpu is None:  # CUDA reserves more address space than there is memory
        wanted.append((resource.RLIMIT_DATA, (limits.memory_mib + DATA_HEADROOM_MIB) * MIB))
    for what, most in wanted:
        hard = resource.prlimit(pid, what)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.prlimit(pid, what, (most, most))
    if box.isolation != "none":
        pids.limit(pid, limits.processes)
        handle.group = cgroup.confine(pid, limits) or pids.confine(pid, limits.processes)
    Path(f"/proc/{pid}/oom_score_adj").write_text("800")  # the machine's own OOM killer takes this one first
    if box.idle:
        os.setpriority(os.PRIO_PROCESS, pid, 19)
        os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))


# die-with-parent means the parent *thread*: every sandbox is started by one thread that lives as long as
# its process, whichever thread asks.
_starter: ThreadPoolExecutor | None = None
_starter_lock = threading.Lock()


def _starter_thread() -> ThreadPoolExecutor:
    global _starter
    with _starter_lock:
        if _starter is None:
            _starter = ThreadPoolExecutor(1, thread_name_prefix="sandbox-starter")
        return _starter


def _forget_starter() -> None:
    global _starter, _starter_lock
    _starter, _starter_lock = None, threading.Lock()


os.register_at_fork(after_in_child=_forget_starter)
