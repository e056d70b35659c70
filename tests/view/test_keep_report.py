"""A report that a person asked for is there, whatever becomes of its copies."""

import html
import json
import shutil

import pytest

from commands.reporting import keep_report
from state.errors import UserError
from state.files import append_jsonl
from state.ledger import Ledger
from state.record import read_record
from tests.view.made import add, as_another_user, make_run, verdict, write_state
from view.page_file import GENERATOR, TOP
from view.report.components import components, keep_pairs
from view.report.page import _until
from view.status import UNREAD


def closed(folder, monkeypatch):
    """A verified run whose repository is not there."""
    monkeypatch.setenv("AAR_HOME", str(folder / "home"))
    paths = make_run(folder)
    paths.toml.write_text(f'user_git = "{folder}"\n' + paths.toml.read_text())
    add(paths, verdict("s0001"))
    write_state(paths, "finished")
    paths.evaluator.mkdir(mode=0o700)
    append_jsonl(paths.evaluator / "sealed.jsonl", {**verdict("s0001", pgr=0.44321), "rung": "sealed", "openings": 1, "control": False})
    Ledger(paths.ledger).append("event", event="sealed-opening", agent=None, detail="s0001")
    (paths.board / "verification.md").write_text("# Sealed verification\n")
    return paths


def test_where_the_board_gets_no_copy_that_is_said_and_the_report_is_there(tmp_path, monkeypatch, capsys):
    paths, out = closed(tmp_path, monkeypatch), tmp_path / "x.html"
    facts = keep_report(paths, quiet=True, out=out)
    assert facts == {"file": str(out), "bytes": out.stat().st_size, "board": False} and json.dumps(facts)
    assert out.read_bytes() == (paths.root / "report.html").read_bytes() and GENERATOR in out.read_bytes()[:TOP]
    [said] = capsys.readouterr().err.splitlines()
    assert said == f"the report is written, but there is no copy of it on the board: nothing can be committed to the board of run first: {paths.repo} is missing"
    out.unlink()
    shutil.rmtree(paths.board)
    assert keep_report(paths, quiet=True, out=out)["board"] is False and out.exists()
    assert f"{paths.board / 'report.html'} cannot be written to (No such file or directory)" in capsys.readouterr().err


def test_another_user_gets_a_report_without_sealed_verdicts_where_they_ask_for_it(seen_by_all, monkeypatch, capsys):
    paths = closed(seen_by_all, monkeypatch)
    keep_report(paths, quiet=True)
    home = seen_by_all / "theirs"
    home.mkdir()
    home.chmod(0o777)
    monkeypatch.setenv("AAR_HOME", str(home))
    capsys.readouterr()
    with as_another_user():
        with pytest.raises(UserError, match=r"report.html cannot be written to \(Permission denied\): name another file with --out"):
            keep_report(paths, quiet=True)
        keep_report(paths, quiet=True, out=home / "x.html")
    mine, theirs = (html.unescape(file.read_text()) for file in (paths.root / "report.html", home / "x.html"))
    assert "0.44 [0.39" in mine and UNREAD not in mine and UNREAD in theirs and "0.44 [0.39" not in theirs
    assert capsys.readouterr().err.splitlines() == [f"only {home / 'x.html'} is written: {paths.root / 'report.html'} cannot be written to (Permission denied)"]


def test_pairs_that_cannot_be_written_or_read_are_done_without(seen_by_all):
    paths = make_run(seen_by_all)
    add(paths, verdict("s0001"))
    keep_pairs(read_record(paths), "s0001", [])
    kept = (paths.root / "pairs.json").read_bytes()
    with as_another_user():
        record = read_record(paths)
        keep_pairs(record, "s0001", [{"submission": "s0002"}])
        assert components(record, "s0001") == []
    assert (paths.root / "pairs.json").read_bytes() == kept


def test_the_page_of_a_closed_run_is_as_of_its_last_sealed_verdict(tmp_path, monkeypatch):
    paths = closed(tmp_path, monkeypatch)
    later = verdict("s0001", pgr=0.4, rung="sealed", openings=1, control=False, time="2031-01-01T09:16:29Z")
    append_jsonl(paths.evaluator / "sealed.jsonl", later)
    assert _until(read_record(paths)) == "2031-01-01 09:16:29 UTC"
