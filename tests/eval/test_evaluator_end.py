"""The end of an evaluator while its workers score: nothing that they still hand out is closed, and nothing is left behind."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import psutil

from sandbox.find import find_bwrap
from state.ledger import Ledger
from tests.eval.homes import private_home
from tests.eval.scored import scored_run
from tests.eval.test_baselines import NAIVE
from tests.sandbox.help import over
from tests.waiting import until

ROOT = Path(__file__).parents[2]
LAST_LOOK = """
import os, sys
import eval.evaluator
end = os._exit

def look(code):
    packs = 0
    for number in os.listdir("/proc/self/fd"):
        try:
            packs += os.readlink(f"/proc/self/fd/{number}").startswith("/memfd:aar ")
        except FileNotFoundError:  # it was open to list them
            pass
    print(packs, "packs", file=sys.stderr, flush=True)
    end(code)

os._exit = look
eval.evaluator.main(sys.argv[1:])
"""


HALF_STARTED = """
import sys, threading, time
from pathlib import Path
from eval.warm import WarmSandbox, leave, method_box
from sandbox.box import Limits

threading.Thread(target=WarmSandbox, args=(method_box(Limits(), "bubblewrap"),), daemon=True).start()
while not Path(sys.argv[1]).exists():
    time.sleep(0.01)
print("leaving", flush=True)
leave(0)
"""


def start(tmp_path, script: str, argument: Path, path: str = os.environ["PATH"]) -> subprocess.Popen:
    (tmp_path / "tmp").mkdir()
    return subprocess.Popen([sys.executable, "-c", script, str(argument)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                            stderr=subprocess.PIPE, env={**os.environ, "TMPDIR": str(tmp_path / "tmp"), "PATH": path})  # fmt: skip


def packs_of(pid: int) -> int:
    """How many packs a process holds open."""
    found = 0
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found += os.readlink(link).startswith("/memfd:aar ")
    return found


def test_an_evaluator_that_ends_while_it_scores_closes_no_pack_and_leaves_no_process_and_no_bait(smoke, tmp_path, monkeypatch):
    monkeypatch.setenv("AAR_HOME", str(private_home(tmp_path)))
    paths = scored_run(tmp_path / "run", {"slow": "while True:\n    pass"}, {"first": NAIVE})
    head = Ledger(paths.ledger).verdicts["s0001"]["commit"]
    process = start(tmp_path, LAST_LOOK, paths.root)
    request = {"submission": "s0002", "agent": "agent-1", "commit": head, "method": "methods/slow.py", "parents": []}
    process.stdin.write(json.dumps(request) + "\n")
    process.stdin.flush()
    until(lambda: process.poll() is not None or packs_of(process.pid), "a pack")
    inside = psutil.Process(process.pid).children(recursive=True)
    _, said = process.communicate()  # the end of its input
    assert inside and said.splitlines()[-1] != "0 packs" and said.splitlines()[-1].endswith(" packs")
    until(lambda: all(map(over, inside)), "the end of what it had started")
    assert not list((tmp_path / "tmp").iterdir())


def test_a_process_that_leaves_while_a_sandbox_is_half_started_leaves_no_baits(tmp_path):
    (tmp_path / "bin").mkdir()
    waits, go, bwrap = tmp_path / "waits", tmp_path / "go", tmp_path / "bin" / "bwrap"
    bwrap.write_text(f"""#!/bin/bash
[ "$1" = --version ] && exec {find_bwrap()} --version
touch {waits}
until [ -e {go} ]; do sleep 0.02; done
exec {find_bwrap()} "$@"
""")
    bwrap.chmod(0o700)
    process = start(tmp_path, HALF_STARTED, waits, f"{bwrap.parent}:/usr/bin:/bin")
    assert process.stdout.readline() == "leaving\n"
    assert list((tmp_path / "tmp").iterdir()), "the baits are there"
    go.touch()
    assert process.communicate()[1] == "" and process.returncode == 0
    assert not list((tmp_path / "tmp").iterdir())
