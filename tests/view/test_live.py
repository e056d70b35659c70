import io
import os
import pty

from state.config import note_person
from tests.view.made import HOSTILE, add, make_run, verdict, write_state
from view.live import LiveView


def test_without_a_terminal_each_new_verdict_is_one_line_and_old_ones_are_not_news(tmp_path):
    paths = make_run(tmp_path)
    add(paths, verdict("s0001"))
    out = io.StringIO()
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
            screen = read_until(ours, "1 restart")
            for part in ("agent-1", "idea-2", "0.60 [0.55, 0.65]", "methods/[red]x.py"):
                assert part in screen
            assert "\x1b]0;" not in screen and "\x1b[2J" not in screen
            os.close(ours)
            for _ in range(3):
                view.update(write_state(paths, "running"))


def read_until(descriptor: int, last: str) -> str:
    """What a terminal shows until the words `last` came; a test's time limit ends it where they never do."""
    screen = b""
    while last not in screen.decode(errors="replace"):
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
        screen = read_until(ours, "present")
    assert "1 person is there" in screen and "people/ada" in screen and "m00s left, " in screen
    os.close(ours)
