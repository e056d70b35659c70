"""From predictions to the figures of a verdict. The only place where predictions meet labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eval.prepared import TEST_PART, Prepared
from stats.exposure import independent_items
from stats.pgr import Bootstrap, Estimate, by_draw, estimate_difference, estimate_pgr

RESAMPLES = 1000


def correctness(prepared: Prepared, phase: str, predictions: np.ndarray) -> np.ndarray:
    """(draws, items, 2) probabilities -> (draws, items) bool: whether the likelier class is the true one."""
    labels = prepared.parts[TEST_PART[phase]].labels
    return (predictions[:, :, 1] > 0.5) == (labels == 1)


@dataclass
class Anchored:
    """Anchors of some draws of one phase, ready to score against: arrays of shape (draws, items)."""

    teacher: np.ndarray
    weak: np.ndarray
    ceiling: np.ndarray
    tuned_naive: np.ndarray
    origin: str
    bootstrap: Bootstrap

    @classmethod
    def of(cls, prepared: Prepared, phase: str, draws: list[int]) -> Anchored:
        anchors = prepared.anchors(phase, draws)
        groups = prepared.parts[TEST_PART[phase]].groups
        return cls(
            teacher=anchors.teacher.astype(bool),
            weak=anchors.weak.astype(np.float32),
            ceiling=anchors.ceiling.mean(axis=0, dtype=np.float32),  # over student seeds
            tuned_naive=anchors.tuned_naive.mean(axis=0, dtype=np.float32),
            origin=anchors.origin,
            bootstrap=Bootstrap(len(draws), groups, RESAMPLES),
        )

    def difference(self, first: np.ndarray, second: np.ndarray) -> Estimate:
        """PGR of `first` minus PGR of `second`, both (draws, items) correctness, paired."""
        return estimate_difference(first, second, self.weak, self.ceiling, self.bootstrap)

    def over(self, first: np.ndarray, second: np.ndarray | None) -> Estimate:
        """The same, all None where `second` is not known or has fewer draws; of more draws the first ones count."""
        if second is None or len(second) < len(first):
            return Estimate(None, None, None)
        return self.difference(first, second[: len(first)])

    def figures(self, correct: np.ndarray) -> dict:
        """The figures of a verdict for (draws, items) correctness; accuracies in [0, 1]. `pgr_by_draw`, `lift_by_draw`: one a draw,
        None where the gap is not established."""
        pgr = estimate_pgr(correct, self.weak, self.ceiling, self.bootstrap)
        lift = self.difference(correct, self.tuned_naive)
        right, known = self.teacher, pgr.value is not None
        return {
            "pgr": pgr.value, "pgr_low": pgr.low, "pgr_high": pgr.high,
            "lift": lift.value, "lift_low": lift.low, "lift_high": lift.high,
            "pgr_by_draw": by_draw(correct, self.weak, self.weak, self.ceiling) if known else None,
            "lift_by_draw": by_draw(correct, self.tuned_naive, self.weak, self.ceiling) if known else None,
            "accuracy": float(correct.mean()),
            "weak_accuracy": float(self.weak.mean()),
            "ceiling_accuracy": float(self.ceiling.mean()),
            "tuned_naive_accuracy": float(self.tuned_naive.mean()),
            "independent_items": round(independent_items(np.bincount(self.bootstrap.group_of)), 1),
            "accuracy_where_teacher_right": float(correct[right].mean()),
            "accuracy_where_teacher_wrong": float(correct[~right].mean()),
            "teacher_agreement": float((correct == right).mean()),
            **({"anchors": self.origin} if self.origin else {}),
        }  # fmt: skip

    def by_own_recipe(self, correct: np.ndarray, recipe: np.ndarray) -> dict:
        """PGR against a ceiling by the method's own recipe on true labels, `recipe` (draws, items) correctness."""
        pgr = estimate_pgr(correct, self.weak, recipe.astype(np.float32), self.bootstrap)
        return {"recipe_ceiling_accuracy": float(recipe.mean()), "recipe_pgr": pgr.value, "recipe_pgr_low": pgr.low,
                "recipe_pgr_high": pgr.high}

