import contextlib
import datetime
import json
import os
import re

import pytest
from filelock import FileLock

from state.config import note_person
from state.errors import UserError
from state.files import append_jsonl, utc_now
from state.ledger import Ledger
from state.record import read_record
from swarm.access import open_for_submissions
from swarm.operation import run_to_end
from tests.view.made import HOSTILE, add, as_another_user, make_run, verdict, write_state
from tests.view.terminal import in_pipe, in_terminal
from view.format import age_seconds
from view.log import Follower, log_facts
from view.report.table import leaderboard_rows
from view.status import UNREAD, read_state, run_state, runs_facts, runs_text, status_facts, status_text


def test_a_run_whose_operator_is_gone_is_crashed_and_says_how_to_go_on(tmp_path):
    paths = make_run(tmp_path)
    write_state(paths, "running")
    facts = status_facts(paths)
    assert facts["state"] == "crashed"
    assert any("aar.py resume first" in problem for problem in facts["problems"])


def test_a_run_whose_operator_holds_the_lock_is_running_and_keeps_it(tmp_path):
    paths = make_run(tmp_path)
    write_state(paths, "running")
    with FileLock(paths.lock):
        assert status_facts(paths)["state"] == "running"
        assert status_facts(paths)["state"] == "running"


def test_asking_for_the_status_does_not_block_an_operator(tmp_path):
    paths = make_run(tmp_path)
    write_state(paths, "stopped")
    paths.lock.touch()
    status_facts(paths)
    FileLock(paths.lock).acquire(timeout=0).lock.release()


def test_a_run_that_ended_between_two_looks_is_not_crashed(tmp_path):
    paths = make_run(tmp_path)
    write_state(paths, "running")
    before = read_state(paths)
    assert run_state(paths, before) == "crashed"
    write_state(paths, "finished")
    assert run_state(paths, before) == "finished"


def test_a_finished_run_stays_finished_without_an_operator(tmp_path):
    paths = make_run(tmp_path)
    write_state(paths, "finished")
    facts = status_facts(paths)
    assert facts["state"] == "finished"
    assert {agent["state"] for agent in facts["agents"]} == {"stopped"}


def test_the_facts_are_json_and_hold_what_the_design_names(tmp_path):
    paths = make_run(tmp_path)
    add(paths, verdict("s0001", agent="agent-2", pgr=0.6))
    write_state(paths, "running")
    facts = json.loads(json.dumps(status_facts(paths)))
    assert {"run", "state", "agents", "best", "queue", "spend_dollars", "problems"} <= set(facts)
    assert facts["best"] == "s0001"
    assert [agent["best_pgr"] for agent in facts["agents"]] == [None, 0.6]


def test_the_text_shows_every_agent_and_no_escape(tmp_path):
    paths = make_run(tmp_path)
    add(paths, verdict("s0001", agent="agent-2", pgr=0.6, method=HOSTILE))
    write_state(paths, "running", problems=[HOSTILE])
    text = status_text(status_facts(paths))
    assert "agent-1" in text and "0.60 [0.55, 0.65]" in text
    assert not {c for c in text if c != "\n" and (ord(c) < 32 or c == "\u202e")}


def test_a_run_that_never_wrote_its_state_can_be_looked_at(tmp_path):
    assert status_facts(make_run(tmp_path))["state"] == "crashed"


def test_runs_are_listed_oldest_first_and_a_broken_one_hides_no_other(tmp_path):
    write_state(make_run(tmp_path, "one"), "finished")
    broken = make_run(tmp_path, "two")
    broken.toml.write_text("not toml")
    with pytest.raises(UserError, match="run.toml"):
        status_facts(broken)
    facts = runs_facts(tmp_path)
    assert {run["run"]: run["state"] for run in facts} == {"one": "finished", "two": "unreadable"}
    assert "unreadable" in runs_text(facts)


def test_a_repository_without_runs_says_how_to_start_one(tmp_path):
    assert "aar.py --agents 9" in runs_text(runs_facts(tmp_path))


def test_the_status_says_what_is_left_and_how_much_was_told(tmp_path):
    paths = make_run(tmp_path)
    paths.toml.write_text("null = true\nsubmissions_limit = 40\nfleet_submissions_limit = 200\n" + paths.toml.read_text())
    add(paths, verdict("s0001", independent_items=3000, weak_accuracy=0.6, ceiling_accuracy=0.85))
    write_state(paths, "finished")
    facts = json.loads(json.dumps(status_facts(paths)))
    assert facts["exposure"]["verdicts"] == 1 and facts["wrong_rejections"]["rate"] is None and facts["null"] is True
    text = status_text(facts)
    for words in ("1 submission of 200", "exposure: 1 verdict told", "n/a (0 random promotions)", "NULL RUN"):
        assert words in text


def test_people_are_present_or_away_and_a_run_that_is_open_says_how_many_are_there(tmp_path):
    paths = make_run(tmp_path)
    note_person(paths, "ada", "people/ada")
    note_person(paths, "bob", "none")
    there = {"ada": {"state": "present", "since": None, "submissions": 2}, "bob": {"state": "away", "since": None}}
    write_state(paths, "open", agents=there)
    with FileLock(paths.lock):
        facts = status_facts(paths)
        text = status_text(facts)
    about = {agent["name"]: (agent["person"], agent["state"], agent["direction"]) for agent in facts["agents"][2:]}
    assert about == {"ada": (True, "present", "people/ada"), "bob": (True, "away", "none")} and facts["people"] == 1
    assert text.startswith("run first: open, task reviews, 1m00s used, 1 person is there")
    write_state(paths, "stopped", agents=there)
    assert [agent["state"] for agent in status_facts(paths)["agents"]] == ["stopped", "stopped", "away", "away"]


def busy_run(folder):
    """Nine agents that ask models, with hostile words in all that they may write, and a state that is fresh."""
    paths = make_run(folder, agents=9)
    for number in range(1, 10):
        add(paths, verdict(f"s{number:04d}", agent=f"agent-{number}", pgr=0.3 + number / 20, method=HOSTILE))
    claim = {"kind": "event", "event": "claim", "agent": "agent-2", "detail": f"born again {HOSTILE}", "time": utc_now()}
    append_jsonl(paths.ledger, claim)
    waits = {"submission": "s0010", "agent": "agent-3", "commit": "c", "method": "methods/w.py", "message": "smoother labels", "time": utc_now()}
    append_jsonl(paths.ledger, {"kind": "submission", **waits})
    agents = {f"agent-{n}": {"state": "thinking", "since": utc_now(), "note": f"turn {n}", "dollars": 1.5, "turns": 12} for n in range(1, 10)}
    money = {"spend_dollars": 13.5, "spend_limit": 20.0, "dollars_an_hour": 78.0, "dollars_a_verdict": 1.5, "dollars_a_point": 0.18}
    write_state(paths, "running", agents=agents, problems=["old trouble", f"new trouble {HOSTILE}"], slots_used=1, **money)
    return paths


SHOW = "from state.paths import RunPaths; from view.status import *; print(status_text(status_facts(RunPaths({root!r}))))"


@pytest.mark.parametrize("columns", [80, 200])
def test_on_a_terminal_nothing_is_wider_than_it_and_nothing_is_missing(tmp_path, columns):
    paths = busy_run(tmp_path)
    with FileLock(paths.lock):
        shown = in_terminal(SHOW.format(root=str(paths.root)), columns)
    shown.check()
    text = shown.plain
    assert text.startswith("problem: new trouble") and text.index("old trouble") < text.index("run first: running")
    for words in ("1m00s of 10m00s used, 9m00s left", "spent $13.50 of $20.00, $6.50 left", "$0.18 for each .01 of PGR", "1 of 1 slot in use, 1 in the queue",
                  "0.75 [0.70, 0.80]", "born again xyz", "smoother labels", "idea-9", "turn 9", "best", "exposure: 9 verdicts told"):
        assert words in " ".join(text.split()), words
    assert "an hour: gone in 5m00s" in " ".join(text.split())
    assert "left out" not in text and not any(line.startswith("FAKE") for line in text.splitlines())
    assert "\x1b[" in shown.raw, "a terminal has colours"


def test_in_a_pipe_an_agent_is_one_line_with_all_columns_and_no_escape(tmp_path):
    paths = busy_run(tmp_path)
    lines = in_pipe(SHOW.format(root=str(paths.root))).splitlines()
    assert lines[0].startswith("problem: ")
    header = next(line for line in lines if line.startswith("agent "))
    assert header.split("  ")[0] == "agent" and all(name in header for name in ("submissions", "best PGR", "turns", "spent", "seen", "direction", "idea"))
    for number in range(1, 10):
        assert sum(line.startswith(f"agent-{number} ") for line in lines) == 1
    row = next(line for line in lines if line.startswith("agent-3 "))
    assert "0.45 [0.40, 0.50]" in row and "$1.50" in row and row.endswith("smoother labels")
    assert next(line for line in lines if line.startswith("agent-2 ")).endswith("born again xyz[bold red]q FAKE LINE")


def test_a_narrow_terminal_without_room_for_all_columns_says_which_it_leaves_out(tmp_path):
    paths = busy_run(tmp_path)
    with FileLock(paths.lock):
        shown = in_terminal(SHOW.format(root=str(paths.root)), 50)
    shown.check()
    assert "left out for lack of room: for, last PGR, seen (--json or a wider terminal shows them)" in " ".join(shown.plain.split())


def test_a_claim_is_the_idea_until_it_is_done_or_two_hours_old_then_the_latest_submission_is(tmp_path):
    paths = make_run(tmp_path)
    record = {"submission": "s0001", "agent": "agent-1", "commit": "c", "method": "m", "message": "what I sent", "time": utc_now()}
    append_jsonl(paths.ledger, {"kind": "submission", **record})
    write_state(paths, "running")

    def idea(kind: str, seconds_ago: float) -> str:
        when = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=seconds_ago)
        append_jsonl(paths.ledger, {"kind": "event", "event": kind, "agent": "agent-1", "detail": "what I try", "time": when.strftime("%Y-%m-%dT%H:%M:%SZ")})
        with FileLock(paths.lock):
            return status_facts(paths)["agents"][0]["idea"]

    assert idea("claim", 7300) == "what I sent"
    assert idea("claim", 10) == "what I try"
    assert idea("claim-done", 5) == "what I sent"


def test_the_last_sign_of_life_is_the_newest_file_of_an_agent_while_the_run_lives_and_none_afterwards(tmp_path):
    paths = make_run(tmp_path)
    (paths.agent("agent-1") / "output").mkdir(parents=True)
    for name, ago in (("transcript.jsonl", 500), ("activity.json", 400), ("output/0001.log", 90)):
        file = paths.agent("agent-1") / name
        file.write_text("")
        at = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=ago)
        os.utime(file, (at.timestamp(), at.timestamp()))
    write_state(paths, "running")
    with FileLock(paths.lock):
        agent = status_facts(paths)["agents"][0]
    assert agent["last_sign"] == at.strftime("%Y-%m-%dT%H:%M:%SZ") and 90 <= agent["sign_seconds"] <= age_seconds(agent["last_sign"])
    write_state(paths, "finished")
    assert status_facts(paths)["agents"][0]["sign_seconds"] is None


def verify(paths, **fields):
    """What `verify` leaves of a run's winner."""
    Ledger(paths.ledger).append("event", event="sealed-opening", agent=None, detail="s0001")
    paths.evaluator.mkdir(exist_ok=True)
    append_jsonl(paths.evaluator / "sealed.jsonl", verdict("s0001", pgr=0.44, rung="sealed", draws=16, openings=3, **fields))
    (paths.board / "verification.md").write_text("# Sealed verification\n")


def test_a_run_that_was_verified_says_so_here_and_among_the_runs_with_its_sealed_figure(tmp_path):
    paths = make_run(tmp_path)
    add(paths, verdict("s0001"))
    write_state(paths, "finished")
    assert status_facts(paths)["verified"] is False and "verified" not in status_text(status_facts(paths)) + runs_text(runs_facts(tmp_path))
    verify(paths)
    facts = json.loads(json.dumps(status_facts(paths)))
    assert (facts["state"], facts["verified"], facts["sealed"][0]["pgr"]) == ("finished", True, 0.44)
    assert "run first: verified (finished)" in status_text(facts) and "s0001 PGR 0.44 [0.39, 0.49]" in status_text(facts)
    assert runs_text(runs_facts(tmp_path)).splitlines()[1].split()[:2] == ["first", "verified"]


def test_what_a_verified_run_did_not_come_to_score_does_not_wait_any_more(tmp_path):
    paths = make_run(tmp_path)
    add(paths, verdict("s0001"))
    append_jsonl(paths.ledger, {"kind": "submission", "submission": "s0002", "agent": "agent-1", "commit": "ab" * 20, "method": "methods/x.py", "family": None})
    write_state(paths, "finished")
    assert "1 in the queue" in status_text(status_facts(paths)) and leaderboard_rows(read_record(paths))[-1]["status"] == "waiting"
    verify(paths)
    assert "1 never scored" in status_text(status_facts(paths)) and leaderboard_rows(read_record(paths))[-1]["status"] == "never scored"


@pytest.mark.parametrize(("detail", "command"), [("s0001, s0002 (control)", "verify first"), ("s0001, s0003", "verify first s0001 s0003")])
def test_a_verification_that_was_cut_off_is_a_problem_with_the_command_that_completes_it(tmp_path, detail, command):
    paths = make_run(tmp_path)
    write_state(paths, "running")
    with FileLock(paths.lock):
        Ledger(paths.ledger).append("event", event="sealed-opening", agent=None, detail=detail)
        write_state(paths, "running", time="2026-11-23T13:00:00Z")  # its operator fell an hour before
        facts = status_facts(paths)
        assert facts["problems"] == [] and facts["state"] == "finished" and facts["verifying"]["of"] == 2, "somebody is at it"
        with pytest.raises(UserError, match="run first is being verified, which closes it: `python aar.py status first`"):
            open_for_submissions(paths)
        with pytest.raises(UserError, match="was cut off"):
            open_for_submissions(paths, held=True)
    facts = status_facts(paths)
    words = f"the verification of run first was cut off: `python aar.py {command}` completes it"
    assert facts["problems"] == [words] and facts["state"] == "finished", "`resume` would be refused"
    with pytest.raises(UserError) as refused:
        open_for_submissions(paths)
    assert str(refused.value) == words
    (paths.root / "opened.json").write_text("{}")
    assert status_facts(paths)["problems"] == [], "of a run that was opened nothing can be completed here"


def test_another_user_sees_the_status_without_sealed_verdicts_and_is_told_so(seen_by_all):
    paths = make_run(seen_by_all)
    add(paths, verdict("s0001"))
    write_state(paths, "finished")
    verify(paths)
    paths.evaluator.chmod(0o700)
    assert len(status_facts(paths)["sealed"]) == 1 and UNREAD not in status_facts(paths)["problems"]
    with as_another_user():
        facts = status_facts(paths)
        told = log_facts(read_record(paths)), Follower(paths).more()
    assert facts["verified"] and facts["sealed"] == [] and facts["problems"] == [UNREAD]
    assert all(some and not any("0.44" in one["text"] for one in some) for some in told)


def test_a_verified_run_without_a_state_is_over_and_not_fallen(tmp_path):
    paths = make_run(tmp_path)
    add(paths, verdict("s0001"))
    verify(paths)
    facts = status_facts(paths)
    assert (facts["state"], facts["verified"], facts["problems"]) == ("finished", True, [])


def test_status_of_an_opened_run_says_whose_figures_it_shows_and_where_the_sealed_part_was_opened(tmp_path):
    paths = make_run(tmp_path)
    add(paths, verdict("s0001"))
    verify(paths)
    assert "3 openings of this task's sealed part on this machine" in " ".join(status_text(status_facts(paths)).split())
    (paths.root / "opened.json").write_text("{}")
    text = " ".join(status_text(status_facts(paths)).split())
    assert "3 openings of this task's sealed part there" in text and "opened from a bundle: figures as its sender gave them" in text


def test_a_run_that_was_opened_from_a_bundle_is_stopped_and_nobody_is_told_to_resume_it(tmp_path):
    paths = make_run(tmp_path)
    (paths.root / "opened.json").write_text("{}")
    facts = status_facts(paths)
    assert (facts["state"], facts["opened"], facts["problems"]) == ("stopped", True, []) and "opened from a bundle" in status_text(facts)


def test_what_was_spent_is_read_from_the_spend_file_where_no_operator_said_it(tmp_path):
    paths = make_run(tmp_path)
    tokens = {"input_tokens": 10, "cache_read_tokens": 0, "cache_write_tokens": 0, "output_tokens": 5}
    append_jsonl(paths.spend, {"kind": "settled", "call": "a", "agent": "agent-1", "model": "m", "dollars": 1.25, **tokens, "time": utc_now()})
    facts = status_facts(paths)
    assert (facts["spend_dollars"], facts["agents"][0]["dollars"], facts["agents"][1]["dollars"]) == (1.25, 1.25, 0.0)
    assert "spent $1.25" in status_text(facts)


def test_a_task_without_a_gap_shows_accuracies_and_says_why(tmp_path):
    paths = make_run(tmp_path)
    add(paths, verdict("s0001", pgr=None, accuracy=0.712))
    write_state(paths, "finished")
    text = status_text(status_facts(paths))
    assert "accuracy 0.712 (PGR is n/a: the gap is not established)" in text and "accuracy 0.712" in text.split("agent  ")[-1]


def test_the_slots_in_use_are_those_that_the_operator_tells_of(tmp_path):
    paths = make_run(tmp_path)
    write_state(paths, "running", slots_used=1)
    with FileLock(paths.lock):
        assert status_facts(paths)["slots_used"] == 1 and "1 of 1 slot in use" in status_text(status_facts(paths))


def test_whoever_finds_a_run_operated_by_another_process_is_told_nothing_else(tmp_path):
    paths, told = make_run(tmp_path), []
    with FileLock(paths.lock), pytest.raises(UserError, match="run first is being operated already"):
        run_to_end(paths, contextlib.nullcontext(), told.append)
    assert told == []


OVER = "the run takes no more submissions: its time is over"


@pytest.mark.parametrize("width", [None, 80, 120, 200])
def test_of_a_run_that_is_over_what_agents_note_alike_is_said_once_and_leaves_room_for_ideas(tmp_path, width):
    paths = make_run(tmp_path, agents=9)
    for number in range(1, 10):
        said = {"submission": f"s{number:04d}", "agent": f"agent-{number}", "commit": "c", "method": "m", "message": "self-training, soft labels"}
        append_jsonl(paths.ledger, {"kind": "submission", **said, "time": utc_now()})

    def shown(state: str, others: dict[str, str]) -> list[str]:
        notes = {f"agent-{number}": OVER for number in range(1, 10)} | others
        write_state(paths, state, agents={name: {"state": "scoring", "since": None, "note": note} for name, note in notes.items()})
        facts = status_facts(paths)
        assert [agent["note"] for agent in facts["agents"]] == list(notes.values()), "whoever reads facts has all of them"
        return [re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip() for line in status_text(facts, width).splitlines()]

    lines = shown("finished", {})
    assert [line for line in lines if OVER[:20] in line] == [f"note    {OVER} (all agents)"]
    assert sum("self-training, soft labels" in line for line in lines) == 9
    text = " ".join(" ".join(shown("finished", {"agent-4": "its model is gone", "agent-5": ""})).split())
    assert text.count(OVER) == 1 and f"note {OVER} (all but agent-4, agent-5)" in text and text.count("its model is gone") == 1
    alone = {f"agent-{number}": f"note {number}" for number in range(2, 10)}
    assert not any(line.startswith("note ") for line in shown("finished", alone)), "what one agent notes stays in its row"
    with FileLock(paths.lock):
        assert not any("(all agents)" in line for line in shown("running", {})), "while it goes on, notes are news"
