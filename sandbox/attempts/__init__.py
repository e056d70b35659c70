"""Escape attempts: what hostile code would try first. Each returns what it got hold of, or raises.

    reading.py   secrets: labels, keys, other people's files
    leaving.py   ways out: sockets, processes, namespaces, privileges
    writing.py   traces in what others read or run
    overuse.py   more than the limits give; each needs a sandbox to itself

walls.py has them made twice: inside every kind of sandbox, and outside on the same decoys as the control.
Standard library only, because they run under the sandbox's own Python:

    python -m sandbox.attempts '{"names": ["read_labels"], "labels": "/path/of/decoy", ...}'
"""
from __future__ import annotations

import json

from sandbox.attempts import leaving, overuse, reading, writing
from sandbox.attempts.tools import Refused

TOGETHER = [attempt.__name__ for room in (reading, leaving, writing) for attempt in room.ATTEMPTS]
ALONE = [attempt.__name__ for attempt in overuse.ATTEMPTS]


def main(config: dict) -> None:
    """Makes the attempts that `config["names"]` lists and prints {"name", "got", "detail"} for each, a JSON line each."""
    known = {attempt.__name__: attempt for room in (reading, leaving, writing, overuse) for attempt in room.ATTEMPTS}
    for name in config["names"]:
        try:
            got, detail = True, known[name](config)
        except (OSError, Refused, MemoryError) as error:
            got, detail = False, str(error)
        print(json.dumps({"name": name, "got": got, "detail": detail}), flush=True)
