"""How many processes a sandbox may have, enforced by the kernel: a fork bomb outruns every watchdog.

Ordinary users: RLIMIT_NPROC, set on pid 1 of the sandbox and counted in its own user namespace.
Root: the kernel exempts uid 0 from RLIMIT_NPROC, so a cgroup with `pids.max` where one can be made
(version 1 or 2; about 10 ms a start, a wait of the kernel's). Root without cgroups, as in some
containers: lower priority than the watchdog, which then wins the race most of the time.
"""
from __future__ import annotations

import functools
import os
import platform
import re
import resource
from contextlib import suppress
from pathlib import Path

import psutil

ROOT_NICENESS = 10
OTHERS_OF_USER = 4096  # kernels before 5.14 count all processes of the user; leave room for those


def limit(first: int, processes: int) -> Path | None:
    """Limits the tree below pid `first`, which has no children yet. Returns a cgroup to give to `release`."""
    processes += processes // 4 + 8  # so that the watchdog sees the limit passed, and says so, before forks fail
    counted_inside = tuple(map(int, re.findall(r"\d+", platform.release())[:2])) >= (5, 14)
    most = processes if counted_inside else processes + OTHERS_OF_USER
    hard = resource.prlimit(first, resource.RLIMIT_NPROC)[1]
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.prlimit(first, resource.RLIMIT_NPROC, (most, most))
    if os.getuid() != 0:
        return None
    group = _new_group(first, processes)
    if group is None:
        os.setpriority(os.PRIO_PROCESS, first, ROOT_NICENESS)
    return group


def release(group: Path | None) -> None:
    """Removes the cgroup of a sandbox in which all is dead."""
    if group is not None:
        with suppress(OSError):  # a zombie that the kernel has not let go yet; the next process sweeps it
            group.rmdir()


def _new_group(first: int, processes: int) -> Path | None:
    parent = cgroup_parent()
    if parent is None:
        return None
    group = parent / f"aar-{os.getpid()}-{first}"
    try:
        group.mkdir(exist_ok=True)
        (group / "pids.max").write_text(str(processes))
        (group / "cgroup.procs").write_text(str(first))
    except OSError:
        release(group)
        return None
    return group


@functools.cache
def cgroup_parent() -> Path | None:
    """The folder in which cgroups with the pids controller can be made; None if there is none."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, place, kind, options, *_ = line.split()
        if kind == "cgroup" and "pids" in options.split(","):
            parent = Path(place)
        elif kind == "cgroup2" and "pids" in _words(Path(place, "cgroup.subtree_control")):
            parent = Path(place)
        else:
            continue
        if os.access(parent, os.W_OK):
            _sweep(parent)
            return parent
    return None


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []


def _sweep(parent: Path) -> None:
    # What a process left that was killed: its sandboxes are dead, so their cgroups are empty.
    for group in parent.glob("aar-*-*"):
        if not psutil.pid_exists(int(group.name.split("-")[1])):
            release(group)
