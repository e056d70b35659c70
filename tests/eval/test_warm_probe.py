"""What is started ahead: as isolated as a fresh sandbox, and baited."""

import os
from dataclasses import replace

import pytest

from eval.warm import WarmSandbox, method_box
from eval.warm_probe import WARM, job
from eval.wire import HungUp, pack
from sandbox import attempts, walls
from sandbox.box import Limits, Mount
from sandbox.honeypot import INSIDE
from state.errors import UserError


def test_from_a_sandbox_started_ahead_no_attempt_gets_through_either():
    report = walls.probe(quick=False, kinds=(WARM,))
    assert [row["name"] for row in report["attempts"]] == attempts.TOGETHER + attempts.ALONE
    for row in report["attempts"]:
        assert row["sandbox"] == "warm" and row["blocked"], row
        assert row["control"] or row["name"] not in walls.ALWAYS_POSSIBLE, row


def touched_by(source: str, isolation: str = "bubblewrap") -> list[str]:
    """The baits that a job of this source touches in a sandbox started ahead."""
    sandbox = WarmSandbox(method_box(Limits(seconds=60), isolation))
    try:
        sandbox.wait_until_ready()
        pool = pack({}, {})
        sandbox.channel.send({**job({}), "source": source}, descriptors=(pool,))
        os.close(pool)
        sandbox.channel.receive()  # fit is missing, which it tells when the file has been run
    finally:
        sandbox.close()
    return sorted(sandbox.honeypot.touched())


@pytest.mark.parametrize("source, baits", [
    ("import os\nfound = [os.listdir(folder) for folder in ('/aar', '/aar/private', '/aar/lib')]", []),
    ("import numpy\nlabels = numpy.load('/aar/private/labels.npy')", [f"{INSIDE}/labels.npy"]),
    # Once it has forked, what the process of the draw does is no secret either.
    ("import os\nif os.fork() == 0:\n    open('/aar/private/labels.jsonl').close()\n    os._exit(0)\nos.wait()",
     [f"{INSIDE}/labels.jsonl"]),
])  # fmt: skip
def test_a_method_that_touches_a_bait_is_told_and_one_that_looks_around_is_not(source, baits):
    assert touched_by(source) == baits


def test_without_walls_there_are_no_baits():
    assert touched_by("import os\nassert not os.path.exists('/aar/private')", "none") == []


def test_a_sandbox_leaves_no_baits_behind_however_it_ends(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    box = method_box(Limits(), "bubblewrap")
    with pytest.raises(UserError, match="not-there"):
        WarmSandbox(replace(box, mounts=(*box.mounts, Mount(tmp_path / "not-there", "/aar/models"))))
    ended = WarmSandbox(method_box(Limits(seconds=60), "bubblewrap"))
    assert list(tmp_path.iterdir()) == [], "before its end: this process may be killed"
    ended.handle.kill()
    with pytest.raises(HungUp):
        ended.channel.receive()
        ended.channel.receive()
    ended.close()
