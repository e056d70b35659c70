"""The home of the tests, `tests` in AAR_HOME: models and downloads are those of AAR_HOME, prepared tasks are of its own and deal the
same items on every machine. With secrets by chance each machine would be another sample, and every bound on a figure would
fail on some of them; a run of the tests would also open the sealed part of a task that research goes on with."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from eval.prepared import Prepared
    from eval.task import Task

SHARED = ("models", "packages")
PRACTICE = 10
"""Questions of a practice task on which nobody practises, the fewest that a generated task has."""
_readers: list[Any] = []
"""The worker that reads for preparations waits here for the next one, with torch and transformers loaded; it ends with this process."""


def use_home_of_tests(default: Path) -> None:
    """AAR_HOME becomes `tests` in AAR_HOME, or in `default` where it is not set."""
    outer = Path(os.environ.get("AAR_HOME") or default).absolute()
    home = outer / "tests"
    home.mkdir(parents=True, exist_ok=True)
    for name in SHARED:
        (outer / name).mkdir(mode=0o700, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            (home / name).symlink_to(outer / name)
    os.environ["AAR_HOME"] = str(home)


@contextlib.contextmanager
def same_secret(word: str = "tests") -> Iterator[None]:
    """What is prepared within has the secret that follows from `word`: the same rows, draws and teachers every time."""
    secret = hashlib.sha256(word.encode()).digest()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("eval.prepare.secrets.token_bytes", lambda count: secret[:count])
        yield


@contextlib.contextmanager
def small_preparations() -> Iterator[None]:
    """What is prepared within has the secret of the tests and a small practice task, and one worker reads for all of it."""
    with pytest.MonkeyPatch.context() as patch, same_secret():
        patch.setattr("eval.practice.QUESTIONS", PRACTICE)
        patch.setattr("eval.feature_crew._idle", _readers)
        patch.setattr("eval.features.worker_count", lambda memory: 1)  # a second one takes longer to start than it saves
        yield


def prepare_small(task: Task, **options: bool) -> Prepared:
    """`task` prepared so, and opened."""
    from eval.prepare import prepare_task
    from eval.prepared import Prepared, TaskFolder

    with small_preparations():
        prepare_task(task, quiet=True, **options)
    return Prepared(task, TaskFolder(task))
