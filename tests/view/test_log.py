"""The story of a run: what is told, in which order, of whom, and that hostile words stay words."""

import json
import re
import subprocess
import sys

import pytest
from click.testing import CliRunner
from filelock import FileLock

from commands.review import log
from state.errors import UserError
from state.files import append_jsonl
from state.ledger import Ledger
from state.record import read_record
from swarm.forum import write_post
from swarm.researchers import claude, command
from swarm.researchers.heard import told
from tests.view.made import HOSTILE, add, make_run, verdict, write_state
from tests.view.terminal import ROOT, in_pipe, in_terminal
from view.log import log_facts, log_text
from view.story import BEGINS, CUT, KINDS, NEWS, OVER, TIME_IS_OVER
from view.story import entry as entry_of

POST = '---\nagent: {agent}\ntype: insight\ntitle: {title}\nsubmission: s0001\ntime: {time}\n---\n\n*Words of {agent}; typed.*\n\n{words}\n'


def at(clock: str, day: int = 23) -> str:
    return f"2026-11-{day:02d}T{clock}Z"


def submit(paths, name, time, agent="agent-1", **fields):
    record = {"submission": name, "agent": agent, "commit": "c0", "method": "methods/x.py", "message": f"idea of {name}", "predict": 0.4, "parents": []}
    append_jsonl(paths.ledger, {"kind": "submission", **record, "time": time, **fields})


def judge(paths, name, time, agent="agent-1", **fields):
    append_jsonl(paths.ledger, {"kind": "verdict", **verdict(name, agent=agent, **fields), "time": time})


def event(paths, kind, time, agent=None, detail=""):
    append_jsonl(paths.ledger, {"kind": "event", "event": kind, "agent": agent, "detail": detail, "time": time})


def transcript(paths, agent, *entries):
    paths.agent(agent).mkdir(exist_ok=True)
    for entry in entries:
        append_jsonl(paths.agent(agent) / "transcript.jsonl", entry)


@pytest.fixture
def paths(tmp_path):
    """Two days of a run in which everything happened that there is to tell."""
    paths = make_run(tmp_path)
    submit(paths, "s0001", at("14:00:01"))
    event(paths, "claim", at("14:00:03"), "agent-2", f"born again {HOSTILE}")
    judge(paths, "s0001", at("14:00:09"), pgr=0.5, against_best="better", parent="s0000", against_parent="worse")
    submit(paths, "s0002", at("14:00:09"), "agent-2", parents=["s0001"], message=HOSTILE, predict=None)
    judge(paths, "s0002", at("23:59:59"), "agent-2", pgr=None, status="crashed", error=f"while fitting: {HOSTILE}")
    event(paths, "joined", at("00:00:05", 24), "agent-1", "for the first time")
    event(paths, "agent-fell", at("00:00:06", 24), "agent-1", "exit code -9")
    event(paths, "something-new", at("00:00:07", 24), None, "in words")
    file = paths.forum / "20261123T140010Z-agent-1-a.md"
    file.write_text(POST.format(agent="agent-1", title=json.dumps(f"Why {HOSTILE}"), time=at("14:00:10"), words=f"It errs. {HOSTILE}"))
    news = [{"kind": "posts", "text": 'agent-2 posted (insight): "x"'}, {"kind": "stuck", "text": "your last 8 verdicts brought no gain"}]
    transcript(
        paths, "agent-1",
        {"time": at("14:00:00"), "kind": "user", "content": [{"type": "text", "text": claude.BEGIN.format(direction="> not news")}, {"type": "text", "text": told(news)}]},
        {"time": at("14:00:02"), "kind": "assistant", "content": [{"type": "text", "text": "SECRET THOUGHTS"}], "usage": {}},
        {"time": at("14:00:04"), "kind": "trouble", "what": f"529 overloaded {HOSTILE}"},
        {"time": at("14:00:05"), "kind": "trouble", "what": "over", "tries": 3, "seconds": 12.5},
        {"time": at("14:00:06"), "kind": "user", "content": [{"type": "text", "text": claude.GO_ON}]},
        {"time": at("14:00:07"), "kind": "handoff", "note": "what I know so far", "usage": {}},
        {"time": at("14:00:08"), "kind": "of-a-later-version", "content": 7},
        {"time": at("14:00:08"), "kind": "user", "content": 7},
        {"time": at("15:00:00"), "kind": "finished", "reason": "nothing is left to try"},
    )  # fmt: skip
    started = "\n\n".join(["\n".join([command.NEWS, "- ada, a person, says: look at ties\n  and more"]), command.CUT.format(why="stalled"), command.GO_ON])
    transcript(
        paths, "agent-2",
        {"time": at("13:59:00"), "kind": "start", "number": 2, "session": "s", "resumed": True, "told": started, "cursor": None},
        {"time": at("13:59:30"), "kind": "end", "number": 2, "exit": 1, "ended": None, "seconds": 30.0, "turns": 4, "session_exists": True, "words": "no space"},
        {"time": at("13:59:31"), "kind": "lost", "number": 2},
        {"time": at("13:59:40"), "kind": "trouble", "cycle": 3, "said": "aar: refused"},
    )  # fmt: skip
    with open(paths.agent("agent-2") / "transcript.jsonl", "ab") as file:
        file.write(b'not json\n{"time":"2026-11-23T13:59:50Z","kind":"trouble","wh')
    return paths


def told_of(facts, kind, agent=None):
    return [one["text"] for one in facts if one["kind"] == kind and (agent is None or one["agent"] == agent)]


def test_the_story_is_in_order_of_time_and_each_entry_says_where_it_stands(paths):
    facts = json.loads(json.dumps(log_facts(read_record(paths))))
    assert [one["time"] for one in facts] == sorted(one["time"] for one in facts)
    assert all(set(one) == {"time", "agent", "kind", "text", "ref"} and one["kind"] in KINDS for one in facts)
    places = {one["text"][:12]: one["ref"] for one in facts}
    assert places["s0001 method"] == "s0001" and places["its process "] == "ledger.jsonl:7" and places["ends its wor"] == "agent-1/transcript.jsonl:9"
    assert places["insight on s"] == "20261123T140010Z-agent-1-a.md"
    same_second = [(one["kind"], one["ref"]) for one in facts if one["time"] == at("14:00:09")]
    assert same_second == [("verdict", "s0001"), ("idea", "s0002")], "as the ledger has them"


def test_ideas_verdicts_posts_claims_and_events_are_told_in_words(paths):
    facts = log_facts(read_record(paths))
    assert told_of(facts, "idea")[0] == "s0001 methods/x.py, predicts PGR 0.40: idea of s0001"
    assert told_of(facts, "idea")[1].startswith("s0002 methods/x.py, from s0001: xyz")
    verdicts = told_of(facts, "verdict")
    assert verdicts[0].startswith("s0001 methods/x.py PGR 0.50 [0.45, 0.55] lift") and "better than the best, worse than its parent s0000" in verdicts[0]
    assert verdicts[1].startswith("s0002 methods/x.py crashed: while fitting")
    assert told_of(facts, "post")[0].startswith('insight on s0001 "Why xyz') and "It errs." in told_of(facts, "post")[0]
    assert told_of(facts, "claim") == ["born again xyz[bold red]q FAKE LINE"]
    events = told_of(facts, "event")
    assert "the run begins: task reviews, 2 agents" in events and "joined for the first time" in events and "something-new in words" in events
    assert told_of(facts, "error", "agent-1")[-1] == "its process fell and is started again: exit code -9"


def test_what_agents_heard_and_what_troubled_them_is_read_from_their_transcripts_and_what_they_thought_is_not(paths):
    facts = log_facts(read_record(paths))
    nudges = told_of(facts, "nudge", "agent-1")
    assert nudges[:2] == ['agent-2 posted (insight): "x"', "your last 8 verdicts brought no gain"] and nudges[2] == claude.GO_ON
    assert told_of(facts, "nudge", "agent-2") == ["ada, a person, says: look at ties", command.CUT.format(why="stalled")]
    ended = "its CLI ends, run 2, after 30.0 s and 4 turns, exit code 1: no space"
    assert told_of(facts, "error", "agent-2") == [ended, "the session of its CLI is lost: a new one begins", "trouble: aar: refused"]
    events = told_of(facts, "event", "agent-1")
    for words in ("begins its work", "the API answers again, after 3 tries and 12.5 s", "ends its work: nothing is left to try"):
        assert words in events
    assert any("what I know so far" in words for words in events) and "its CLI starts, run 2, where it had left off" in told_of(facts, "event", "agent-2")
    assert "SECRET THOUGHTS" not in json.dumps(facts)


def test_the_words_that_transcripts_are_recognised_by_are_those_that_researchers_write():
    assert claude.BEGIN.startswith(BEGINS[0]) and claude.BEGIN_AGAIN.startswith(BEGINS[1])
    assert command.NEWS.startswith(NEWS) and command.CUT.startswith(CUT)


def test_the_sealed_opening_is_told_with_its_outcome_but_not_in_a_public_record_of_a_run_that_is_open(paths):
    event(paths, "sealed-opening", at("01:00:00", 24), None, "s0001, s0002 (control)")
    paths.evaluator.mkdir()
    append_jsonl(paths.evaluator / "sealed.jsonl", verdict("s0001", pgr=0.44, rung="sealed", draws=16, time=at("01:00:09", 24)))
    events = told_of(log_facts(read_record(paths)), "event")
    assert "the sealed part is opened for s0001, s0002 (control)" in events and any("sealed, finalist: s0001" in one and "0.44" in one for one in events)
    assert "0.44" not in json.dumps(log_facts(read_record(paths, public=True)))


def test_filters_choose_by_agent_type_words_time_and_number(paths):
    record = read_record(paths)
    everything = log_facts(record)
    assert {one["agent"] for one in log_facts(record, agent="agent-2")} == {"agent-2"}
    assert {one["agent"] for one in log_facts(record, agent="run")} == {None}
    assert {one["kind"] for one in log_facts(record, types="idea, verdict")} == {"idea", "verdict"}
    assert log_facts(record, types="verdict,") == log_facts(record, types="verdict") and log_facts(record, types=" ,") == everything
    assert [one["ref"] for one in log_facts(record, grep="BORN again")] == ["ledger.jsonl:2"]
    assert log_facts(record, last=3) == everything[-3:] and log_facts(record, last=100000) == everything
    write_state(paths, "stopped", time=at("00:00:10", 24))
    late = log_facts(read_record(paths), since="1m")
    assert late and late[0]["time"] == at("23:59:59") and late[-1]["text"] == "the run is stopped", "counted from the end of a run that is over"
    assert log_facts(read_record(paths), since="2s") == [late[-1]] and len(log_facts(read_record(paths), since="3d")) == len(everything) + 1


@pytest.mark.parametrize(
    ("asked", "words"),
    [({"agent": "agent-9"}, "agent-1, agent-2"), ({"types": "idea,thought"}, "idea, claim, verdict, post, nudge, error, event"), ({"since": "yesterday"}, "10m")],
)
def test_who_asks_for_what_there_is_not_hears_in_one_line_what_there_is(paths, asked, words):
    with pytest.raises(UserError) as error:
        log_facts(read_record(paths), **asked)
    assert words in str(error.value) and "\n" not in str(error.value)


SHOW = "from state.paths import RunPaths; from state.record import read_record; from view.log import *; print(log_text(log_facts(read_record(RunPaths({root!r})))))"


def test_in_a_pipe_an_entry_is_one_line_and_the_date_stands_where_it_changes(paths):
    lines = in_pipe(SHOW.format(root=str(paths.root))).splitlines()
    facts = log_facts(read_record(paths))
    assert [line for line in lines if line.startswith("-- ")] == ["-- 2026-11-23 (UTC)", "-- 2026-11-24 (UTC)"] and len(lines) == len(facts) + 2
    assert re.fullmatch(r"14:00:09 agent-1  verdict  s0001 .*", next(line for line in lines if " s0001 methods/x.py PGR" in line))
    assert not any(line.startswith("FAKE") for line in lines)


@pytest.mark.parametrize("columns", [80, 200])
def test_on_a_terminal_nothing_is_wider_than_it_and_nothing_is_cut_off(paths, columns):
    shown = in_terminal(SHOW.format(root=str(paths.root)), columns)
    shown.check()
    words = " ".join(shown.plain.split())
    for one in log_facts(read_record(paths)):
        assert " ".join(one["text"].split()) in words
    assert "\x1b[" in shown.raw


@pytest.mark.parametrize("time", ["2026-11-23T14:00:00Z\x1b]0;owned\x07", "2026-11-23\x1b14:00:00Z", "\x1b[2J", "２０２６-11-23T14:00:00Z", 7, [], None])
def test_what_is_no_time_is_never_printed_in_place_of_one(time, paths):
    assert entry_of(time, "agent-1", "event", "x", "y")["time"] == ""
    transcript(paths, "agent-1", {"kind": "finished", "reason": "at no time", "time": time})
    front = f"---\nagent: agent-1\ntype: insight\ntitle: \"x\"\ntime: {time}\n---\n\n"
    (paths.forum / "20260101T000000Z-agent-1-no-time.md").write_text(f"{front}*Words of agent-1.*\n\nat no time\n")
    found = log_text(log_facts(read_record(paths)))
    assert "\x1b" not in found and "at no time" not in found and "2026-11-23 (UTC)" in found
    assert entry_of("2026-11-23T14:00:00Z", None, "event", "x", "y")["time"] == "2026-11-23T14:00:00Z"


def test_following_prints_what_comes_and_ends_with_the_run(tmp_path):
    paths = make_run(tmp_path)
    submit(paths, "s0001", at("14:00:01"))
    submit(paths, "s0002", at("14:00:02"))
    write_state(paths, "running")
    code = f"from state.paths import RunPaths; from view.log import follow; follow(RunPaths({str(paths.root)!r}), types='idea,verdict,error', last=1, every=0.05)"
    with FileLock(paths.lock):
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
        assert [process.stdout.readline() for _ in range(2)][1].startswith("14:00:02 agent-1  idea     s0002")
        judge(paths, "s0001", at("14:00:09"), method=HOSTILE)
        assert "verdict  s0001 xyz" in process.stdout.readline()
        transcript(paths, "agent-2", {"time": at("14:00:10"), "kind": "trouble", "what": "no connection"})
        assert process.stdout.readline().endswith("error    trouble: no connection\n")
        Ledger(paths.ledger).append("event", event="claim", agent="agent-1", detail="not asked for")
        write_state(paths, "finished")
    assert process.stdout.read() == "" and process.stderr.read() == "" and process.wait() == 0


def test_following_as_json_is_an_entry_a_line(tmp_path):
    paths = make_run(tmp_path)
    add(paths, verdict("s0001"))
    write_state(paths, "finished")
    lines = in_pipe(f"from state.paths import RunPaths; from view.log import follow; follow(RunPaths({str(paths.root)!r}), as_json=True)").splitlines()
    assert {json.loads(line)["kind"] for line in lines} == {"event", "idea", "verdict"}


def test_that_the_time_is_over_is_no_error_and_is_told_once_of_each_agent(tmp_path):
    paths = make_run(tmp_path)
    refused = f"aar: the run {OVER}\n"
    transcript(paths, "agent-1", *({"time": at(f"14:00:0{second}"), "kind": "trouble", "cycle": 7, "said": refused} for second in (1, 3)))
    transcript(paths, "agent-2", {"time": at("14:00:02"), "kind": "trouble", "cycle": 3, "said": refused}, {"time": at("14:09:00"), "kind": "trouble", "cycle": 4, "said": refused})
    facts = log_facts(read_record(paths))
    assert told_of(facts, "error") == []
    assert [told_of(facts, "event", agent) for agent in ("agent-1", "agent-2")] == [[TIME_IS_OVER], [TIME_IS_OVER] * 2], "also when it went on"


def test_of_a_long_idea_its_beginning_is_told(tmp_path):
    paths = make_run(tmp_path)
    submit(paths, "s0001", at("14:00:01"), message="It goes on and on. " * 100)
    [told] = told_of(log_facts(read_record(paths)), "idea")
    assert told.endswith("…") and len(told) < 250


def test_what_agents_posted_is_told_as_they_wrote_it(tmp_path):
    paths = make_run(tmp_path)
    write_post(paths.forum, "agent-1", "insight", "Keep a <b", "Where x <y> holds")
    assert told_of(log_facts(read_record(paths)), "post") == ['insight "Keep a <b": Where x <y> holds']


def test_an_empty_story_is_no_error(tmp_path):
    paths = make_run(tmp_path)
    assert log_text(log_facts(read_record(paths), types="verdict")) == ""


def test_where_no_line_is_as_asked_for_that_is_said_beside_an_empty_answer(tmp_path, monkeypatch):
    monkeypatch.setattr("commands.review.PROJECT", tmp_path)
    make_run(tmp_path)
    found = CliRunner().invoke(log, ["first", "--grep", "zz zz", "--type", "idea"])
    assert (found.exit_code, found.stdout) == (0, "")
    assert found.stderr == "no line of run first is as asked for: --type idea --grep 'zz zz'\n"
    assert CliRunner().invoke(log, ["first", "--grep", "zzzz", "--json"]).stdout == "[]\n"


def test_lines_of_the_run_itself_are_as_wide_as_those_of_agents_also_where_they_come_alone(paths):
    record = read_record(paths)
    told = log_facts(record)
    both = {line for line in log_text(told, None).splitlines() if re.match(r"\S+ run ", line)}
    alone = {line for line in log_text(log_facts(record, agent="run"), None).splitlines() if re.match(r"\S+ run ", line)}
    assert alone and alone == both, "whatever is left out beside them"
    lines = [line.rstrip() for line in re.sub(r"\x1b\[[0-9;]*m", "", log_text(told, 80)).splitlines()]
    at = {len(line) - len(line.lstrip()) for line in lines if line.startswith(" ")}
    assert at == {len("14:00:09 agent-1  verdict  ")}, "what is folded stands under its beginning"


def test_a_story_that_is_followed_from_its_beginning_has_room_for_names_that_come_later(tmp_path):
    paths = make_run(tmp_path, agents=10)
    submit(paths, "s0001", at("14:00:01"), agent="agent-2")
    write_state(paths, "finished")
    lines = in_pipe(f"from state.paths import RunPaths; from view.log import follow; follow(RunPaths({str(paths.root)!r}))").splitlines()
    found = [line for line in lines if not line.startswith("-- ")]
    assert len(found) == 3 and {line.index(line.split()[2]) for line in found} == {len("14:00:01 agent-10  ")}
