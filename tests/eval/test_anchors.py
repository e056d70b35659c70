import numpy as np

from eval.anchors import Recipe, choose, mean_and_error, seeds_correct
from eval.draws import as_batch, handed, public_figures
from eval.kit import shown_pgr
from eval.prepared import Anchors
from stats.pgr import Bootstrap

CONVEX, STRONGER, SEEDED = Recipe(0.1), Recipe(1.0), Recipe(0.0, epochs=1)


def right(*accuracies, items=400):
    """Correctness (recipes, items) as a mean over draws: each recipe right on its first share of the items."""
    return np.stack([np.arange(items) < accuracy * items for accuracy in accuracies]).astype(float)


def test_the_best_recipe_on_validation_is_chosen():
    assert choose([CONVEX, STRONGER], right(0.6, 0.7)) == STRONGER


def test_a_recipe_that_hangs_on_seeds_must_win_by_more_than_luck():
    noise = np.random.default_rng(0).normal(0, 0.3, (2, 400))
    noise -= noise.mean(1, keepdims=True)
    close, clear = 0.7 + noise, 0.7 + noise
    close[1] += 0.005
    clear[1] += 0.1
    assert choose([CONVEX, SEEDED], close) == CONVEX
    assert choose([CONVEX, SEEDED], clear) == SEEDED


def test_student_seeds_differ_only_where_they_can(smoke):
    draw, part = smoke.draw(0), smoke.parts["validation"]
    labels = draw.weak[:, 1] > 0.5
    def anchored(recipe):
        return seeds_correct(lambda seed: handed(smoke, draw, seed, "probe"), [1, 2, 3], labels, recipe, as_batch(part), part.labels)
    convex, seeded = anchored(CONVEX), anchored(Recipe(0.0, epochs=1, hidden=8))
    assert convex.shape == seeded.shape == (3, len(part.labels))
    assert (convex == convex[0]).all() and not (seeded == seeded[0]).all()


def test_the_error_of_a_mean_counts_draws_and_items():
    rng = np.random.default_rng(1)
    errors, means = [], []
    for _ in range(300):
        easy, draws = rng.normal(0, 1, 200), rng.normal(0, 0.5, 8)
        right = easy[None] + draws[:, None] + rng.normal(0, 1, (8, 200)) > 0
        mean, error = mean_and_error(right, Bootstrap(8, np.arange(200), 200))
        means.append(mean)
        errors.append(error)
    assert 0.7 < np.mean(errors) / np.std(means) < 1.4


def test_the_error_of_a_mean_counts_the_items_of_a_group_as_one():
    rng, groups = np.random.default_rng(2), np.repeat(np.arange(40), 6)
    errors, means = [], []
    for _ in range(300):
        easy = rng.normal(0, 1, 40)[groups] + rng.normal(0, 0.3, 240)
        mean, error = mean_and_error(easy[None] + rng.normal(0, 0.3, (4, 240)) > 0, Bootstrap(4, groups, 200))
        means.append(mean)
        errors.append(error)
    assert 0.7 < np.mean(errors) / np.std(means) < 1.4


class Flat:
    """A prepared task on which the ceiling is as good as the teacher."""

    search_draws = [0, 1]

    def __init__(self):
        self.parts = {"public": type("Part", (), {"groups": np.arange(30)})()}
        self.task = type("Task", (), {"name": "flat", "description": "Class 1 or not?"})()

    def anchors(self, phase, draws):
        right = np.tile(np.arange(30) % 2 == 0, (2, 1))
        return Anchors(right, right, right[None], right[None])


def test_where_ceiling_and_teacher_are_alike_no_pgr_is_told_and_nothing_breaks():
    figures = public_figures(Flat())
    assert figures["tuned_naive_pgr"] is None and figures["resolvable"] is None
    assert "n/a" in shown_pgr(figures) and shown_pgr({**figures, "tuned_naive_pgr": 0.345}) == "0.34"
