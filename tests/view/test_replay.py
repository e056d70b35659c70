"""A run shown again: at each moment what was known then, from its files alone."""

import json
import shutil
import subprocess
import sys
import time

import pytest

from state.errors import UserError
from state.files import append_jsonl, read_jsonl
from state.record import read_record
from stats.ranking import contenders
from tests.view.big import make_big_run
from tests.view.made import HOSTILE, make_run, verdict
from tests.view.terminal import ROOT, Shown, in_pipe, in_terminal
from tests.waiting import until
from view.replay import Past, replay
from view.status import status_facts

CODE = "from state.paths import RunPaths; from state.record import read_record; from view.replay import replay; replay(read_record(RunPaths({root!r})), {speed})"


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    return read_record(make_big_run(tmp_path_factory.mktemp("big"), submissions=60, agents=9))


def lines_until(record, seconds):
    return [one for one in read_jsonl(record.paths.ledger) if record.seconds(one["time"]) <= seconds]


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.83])
def test_at_a_moment_only_what_had_happened_by_then_is_known(record, share):
    past = Past(record)
    seconds = share * past.seconds
    facts = past.at(seconds)
    lines = lines_until(record, seconds)
    verdicts = [one for one in lines if one["kind"] == "verdict"]
    submissions = [one for one in lines if one["kind"] == "submission"]
    best = (contenders(verdicts) or [{"submission": None}])[0]["submission"]
    assert (facts["submissions"], facts["scored"], facts["queue"]) == (
        len(submissions), sum(one["status"] == "scored" for one in verdicts), len(submissions) - len(verdicts))  # fmt: skip
    assert facts["best"] == best and facts["state"] == "running" and facts["seconds_used"] == seconds and not facts["sealed"]
    spent = sum(call["dollars"] for call in record.calls if record.seconds(call["time"]) <= seconds)
    assert facts["spend_dollars"] == pytest.approx(spent) and sum(agent["dollars"] for agent in facts["agents"]) == pytest.approx(spent)
    for agent in facts["agents"]:
        mine = [one for one in submissions if one["agent"] == agent["name"]]
        assert agent["submissions"] == len(mine) and agent["idea"] == (mine[-1]["message"] if mine else "")
        judged = [one for one in verdicts if one["agent"] == agent["name"]]
        assert agent["last_pgr"] == (judged[-1]["pgr"] if judged else None)
    assert facts["posts"] == sum(record.seconds(post.time) <= seconds for post in record.posts)
    json.dumps(facts)


def test_at_its_end_it_shows_what_status_shows_of_the_run(record):
    past, now = Past(record), status_facts(record.paths)
    facts = past.at(past.seconds)
    for name in ("state", "verified", "submissions", "scored", "best", "queue", "posts", "exposure", "wrong_rejections", "task", "models", "run"):
        assert facts[name] == now[name], name
    assert facts["spend_dollars"] == pytest.approx(now["spend_dollars"]) and facts["sealed"] == now["sealed"]
    for then, agent in zip(facts["agents"], now["agents"], strict=True):
        for name in ("name", "state", "idea", "submissions", "last_pgr", "best_pgr", "best_low", "direction"):
            assert then[name] == agent[name], name


def test_the_oldest_that_waits_is_being_scored_and_later_ones_are_queued(tmp_path):
    paths = make_run(tmp_path, agents=3)  # with one slot
    for number, second in ((1, 1), (2, 2)):
        record = {"submission": f"s000{number}", "agent": f"agent-{number}", "commit": "c", "method": "m", "time": f"2026-11-23T13:00:0{second}Z"}
        append_jsonl(paths.ledger, {"kind": "submission", **record})
    append_jsonl(paths.ledger, {"kind": "verdict", **verdict("s0001"), "time": "2026-11-23T13:00:30Z"})
    past = Past(read_record(paths))
    assert [agent["state"] for agent in past.at(10.0)["agents"]] == ["scoring", "queued", "working"]
    assert [agent["state"] for agent in past.at(29.9)["agents"]][0] == "scoring" and past.at(10.0)["slots_used"] == 1


def test_people_are_there_while_they_had_joined_and_falls_are_counted(tmp_path):
    from state.config import note_person

    paths = make_run(tmp_path)
    note_person(paths, "ada", "none")
    for second, kind, agent in ((1, "joined", "ada"), (5, "agent-fell", "agent-1"), (9, "left", "ada"), (20, "claim", "agent-2")):
        append_jsonl(paths.ledger, {"kind": "event", "event": kind, "agent": agent, "detail": "try this", "time": f"2026-11-23T13:00:{second:02d}Z"})
    past = Past(read_record(paths))
    ada = [past.at(at)["agents"][2]["state"] for at in (0.5, 3, 12)]
    assert ada == ["away", "present", "away"] and past.at(12)["agents"][0]["restarts"] == 1
    assert past.at(20)["agents"][1]["idea"] == "try this"


def test_it_needs_no_more_than_the_files_that_travel(record, tmp_path):
    there = tmp_path / ".aar" / "runs" / "big"
    there.mkdir(parents=True)
    for name in ("run.toml", "ledger.jsonl", "spend.jsonl"):
        shutil.copy(record.paths.root / name, there / name)
    shutil.copytree(record.paths.forum, there / "board" / "forum")
    facts = Past(read_record(type(record.paths)(there))).at(60.0)
    assert facts["submissions"] == Past(record).at(60.0)["submissions"] > 0
    text = in_pipe(CODE.format(root=str(there), speed=1e9))
    assert text.count("run big: ") == 10 and text.rstrip().endswith("n/a (0 random promotions)")


def test_in_a_pipe_lines_come_in_order_with_a_picture_after_each_tenth_and_no_escape(record):
    text = in_pipe(CODE.format(root=str(record.paths.root), speed=1e9))
    pictures = [line for line in text.splitlines() if line.startswith("run big: ")]
    assert len(pictures) == 10 and "running" in pictures[0] and "verified (finished)" in pictures[-1]
    place = [text.index(f" {name} methods/") for name in ("s0001", "s0020", "s0060")]
    assert place == sorted(place)
    for name in record.submissions:
        assert f"idea     {name} " in text and f"verdict  {name} " in text


def test_it_takes_as_long_as_the_speed_says(record):
    past = Past(record)
    began = time.monotonic()
    in_pipe(CODE.format(root=str(record.paths.root), speed=past.seconds / 2.0))
    assert time.monotonic() - began >= 2.0


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (200, 50)])
def test_on_a_terminal_a_picture_with_the_latest_lines_is_redrawn_and_the_last_one_stays(record, columns, rows):
    shown = in_terminal(CODE.format(root=str(record.paths.root), speed=Past(record).seconds), columns, rows)
    shown.check()
    assert "replay, " in shown.plain and "run big: running" in shown.plain and "sealed, control: " in shown.plain
    last = shown.plain[shown.plain.rindex("run big: verified (finished)") :]
    assert all(f"agent-{n} " in last for n in range(1, 10)) and "exposure: " in last and "left out" not in last
    assert "\x1b[?25h" in shown.raw


def test_hostile_words_stay_words_and_fit(tmp_path):
    paths = make_run(tmp_path)
    one = verdict("s0001", method=HOSTILE, family=HOSTILE)
    append_jsonl(paths.ledger, {"kind": "submission", "submission": "s0001", "agent": "agent-1", "commit": "c", "method": HOSTILE, "message": HOSTILE, "time": one["time"]})
    append_jsonl(paths.ledger, {"kind": "verdict", **one})
    shown = in_terminal(CODE.format(root=str(paths.root), speed=1e9), 80)
    shown.check()
    assert not any(line.startswith("FAKE") for line in shown.plain.splitlines())


def test_ctrl_c_leaves_quietly(record):
    shown = Shown(CODE.format(root=str(record.paths.root), speed=1.0), 80)
    shown.see("run big: running")
    shown.press_ctrl_c()
    assert shown.ended() == 0 and "Traceback" not in shown.plain and "\x1b[?25h" in shown.raw


def test_a_reader_who_goes_away_ends_it_without_a_word(record):
    process = subprocess.Popen([sys.executable, "-c", CODE.format(root=str(record.paths.root), speed=200.0)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT)
    process.stdout.readline()
    process.stdout.close()
    assert until(lambda: process.poll() is not None, "its end") and process.returncode == 0 and process.stderr.read() == b""


def test_nothing_to_replay_and_speeds_that_are_none_are_told_in_one_line(record, tmp_path):
    with pytest.raises(UserError, match="nothing to replay"):
        replay(read_record(make_run(tmp_path)))
    for speed in (0.0, -3.0, float("nan"), float("inf")):
        with pytest.raises(UserError, match="--speed"):
            replay(record, speed)
