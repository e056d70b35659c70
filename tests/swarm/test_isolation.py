"""What was tried against the walls when a run was made is kept with the run. Real walls, a real repository."""

import json

import pytest

import swarm.create
from sandbox.find import find_bwrap
from state.errors import UserError
from swarm.operation import new_run, settled_isolation


def made(checkout, name, allow_unisolated=False):
    """A new run, as the command line makes it, and what was warned of."""
    warned, options = [], dict.fromkeys(("prompt", "researcher", "minutes", "hours")) | {"task": "smoke", "run": name}
    swarm.create.PROJECT, before = checkout.folder, swarm.create.PROJECT
    try:
        return new_run(checkout.folder, 1, options, False, lambda: settled_isolation(allow_unisolated, warned.append), print, print), warned
    finally:
        swarm.create.PROJECT = before


def test_the_attempts_that_proved_the_walls_are_kept_and_the_run_is_configured_with_a_plain_word(smoke, checkout):
    paths, warned = made(checkout, "walled")
    kept = json.loads((paths.root / "isolation.json").read_text())
    assert set(kept) == {"isolation", "attempts", "time"} and kept["isolation"] == "bubblewrap" and kept["time"].endswith("Z")
    assert len(kept["attempts"]) > 90 and all(row["blocked"] for row in kept["attempts"]) and warned == []
    assert {"name", "sandbox", "blocked", "control", "detail"} == set(kept["attempts"][0])
    assert 'isolation = "bubblewrap"' in paths.toml.read_text()


def test_where_there_are_no_walls_what_stood_in_their_way_is_kept_and_without_leave_there_is_no_run(smoke, checkout, tmp_path, monkeypatch):
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\n[ \"$1\" = --version ] && { echo bubblewrap 0.11.0; exit; }\necho 'bwrap: No permissions' >&2; exit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    find_bwrap.cache_clear()
    try:
        with pytest.raises(UserError, match="No permissions"):
            made(checkout, "open")
        assert not (checkout.folder / ".aar/runs/open").exists()
        paths, warned = made(checkout, "open", allow_unisolated=True)
    finally:
        find_bwrap.cache_clear()
    kept = json.loads((paths.root / "isolation.json").read_text())
    assert kept["isolation"] == "none" and [row["blocked"] for row in kept["attempts"]] == [False]
    assert "No permissions" in kept["attempts"][0]["detail"] and "WITHOUT WALLS" in warned[0]
