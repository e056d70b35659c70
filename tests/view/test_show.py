"""All about one submission: figures, idea, changes, code, posts, cost, and commands that really reproduce it."""

import json
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from state.errors import UserError
from state.files import append_jsonl, read_jsonl
from state.paths import RunPaths
from state.record import read_record
from swarm.worktree import METHOD
from tests.view.big import HOSTILE, make_big_run
from tests.view.made import HOSTILE as ATTACK
from tests.view.made import add, make_run, verdict
from tests.view.terminal import in_pipe, in_terminal
from view.opened import GIVEN
from view.report.code import Pool
from view.report.headline import headline
from view.report.panel import Panels
from view.show import show_facts, show_text


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    """A closed run of 150 submissions, and one more in which all that an agent may write is an attack."""
    paths = make_big_run(tmp_path_factory.mktemp("big"), submissions=150)
    last = read_jsonl(paths.ledger)[0]
    keys = {"commit": last["commit"], "agent": "agent-1", "time": "2026-11-20T09:00:00Z", "submission": "s0151"}
    append_jsonl(paths.ledger, {"kind": "submission", "method": last["method"], "message": ATTACK, "parents": [ATTACK, "s0001"], "inspired_by": [ATTACK], **keys})
    hostile = {"method": ATTACK, "family": ATTACK, "flags": [ATTACK], "reasons": [ATTACK], "promotion": ATTACK, "best": ATTACK, "against_best": ATTACK}
    append_jsonl(paths.ledger, {"kind": "verdict", **verdict("s0151", pgr=0.1), **hostile, **keys})
    post = f"---\nagent: agent-1\ntype: result\ntitle: {json.dumps(ATTACK)}\nsubmission: s0151\ntime: {keys['time']}\n---\n\n*Words of x; typed.*\n\n{ATTACK}\n"
    (paths.forum / "20261120T090000Z-agent-1-attack.md").write_text(post)
    return read_record(paths)


@pytest.fixture(scope="module")
def still_open(tmp_path_factory):
    return read_record(make_big_run(tmp_path_factory.mktemp("open"), submissions=40, sealed=False, paid=False))


def with_parent(record) -> str:
    return next(name for name, one in record.submissions.items() if one["parents"] and record.verdicts[name]["status"] == "scored")


def test_best_is_the_leader_of_the_main_track_with_its_sealed_verdict(record):
    facts = json.loads(json.dumps(show_facts(record, "best")))
    assert facts["rank"] == 1 and facts["submission"] == record.sealed[0]["submission"] and facts["sealed"]["rung"] == "sealed"
    text = show_text(facts)
    for words in (f"number 1 of {facts['of']} methods", "on the sealed part", "accuracy", "anchors", "against the best then", "paired difference", "lift by draw"):
        assert words in text, words
    assert f"{facts['sealed']['recipe_ceiling_accuracy']:.3f}" in text and "methods/confident.py, 61%" in text


def test_an_unknown_submission_is_one_line_with_those_there_are(record, tmp_path):
    for name in ("s9999", "methods/x.py", "\x1b[2J\n"):
        with pytest.raises(UserError) as error:
            show_facts(record, name)
        assert "s0001 to s0151" in str(error.value) and "\n" not in str(error.value) and "\x1b" not in str(error.value)
    empty = read_record(make_run(tmp_path))
    for name in ("s0001", "best"):
        with pytest.raises(UserError, match="no submission yet"):
            show_facts(empty, name)


def test_the_ledger_lines_are_those_of_the_submission_and_its_verdict(record):
    lines = read_jsonl(record.paths.ledger)
    for name in ("s0001", "s0077"):
        places = show_facts(record, name)["ledger"]
        assert all(lines[places[kind] - 1]["kind"] == kind and lines[places[kind] - 1]["submission"] == name for kind in ("submission", "verdict"))


def test_the_difference_to_its_parent_turns_one_file_into_the_other(record, tmp_path):
    name = with_parent(record)
    facts = show_facts(record, name)
    (tmp_path / "file").write_text(record.source(facts["parents"][0]))
    header, _, hunks = facts["diff"].partition("@@")
    assert facts["parents"][0] in header and name in header
    patch = f"--- file\n+++ file\n@@{hunks}\n"
    done = subprocess.run(["patch", "-p0", "file"], input=patch, cwd=tmp_path, text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "file").read_text() == record.source(name) == facts["code"]


def test_the_first_of_its_line_says_so(record):
    first = next(name for name, one in record.submissions.items() if not one["parents"])
    facts = show_facts(record, first)
    assert facts["diff"] is None and "(the first of its line)" in show_text(facts)


def test_the_commands_that_show_code_and_changes_work_as_they_are_printed(record):
    facts = show_facts(record, with_parent(record))
    by_words = {one["does"].partition(",")[0]: shlex.split(one["command"]) for one in facts["commands"]}
    shown, compared = (by_words[words] for words in ("its code", f"what changed since {facts['parents'][0]}"))
    run = lambda command: subprocess.run(command, cwd=record.paths.repo, capture_output=True, text=True, check=True).stdout  # noqa: E731
    assert run(shown) == facts["code"]
    assert f"+SHARE = {facts['code'].partition('SHARE = ')[2][:4]}" in run(compared)
    assert by_words["score it again"] == ["python", "aar.py", "eval", facts["submission"], "--run", "big"]


def test_only_a_run_that_is_open_can_still_be_verified(record, still_open):
    name = next(name for name, one in still_open.verdicts.items() if one["status"] == "scored")
    assert f"python aar.py verify big {name}" in show_text(show_facts(still_open, name))
    assert not any("verify" in one["command"] for one in show_facts(record, "best")["commands"])


def test_of_a_verification_that_was_cut_off_what_completes_it_is_offered_and_no_other(still_open):
    cut = replace(still_open, events=[*still_open.events, {"event": "sealed-opening", "detail": "s0001", "time": "2026-11-20T09:00:00Z"}])
    offered = [one["command"] for one in show_facts(cut, "s0002")["commands"]]
    assert [command for command in offered if "verify" in command] == ["python aar.py verify big s0001"]
    with FileLock(cut.paths.lock):
        assert not any("verify" in one["command"] for one in show_facts(cut, "s0002")["commands"]), "somebody is at it"


def test_of_a_run_that_was_opened_the_code_is_shown_from_its_own_repository_and_nothing_is_offered_that_cannot_be(still_open):
    (still_open.paths.root / "opened.json").write_text("{}")
    try:
        facts = show_facts(still_open, "s0005")
    finally:
        (still_open.paths.root / "opened.json").unlink()
    commands = [one["command"] for one in facts["commands"]]
    assert subprocess.run(shlex.split(commands[0]), capture_output=True, text=True, check=True).stdout == facts["code"]
    assert not any("verify" in command or "--run" in command for command in commands) and commands[-1].endswith("--task reviews")


def test_of_a_run_that_was_opened_the_file_is_written_out_before_it_is_scored(still_open, tmp_path):
    (still_open.paths.root / "opened.json").write_text("{}")
    try:
        facts = show_facts(still_open, "s0005")
    finally:
        (still_open.paths.root / "opened.json").unlink()
    write, score = [one["command"] for one in facts["commands"]][-2:]
    (tmp_path / "methods").mkdir()
    subprocess.run(["bash", "-c", write], cwd=tmp_path, check=True)
    file = Path(shlex.split(score)[3])
    assert (tmp_path / file).read_text() == facts["code"] and str(file) != facts["method"] and METHOD.fullmatch(str(file))
    assert GIVEN in show_text(facts) and GIVEN not in show_text(show_facts(still_open, "s0005"))


def test_the_report_of_an_opened_run_offers_no_scoring_on_the_same_draws_and_reads_its_own_repository(still_open):
    offered = [command for _, command in Panels(still_open).entry("s0005", Pool())["commands"]]
    assert any("--run big" in command for command in offered), "the control"
    (still_open.paths.root / "opened.json").write_text("{}")
    try:
        panels = Panels(still_open)
        commands = [command for name in still_open.submissions for _, command in panels.entry(name, Pool())["commands"]]
    finally:
        (still_open.paths.root / "opened.json").unlink()
    assert commands and all(command.startswith("git --git-dir .aar/runs/big/repo.git ") for command in commands)
    project = still_open.paths.root.parents[2]
    assert subprocess.run(shlex.split(commands[0]), cwd=project, capture_output=True, text=True, check=True).stdout == still_open.source("s0001")


def test_a_run_that_was_opened_under_another_name_has_its_branches_under_its_own(still_open):
    renamed = replace(still_open, paths=RunPaths(still_open.paths.root.with_name("theirs")))
    assert renamed.name == "theirs" and show_facts(renamed, "s0005")["branch"] == f"aar/big/{still_open.submissions['s0005']['agent']}"


def test_what_it_cost_is_what_its_agent_spent_since_its_previous_submission(record, still_open):
    names = [name for name, one in record.submissions.items() if one["agent"] == "agent-2"]
    before, name = names[3], names[4]
    facts = show_facts(record, name)
    start, end = (record.submissions[one]["time"] for one in (before, name))
    dollars = sum(call["dollars"] for call in read_jsonl(record.paths.spend) if call["agent"] == "agent-2" and start < call["time"] <= end)
    assert dollars > 0 and facts["cost"]["dollars"] == pytest.approx(dollars) and facts["cost"]["since"] == before
    assert f"about ${dollars:.2f} for models: its agent's calls since {before}" in show_text(facts)
    assert show_facts(still_open, "s0001")["cost"]["dollars"] is None and "$" not in show_text(show_facts(still_open, "s0001")).partition("cost")[2].partition("\n\n")[0]


def test_posts_about_it_are_told_with_author_title_file_and_words(record):
    post = next(post for post in record.posts if post.submission)
    facts = show_facts(record, post.submission)
    assert post.name in [one["file"] for one in facts["posts"]]
    text = show_text(facts)
    assert f"board/forum/{post.name}" in text and post.agent in text and "began with" in text or "A new start." in text


def test_predicted_and_found_stand_side_by_side(tmp_path):
    paths = make_run(tmp_path)
    one = verdict("s0001", pgr=0.5, over_best=0.03, over_best_low=-0.01, over_best_high=0.07, best="s0000", against_best="within noise")
    append_jsonl(paths.ledger, {"kind": "submission", **{key: one[key] for key in ("submission", "agent", "commit", "method", "time")}, "predict": 0.7})
    append_jsonl(paths.ledger, {"kind": "verdict", **one, "flags": ["near-duplicate"], "reasons": ["as s0000 does"]})
    text = show_text(show_facts(read_record(paths), "s0001"))
    assert "predicted PGR 0.70, found 0.50: too much was expected" in text and "within noise, paired difference +0.03 [-0.01, +0.07]" in text
    assert "flags: near-duplicate" in text and "as s0000 does" in text and "(the commit is not in the repository here)" in text


def test_what_waits_and_what_failed_is_shown_without_figures(tmp_path):
    paths = make_run(tmp_path)
    add(paths, verdict("s0001", pgr=None, status="crashed", error="while fitting: Traceback\nValueError: <no> \x1b[2J"))
    append_jsonl(paths.ledger, {"kind": "submission", "submission": "s0002", "agent": "agent-1", "commit": "c", "method": "m", "time": "2026-11-23T14:00:00Z"})
    record = read_record(paths)
    text = show_text(show_facts(record, "s0001"))
    assert "crashed: while fitting: Traceback" in text and "ValueError: <no>" in text and "\x1b" not in text
    assert "none yet: it waits to be scored" in show_text(show_facts(record, "s0002"))
    with pytest.raises(UserError, match="no best yet"):
        show_facts(record, "best")


def test_of_what_was_rejected_no_cost_no_track_and_no_scoring_is_told(tmp_path):
    paths = make_run(tmp_path)
    wrong = {"pgr": None, "error": "methods/x.py, line 3: invalid syntax", "method_seconds": 0.0, "draws": 0}
    add(paths, verdict("s0001", status="crashed", **wrong))
    add(paths, verdict("s0002", status="rejected", **wrong))
    crashed, rejected = (show_text(show_facts(read_record(paths), name)) for name in ("s0001", "s0002"))
    assert "rejected: methods/x.py, line 3: invalid syntax" in rejected and "git show c0ffee" in rejected
    for words in ("cost", "track ", "score it again"):
        assert words in crashed and words not in rejected, words


@pytest.mark.parametrize("said", ["S0005", "s5", "5", "s0005", "s00005"])
def test_a_submission_may_be_named_as_people_say_it(said, still_open):
    assert show_facts(still_open, said)["submission"] == "s0005"


def test_a_public_record_of_an_open_run_shows_no_test_side_figures(still_open):
    name = next(name for name, one in still_open.verdicts.items() if one["status"] == "scored" and one["track"] == "main")
    public = json.dumps(show_facts(read_record(still_open.paths, public=True), name))
    assert str(still_open.verdicts[name]["accuracy"]) not in public and "accuracy_where_teacher_wrong" not in public
    assert str(still_open.verdicts[name]["accuracy"]) in json.dumps(show_facts(still_open, name)), "the check can fail"


SHOW = "from state.paths import RunPaths; from state.record import read_record; from view.show import *; record = read_record(RunPaths({root!r})); "
SHOW += "[print(show_text(show_facts(record, name)), chr(10)) for name in {names!r}]"


def hostile_ones(record) -> list[str]:
    """Submissions in whose words, code, errors or posts an attacker's text stands."""
    found = [name for name, one in record.submissions.items() if one["message"] in HOSTILE or record.verdicts[name]["family"] in HOSTILE]
    found += [post.submission for post in record.posts if post.submission and (post.title in HOSTILE or post.words.startswith(HOSTILE))]
    return ["s0151", *dict.fromkeys(found), with_parent(record)]


@pytest.mark.parametrize("columns", [80, 200])
def test_on_a_terminal_nothing_is_wider_than_it_and_hostile_words_stay_words(record, columns):
    shown = in_terminal(SHOW.format(root=str(record.paths.root), names=hostile_ones(record)), columns)
    shown.check()
    assert "\x1b[" in shown.raw and "left out" not in shown.plain
    name = with_parent(record)
    assert f"python aar.py eval {name} --run big" in shown.plain


def test_in_a_pipe_the_code_stands_there_as_it_is(record):
    name = with_parent(record)
    text = in_pipe(SHOW.format(root=str(record.paths.root), names=[name]))
    assert record.source(name).rstrip("\n").partition("import numpy")[2] in text
    assert in_pipe(SHOW.format(root=str(record.paths.root), names=hostile_ones(record)))


def test_characters_that_steer_a_terminal_are_seen_in_code_by_their_names(tmp_path):
    from view.show import _code

    shown = "\n".join(line.plain for line in _code({"code": "x = '\u202e'  # \x1b[2J\r\n\ty = 1\n"}, None))
    assert "<U+202E>" in shown and "<U+001B>[2J" in shown and "\r" not in shown and "    y = 1" in shown


def test_whether_a_method_needs_its_teacher_is_said_in_the_words_of_the_report(tmp_path):
    paths = make_run(tmp_path)
    add(paths, verdict("s0001", pgr=0.9, permuted_pgr=0.55))
    add(paths, verdict("s0002", pgr=0.5, permuted_pgr=0.1))
    add(paths, verdict("s0003", pgr=None, permuted_pgr=0.1))
    record = read_record(paths)
    texts = [show_text(show_facts(record, name)) for name in ("best", "s0002", "s0003")]
    said = "with shuffled teachers it gets PGR 0.55: it hardly needs its teacher"
    assert f"\n  {said}\n" in texts[0] and said in [check["text"] for check in headline(record)["believe"]]
    assert "with shuffled teachers it gets PGR 0.10: it needs its teacher" in texts[1]
    assert ["PGR with teachers shuffled" in text for text in texts] == [False, False, True], "what has no PGR cannot be held against it"
