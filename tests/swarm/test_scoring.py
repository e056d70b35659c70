"""A machine that has no sandbox is to blame for it, and no submission is. What the evaluator says comes from a scripted process."""

import threading

import pytest

from state.files import append_jsonl, utc_now
from swarm import scoring
from swarm.scoring import Scoring
from tests.view.made import make_run
from tests.waiting import until

EVALUATOR = """
import json, sys
from pathlib import Path

root = Path(sys.argv[1])


def say(event, name, **more):
    print(json.dumps({"event": event, "submission": name, **more}), flush=True)


def verdict(name):
    with open(root / "ledger.jsonl", "a") as ledger:
        ledger.write(json.dumps({"kind": "verdict", "submission": name, "agent": "agent-1", "status": "scored", "device": "cpu-0"}) + "\\n")
    say("verdict", name)


def problem(name):
    say("started", name, rung="quick")
    say("problem", name, detail="no process is left")


asked = []
for line in sys.stdin:
    name = json.loads(line)["submission"]
    asked.append(name)
    with open(root / "asked", "a") as file:
        file.write(name + "\\n")
"""


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Starts the scoring of some submissions by an evaluator that does `body` for each `name`."""
    monkeypatch.setattr("eval.client.PROJECT", tmp_path / "scripted")
    monkeypatch.setattr(scoring, "MOST_PAUSE_SECONDS", 0.02)
    begun = []

    def start(body: str, *names: str) -> Scoring:
        (tmp_path / "scripted" / "eval").mkdir(parents=True)
        (tmp_path / "scripted" / "eval" / "evaluator.py").write_text(EVALUATOR + "".join(f"    {line}\n" for line in body.splitlines()))
        paths = make_run(tmp_path)
        paths.evaluator.mkdir()
        for name in names:
            about = {"submission": name, "commit": "c0ffee", "method": "methods/x.py", "agent": "agent-1", "parents": [], "family": None}
            append_jsonl(paths.ledger, {"kind": "submission", **about, "time": utc_now()})
        begun.append(Scoring(paths, {"isolation": "bubblewrap"}))
        begun[0].start()
        return begun[0]

    yield start
    for one in begun:
        one.close()


def asked(scored: Scoring) -> list[str]:
    file = scored.paths.root / "asked"
    return file.read_text().split() if file.exists() else []


def test_want_of_sandboxes_does_not_count_as_attempts_of_a_submission(start):
    scored = start("problem(name) if len(asked) < 8 else verdict(name)", "s0001")
    until(lambda: "s0001" in scored.ledger.verdicts)
    assert scored.ledger.verdicts["s0001"]["status"] == "scored" and len(asked(scored)) == 8
    assert scored.fatal is None and "no process is left" in scored.problems[-1] and not scored.rungs


def test_a_machine_that_never_has_a_sandbox_ends_the_run_with_its_words(start):
    scored = start("problem(name)", "s0001", "s0002")
    until(lambda: scored.fatal or scored.ledger.verdicts)
    assert scored.fatal and "no process is left" in scored.fatal and not scored.ledger.verdicts
    assert max(map(asked(scored).count, ("s0001", "s0002"))) == scoring.MOST_TRIES


def test_a_submission_that_has_no_sandbox_where_others_have_is_given_up_and_the_run_goes_on(start):
    scored = start("problem(name) if name == 's0001' or asked.count(name) < 3 else verdict(name)", "s0001", "s0002")
    until(lambda: len(scored.ledger.verdicts) == 2 or scored.fatal)
    assert scored.fatal is None and asked(scored).count("s0001") == scoring.MOST_TRIES
    verdict = scored.ledger.verdicts["s0001"]
    assert verdict["status"] == "crashed" and "this machine has no sandbox for it" in verdict["error"] and "no process is left" in verdict["error"]
    assert scored.ledger.verdicts["s0002"]["status"] == "scored"


def test_what_a_new_evaluator_was_handed_is_not_handed_to_it_once_more(start, monkeypatch):
    monkeypatch.setattr(scoring, "MOST_PAUSE_SECONDS", 2.0)  # more than a new one takes to start
    body = """
first = not (root / "lives").exists()
(root / "lives").touch()
if first:
    problem(name)
    sys.exit(1)
"""
    scored = start(body, "s0001")
    until(lambda: len(asked(scored)) >= 2 and not any(isinstance(thread, threading.Timer) for thread in threading.enumerate()))
    scored.evaluator.submit({"submission": "s0002"})
    until(lambda: "s0002" in asked(scored))
    assert asked(scored) == ["s0001", "s0001", "s0002"]
