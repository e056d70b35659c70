"""A running sandbox: its clock, its watchdog, its end.

One thread a process looks at all running sandboxes (about 0.1 ms a look; ten a second while one works,
one a second while it is parked), another measures their writable folders. Both die with the process.

A limit in seconds is counted in looks: a time in which nobody could look, because this process, its cgroup or the whole
machine stood still, is not charged to the code inside.
"""
from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
import weakref
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sandbox import bare, cgroup, watchdog
from sandbox.capture import Capture

MIB = 1 << 20
MOST_UNSEEN_SECONDS = 1.0  # charged for the time between two looks, which are half a second apart at most
MAX_BLIND_LOOKS = 50  # a watchdog that cannot look (no descriptors left) for so long kills


@dataclass(frozen=True)
class Limits:
    """For the whole tree, except file_mib (one file). disk_mib: contents of the writable mounts.
    seconds: as the watchdog's looks count them; a pause of the machine costs one second at most.

    /tmp and /dev/shm inside are memory: they count into memory_mib and end at parts of it."""
    seconds: float = 60.0
    memory_mib: int = 2048
    processes: int = 128
    file_mib: int = 1024
    disk_mib: int = 1024
    output_bytes: int = 1_000_000


@dataclass(frozen=True)
class Result:
    """What a sandbox left. `ended` is None, or what killed it: timeout, memory, disk, processes, output;
    "killed" after Handle.kill(); "watchdog" if it could not be watched. `seconds` count from begin(), pauses included.
    Peak memory is sampled: 0 for very short commands. A returncode is a claim: for display only."""
    returncode: int
    output: bytes
    seconds: float
    peak_memory_mib: float
    ended: str | None


class _Clock:
    """The seconds that a job has left. Asked at each look, by the watchdog alone."""

    def __init__(self, seconds: float) -> None:
        self._left = seconds
        self._looked, self._worked = time.monotonic(), time.process_time()

    def left(self) -> float:
        """What this process itself worked between two looks, however long, was no pause: it is charged."""
        now, worked = time.monotonic(), time.process_time()
        self._left -= min(now - self._looked, MOST_UNSEEN_SECONDS + worked - self._worked)
        self._looked, self._worked = now, worked
        return self._left


class Handle:
    """Made by start(). `popen` is bwrap itself: it ends when everything inside is dead."""

    def __init__(self, popen: subprocess.Popen, first: int, limits: Limits, writable: list[str], *, parked: bool,
                 mark: str | None) -> None:
        self.popen, self.pid = popen, popen.pid
        self.first = first  # pid 1 of the sandbox, as the machine numbers it
        self.capture: Capture | None = None
        self.group: Path | None = None  # see cgroup.py and pids.py
        self._limits, self._writable, self._mark = limits, writable, mark
        self._lock = threading.Lock()
        self._outer_fd, self._first_fd = os.pidfd_open(popen.pid), os.pidfd_open(first)
        # Not closed before nobody can wait on them: a number that is used again would be another sandbox.
        for descriptor in (self._outer_fd, self._first_fd):
            weakref.finalize(self, os.close, descriptor)
        self._ended: str | None = None
        self._peak = self._blind = 0
        self._seen: tuple[int, list[int]] = (0, [])
        self._pause = 0.1
        self._begun: float | None = None
        self._clock: _Clock | None = None
        if not parked:
            self._start_clock()
        self._over: float | None = None
        self._result: Result | None = None
        self._disk_before = {folder: watchdog.disk_gauge(folder) for folder in writable}

    def watch(self) -> None:
        """From now on the watchdog looks. Called once, by start()."""
        _memory_patrol.add(self._look, 0.02 if self._clock else 1.0)
        if self._writable:
            _disk_patrol.add(self._look_at_disk, 0.5)

    def begin(self, limits: Limits | None = None) -> None:
        """The job starts now: its seconds count from here, with new `limits` if given.

        The kernel's limits set at the start (rlimits, cgroup) stay; the watchdog's totals follow the new ones."""
        self._limits = limits or self._limits
        self._start_clock()
        _memory_patrol.add(self._look, 0.02)

    def _start_clock(self) -> None:
        self._begun = time.monotonic()
        self._clock = _Clock(self._limits.seconds)  # a new one: a look that is going on keeps the old one

    def poll(self) -> int | None:
        """The exit status if it is over, else None."""
        return self.popen.returncode if self._finished(0) else None

    def wait(self, timeout: float | None = None) -> Result:
        """Blocks until everything inside is dead. TimeoutError after `timeout` seconds (it goes on running)."""
        if not self._finished(timeout):
            raise TimeoutError(f"sandbox {self.pid} is still running after {timeout} s")
        if self._result is None:
            output = self.capture.text() if self.capture else b""
            # Whoever was ended may have written on after the last walk: the next one would be charged with that.
            if self._disk_is_over(max_age_seconds=0.0 if self._ended else 1.0):
                self._ended = self._ended or "disk"
            self._result = Result(self.popen.returncode, output, self._over - (self._begun or self._over),
                                  self._peak / MIB, self._ended)
        return self._result

    def kill(self, why: str = "killed") -> None:
        """Kills everything inside; harmless if it is over. Returns when all of it is dead."""
        self._strike(why)
        self._finished(10.0)

    def _strike(self, why: str) -> None:
        with self._lock:
            if self._over is None:
                self._ended = self._ended or why
                if self._mark is not None:
                    bare.kill_all(self.pid, self._mark)
                # With pid 1 the kernel kills the whole pid namespace; then bwrap buries it and ends.
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(self._first_fd, signal.SIGKILL)

    def _finished(self, timeout: float | None) -> bool:
        if self._over is None and not watchdog.exited(self._outer_fd, timeout):
            return False
        with self._lock:
            if self._over is None:
                if self._mark is not None:  # before wait(): until then no other process can get the number
                    bare.kill_all(self.pid, self._mark)
                self.popen.wait()
                self._over = time.monotonic()
                if cgroup.ended_for_memory(self.group):
                    self._ended = self._ended or "memory"
                cgroup.release(self.group)
                _memory_patrol.drop(self._look)
                _disk_patrol.drop(self._look_at_disk)
        return True

    def _look(self) -> float | None:
        """One look of the watchdog; returns the seconds to the next, None when there is nothing left to see."""
        if self._finished(0):
            return None
        limits, clock = self._limits, self._clock
        left = clock.left() if clock else 3600.0
        try:
            tree = watchdog.tree(self.first, most=2 * limits.processes)
            held = watchdog.memory(tree, limits.memory_mib * MIB)
            if self._mark is None:  # else /tmp is the machine's
                held += watchdog.tmpfs_bytes(self.first)
            self._blind = 0
        except OSError:
            tree, held = [], 0
            self._blind += 1
        self._peak = max(self._peak, held)
        over = ("timeout" if left <= 0 else "memory" if held > limits.memory_mib * MIB
                else "processes" if len(tree) > limits.processes
                else "watchdog" if self._blind > MAX_BLIND_LOOKS else None)
        if over:
            self._strike(over)
            return 0.05
        if self._clock is None:  # not `clock`: it may have begun meanwhile
            return 1.0
        # What neither grows nor forks is looked at less and less often: most sandboxes wait most of the time.
        still, self._seen = self._seen == (held, tree), (held, tree)
        self._pause = min(0.5, self._pause * 1.5) if still else 0.1
        near = held > limits.memory_mib * MIB // 2 or len(tree) > limits.processes // 2
        return min(left, 0.03 if near else self._pause)

    def _look_at_disk(self) -> float | None:
        if self._over is not None:
            return None
        with suppress(OSError):  # it just ended, or somebody removed the folder: the next look knows
            if self._disk_is_over(max_age_seconds=0.5):
                self._strike("disk")
        return 1.0

    def _disk_is_over(self, max_age_seconds: float) -> bool:
        """Whether a writable folder holds more than allowed and grew meanwhile: cleaning up a full one is allowed."""
        for folder in self._writable:
            size = watchdog.disk_gauge(folder, max_age_seconds)
            if self._over is None:
                size += watchdog.unlinked_bytes(watchdog.tree(self.first), {os.stat(folder).st_dev})
            if size > max(self._limits.disk_mib * MIB, self._disk_before[folder] + MIB):
                return True
        return False


_memory_patrol = watchdog.Patrol("sandbox-watchdog")
_disk_patrol = watchdog.Patrol("sandbox-disk")


def _new_patrols() -> None:
    # A forked child has none of our threads, and none of our sandboxes.
    global _memory_patrol, _disk_patrol
    _memory_patrol, _disk_patrol = watchdog.Patrol("sandbox-watchdog"), watchdog.Patrol("sandbox-disk")


os.register_at_fork(after_in_child=_new_patrols)
