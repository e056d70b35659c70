import json

import pytest
from filelock import FileLock

from state.config import note_person
from state.errors import UserError
from tests.view.made import HOSTILE, add, make_run, verdict, write_state
from view.status import runs_facts, runs_text, status_facts, status_text


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
