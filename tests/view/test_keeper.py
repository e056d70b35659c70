"""The report on the board of a run that goes on: fresh, out of the way, and with nothing that agents must not see."""

import base64
import re
import resource
import time
import zlib
from contextlib import contextmanager

import psutil
import pytest

from state.files import append_jsonl
from tests import waiting
from tests.view.made import add, make_run, verdict, write_state
from view.keeper import SHARE, ReportKeeper

DIAGNOSTICS = {"accuracy": 0.70717171, "accuracy_where_teacher_right": 0.81828282, "accuracy_where_teacher_wrong": 0.43939393, "lift_by_draw": [0.05454545] * 8,
               "weak_accuracy": 0.59595959, "ceiling_accuracy": 0.87878787, "over_best": 0.01313131}


def all_of(report) -> str:
    """The text of a report, with what lies in it compressed."""
    text = report.read_text()
    packed = re.findall(r'<script type="text/plain" data-chunk="\d+">([^<]+)</script>', text)
    assert packed
    return text + "".join(zlib.decompress(base64.b64decode(chunk)).decode() for chunk in packed)


class Silent:
    def __init__(self):
        self.states = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def update(self, state):
        self.states.append(state)


@contextmanager
def kept(paths, every=0.0):
    keeper = ReportKeeper(paths, Silent(), every_seconds=every)
    with keeper:
        yield keeper


def until(keeper, condition):
    waiting.until(lambda: keeper.update({}) or condition(), lambda: keeper.paths.log.read_text() if keeper.paths.log.exists() else "it")


@pytest.fixture
def paths(tmp_path):
    paths = make_run(tmp_path)
    write_state(paths, "running")
    return paths


def test_the_report_of_a_run_that_goes_on_holds_no_figure_that_agents_must_not_see(paths):
    with kept(paths) as keeper:
        add(paths, verdict("s0001", pgr=0.61234567, **DIAGNOSTICS))
        paths.evaluator.mkdir()
        append_jsonl(paths.evaluator / "sealed.jsonl", {**verdict("s0001", pgr=0.57654321), "openings": 1})
        until(keeper, keeper.report.exists)
    text = all_of(keeper.report)
    assert "0.61" in text and "s0001" in text
    for hidden in ("0.6123", "0.7071", "0.8182", "0.4393", "0.0545", "0.5765", "0.5959", "0.596", "0.8787", "0.879", "0.0131"):
        assert hidden not in text, hidden


def test_what_an_operator_may_see_would_be_there_in_a_report_for_a_person(paths):
    """The positive control of the test above: the same figures, not public."""
    from view.report.build import write_report

    add(paths, verdict("s0001", pgr=0.61234567, **DIAGNOSTICS))
    write_report(paths, paths.root / "report.html", public=False, tell=None)
    text = all_of(paths.root / "report.html")
    assert "0.70717171" in text and "0.61234567" in text


def test_it_is_written_again_when_there_is_something_new_and_after_so_long_that_reports_take_a_small_share_of_a_core(paths):
    with kept(paths) as keeper:
        add(paths, verdict("s0001"))
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        started = time.monotonic()
        until(keeper, lambda: keeper.report.exists() and keeper._process is None)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        assert used > 0.1 and keeper._next - started >= 0.99 * used / SHARE
        first = keeper.report.stat().st_mtime_ns
        keeper._next = 0.0
        for _ in range(20):
            keeper.update({})
        assert keeper._process is None and keeper.report.stat().st_mtime_ns == first, "nothing is new"
        add(paths, verdict("s0002"))
        keeper._next = 0.0
        until(keeper, lambda: "s0002" in keeper.report.read_text())


def test_the_first_one_comes_with_the_first_verdict_and_not_before(paths):
    with kept(paths) as keeper:
        append_jsonl(paths.ledger, {"kind": "submission", "submission": "s0001", "agent": "agent-1", "commit": "c0", "method": "methods/x.py", "time": ""})
        keeper.update({})
        assert keeper._process is None
        append_jsonl(paths.ledger, {"kind": "verdict", **verdict("s0001")})
        keeper.update({})
        assert keeper._process is not None


def test_the_process_that_writes_it_has_the_lowest_priority_and_dies_with_its_keeper(paths):
    with kept(paths) as keeper:
        add(paths, verdict("s0001"))
        keeper.update({})
        process = psutil.Process(keeper._process.pid)
        waiting.until(lambda: process.nice() == 19, "its lowest priority")  # which it keeps when it has ended, until it is looked at
    assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_the_view_within_is_told_everything(paths):
    with kept(paths, every=1000.0) as keeper:
        keeper.update({"state": "running"})
    assert keeper.view.states == [{"state": "running"}]
