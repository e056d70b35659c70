"""Attempts to take more than the limits give. Each needs a sandbox to itself, which it may not survive."""
from __future__ import annotations

import ctypes
import json
import os
import signal
import time
from collections.abc import Callable

PR_SET_NAME = 15
HANDS = 4  # processes that take memory together


def take_memory(c: dict) -> str:
    """More memory than the limit, in pieces, held for a while."""
    held = [bytearray(os.urandom(1) * (8 << 20)) for _ in range(c["memory_mib"] // 8)]
    time.sleep(c["hold_seconds"])
    return f"{len(held) * 8} MiB"


def take_memory_with_many(c: dict) -> str:
    """The same shared out over processes, each far below the limit."""
    share = c["memory_mib"] // HANDS

    def take(done: int) -> None:
        held = bytearray(os.urandom(1) * (share << 20))
        os.write(done, b".")
        time.sleep(c["hold_seconds"] + 2)
        del held
    _with_children(HANDS, take, c["hold_seconds"])
    return f"{HANDS} processes of {share} MiB"


def take_memory_in_files(c: dict) -> str:
    """Files in the folders that are memory, which belong to no process."""
    made, left = [], c["tmpfs_mib"] // c["file_mib"]
    try:
        for number in range(left):
            made.append(os.path.join(c["tmpfs"][number % len(c["tmpfs"])], f"aar-part-{number}"))
            with open(made[-1], "wb") as file:
                file.write(bytes(c["file_mib"] << 20))
        time.sleep(c["hold_seconds"])
    finally:
        _remove(made)
    return f"{c['tmpfs_mib']} MiB"


def take_processes(c: dict) -> str:
    """More processes than the limit."""
    def wait(done: int) -> None:
        os.write(done, b".")
        time.sleep(c["hold_seconds"] + 2)
    _with_children(c["forks"], wait, c["hold_seconds"])
    return f"{c['forks']} processes"


def _with_children(count: int, work: Callable[[int], None], hold_seconds: float) -> None:
    """Keeps `count` children that do `work(done)`, until all have written to `done` and the time is over."""
    children, (reading, writing) = [], os.pipe()
    try:
        for _ in range(count):
            child = os.fork()
            if child == 0:
                try:
                    work(writing)
                finally:
                    os._exit(0)
            children.append(child)
        os.close(writing)
        with open(reading, "rb", closefd=False) as pipe:
            if len(pipe.read(count)) < count:
                raise MemoryError("not all processes could take their part")
        time.sleep(hold_seconds)
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        os.close(reading)


def take_one_huge_file(c: dict) -> str:
    """A file larger than the limit."""
    path = os.path.join(c["writable"], "huge")
    try:
        with open(path, "wb") as file:
            for _ in range(c["file_mib"] + 1):
                file.write(bytes(1 << 20))
    finally:
        _remove([path])
    return f"{c['file_mib'] + 1} MiB"


def take_the_disk(c: dict) -> str:
    """Many files, each within the limit, together far above it."""
    paths = [os.path.join(c["writable"], f"part-{n}") for n in range(c["files"])]
    try:
        for path in paths:
            with open(path, "wb") as file:
                file.write(bytes(c["file_mib"] << 20))
        time.sleep(c["hold_seconds"])
    finally:
        _remove(paths)
    return f"{len(paths) * c['file_mib']} MiB"


def _remove(paths: list[str]) -> None:
    for path in paths:
        if os.path.exists(path):
            os.unlink(path)


def leave_a_daemon(c: dict) -> str:
    """A process in a session of its own, orphaned and deaf, that outlives its parent. walls.py looks for its name."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        try:
            os.setsid()
            _deaf()
            nothing = os.open(os.devnull, os.O_RDWR)
            for descriptor in (0, 1, 2):
                os.dup2(nothing, descriptor)
            ctypes.CDLL(None).prctl(PR_SET_NAME, c["token"].encode(), 0, 0, 0)
            os.write(writing, b".")
            os.closerange(3, 256)  # nobody shall wait for what it holds open
            time.sleep(60)
        finally:
            os._exit(0)
    os.close(writing)
    os.read(reading, 1)
    os.close(reading)
    return "started"


def _deaf() -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def ignore_the_end(c: dict) -> str:
    """Deafness to every signal but SIGKILL, far beyond the wall clock."""
    _deaf()
    leave_a_daemon(c)
    print(json.dumps({"name": "ignore_the_end", "got": True, "detail": "deaf"}), flush=True)
    time.sleep(c["deaf_seconds"])
    return "still here"


ATTEMPTS = [take_memory, take_memory_with_many, take_memory_in_files, take_processes, take_one_huge_file, take_the_disk,
            leave_a_daemon, ignore_the_end]
