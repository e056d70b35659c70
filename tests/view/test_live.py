import io
import os
import pty
import re

import pytest

from state.config import note_person
from state.files import append_jsonl, utc_now
from tests.view.made import HOSTILE, add, make_run, verdict, write_state
from tests.view.terminal import in_terminal
from view.live import LiveView


def test_without_a_terminal_each_new_verdict_is_one_line_and_old_ones_are_not_news(tmp_path, monkeypatch):
    monkeypatch.setattr("view.live.SUMMARY_SECONDS", float("inf"))
    paths = make_run(tmp_path)
    add(paths, verdict("s0001"))
    out = io.StringIO()
    for name in ("s0004", "s0005"):
        append_jsonl(paths.ledger, {"kind": "submission", **{key: verdict(name)[key] for key in ("submission", "agent", "commit", "method")}, "time": utc_now()})
    with LiveView(paths, interactive=False, file=out) as view:
        view.update(write_state(paths, "running"))
        add(paths, verdict("s0002", method=HOSTILE))
        add(paths, verdict("s0003", pgr=None, status="timeout", error="while fitting: stopped"))
        view.update(write_state(paths, "running"))
    lines = out.getvalue().splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("run first: running, task reviews, 9m00s left, 2 in the queue")
    assert "s0002 agent-1" in lines[1] and "PGR 0.50 [0.45, 0.55]" in lines[1]
    assert "s0003 agent-1 methods/x.py timeout" in lines[2]
    assert "\x1b" not in out.getvalue() and "\u202e" not in out.getvalue()


def test_a_closed_pipe_silences_the_view_and_not_the_run(tmp_path):
    paths = make_run(tmp_path)
    reader, writer = os.pipe()
    with open(writer, "w", buffering=1) as out:
        with LiveView(paths, interactive=False, file=out) as view:
            os.close(reader)
            view.update(write_state(paths, "running"))
            add(paths, verdict("s0001"))
            view.update(write_state(paths, "running"))
        assert view.ledger.verdicts


def test_a_terminal_shows_a_row_for_each_agent_and_survives_being_hung_up(tmp_path, monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "160")
    paths = make_run(tmp_path)
    add(paths, verdict("s0001", agent="agent-2", pgr=0.6, method="methods/[red]x.py"))
    ours, theirs = pty.openpty()
    with open(theirs, "w") as terminal:
        with LiveView(paths, interactive=True, file=terminal) as view:
            view.update(write_state(paths, "running"))
            screen = read_until(ours, "1 restart", "agent-1", "idea-2", "0.60 [0.55, 0.65]", "methods/[red]x.py")
            assert "\x1b]0;" not in screen and "\x1b[2J" not in screen
            os.close(ours)
            for _ in range(3):
                view.update(write_state(paths, "running"))


def read_until(descriptor: int, *parts: str) -> str:
    """What a terminal shows until all of these words came, which one read may part; a test's time limit ends it where they never do."""
    screen = b""
    while not all(part in screen.decode(errors="replace") for part in parts):
        screen += os.read(descriptor, 1 << 16)
    return screen.decode(errors="replace")


def test_whoever_joins_while_the_run_is_watched_is_counted_and_has_a_row_with_their_direction(tmp_path, monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "160")
    paths = make_run(tmp_path)
    ours, theirs = pty.openpty()
    with open(theirs, "w") as terminal, LiveView(paths, interactive=True, file=terminal) as view:
        view.update(write_state(paths, "running"))
        note_person(paths, "ada", "people/ada")
        agents = {name: {"state": "thinking", "since": None} for name in ("agent-1", "agent-2")}
        view.update(write_state(paths, "open", agents={**agents, "ada": {"state": "present", "since": None}}))
        read_until(ours, "present", "1 person is there", "people/ada", "9m00s left")
    os.close(ours)


DRAW = """
import json, os
from state.paths import RunPaths
from view.live import LiveView
paths = RunPaths({root!r})
with LiveView(paths, interactive=True) as view:
    view.update(json.loads(paths.state.read_text()))
    os._exit(0)  # as it stands, before it is taken away at the end
"""


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (200, 50), (80, 12), (44, 24)])
def test_the_table_fits_the_terminal_with_problems_first_and_says_what_it_leaves_out(tmp_path, columns, rows):
    paths = make_run(tmp_path, agents=9)
    for number in range(1, 10):
        add(paths, verdict(f"s{number:04d}", agent=f"agent-{number}", method=HOSTILE))
    agents = {f"agent-{n}": {"state": "thinking", "since": utc_now(), "note": f"turn 12 {HOSTILE}", "dollars": 1.5, "turns": 12} for n in range(1, 10)}
    write_state(paths, "running", agents=agents, problems=[f"{utc_now()} the API fails {HOSTILE}"], spend_dollars=12.0, spend_limit=200.0, dollars_an_hour=3.0)
    shown = in_terminal(DRAW.format(root=str(paths.root)), columns, rows)
    shown.check()
    lines = shown.plain.rstrip("\n").split("\n")
    assert len(lines) < rows and lines[0].startswith("problem: ") and "the API fails" in shown.plain
    left_out = " ".join(shown.plain.split()).partition("left out for lack of room: ")[2]
    there = [f"agent-{n} " in shown.plain for n in range(1, 10)]
    if (columns, rows) == (200, 50):
        assert not left_out and all(there) and "idea-9" in shown.plain and "exposure" in shown.plain
    else:
        assert "direction, note, idea" in left_out and (all(there) or re.match(r"\d+ lines, ", left_out))
    assert not any(line.startswith("FAKE") for line in lines)
