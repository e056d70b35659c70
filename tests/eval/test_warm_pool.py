"""Where the machine has no sandbox for a while, no job is refused for it, and nothing is left behind."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import eval.warm
from eval.sealed import verify
from eval.warm import SandboxFailed, WarmPool, method_box, start_patiently
from sandbox.box import Limits
from sandbox.find import find_bwrap
from state.errors import UserError
from tests.eval.homes import private_home
from tests.eval.scored import scored_run
from tests.eval.test_baselines import NAIVE

ROOT = Path(__file__).parents[2]
BOX = method_box(Limits(seconds=60), "bubblewrap")
WORDS = "no process is left"


class Machine:
    """One on which the next `failing` sandboxes do not start."""

    def __init__(self, folder):
        self.failing, self.starts = folder / "failing", folder / "starts"
        self.fail(0)
        bwrap = folder / "bwrap"
        bwrap.write_text(f"""#!/bin/bash
[ "$1" = --version ] && exec {find_bwrap()} --version
echo >> {self.starts}
left=$(cat {self.failing})
[ "$left" = 0 ] && exec {find_bwrap()} "$@"
echo $((left - 1)) > {self.failing}
echo "{WORDS}" >&2
exit 1
""")
        bwrap.chmod(0o700)

    def fail(self, times):
        self.failing.write_text(f"{times}\n")


@pytest.fixture
def machine(tmp_path, monkeypatch):
    (tmp_path / "bin").mkdir()
    machine = Machine(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    find_bwrap.cache_clear()
    assert find_bwrap() == tmp_path / "bin" / "bwrap"
    yield machine
    find_bwrap.cache_clear()


def test_what_failed_ahead_is_no_later_jobs_fate(machine):
    machine.fail(2)
    pool = WarmPool(BOX, 2)
    try:
        while pool.ready.qsize() < 2:
            time.sleep(0.01)
        for _ in range(3):
            sandbox = pool.take()
            assert sandbox.handle.poll() is None
            sandbox.close()
    finally:
        pool.close()


def test_a_job_is_given_several_tries_with_growing_pauses(machine, monkeypatch):
    assert sorted(eval.warm.PAUSES) == list(eval.warm.PAUSES) and sum(eval.warm.PAUSES) >= 15
    monkeypatch.setattr("eval.warm.PAUSES", (0.01,) * 4)
    machine.fail(4)
    start_patiently(BOX).close()
    machine.fail(5)
    with pytest.raises(SandboxFailed, match=WORDS):
        start_patiently(BOX)
    assert machine.failing.read_text() == "0\n"


def test_a_verification_that_gets_no_sandbox_ends_with_one_line(smoke, machine, tmp_path, monkeypatch):
    monkeypatch.setenv("AAR_HOME", str(private_home(tmp_path)))
    paths = scored_run(tmp_path / "run", {"naive": NAIVE}, {"first": NAIVE})
    monkeypatch.setattr("eval.warm.PAUSES", (0.01,))
    machine.fail(1000)
    said = []
    with pytest.raises(UserError, match=WORDS) as failed:
        verify(paths, ["s0001"], [], said.append)
    assert "\n" not in str(failed.value) and not said


SHORT = """
import os, sys, tempfile, resource
from pathlib import Path
from eval.warm import WarmSandbox, method_box
from sandbox.box import Limits
box = method_box(Limits(seconds=60), "bubblewrap")
WarmSandbox(box).close()  # whatever a process opens once
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
left = {}
for spare in range(24):
    held = []
    try:
        while True:
            held.append(os.dup(0))
    except OSError:
        for descriptor in held[len(held) - spare:]:
            os.close(descriptor)
    try:
        sandbox = WarmSandbox(box)
    except Exception:
        sandbox = None
    for descriptor in held[: len(held) - spare]:
        os.close(descriptor)
    if found := [str(path) for path in Path(sys.argv[1]).rglob("*")]:
        sys.exit(f"{spare} descriptors: {found}")
    if sandbox is not None:
        sandbox.close()
        break
else:
    sys.exit("never enough")
print("started with", spare)
"""


def test_where_descriptors_are_wanting_no_baits_are_left(tmp_path):
    done = subprocess.run([sys.executable, "-c", SHORT, str(tmp_path)], cwd=ROOT, env={**os.environ, "TMPDIR": str(tmp_path)},
                          capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0 and "started with" in done.stdout, done.stderr
