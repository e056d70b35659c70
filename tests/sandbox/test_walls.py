"""The probe: real attempts, each with its control."""
from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager
from dataclasses import replace

import pytest

from sandbox import attempts, honeypot, walls
from sandbox.box import Box, Mount, start
from sandbox.decoys import Decoys
from sandbox.find import bwrap_version, find_bwrap
from state.errors import UserError
from swarm.operation import settled_isolation


def test_no_attempt_gets_through_in_any_sandbox_and_the_same_attempts_work_outside():
    report = walls.probe(quick=False)
    assert report["isolation"] == "bubblewrap" and report["totals"] in ("cgroup v2", "watchdog") and report["baits"]
    for row in report["attempts"]:
        assert set(row) == {"name", "sandbox", "blocked", "control", "detail"}
        assert row["blocked"], row
        assert row["control"] or row["name"] not in walls.ALWAYS_POSSIBLE, row
    for kind in walls.KINDS:
        names = [row["name"] for row in report["attempts"] if row["sandbox"] == kind.name]
        assert names == attempts.TOGETHER + attempts.ALONE and len(set(names)) == len(names) >= 32
    assert sum(row["control"] for row in report["attempts"]) >= len(report["attempts"]) * 2 // 3


@contextmanager
def holed(decoys, config, limits):
    """A sandbox with the faults that are easiest to make: too much is mounted, it is mounted writable, little is limited."""
    mounts = [replace(mount, writable=True) for mount in decoys.mounts("shell") if not mount.target.startswith("/aar/lib")]
    box = Box("shell", (Mount(decoys.root, str(decoys.root)), *decoys.mounts("method")[:2], *mounts), chdir="/aar/worktree",
              limits=replace(limits, memory_mib=2048, disk_mib=512, file_mib=512, processes=100))
    config = json.dumps({**decoys.inside("/aar/worktree"), **config})
    handle = start(box, [sys.executable, "-I", "-S", "-c", walls.RUN, "/aar/lib", config], parked=True)
    handle.begin = lambda limits=None, begin=handle.begin: begin(replace(box.limits, seconds=limits.seconds))
    try:
        yield handle
    finally:
        handle.kill()


def test_a_hole_in_a_wall_is_found_by_every_attempt_that_it_lets_through():
    with Decoys() as decoys:
        rows = walls._together(decoys, walls.Kind("holed", holed))
        for name in ("take_memory", "take_one_huge_file"):
            rows += walls._alone(decoys, walls.Kind("holed", holed), name)
    through = {row["name"] for row in rows if not row["blocked"]}
    assert through >= {
        "read_labels", "read_labels_by_symlink", "read_labels_in_git_objects", "read_labels_by_git_alternates",
        "read_project_git", "read_ledger", "read_board", "read_private_folder_of_the_run", "read_worktree_of_another", "connect_to_socket_file",
        "connect_to_the_evaluator", "write_feature_block", "write_forum", "edit_old_post",
        "write_run_repository", "plant_git_hook", "replace_gitfile", "take_memory", "take_one_huge_file"}
    assert not through & {"make_io_uring", "connect_to_loopback", "trace_the_evaluator", "signal_the_evaluator"}


def short_of_breath(names_of_first: int, tried: list[list[str]]) -> walls.Kind:
    """A method sandbox that ends early at the first time: it makes so many attempts and no more."""
    @contextmanager
    def starting(decoys, config, limits):
        tried.append(config["names"])
        names = config["names"][:names_of_first] if len(tried) == 1 else config["names"]
        with walls.KINDS[-1].start(decoys, {**config, "names": names}, limits) as handle:
            yield handle
    return walls.Kind("short", starting)


@pytest.mark.parametrize("answered", [0, 5])
def test_attempts_without_an_answer_are_made_once_more_in_a_new_sandbox(answered):
    tried: list[list[str]] = []
    with Decoys() as decoys:
        rows = walls._together(decoys, short_of_breath(answered, tried))
    assert tried == [attempts.TOGETHER, attempts.TOGETHER[answered:]]
    assert [row["name"] for row in rows] == attempts.TOGETHER and all(row["blocked"] for row in rows), rows


@pytest.mark.parametrize("name", ["take_one_huge_file", "leave_a_daemon"])
def test_so_is_one_on_a_limit(name):
    with Decoys() as decoys:
        [row] = walls._alone(decoys, short_of_breath(0, []), name)
    assert row["blocked"] and "at the first: no answer" in row["detail"], row


def test_walls_that_could_not_be_tried_are_one_clear_error_and_no_reason_to_do_without(monkeypatch):
    monkeypatch.setattr(walls, "RUN", "print('something else')")
    warned: list[str] = []
    with pytest.raises(walls.NotTried, match="could not be tried on this machine: no answer from .* in the shell sandbox") as caught:
        settled_isolation(True, warned.append)
    assert warned == [] and "\n" not in str(caught.value)


def test_walls_that_hold_are_let_pass_and_the_probe_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    tried = walls.require_walls()
    assert len(tried) > 90 and {row["sandbox"] for row in tried} == {"shell", "job", "method"} and all(row["blocked"] for row in tried)
    assert not list(tmp_path.iterdir()) and "AAR_DECOY_API_KEY" not in os.environ


def test_where_a_touched_bait_is_not_noticed_aar_does_not_start(monkeypatch):
    monkeypatch.setattr(honeypot, "IN_OPEN", 0x4)  # watched for something else: a change of attributes
    with pytest.raises(UserError, match="bait"):
        walls.require_walls()


def test_the_attempts_can_be_made_by_hand_where_one_thinks_there_are_walls(tmp_path, capsys):
    (tmp_path / "labels").write_text("s3cret")
    attempts.main({"names": ["read_labels", "make_user_namespace"], "labels": str(tmp_path / "labels"), "secret": "s3cret"})
    attempts.main({"names": ["read_labels"], "labels": str(tmp_path / "nothing"), "secret": "s3cret"})
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["name"], one["got"]) for one in (found[0], found[2])] == [("read_labels", True), ("read_labels", False)]


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
