"""Looking whether a run is operated, while others look as well and somebody wants to operate it."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator

from filelock import FileLock, Timeout

from state.paths import RunPaths
from swarm.access import hold_run

LOOK = """
import sys
from pathlib import Path
from state.operated import is_operated
from state.paths import RunPaths
paths = RunPaths(Path(sys.argv[1]))
print("looking", flush=True)
seen = [is_operated(paths) for _ in range(int(sys.argv[2]))]
print(any(seen), flush=True)
"""


@contextlib.contextmanager
def lookers(paths: RunPaths, times: int, count: int = 2) -> Iterator[list[subprocess.Popen]]:
    """`count` processes that look so often."""
    command = [sys.executable, "-c", LOOK, paths.root, str(times)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]
    try:
        for process in started:
            assert process.stdout.readline() == "looking\n"
        yield started
    finally:
        for process in started:
            process.kill()
            process.communicate()


def test_a_run_can_be_taken_however_many_look_at_it(tmp_path):
    paths = RunPaths(tmp_path)
    paths.lock.touch()
    refused = False
    with lookers(paths, 10**8):
        for _ in range(50):
            hold_run(paths).release()
        while not refused:  # the control: somebody who does not try again is refused now and then
            try:
                FileLock(paths.lock).acquire(timeout=0).lock.release()
            except Timeout:
                refused = True


def test_two_that_look_do_not_take_each_other_for_the_operator(tmp_path):
    paths = RunPaths(tmp_path)
    paths.lock.touch()
    with lookers(paths, 20_000) as started:
        assert [process.stdout.readline() for process in started] == ["False\n", "False\n"]
