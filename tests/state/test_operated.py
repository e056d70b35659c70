"""Looking whether a run is operated, while others look as well and somebody wants to operate it."""

import contextlib
import fcntl
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from filelock import FileLock, Timeout

from state.errors import UserError
from state.operated import born
from state.paths import RunPaths
from swarm.access import hold_run
from swarm.care import stop_run
from tests.view.made import make_run, write_state

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


def test_who_looks_and_is_suspended_for_seconds_keeps_nobody_out_and_an_operator_does(tmp_path):
    paths = RunPaths(tmp_path)
    with open(paths.lock, "wb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        threading.Timer(2.0, fcntl.flock, (file, fcntl.LOCK_UN)).start()
        hold_run(paths).release()
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="is being operated already"):
            hold_run(paths)


HOLD = """
import fcntl, sys
with open(sys.argv[1], "w") as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    print("held", flush=True)
    sys.stdin.read()
"""


def test_only_the_process_that_state_json_means_is_stopped_not_one_that_has_its_number_by_now(tmp_path):
    paths = make_run(tmp_path)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", HOLD, paths.lock, "aar.py"], **pipes) as holder:
        assert holder.stdout.readline() == b"held\n"
        for said in (born(holder.pid) - 1, None):
            write_state(paths, "running", pid=holder.pid, born=said)
            with pytest.raises(UserError, match="held by a process that has just started"):
                stop_run(paths)
            assert holder.poll() is None
        write_state(paths, "running", pid=holder.pid, born=born(holder.pid))
        assert "run first is stopped" in stop_run(paths)
    assert holder.returncode == -signal.SIGTERM


def test_two_that_look_do_not_take_each_other_for_the_operator(tmp_path):
    paths = RunPaths(tmp_path)
    paths.lock.touch()
    with lookers(paths, 20_000) as started:
        assert [process.stdout.readline() for process in started] == ["False\n", "False\n"]
