"""Attempts to take more than the limits give. Each needs a sandbox to itself, which it may not survive.

Run like attempts.py: `python overuse.py '{"names": ["take_memory"], ...}'` prints one JSON line an attempt.
"""
from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time


def take_memory(c: dict) -> str:
    """More memory than the limit, in pieces, held for a while."""
    held = [bytearray(os.urandom(1) * (8 << 20)) for _ in range(c["memory_mib"] // 8)]
    time.sleep(c["hold_seconds"])
    return f"{len(held) * 8} MiB"


def take_processes(c: dict) -> str:
    """More processes than the limit."""
    children = []
    try:
        for _ in range(c["forks"]):
            child = os.fork()
            if child == 0:
                time.sleep(5)
                os._exit(0)
            children.append(child)
        time.sleep(c["hold_seconds"])
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    return f"{len(children)} processes"


def take_one_huge_file(c: dict) -> str:
    """A file larger than the limit."""
    path = os.path.join(c["writable"], "huge")
    try:
        with open(path, "wb") as file:
            for _ in range(c["file_mib"] + 1):
                file.write(bytes(1 << 20))
    finally:
        os.unlink(path)
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
        for path in paths:
            if os.path.exists(path):
                os.unlink(path)
    return f"{len(paths) * c['file_mib']} MiB"


def leave_a_daemon(c: dict) -> str:
    """A process in a session of its own, orphaned and deaf, that outlives its parent. walls.py looks for it."""
    deaf = "import signal,time\nfor s in (1, 2, 15): signal.signal(s, signal.SIG_IGN)\ntime.sleep(60)"
    subprocess.Popen([sys.executable, "-S", "-c", deaf, c["token"]], start_new_session=True, stdin=subprocess.DEVNULL,
                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return "started"


def ignore_the_end(c: dict) -> str:
    """Deafness to every signal but SIGKILL, far beyond the wall clock."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    leave_a_daemon(c)
    print(json.dumps({"deaf": True}), flush=True)
    time.sleep(c["deaf_seconds"])
    return "still here"


LIMITS = [take_memory, take_processes, take_one_huge_file, take_the_disk, leave_a_daemon, ignore_the_end]
ALONE = [attempt.__name__ for attempt in LIMITS]


def main(config: dict) -> None:
    """Makes the attempts that `config["names"]` lists and prints {"name", "got", "detail"} for each."""
    for name in config["names"]:
        try:
            got, detail = True, globals()[name](config)
        except (OSError, MemoryError) as error:
            got, detail = False, str(error)
        print(json.dumps({"name": name, "got": got, "detail": detail}), flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
