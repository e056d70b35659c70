"""A run as it is scored: its secret, its task with anchors, methods as they were committed, and the predictions that are kept.

For the processes that score or compare a run's submissions: the evaluator, the sealed verification, a second look by hand.
"""

from __future__ import annotations

import os
import secrets
import subprocess
from pathlib import Path

import numpy as np
import tomli

from eval.engine import Engine
from eval.null import null_anchors
from eval.prepared import Prepared, open_prepared
from eval.score import Anchored, correctness
from eval.slots import Slot, make_slots
from state.errors import UserError
from state.files import write_atomic
from state.ledger import Ledger
from state.paths import RunPaths


def run_secret(folder: Path) -> bytes:
    """The run's secret, made at its first use, readable by the operator's account only."""
    folder.mkdir(mode=0o700, exist_ok=True)
    file = folder / "secret"
    if not file.exists():
        write_atomic(file, secrets.token_bytes(32), mode=0o600)
    return file.read_bytes()


def read_method(repo: Path, commit: str, method: str) -> bytes:
    """The method file as committed; never a path in somebody's tree. UserError where the repository lacks it."""
    done = subprocess.run(["git", "--git-dir", str(repo), "cat-file", "blob", f"{commit}:{method}"], capture_output=True)
    if done.returncode:
        raise UserError(f"{repo} has no {method} of commit {commit[:12]}: `git --git-dir {repo} fsck` says what else it lacks; a bundle of the run has all")
    return done.stdout


class ScoredRun:
    """What all scoring of a run shares: `config` (run.toml), `prepared` task, `secret`, whether it is a `null` run, `slots`. UserError
    where its task is not prepared here, or its GPUs are not there, or where it was scored and its secret is elsewhere, as it is with a run
    that was opened from a bundle: with another one all its draws, orders and seeds would be others."""

    def __init__(self, paths: RunPaths) -> None:
        self.paths = paths
        if not (paths.evaluator / "secret").exists() and Ledger(paths.ledger).verdicts:
            raise UserError(f"run {paths.name} has no secret here, so nothing of it can be scored on the same draws again: "
                            "only where it ran can that be done")  # fmt: skip
        self.config = tomli.loads(paths.toml.read_text())
        self.prepared: Prepared = open_prepared(self.config["task"])
        self.slots = make_slots(self.config.get("gpus"))[: self.config.get("slots") or None]
        self.secret = run_secret(paths.evaluator)
        self.null: bool = self.config.get("null", False)

    def engine(self, slots: list[Slot], isolation: str | None = None) -> Engine:
        """An engine with the run's secret, and its isolation where no other is named."""
        return Engine(self.prepared, self.secret, isolation or self.config["isolation"], slots, self.null)

    def anchored(self, phase: str, draws: list[int]) -> Anchored:
        """The anchors of some draws of a phase, those of a null run where it is one."""
        return null_anchors(self.prepared, phase, draws, self.secret) if self.null else Anchored.of(self.prepared, phase, draws)

    def source(self, submission: dict) -> bytes:
        """The method file of a submission or verdict."""
        return read_method(self.paths.repo, submission["commit"], submission["method"])


class Predictions:
    """What a run's scored submissions answered on the public part: a private file each, evaluator/predictions/s0001.npy, float32
    (draws, items, 2)."""

    def __init__(self, run: ScoredRun) -> None:
        self._prepared, self._folder = run.prepared, run.paths.evaluator / "predictions"
        self._correct: dict[str, np.ndarray] = {}

    def keep(self, submission: str, predictions: np.ndarray) -> np.ndarray:
        """Write them, whole or not at all; their (draws, items) correctness."""
        self._folder.mkdir(exist_ok=True)
        temporary = self._folder / f"{submission}.tmp.npy"
        np.save(temporary, predictions.astype(np.float32))
        os.replace(temporary, self._folder / f"{submission}.npy")
        self._correct[submission] = correctness(self._prepared, "search", predictions)
        return self._correct[submission]

    def of(self, submission: str) -> np.ndarray | None:
        """(draws, items, 2), or None where none are kept."""
        file = self._folder / f"{submission}.npy"
        return np.load(file, allow_pickle=False) if file.exists() else None

    def correct(self, submission: str | None) -> np.ndarray | None:
        """(draws, items) correctness of a submission, or None where it has no predictions."""
        if submission is not None and submission not in self._correct:
            predictions = self.of(submission)
            if predictions is not None:
                self._correct[submission] = correctness(self._prepared, "search", predictions)
        return self._correct.get(submission)
