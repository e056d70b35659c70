"""`status --watch`: it follows a run's files until the run is over, and leaves no trace in them."""

import hashlib
import json
import os
import pty
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest
from filelock import FileLock

import view.status
from state.files import append_jsonl, utc_now
from state.ledger import Ledger
from tests.view.made import HOSTILE, add, make_run, verdict, write_state
from tests.view.terminal import ROOT, Shown
from tests.waiting import until
from view.status import Follower
from view.watch import LAST_LOOKS, _follow, what_happened

WATCH = "from state.paths import RunPaths; from view.watch import watch; watch(RunPaths({root!r}), every={every})"


class Piped:
    """The same in a pipe; its lines as they come."""

    def __init__(self, paths):
        code = WATCH.format(root=str(paths.root), every=0.05)
        self.process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
        self.text = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.text += line

    def see(self, words):
        until(lambda: words in self.text, lambda: f"{words!r} never came:\n{self.text}\nThis")

    def ended(self):
        """Its exit code, when it has ended and all that it printed was read."""
        until(lambda: not self._reader.is_alive(), lambda: f"an end after\n{self.text}\n")
        return self.process.wait()


def exit_code(process):
    until(lambda: process.poll() is not None, "its end")
    return process.returncode


def files_of(paths) -> dict:
    """All files of a run but state.json, which the test itself writes, with what is in them."""
    return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in paths.root.rglob("*") if file.is_file() and file != paths.state}


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (200, 50)])
def test_on_a_terminal_the_picture_is_redrawn_until_the_run_is_over_and_stays_there(tmp_path, columns, rows):
    paths = make_run(tmp_path, agents=9)
    write_state(paths, "running", problems=[f"trouble {HOSTILE}"])
    with FileLock(paths.lock):
        shown = Shown(WATCH.format(root=str(paths.root), every=0.05), columns, rows)
        shown.see("none yet")
        add(paths, verdict("s0001", agent="agent-7", pgr=0.6, method=HOSTILE))
        shown.see("0.60 [0.55, 0.65]")
        write_state(paths, "finished")
    assert shown.ended() == 0
    shown.check()
    assert shown.plain.startswith("problem: trouble") and "run first: finished" in shown.plain
    assert "\x1b[?25h" in shown.raw, "the cursor is there again"


def test_ctrl_c_leaves_quietly_and_the_run_does_not_notice(tmp_path):
    paths = make_run(tmp_path)
    write_state(paths, "running")
    with FileLock(paths.lock):
        before = files_of(paths)
        shown = Shown(WATCH.format(root=str(paths.root), every=0.05), 80)
        shown.see("agent-1")
        shown.press_ctrl_c()
        assert shown.ended() == 0
        assert files_of(paths) == before
    assert "Traceback" not in shown.plain and "Interrupt" not in shown.plain and "\x1b[?25h" in shown.raw


def test_in_a_pipe_the_text_comes_again_only_when_something_happened_behind_an_empty_line(tmp_path):
    paths = make_run(tmp_path)
    write_state(paths, "running")
    with FileLock(paths.lock):
        piped = Piped(paths)
        piped.see("agent-2")
        for seconds in range(61, 70):  # time goes by, and nothing else
            write_state(paths, "running", seconds_used=float(seconds))
        add(paths, verdict("s0001", pgr=0.6, method=HOSTILE))
        piped.see("0.60 [0.55, 0.65]")
        write_state(paths, "finished")
    assert piped.ended() == 0 and piped.process.stderr.read() == ""
    assert "run first: finished" in piped.text and "\x1b" not in piped.text
    pictures = piped.text.split("\n\nrun first: ")  # a picture has empty lines of its own, but no such beginning
    assert len(pictures) == piped.text.count("run first: ") <= 4, piped.text


def test_clocks_and_money_are_no_news_but_a_verdict_a_problem_and_a_parked_agent_are(tmp_path):
    paths = make_run(tmp_path)
    follower = Follower(paths)

    def now(**fields) -> object:
        return json.loads(json.dumps(what_happened(follower.facts(write_state(paths, "running", **fields)))))

    before = now()
    assert now(seconds_used=99.0, spend_dollars=3.0) == before
    assert now(problems=["trouble"]) != before
    assert now(agents={"agent-1": {"state": "parked"}}) != now(agents={"agent-1": {"state": "thinking"}})
    assert now(agents={"agent-1": {"state": "acting", "note": "ls"}}) == now(agents={"agent-1": {"state": "thinking", "note": "turn 2"}})
    add(paths, verdict("s0001"))
    assert now() != before


@pytest.mark.parametrize("busy", [False, True], ids=["paused", "busy"])
def test_the_next_verdict_waits_where_working_them_out_took_a_core_long_and_not_where_the_machine_stood_still(busy, tmp_path, monkeypatch):
    paths, work_out = make_run(tmp_path), view.status.told

    def slowly(*arguments):
        end = time.thread_time() + 0.2
        time.sleep(0.0 if busy else 0.2)
        while busy and time.thread_time() < end:
            pass
        return work_out(*arguments)

    monkeypatch.setattr("view.status.told", slowly)
    monkeypatch.setattr("view.status.SHARE", 0.0001)
    follower = Follower(paths)
    first = follower.told(at_once=False)
    add(paths, verdict("s0001"))
    follower.ledger.refresh()
    assert (follower.told(at_once=False) is first) == busy


def test_a_reader_who_goes_away_ends_it_without_a_word(tmp_path):
    paths = make_run(tmp_path)
    write_state(paths, "running")
    with FileLock(paths.lock):
        piped = subprocess.Popen([sys.executable, "-c", WATCH.format(root=str(paths.root), every=0.05)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT)
        piped.stdout.readline()
        piped.stdout.close()
        add(paths, verdict("s0001"))
        assert exit_code(piped) == 0 and piped.stderr.read() == b""


def test_a_watch_stays_through_the_verification_and_shows_how_far_it_is(tmp_path):
    paths = make_run(tmp_path)
    paths.evaluator.mkdir()
    add(paths, verdict("s0001", pgr=0.6))
    write_state(paths, "running")
    with FileLock(paths.lock):
        watched = Piped(paths)
        watched.see("run first: running")
        Ledger(paths.ledger).append("event", event="sealed-opening", agent=None, detail="s0001, s0002 (control), s0003, s0004, s0005")
        write_state(paths, "finished")  # what is between these two in a run, and how long, is for the test below
        watched.see("finished, 0 of 5 scored on the sealed part")
        for done in range(1, 5):  # so that it looks more often than it does at a run on which nobody works
            append_jsonl(paths.evaluator / "sealed.jsonl", {**verdict(f"s{done:04d}", pgr=0.44), "control": done == 2, "openings": 1, "time": utc_now()})
            watched.see(f"{done} of 5 scored on the sealed part")
        (paths.board / "verification.md").write_text("# Sealed verification\n")
    watched.see("verified (finished)")
    assert watched.ended() == 0


def test_a_run_that_is_over_is_looked_at_a_little_longer_for_whoever_verifies_it():
    alive, over, verifying, verified = (
        {"alive": name == "alive", "verifying": name == "verifying", "verified": name == "verified", "state": "running" if name == "alive" else "finished"}
        for name in ("alive", "over", "verifying", "verified")
    )

    def shown(*looks) -> list[dict]:
        coming, seen = iter(looks), []
        _follow(SimpleNamespace(facts=lambda: next(coming)), 0.0, seen.append)
        return seen

    through = [alive, *[over] * (LAST_LOOKS - 1), *[verifying] * 9, *[over] * (LAST_LOOKS - 1), verified]
    assert shown(*through, verified) == through and LAST_LOOKS > 1
    assert shown(alive, *[over] * 9) == [alive, *[over] * LAST_LOOKS] and shown(over, over) == [over]


def test_a_terminal_that_went_away_ends_it_where_no_signal_says_so(tmp_path):
    paths = make_run(tmp_path)
    write_state(paths, "running")
    ours, theirs = pty.openpty()
    with FileLock(paths.lock):
        watching = subprocess.Popen(
            [sys.executable, "-c", WATCH.format(root=str(paths.root), every=0.05)], stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, cwd=ROOT,
            env={**os.environ, "TERM": "xterm-256color"}, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        seen = b""
        while b"agent-2" not in seen:
            seen += os.read(ours, 1 << 16)
        os.close(ours)
        try:
            assert exit_code(watching) == 0 and watching.stderr.read() == b""
        finally:
            watching.kill()
