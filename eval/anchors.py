"""The fixed points that a score is measured by: weak teacher, ceiling, tuned naive.

Ceiling and tuned naive are the best of a small grid on the validation part, averaged over draws. Neither a public nor a
sealed label takes part in that choice. Each kind of student, probe or fine-tuned, has its own grid.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from eval.student import Student
from eval.w2s import W2S, Batch
from stats.pgr import Bootstrap


@dataclass(frozen=True)
class Recipe:
    """How a student is trained on hard labels. `cut`: "half" (a chance of one half) or "prior" (as much of the pool comes
    out positive as of the labels it was trained on)."""

    l2: float
    cut: str = "half"
    epochs: int | None = None
    hidden: int | None = None

    @property
    def seeded(self) -> bool:
        """Whether student seeds change anything: the head trained to convergence is convex."""
        return self.epochs is not None or self.hidden is not None

    def train(self, w2s: W2S, labels: np.ndarray) -> Student:
        """A student trained on the pool's hard `labels` (n,)."""
        student = w2s.student(hidden=self.hidden).fit(w2s.texts, labels, l2=self.l2, epochs=self.epochs)
        return student.match_prior(w2s.texts, float(np.mean(labels))) if self.cut == "prior" else student


@dataclass(frozen=True)
class FineTuneRecipe:
    """How a fine-tuned student is trained on hard labels: the task's own settings, ended after `epochs` of them (None: all)."""

    epochs: int | None = None
    cut: str = "half"
    seeded = True

    def train(self, w2s: W2S, labels: np.ndarray) -> Student:
        """A student trained on the pool's hard `labels` (n,)."""
        stop = None if self.epochs is None else lambda epoch, student: epoch >= self.epochs
        student = w2s.student().fit(w2s.texts, labels, on_epoch=stop)
        return student.match_prior(w2s.texts, float(np.mean(labels))) if self.cut == "prior" else student


CUTS = ("half", "prior")
CEILING_GRID = [Recipe(l2, cut) for l2 in (0.003, 0.01, 0.03, 0.1, 0.3) for cut in CUTS]
EARLY_STOPPED = [Recipe(0.0, cut, epochs, hidden) for epochs in (1, 2, 5) for hidden in (None, 64) for cut in CUTS]
NAIVE_GRID = [Recipe(l2, cut) for l2 in (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0) for cut in CUTS] + EARLY_STOPPED

GRIDS = {
    "probe": {"ceiling": CEILING_GRID, "tuned_naive": NAIVE_GRID},
    "finetune": {"ceiling": [FineTuneRecipe()], "tuned_naive": [FineTuneRecipe(epochs) for epochs in (None, 1, 2)]},
}


def recipe_from(kind: str, described: dict) -> Recipe | FineTuneRecipe:
    return (Recipe if kind == "probe" else FineTuneRecipe)(**described)


def correct(student: Student, batch: Batch, labels: np.ndarray) -> np.ndarray:
    """Which of the batch's items the student gets right: (m,) bool."""
    return (student.predict_proba(batch)[:, 1] > 0.5) == (labels == 1)


def validation_correct(w2s: W2S, labels: np.ndarray, grid: Sequence[Recipe] | Sequence[FineTuneRecipe], validation: Batch,
                       validation_labels: np.ndarray) -> np.ndarray:
    """Correctness (recipes, items) on the validation part of a student trained by each recipe."""
    if isinstance(grid[0], FineTuneRecipe):
        return _after_epochs(w2s, labels, grid, validation, validation_labels)
    return np.stack([correct(recipe.train(w2s, labels), validation, validation_labels) for recipe in grid])


def _after_epochs(w2s: W2S, labels: np.ndarray, grid: Sequence[FineTuneRecipe], validation: Batch,
                  validation_labels: np.ndarray) -> np.ndarray:
    """One fine-tuning serves all recipes: the student is asked after each epoch."""
    seen: dict[int, np.ndarray] = {}

    def ask(epoch: int, student: Student) -> None:
        seen[epoch] = correct(student, validation, validation_labels)

    w2s.student().fit(w2s.texts, labels, on_epoch=ask)
    last = max(seen)
    return np.stack([seen[min(recipe.epochs or last, last)] for recipe in grid])


def choose(grid: Sequence[Recipe], right: np.ndarray) -> Recipe:
    """The best recipe by correctness `right` (recipes, items), averaged over draws.

    One that depends on student seeds is taken only if it beats the best convex one by more than two standard errors of
    their paired difference: it may be only the luckiest of many, and no baseline should be weak because of that.
    """
    means = right.mean(1)
    best = int(np.argmax(means))
    if all(recipe.seeded for recipe in grid):
        return grid[best]
    convex = max((i for i, recipe in enumerate(grid) if not recipe.seeded), key=lambda i: means[i])
    difference = right[best] - right[convex]
    error = difference.std() / np.sqrt(len(difference))
    return grid[best] if difference.mean() > 2 * error else grid[convex]


def seeds_correct(make_w2s, seeds: Sequence[int], labels: np.ndarray, recipe: Recipe, batch: Batch,
                  batch_labels: np.ndarray) -> np.ndarray:
    """Correctness (seeds, m) bool of students trained by `recipe` on `labels`; `make_w2s(seed)` gives the draw."""
    distinct = seeds if recipe.seeded else seeds[:1]
    rows = [correct(recipe.train(make_w2s(seed), labels), batch, batch_labels) for seed in distinct]
    return np.broadcast_to(np.stack(rows), (len(seeds), len(batch))) if len(rows) == 1 else np.stack(rows)


def mean_and_error(right: np.ndarray, bootstrap: Bootstrap) -> tuple[float, float]:
    """Mean of correctness (draws, items) and its standard error, by the bootstrap over groups x draws."""
    return float(right.mean()), float(bootstrap.accuracies(right).std())


def describe(recipe: Recipe) -> dict:
    return asdict(recipe)
