"""What watches a running sandbox from outside: memory, processes and disk as totals of the whole tree.

No rlimit counts a tree (RLIMIT_AS is per process, RLIMIT_FSIZE per file), so one thread a process polls
/proc. A look at a tree of three processes costs about 0.1 ms. Known gap: an open file that was unlinked
on a writable mount is seen only while a process holds it open, not while it waits in a socket's queue.
"""
from __future__ import annotations

import os
import select
import stat
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil

PAGE = os.sysconf("SC_PAGE_SIZE")
MIB = 1 << 20
MAX_FILES = 200_000  # a tree with more entries is treated as a full disk: it could not be walked in time


def tree(root: int, most: int = 10_000) -> list[int]:
    """Pids of `root` and all that descends from it, as the machine numbers them; stops after `most`."""
    found, at = [root], 0
    while at < len(found) <= most:
        try:
            for thread in os.listdir(f"/proc/{found[at]}/task"):
                with open(f"/proc/{found[at]}/task/{thread}/children") as children:
                    found += map(int, children.read().split())
        except (FileNotFoundError, ProcessLookupError):
            if at == 0 and os.path.isdir(f"/proc/{root}/task") and not os.path.exists(f"/proc/{root}/task/{root}/children"):
                return _tree_without_children_files(root)
        at += 1
    return found


def _tree_without_children_files(root: int) -> list[int]:
    # A kernel without CONFIG_PROC_CHILDREN: psutil scans all of /proc.
    try:
        return [root, *(p.pid for p in psutil.Process(root).children(recursive=True))]
    except psutil.NoSuchProcess:
        return [root]


def memory(pids: list[int], limit: int) -> int:
    """Bytes of memory that these processes hold: anonymous and shared, without mapped files.

    Shared pages are first counted once a process, which is cheap and too much; only where that passes
    `limit` are they shared out exactly."""
    total = sum(_resident(pid) for pid in pids)
    return total if total <= limit else sum(_proportional(pid) for pid in pids)


def _fields(path: str, names: tuple[str, ...]) -> int:
    total = 0
    with open(path) as lines:
        for line in lines:
            name, _, value = line.partition(":")
            if name in names:
                total += int(value.split()[0]) << 10
    return total


def _resident(pid: int) -> int:
    try:
        return _fields(f"/proc/{pid}/status", ("RssAnon", "RssShmem"))
    except (FileNotFoundError, ProcessLookupError):
        return 0


def _proportional(pid: int) -> int:
    try:
        return _fields(f"/proc/{pid}/smaps_rollup", ("Pss_Anon", "Pss_Shmem"))
    except PermissionError:
        return _resident(pid)
    except (FileNotFoundError, ProcessLookupError):
        return 0


def tmpfs_bytes(pid: int, folders: tuple[str, ...] = ("/tmp", "/dev/shm")) -> int:
    """Bytes in the memory-backed folders of the sandbox whose pid 1 the machine knows as `pid`."""
    total = 0
    for folder in folders:
        try:
            found = os.statvfs(f"/proc/{pid}/root{folder}")
        except OSError:  # it ended, or is between two programs
            continue
        total += (found.f_blocks - found.f_bfree) * found.f_frsize
    return total


def disk_bytes(folder: str) -> int:
    """Bytes on disk under `folder`, hard links once; never follows a link out of it."""
    seen: set[int] = set()
    total = entries = 0
    for _, folders, files, here in os.fwalk(folder, onerror=lambda error: None):
        for name in (*folders, *files):
            try:
                found = os.stat(name, dir_fd=here, follow_symlinks=False)
            except OSError:  # it was removed while we walked
                continue
            entries += 1
            if found.st_nlink > 1 and not stat.S_ISDIR(found.st_mode):
                if found.st_ino in seen:
                    continue
                seen.add(found.st_ino)
            total += found.st_blocks * 512
        if entries > MAX_FILES:
            return 1 << 62
    return total


def unlinked_bytes(pids: list[int], devices: set[int]) -> int:
    """Bytes of files without a name that these processes hold open on `devices`: a walk does not see them."""
    found: dict[tuple[int, int], int] = {}
    for pid in pids:
        try:
            descriptors = os.listdir(f"/proc/{pid}/fd")
        except OSError:  # it ended
            continue
        for descriptor in descriptors:
            try:
                about = os.stat(f"/proc/{pid}/fd/{descriptor}")
            except OSError:
                continue
            if about.st_nlink == 0 and stat.S_ISREG(about.st_mode) and about.st_dev in devices:
                found[about.st_dev, about.st_ino] = about.st_blocks * 512
    return sum(found.values())


@dataclass
class _Gauge:
    size: int = 0
    at: float = float("-inf")


_gauges: dict[str, _Gauge] = {}
_gauges_lock = threading.Lock()


def disk_gauge(folder: str, max_age_seconds: float = 1e9) -> int:
    """disk_bytes(folder), walked again only if the last walk of this process is older than `max_age_seconds`.

    Many short commands in one worktree share a walk."""
    with _gauges_lock:
        gauge = _gauges.setdefault(folder, _Gauge())
    if time.monotonic() - gauge.at > max_age_seconds:
        gauge.size = disk_bytes(folder)
        gauge.at = time.monotonic()
    return gauge.size


class Patrol:
    """A thread that calls each registered look when it is due. A look returns the seconds to its next, or
    None to be dropped. The thread starts with the first and sleeps while none is due."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._changed = threading.Condition()
        self._due: dict[Callable[[], float | None], float] = {}
        self._thread: threading.Thread | None = None

    def add(self, look: Callable[[], float | None], in_seconds: float) -> None:
        with self._changed:
            self._due[look] = time.monotonic() + in_seconds
            if self._thread is None:
                self._start()
            self._changed.notify()

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._walk, name=self._name, daemon=True)
        self._thread.start()

    def drop(self, look: Callable[[], float | None]) -> None:
        with self._changed:
            self._due.pop(look, None)

    def _walk(self) -> None:
        try:
            while True:
                self._round()
        except BaseException:
            self._start()  # one look failed, which is printed: the others are still watched, and it is tried again
            raise

    def _round(self) -> None:
        with self._changed:
            now = time.monotonic()
            due = [look for look, when in self._due.items() if when <= now]
            if not due:
                self._changed.wait(min(self._due.values()) - now if self._due else None)
            for look in due:
                self._due[look] = now + 1.0  # should it fail
        for look in due:
            again = look()
            with self._changed:
                if again is None:
                    self._due.pop(look, None)
                elif look in self._due:
                    self._due[look] = time.monotonic() + again


def exited(pidfd: int, timeout_seconds: float | None) -> bool:
    """Whether the process behind `pidfd` ended within the time. select cannot take large descriptors; poll can."""
    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    return bool(poller.poll(None if timeout_seconds is None else max(0, int(timeout_seconds * 1000 + 0.999))))
