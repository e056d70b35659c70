"""Totals by the kernel: memory and processes of a whole sandbox, where a part of cgroup v2 is ours to use.

A user has such a part under systemd (user@UID.service delegates memory and pids), root has all of it. Elsewhere
(cgroup v1, most containers) the watchdog alone counts. The watchdog looks in either case: it says the words, and measures.

    python -m sandbox.cgroup          prints which of the two is in force
"""
from __future__ import annotations

import functools
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from sandbox.handle import Limits

NEEDED = {"memory", "pids"}
ROOM = (5, 4, 8)  # pids.max for n processes: n * 5 / 4 + 8, so that the watchdog says it before forks fail


def totals() -> str:
    """Who counts memory and processes of a sandbox: "cgroup v2" or "watchdog"."""
    return "watchdog" if parent() is None else "cgroup v2"


@functools.cache
def parent() -> Path | None:
    """The cgroup in which those of sandboxes are made; None where none can be."""
    found = find_parent(Path("/proc/self/mounts").read_text(), Path("/proc/self/cgroup").read_text())
    if found is None:
        return None
    sweep(found)
    trial = found / f"aar-{os.getpid()}-trial"
    try:
        trial.mkdir()
        usable = all((trial / name).exists() for name in ("memory.max", "pids.max"))
    except OSError:
        return None
    release(trial)
    return found if usable else None


def find_parent(mounts: str, own: str) -> Path | None:
    """The nearest cgroup above ours that hands memory and pids on to its children and lets us make some.

    `mounts` and `own` are the texts of /proc/self/mounts and /proc/self/cgroup. A cgroup with processes of its own hands
    nothing on (but for the root's), so it is seldom ours itself."""
    mounted = [line.split() for line in mounts.splitlines()]
    root = next((Path(place.replace("\\040", " ")) for _, place, kind, *_ in mounted if kind == "cgroup2"), None)
    mine = next((line[len("0::/"):] for line in own.splitlines() if line.startswith("0::/")), None)
    if root is None or mine is None or ".." in Path(mine).parts:  # outside of what this mount shows
        return None
    here = root / mine
    for group in (here, *here.parents):
        # To move a process, one must be allowed to in a cgroup above both its old place and its new one.
        if NEEDED <= set(_read(group / "cgroup.subtree_control").split()) and os.access(group, os.W_OK) \
                and os.access(group / "cgroup.procs", os.W_OK):
            return group
        if group == root:
            break
    return None


def confine(first: int, limits: Limits, within: Path | None = None) -> Path | None:
    """Puts pid `first`, which has no children yet, into a cgroup of its own with these totals; give it to `release`.

    None where there is no cgroup to be had: then the watchdog counts alone. `within`: default parent()."""
    within = within or parent()
    if within is None:
        return None
    group = within / f"aar-{os.getpid()}-{first}"
    try:
        group.mkdir(exist_ok=True)
        (group / "memory.max").write_text(str(limits.memory_mib << 20))
        with suppress(FileNotFoundError):  # a kernel that does not account for swap
            (group / "memory.swap.max").write_text("0")
        (group / "memory.oom.group").write_text("1")  # all or nothing: half a sandbox would be a puzzle
        (group / "pids.max").write_text(str(most_processes(limits.processes)))
        (group / "cgroup.procs").write_text(str(first))
    except OSError:
        release(group)
        return None
    return group


def most_processes(processes: int) -> int:
    """What the kernel allows where the watchdog allows `processes`: a little more, so that the watchdog says the words."""
    return processes * ROOM[0] // ROOM[1] + ROOM[2]


def ended_for_memory(group: Path | None) -> bool:
    """Whether the kernel killed something in this cgroup because its memory was over."""
    events = dict(line.split() for line in _read(group / "memory.events").splitlines()) if group is not None else {}
    return int(events.get("oom_kill", 0)) > 0


def release(group: Path | None) -> None:
    """Removes the cgroup of a sandbox in which all is dead."""
    if group is not None:
        with suppress(OSError):  # a zombie that the kernel has not let go yet; the next process sweeps it
            group.rmdir()


def sweep(within: Path) -> None:
    """Removes what a process left that was killed: its sandboxes are dead, so their cgroups are empty."""
    for group in within.glob("aar-*-*"):
        if not psutil.pid_exists(int(group.name.split("-")[1])):
            release(group)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


if __name__ == "__main__":
    print(f"totals: {totals()}")
