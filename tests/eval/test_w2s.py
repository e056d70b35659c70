import numpy as np
import pytest

from eval.w2s import W2S, Batch, open_kit


def small(n=40, d=6, seed=0):
    rng = np.random.default_rng(seed)
    texts, positive = [f"text {i}" for i in range(n)], rng.random(n)
    weak = np.stack([1 - positive, positive], 1)
    features = {"last:3": rng.normal(size=(n, d)).astype(np.float16), "mean:2": rng.normal(size=(n, d)).astype(np.float16)}
    fields = [{"text": text} for text in texts]
    return W2S(texts, fields, np.arange(n), weak, weak[None], features, "last:3", seed=1, seconds=5.0)


def test_a_text_that_is_not_in_the_pool_is_refused():
    w2s = small()
    with pytest.raises(ValueError, match="not in the pool"):
        w2s.student().fit(["text 1", "somewhere else"], [0, 1])


def test_an_unknown_view_is_refused_with_the_views_there_are():
    with pytest.raises(ValueError, match="last:3, mean:2"):
        small().student(view="last:9")


def test_features_are_standardised_on_the_pool_and_scaled():
    w2s = small()
    x = w2s._pool.inputs(w2s.texts, ("last:3",), None)
    assert np.allclose(x.mean(0), 0, atol=1e-4) and np.allclose(x.std(0), 8 / np.sqrt(6), atol=1e-3)


def test_a_batch_is_measured_by_the_pool_and_not_by_itself():
    w2s, rng = small(), np.random.default_rng(3)
    rows = rng.normal(5, 1, size=(8, 6)).astype(np.float16)
    other = np.zeros((8, 6), np.float16)
    student = w2s.student().fit(w2s.texts, w2s.weak)
    together = student.predict_proba(Batch(["x"] * 8, [{}] * 8, None, {"last:3": rows, "mean:2": other}))
    alone = [student.predict_proba(Batch(["x"], [{}], None, {"last:3": rows[i:i + 1], "mean:2": other[:1]}))[0] for i in range(8)]
    assert np.allclose(together, alone, atol=1e-6)


def test_students_of_a_draw_have_seeds_of_their_own_that_a_repetition_gives_again():
    def heads():
        w2s = small()
        return [w2s.student().fit(w2s.texts, w2s.weak, epochs=1).logits(w2s.texts) for _ in range(2)]
    first, second = heads()
    assert not np.allclose(first, second)
    assert np.array_equal([first, second], heads())


def test_fits_are_counted_and_time_runs_out():
    w2s = small()
    w2s.student().fit(w2s.texts, w2s.weak)
    assert w2s.budget.fits == 1 and 0 < w2s.budget.seconds_left <= 5


def test_render_fills_a_template_with_fields_and_answer():
    w2s = small()
    assert list(w2s.render(w2s.items[:1], "Q: {text} A: {answer}", "yes")) == ["Q: text 0 A: yes"]
    assert list(w2s.render(w2s.items)) == list(w2s.texts)


def test_the_open_kit_is_a_draw_like_any_other(smoke):
    kit, draw = open_kit(smoke.folder.kit), smoke.draw(0)
    assert kit.views == list(draw.features) and kit.weak.shape == draw.weak.shape
    student = kit.student().fit(kit.texts, kit.weak)
    assert student.predict_proba(kit.texts).shape == (len(kit.texts), 2)
