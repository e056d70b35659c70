"""One whole run for all files that look at a finished one, made by whoever comes first, also where several processes share the tests."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from filelock import FileLock

from state.paths import RunPaths
from tests.conftest import Checkout

NAME, AGENTS, SUBMISSIONS = "sent", 2, 5
ABSOLUTE = (".git", "gitdir", "run.toml")
"""Files of a run and of git that name folders from the root on."""


def whole_run(tmp_path_factory, kind: str) -> tuple[Path, str]:
    """(folder of a checkout with a run that went to its end and was verified, what it printed). `kind`: "original", to be looked at;
    "copy", one in another folder, for the one file that spoils it."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    made = shared / "whole"
    with FileLock(shared / "whole.lock"):
        if not (made / "printed").exists():
            shutil.rmtree(made, ignore_errors=True)  # of one that failed
            (made / "original").mkdir(parents=True)
            printed = _run(made / "original")
            _copy(made / "original", made / "copy")
            (made / "printed").write_text(printed)
    return made / kind, (made / "printed").read_text()


def paths_in(folder: Path) -> RunPaths:
    return RunPaths(folder / ".aar" / "runs" / NAME)


def _run(folder: Path) -> str:
    """It ends when its agents may submit no more. Its base has a parent, which its repository lacks."""
    checkout = Checkout(folder)
    checkout.git("commit", "--quiet", "--allow-empty", "-m", "second")
    limits = ("--minutes", "60", "--submissions", str(SUBMISSIONS))
    code, printed = checkout.aar("--agents", str(AGENTS), "--task", "smoke", "--run", NAME, "--seed", "1", *limits, seconds=400)
    assert code == 0, printed
    assert (paths_in(folder).board / "verification.md").exists() and (paths_in(folder).repo / "shallow").exists(), printed
    return printed


def _copy(folder: Path, target: Path) -> None:
    def sockets(parent: str, names: list[str]) -> list[str]:
        return [name for name in names if (Path(parent) / name).is_socket()]

    shutil.copytree(folder, target, symlinks=True, ignore=sockets)
    for name in ABSOLUTE:
        for file in target.rglob(name):
            if file.is_file() and not file.is_symlink():
                file.write_text(file.read_text().replace(str(folder), str(target)))
