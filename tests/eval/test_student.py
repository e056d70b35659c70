import numpy as np
import pytest

from eval.student import solve_logistic
from eval.w2s import W2S, Batch


@pytest.fixture(scope="module")
def draw():
    """500 items whose class shows in a few of 24 directions."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 500)
    x = rng.normal(size=(500, 24))
    x[:, :3] += 1.2 * (2 * truth[:, None] - 1)
    texts = [f"item {i}" for i in range(500)]
    weak = np.stack([1 - truth, truth], 1).astype(np.float32)
    return W2S(texts, [{} for _ in texts], np.arange(500), weak[None],
               {"last:1": x.astype(np.float16), "last:2": x[:, :8].astype(np.float16)}, "last:1", 7, 60.0), truth


def accuracy(student, w2s, truth):
    return ((student.predict_proba(w2s.texts)[:, 1] > 0.5) == truth).mean()


def test_the_convex_head_is_the_one_that_scikit_learn_finds(draw):
    from sklearn.linear_model import LogisticRegression
    w2s, truth = draw
    x = w2s._pool.inputs(w2s.texts, ("last:1",), None)
    l2, weights = 0.05, np.full(500, 1 / 500, np.float32)
    w, b = solve_logistic(x, truth.astype(np.float32), weights, l2, [np.zeros(24, np.float32), np.zeros((), np.float32)])
    theirs = LogisticRegression(C=1 / (l2 * 500), tol=1e-8, max_iter=1000).fit(x, truth)
    assert np.allclose(w, theirs.coef_[0], atol=2e-3) and abs(b - theirs.intercept_[0]) < 2e-3


def test_all_ways_of_training_learn_the_concept(draw):
    w2s, truth = draw
    assert accuracy(w2s.student().fit(w2s.texts, truth), w2s, truth) > 0.93
    assert accuracy(w2s.student().fit(w2s.texts, truth, epochs=5), w2s, truth) > 0.93
    assert accuracy(w2s.student(hidden=64).fit(w2s.texts, truth, epochs=10, l2=0.0), w2s, truth) > 0.93
    assert accuracy(w2s.student(view=["last:1", "last:2"], components=5).fit(w2s.texts, truth), w2s, truth) > 0.9


def test_a_callable_cross_entropy_takes_the_steps_of_the_built_in_one(draw):
    import torch
    w2s, truth = draw

    def loss(logits, targets, weights, progress, batch):
        assert logits.shape == targets.shape == (len(weights), 2) and 0 <= progress < 1 and len(batch.index) == len(weights)
        return (weights * -(targets * torch.log_softmax(logits, 1)).sum(1)).mean()

    fits = [w2s.student(seed=3).fit(w2s.texts, truth, epochs=2, loss=kind, l2=0.01) for kind in ("ce", loss)]
    assert np.allclose(fits[0].logits(w2s.texts), fits[1].logits(w2s.texts), atol=1e-3)


def test_an_item_of_weight_zero_might_as_well_not_be_there(draw):
    w2s, truth = draw
    weights = np.r_[np.ones(300), np.zeros(200)]
    weighted = w2s.student().fit(w2s.texts, truth, weights=weights)
    fewer = w2s.student().fit(w2s.texts[:300], truth[:300])
    assert np.allclose(weighted.logits(w2s.texts), fewer.logits(w2s.texts), atol=1e-4)


def test_only_the_ratio_of_weights_counts(draw):
    w2s, truth = draw
    weights = np.linspace(0.1, 1, 500)
    one, ten = (w2s.student().fit(w2s.texts, truth, weights=weights * scale) for scale in (1, 10))
    assert np.allclose(one.logits(w2s.texts), ten.logits(w2s.texts), atol=1e-3)


def test_match_prior_gives_the_share_that_was_asked_for(draw):
    w2s, truth = draw
    student = w2s.student().fit(w2s.texts, truth).match_prior(w2s.texts, 0.2)
    assert abs((student.predict_proba(w2s.texts)[:, 1] > 0.5).mean() - 0.2) < 0.01


def test_a_new_fit_starts_afresh_and_init_goes_on(draw):
    w2s, truth = draw
    student = w2s.student(seed=1)
    first = student.fit(w2s.texts, truth, epochs=1).logits(w2s.texts)
    again = student.fit(w2s.texts, truth, epochs=1).logits(w2s.texts)
    on = w2s.student(seed=1, init=student.state()).fit(w2s.texts, truth, epochs=1).logits(w2s.texts)
    assert np.array_equal(first, again) and not np.allclose(first, on)


def test_a_state_can_be_carried_to_another_student(draw):
    w2s, truth = draw
    student = w2s.student().fit(w2s.texts, truth).match_prior(w2s.texts, 0.3)
    other = w2s.student().load(student.state())
    assert np.array_equal(student.predict_proba(w2s.texts), other.predict_proba(w2s.texts))
    with pytest.raises(ValueError, match="other options"):
        w2s.student(components=3).load(student.state())


def test_on_epoch_ends_the_training(draw):
    w2s, truth = draw
    seen = []
    w2s.student().fit(w2s.texts, truth, epochs=5, on_epoch=lambda number, student: seen.append(number) or number == 2)
    assert seen == [1, 2]


def test_embed_gives_hidden_states_as_they_are(draw):
    w2s, _ = draw
    batch = Batch(["x"], [{}], None, {"last:1": np.ones((1, 24), np.float16), "last:2": np.zeros((1, 8), np.float16)})
    student = w2s.student()
    assert (student.embed(batch) == 1).all() and student.embed(batch, layers=[1, 2], pool="last").shape == (1, 32)
    with pytest.raises(ValueError, match="last:1, last:2"):
        student.embed(batch, layers=9)


@pytest.mark.parametrize(("arguments", "words"), [
    ({"targets": [0.5, 1.5]}, "between 0 and 1"),
    ({"targets": [0.5, float("nan")]}, "between 0 and 1"),
    ({"targets": [1]}, "shape"),
    ({"targets": [[0.5, 0.6], [1, 0]]}, "sum to 1"),
    ({"targets": [0, 1], "weights": [0, 0]}, "not all zero"),
    ({"targets": [0, 1], "weights": [1, -1]}, "not negative"),
    ({"targets": [0, 1], "l2": -1}, "l2"),
    ({"targets": [0, 1], "epochs": 0}, "epochs"),
    ({"targets": [0, 1], "loss": "hinge"}, "callable"),
])
def test_wrong_arguments_are_named(draw, arguments, words):
    w2s, _ = draw
    with pytest.raises(ValueError, match=words):
        w2s.student().fit(w2s.texts[:2], **arguments)


def test_a_student_that_was_not_trained_says_so(draw):
    w2s, _ = draw
    with pytest.raises(ValueError, match="not trained"):
        w2s.student().predict_proba(w2s.texts)
