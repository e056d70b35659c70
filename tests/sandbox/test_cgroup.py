"""Totals by cgroup v2: finding a part that is ours, setting limits, and doing without."""
from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from sandbox import cgroup
from sandbox.box import Box, Limits, start
from tests.sandbox.help import python

DESKTOP = "user.slice/user-1000.slice/user@1000.service/app.slice/terminal.scope"
MOUNTS = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
UNIFIED = next((place for _, place, kind, *_ in MOUNTS if kind == "cgroup2"), None)


def tree(root: Path, handing_on: str, controllers: str = "cpu memory pids") -> str:
    """A cgroup2 file system as systemd arranges it; `handing_on` and all above it hand controllers to their children."""
    for group in (root / DESKTOP, *(root / DESKTOP).parents):
        group.mkdir(parents=True, exist_ok=True)
        (group / "cgroup.subtree_control").write_text(controllers if (root / handing_on).is_relative_to(group) else "")
        (group / "cgroup.procs").touch()
        if group == root:
            break
    return f"proc /proc proc rw 0 0\ncgroup2 {root} cgroup2 rw,nosuid 0 0\n"


def test_the_nearest_cgroup_that_hands_on_both_controllers_is_found(tmp_path):
    mounts = tree(tmp_path, str(Path(DESKTOP).parent))
    assert cgroup.find_parent(mounts, f"0::/{DESKTOP}\n") == (tmp_path / DESKTOP).parent


def test_root_outside_of_any_unit_uses_the_root_of_the_tree(tmp_path):
    assert cgroup.find_parent(tree(tmp_path, "."), "0::/\n") == tmp_path


@pytest.mark.parametrize("controllers", ["", "cpu pids", "memory"])
def test_a_tree_that_lacks_one_of_the_controllers_is_not_used(tmp_path, controllers):
    mounts = tree(tmp_path, str(Path(DESKTOP).parent), controllers)
    assert cgroup.find_parent(mounts, f"0::/{DESKTOP}\n") is None


def test_only_cgroups_between_us_and_the_root_of_the_mount_are_looked_at(tmp_path):
    mounts = tree(tmp_path, str(Path(DESKTOP).parent))
    assert cgroup.find_parent(mounts, "0::/../outside\n") is None
    assert cgroup.find_parent("cgroup /sys/fs/cgroup/pids cgroup rw,pids 0 0\n", f"0::/{DESKTOP}\n") is None
    assert cgroup.find_parent(mounts, "4:memory:/x\n") is None


def test_a_cgroup_that_is_not_ours_to_write_is_passed_over_for_one_above(tmp_path):
    mounts = tree(tmp_path, str(Path(DESKTOP).parent))
    (tmp_path / DESKTOP).parent.joinpath("cgroup.procs").unlink()  # not to be written to, also not by root
    assert cgroup.find_parent(mounts, f"0::/{DESKTOP}\n") == (tmp_path / DESKTOP).parents[1]


def test_a_sandbox_gets_its_totals_before_it_is_moved(tmp_path):
    group = cgroup.confine(4242, Limits(memory_mib=200, processes=40), within=tmp_path)
    assert group.parent == tmp_path
    said = {name: (group / name).read_text() for name in os.listdir(group)}
    assert said == {"memory.max": str(200 << 20), "memory.swap.max": "0", "memory.oom.group": "1", "pids.max": "58",
                    "cgroup.procs": "4242"}


def test_the_end_by_the_kernels_hand_has_its_name(tmp_path):
    (tmp_path / "memory.events").write_text("low 0\nhigh 0\nmax 812\noom 1\noom_kill 0\n")
    assert not cgroup.ended_for_memory(tmp_path) and not cgroup.ended_for_memory(None)
    (tmp_path / "memory.events").write_text("low 0\nhigh 0\nmax 812\noom 1\noom_kill 3\noom_group_kill 1\n")
    assert cgroup.ended_for_memory(tmp_path) and not cgroup.ended_for_memory(tmp_path / "gone")


def test_what_a_killed_process_left_is_swept_and_what_lives_is_not(tmp_path):
    dead = subprocess.Popen(["true"])
    dead.wait()
    (tmp_path / f"aar-{dead.pid}-7").mkdir()
    (tmp_path / f"aar-{os.getpid()}-7").mkdir()
    cgroup.sweep(tmp_path)
    assert os.listdir(tmp_path) == [f"aar-{os.getpid()}-7"]


@pytest.mark.skipif(UNIFIED is None or not os.access(UNIFIED or "/", os.W_OK), reason="needs a cgroup2 that can be written to")
@pytest.mark.skipif(cgroup.totals() == "cgroup v2", reason="here memory and pids are handed on: see the next test")
def test_a_cgroup_without_a_memory_controller_is_refused_and_leaves_nothing():
    sleeper = subprocess.Popen(["sleep", "600"])
    try:
        assert cgroup.confine(sleeper.pid, Limits(), within=Path(UNIFIED)) is None
    finally:
        sleeper.kill()
        sleeper.wait()
    assert not list(Path(UNIFIED).glob(f"aar-*-{sleeper.pid}"))  # other processes may make and remove theirs meanwhile


@pytest.mark.skipif(cgroup.totals() != "cgroup v2", reason="needs memory and pids of cgroup v2, handed on to this user")
def test_the_kernel_bounds_the_memory_while_the_watchdog_does_not_look():
    # Parked: one look a second. The growth is finite on purpose: without the bound it must not hurt the machine.
    code = "held = [bytearray(b'x' * (8 << 20)) for _ in range(60)]\nprint('held', flush=True)"
    handle = start(Box("method", limits=Limits(memory_mib=160)), python(code), parked=True)
    assert handle.group is not None and (handle.group / "memory.max").read_text().strip() == str(160 << 20)
    result = handle.wait()
    assert result.ended == "memory" and b"held" not in result.output
    assert not handle.group.exists()
