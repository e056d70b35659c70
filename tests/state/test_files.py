"""Files that survive a crash at any instant."""

import json
import multiprocessing
import os

import pytest

from state.errors import UserError
from state.files import append_jsonl, read_jsonl, read_jsonl_from, write_atomic
from state.ledger import Ledger, agent_view
from state.paths import aar_home


def test_a_torn_last_line_is_not_read_and_the_next_append_cuts_it_off(tmp_path):
    file = tmp_path / "ledger.jsonl"
    append_jsonl(file, {"kind": "event", "n": 1})
    whole = file.read_bytes()
    for cut in range(1, len(whole)):  # a writer killed after any number of bytes
        file.write_bytes(whole + whole[:cut])
        assert [record["n"] for record in read_jsonl(file)] == [1]
        append_jsonl(file, {"kind": "event", "n": 2})
        assert [record["n"] for record in read_jsonl(file)] == [1, 2]
        assert file.read_bytes().count(b"\n") == 2


def test_a_file_that_is_nothing_but_a_torn_line_starts_afresh(tmp_path):
    file = tmp_path / "ledger.jsonl"
    file.write_bytes(b'{"kind":"eve' * 20_000)  # longer than one block of the search for the last newline
    append_jsonl(file, {"n": 1})
    assert read_jsonl(file) == [{"n": 1}]


def _append_many(path, writer):
    for number in range(50):
        append_jsonl(path, {"writer": writer, "n": number, "pad": "x" * 500})


def test_processes_that_append_at_once_lose_no_line(tmp_path):
    file = tmp_path / "ledger.jsonl"
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_append_many, args=(file, writer)) for writer in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    records = read_jsonl(file)
    assert len(records) == 200
    for writer in range(4):
        assert [r["n"] for r in records if r["writer"] == writer] == list(range(50))


def test_reading_on_from_an_offset_sees_only_what_is_new(tmp_path):
    file = tmp_path / "ledger.jsonl"
    append_jsonl(file, {"n": 1})
    records, offset = read_jsonl_from(file, 0)
    append_jsonl(file, {"n": 2})
    with open(file, "ab") as torn:
        torn.write(b'{"n": 3')
    records, again = read_jsonl_from(file, offset)
    assert records == [{"n": 2}]
    assert read_jsonl_from(file, again) == ([], again)


def test_a_write_that_fails_leaves_the_old_contents(tmp_path):
    file = tmp_path / "state.json"
    write_atomic(file, "old")
    with pytest.raises(TypeError):
        write_atomic(file, 42)
    assert file.read_text() == "old"
    assert os.listdir(tmp_path) == ["state.json"]


def test_the_first_verdict_of_a_submission_stands(tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.append("submission", submission="s0001", agent="agent-1")
    ledger.append("verdict", submission="s0001", pgr=0.5)
    ledger.append("verdict", submission="s0001", pgr=0.9)
    assert ledger.verdicts["s0001"]["pgr"] == 0.5
    assert ledger.waiting() == []


def test_agents_see_rounded_figures_and_no_diagnostics():
    verdict = {"submission": "s0001", "pgr": 0.678912, "accuracy": 0.81234, "accuracy_where_teacher_wrong": 0.4, "tree": "ab"}
    view = agent_view(verdict)
    assert view["pgr"] == 0.68
    assert "0.81234" not in json.dumps(view) and "accuracy" not in view and "tree" not in view


def test_a_home_that_cannot_be_made_is_one_clear_line(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("AAR_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(UserError, match="set AAR_HOME"):
        aar_home()


def test_a_line_that_is_no_json_is_told_with_its_file_and_number(tmp_path):
    file = tmp_path / "ledger.jsonl"
    file.write_text('{"a":1}\n{"a":\n{"a":3}\n')
    with pytest.raises(UserError, match=r"ledger\.jsonl, line 2, is not JSON"):
        read_jsonl(file)
