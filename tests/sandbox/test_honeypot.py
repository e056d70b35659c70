"""Baits: who opens one is named, and nobody else is."""
from __future__ import annotations

import io
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from sandbox import honeypot as baits
from sandbox.box import Box, Limits, run, start
from sandbox.honeypot import INSIDE, SHOWN, TWINS, Honeypot, bait_mounts, made_up_labels
from tests.sandbox.help import python

FILES = [f"{INSIDE}/labels.jsonl", f"{INSIDE}/labels.npy"]
CONNECT = f"import socket; s = socket.socket(socket.AF_UNIX); s.connect('{INSIDE}/evaluator.sock'); print('connected')"


@pytest.fixture(autouse=True)
def few_looks(monkeypatch):
    """Most tests have nobody outside who would have to be waited for."""
    monkeypatch.setattr(baits, "MOST_LOOKS", 2)


@pytest.fixture
def honeypot(tmp_path):
    honeypot = Honeypot(tmp_path / "private")
    yield honeypot
    honeypot.close()


def inside(honeypot: Honeypot, *command: str) -> str:
    box = Box("shell", mounts=honeypot.mounts, limits=Limits(seconds=30))
    return run(box, list(command) if len(command) > 1 else ["bash", "-c", *command]).output.decode(errors="replace")


@pytest.mark.parametrize("honest", [
    "ls -laR /aar", "find /aar -name '*.npy'", f"stat {INSIDE}/*", "du -a /aar", "grep -r label /tmp",
    f"test -r {INSIDE}/labels.npy && echo yes"])
def test_to_look_around_touches_nothing(honeypot, honest):
    assert inside(honeypot, honest + "; echo done").endswith("done\n")
    assert honeypot.touched() == []


@pytest.mark.parametrize("greedy, baits", [
    (f"cat {INSIDE}/labels.npy", FILES[1:]), (f"head -c 1 {INSIDE}/labels.jsonl", FILES[:1]), ("grep -r true /aar", FILES),
    (f"tar cf /tmp/all {INSIDE}", FILES), (f"cd {INSIDE} && exec 3< labels.npy", FILES[1:])])
def test_to_open_a_bait_is_told_by_its_name(honeypot, greedy, baits):
    inside(honeypot, greedy)
    assert sorted(honeypot.touched()) == baits


def test_to_connect_to_the_endpoint_is_told_though_nobody_answers(honeypot):
    assert inside(honeypot, *python(CONNECT)) == "connected\n"
    assert honeypot.touched() == [f"{INSIDE}/evaluator.sock"]


def test_nothing_inside_can_change_a_bait_or_take_its_watch_away(honeypot):
    bait = f"{INSIDE}/labels.npy"
    said = inside(honeypot, f"rm -f {bait}; mv {INSIDE} /aar/x; echo x > {bait}; cat {bait} >/dev/null")
    assert said.count("Read-only file system") + said.count("Device or resource busy") >= 2 and honeypot.touched() == FILES[1:]


def test_each_sandbox_has_its_own_so_that_who_touched_is_known(tmp_path):
    pots = [Honeypot(tmp_path / str(number)) for number in range(3)]
    inside(pots[1], f"for n in $(seq 50); do cat {INSIDE}/labels.npy {INSIDE}/labels.jsonl; done > /dev/null")
    inside(pots[2], "ls -R /aar")
    assert [sorted(pot.touched()) for pot in pots] == [[], FILES, []]
    for pot in pots:
        pot.close()
    assert [sorted(pot.touched()) for pot in pots] == [[], FILES, []], "what is known stays known"
    assert list(tmp_path.iterdir()) == []


def test_what_happened_just_before_the_end_is_not_lost(honeypot):
    inside(honeypot, f"cat {INSIDE}/labels.npy > /dev/null")
    honeypot.close()
    assert honeypot.touched() == FILES[1:] and not honeypot.folder.exists()


def test_news_come_once(honeypot):
    inside(honeypot, f"cat {INSIDE}/labels.npy > /dev/null")
    assert honeypot.news() == FILES[1:] and honeypot.news() == []
    inside(honeypot, f"cat {INSIDE}/labels.npy {INSIDE}/labels.jsonl > /dev/null")
    assert honeypot.news() == FILES[:1] and sorted(honeypot.touched()) == FILES


def test_who_reads_whole_folders_from_outside_puts_the_blame_on_nobody(honeypot):
    subprocess.run(["grep", "-r", "nothing", honeypot.folder], check=False)
    assert honeypot.touched() == []
    inside(honeypot, f"cat {INSIDE}/labels.npy > /dev/null")
    assert honeypot.touched() == FILES[1:], "and the watch goes on"


@pytest.mark.parametrize("first, then", [(SHOWN, TWINS), (TWINS, SHOWN)])
def test_whoever_outside_is_slow_between_a_bait_and_its_twin_puts_the_blame_on_nobody(honeypot, monkeypatch, first, then):
    monkeypatch.setattr(baits, "MOST_LOOKS", 10_000)
    (honeypot.folder / first / "labels.npy").read_bytes()
    looks: list[list[str]] = []
    looking = threading.Thread(target=lambda: looks.append(honeypot.news()))
    looking.start()
    looking.join(0.5)  # ten times what one look takes, or more
    assert looks == []
    (honeypot.folder / then / "labels.npy").read_bytes()
    looking.join()
    assert looks == [[]]
    monkeypatch.setattr(baits, "MOST_LOOKS", 2)
    inside(honeypot, f"cat {INSIDE}/labels.npy > /dev/null")
    assert honeypot.news() == FILES[1:], "and the watch goes on"


@pytest.mark.parametrize("end", ["close", "hide"])
def test_whoever_outside_is_between_the_two_when_the_baits_are_taken_away_is_waited_for(honeypot, monkeypatch, end):
    monkeypatch.setattr(baits, "MOST_LOOKS", 10_000)
    (honeypot.folder / SHOWN / "labels.npy").read_bytes()
    ending = threading.Thread(target=getattr(honeypot, end))
    ending.start()
    ending.join(0.5)
    assert ending.is_alive()
    (honeypot.folder / TWINS / "labels.npy").read_bytes()
    ending.join()
    assert honeypot.touched() == [] and not honeypot.folder.exists()


def test_several_honeypots_whose_baits_are_touched_at_once_wait_together(tmp_path, monkeypatch):
    monkeypatch.setattr(baits, "MOST_LOOKS", 10)
    pots = [Honeypot(tmp_path / str(number)) for number in range(5)]
    for pot in pots:
        (pot.folder / SHOWN / "labels.npy").read_bytes()
    before = baits._watcher().looks
    assert [pot.news() for pot in pots] == [FILES[1:]] * 5
    assert baits._watcher().looks - before == 10
    for pot in pots:
        pot.close()


def test_what_is_hidden_is_told_without_waiting_for_anybody(honeypot, monkeypatch):
    monkeypatch.setattr(baits, "MOST_LOOKS", 10_000)
    code = "import sys\nsys.stdin.read()\nopen('/aar/private/labels.npy').close()\n"
    handle = start(Box("method", mounts=honeypot.mounts, limits=Limits(seconds=30)), python(code), stdin=subprocess.PIPE)
    honeypot.hide()
    before = baits._watcher().looks
    handle.popen.stdin.close()
    handle.wait()
    honeypot.close()
    assert honeypot.touched() == FILES[1:] and baits._watcher().looks == before


def test_baits_that_are_hidden_are_out_of_reach_outside_and_still_watched_inside(honeypot):
    code = "import sys, time\nsys.stdin.read()\nopen('/aar/private/labels.npy').close()\n" + CONNECT
    handle = start(Box("method", mounts=honeypot.mounts, limits=Limits(seconds=30)), python(code), stdin=subprocess.PIPE)
    honeypot.hide()
    assert not honeypot.folder.exists() and honeypot.touched() == []
    handle.popen.stdin.close()
    assert handle.wait().output == b"connected\n"
    assert honeypot.touched() == [*FILES[1:], f"{INSIDE}/evaluator.sock"]


def test_another_process_can_show_the_baits_that_this_one_watches(honeypot):
    assert bait_mounts(honeypot.folder) == honeypot.mounts and bait_mounts(honeypot.folder / "elsewhere") == ()
    code = (f"from sandbox.box import Box, run\nfrom sandbox.honeypot import bait_mounts\n"
            f"run(Box('job', mounts=bait_mounts({str(honeypot.folder)!r})), ['cat', '{FILES[0]}'])")
    subprocess.run([sys.executable, "-c", code], check=True)
    assert honeypot.touched() == FILES[:1]


def test_without_walls_there_are_no_baits():
    honeypot = Honeypot(None)
    assert honeypot.mounts == () and honeypot.touched() == honeypot.news() == []
    honeypot.close()


def test_a_folder_whose_path_is_too_long_for_a_socket_will_do(tmp_path):
    honeypot = Honeypot(tmp_path / ("x" * 100) / "private")
    assert inside(honeypot, *python(CONNECT)) == "connected\n" and honeypot.touched()
    honeypot.close()


def test_a_bait_looks_like_what_it_pretends_to_be():
    files = made_up_labels()
    labels = np.load(io.BytesIO(files["labels.npy"]), allow_pickle=False)
    assert set(labels.tolist()) == {0, 1} and files["labels.jsonl"].count(b"\n") == len(labels)
    assert made_up_labels() != files, "thrown anew for each, so that they say nothing"


def test_a_forked_child_does_not_take_the_events_of_its_parent(honeypot):
    child = os.fork()
    if child == 0:
        try:
            honeypot.touched()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    inside(honeypot, f"cat {INSIDE}/labels.npy > /dev/null")
    assert honeypot.touched() == FILES[1:]
