"""The probe: real attempts, each with its control."""
from __future__ import annotations

import os

from sandbox import attempts, overuse, walls
from sandbox.find import bwrap_version, find_bwrap


def test_no_attempt_gets_through_in_any_sandbox_and_the_same_attempts_work_outside():
    report = walls.probe(quick=False)
    assert report["isolation"] == "bubblewrap"
    for row in report["attempts"]:
        assert set(row) == {"name", "sandbox", "blocked", "control", "detail"}
        assert row["blocked"], row
        assert row["control"] or row["name"] not in walls.ALWAYS_POSSIBLE, row
    for kind in walls.KINDS:
        names = [row["name"] for row in report["attempts"] if row["sandbox"] == kind]
        assert names == attempts.TOGETHER + overuse.ALONE
    assert sum(row["control"] for row in report["attempts"]) >= len(report["attempts"]) * 2 // 3


def test_walls_that_hold_are_let_pass_and_the_probe_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    walls.require_walls()
    assert not list(tmp_path.iterdir()) and "AAR_DECOY_API_KEY" not in os.environ


def test_an_old_system_bubblewrap_is_passed_over(tmp_path, monkeypatch):
    old = tmp_path / "bwrap"
    old.write_text("#!/bin/sh\necho bubblewrap 0.6.1\n")
    old.chmod(0o755)
    assert bwrap_version(old) == (0, 6, 1)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    find_bwrap.cache_clear()
    try:
        assert find_bwrap() != old and bwrap_version(find_bwrap()) >= (0, 8)
    finally:
        find_bwrap.cache_clear()
