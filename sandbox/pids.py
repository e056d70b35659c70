"""How many processes a sandbox may have, enforced by the kernel: a fork bomb outruns every watchdog.

Where cgroup.py has no cgroup to put a sandbox in:
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
from pathlib import Path

from sandbox.cgroup import most_processes, release, sweep

ROOT_NICENESS = 10
OTHERS_OF_USER = 4096  # kernels before 5.14 count all processes of the user; leave room for those


def limit(first: int, processes: int) -> None:
    """RLIMIT_NPROC for the tree below pid `first`, which has no children yet."""
    counted_inside = tuple(map(int, re.findall(r"\d+", platform.release())[:2])) >= (5, 14)
    most = most_processes(processes) + (0 if counted_inside else OTHERS_OF_USER)
    hard = resource.prlimit(first, resource.RLIMIT_NPROC)[1]
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.prlimit(first, resource.RLIMIT_NPROC, (most, most))


def confine(first: int, processes: int) -> Path | None:
    """For root: the same by a cgroup, to be given to `cgroup.release`; None where there is none, or no need."""
    if os.getuid() != 0:
        return None
    group = _new_group(first, most_processes(processes))
    if group is None:
        os.setpriority(os.PRIO_PROCESS, first, ROOT_NICENESS)
    return group


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
            sweep(parent)
            return parent
    return None


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []
