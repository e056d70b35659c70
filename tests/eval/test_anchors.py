import numpy as np

from eval.anchors import Recipe, choose, mean_and_error, seeds_correct
from eval.draws import as_batch, handed

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
        mean, error = mean_and_error(easy[None] + draws[:, None] + rng.normal(0, 1, (8, 200)) > 0)
        means.append(mean)
        errors.append(error)
    assert 0.7 < np.mean(errors) / np.std(means) < 1.4
