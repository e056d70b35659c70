"""A sandbox that is dead and not yet buried: why it was ended is known, and nobody else is blamed for the wait."""

import os
import signal
import threading
import time

import psutil
import pytest

from eval.engine import Engine
from eval.prepared import Prepared
from eval.scan import scan
from eval.slots import Slot

LOOKS = 40
"""While its bwrap is paused, after the end of what is inside."""
SOURCES = {
    "timeout": ("def fit(w2s):\n    while True:\n        pass\n", "while fitting: stopped after the limit of 1 s"),
    "crashed": ("import numpy as np\n\n\ndef fit(w2s):\n    x = [np.ones(2**22) for _ in range(25)]\n    while True:\n        pass\n",
                "while fitting: used more than 700 MiB of memory"),
}  # fmt: skip


@pytest.fixture(scope="module")
def engine(smoke):
    engine = Engine(Prepared(smoke.task.model_copy(update={"memory_mib": 700}), smoke.folder), b"b" * 32, "bubblewrap", [Slot(0)])
    yield engine
    engine.close()


def buried_late(pid: int, first: int) -> None:
    """Pause bwrap at once, and let it go on some looks after pid 1 of its sandbox has died."""
    looks = 0
    while looks < LOOKS:
        looks += psutil.Process(first).status() == psutil.STATUS_ZOMBIE
        time.sleep(0.05)
    os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("status", SOURCES)
def test_why_a_sandbox_was_ended_is_known_however_long_its_burial_takes(engine, status):
    source, words = SOURCES[status]
    engine.task = engine.task.model_copy(update={"fit_seconds": 1.0 if status == "timeout" else 600.0})
    ready = engine.pools[None].ready
    waiting = [ready.get(), ready.get()]
    for sandbox in waiting:  # in the same order: the first is the next one to be taken
        ready.put(sandbox)
    handle = waiting[0].handle
    os.kill(handle.pid, signal.SIGSTOP)
    digger = threading.Thread(target=buried_late, args=(handle.pid, handle.first))
    digger.start()
    try:
        outcome = engine.run(source, "methods/x.py", [0], scan(source.encode(), "methods/x.py"), Slot(0))
    finally:
        digger.join()
    assert (outcome.status, outcome.error) == (status, words)
