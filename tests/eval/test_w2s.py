import json

import numpy as np
import pytest

from eval.w2s import W2S, Batch, Students, open_kit


def small(n=40, d=6, seed=0):
    rng = np.random.default_rng(seed)
    texts, positive = [f"text {i}" for i in range(n)], rng.random(n)
    weak = np.stack([1 - positive, positive], 1)
    features = {"last:3": rng.normal(size=(n, d)).astype(np.float16), "mean:2": rng.normal(size=(n, d)).astype(np.float16)}
    fields = [{"text": text} for text in texts]
    return W2S(texts, fields, np.arange(n), weak[None], features, "last:3", seed=1, seconds=3600.0)


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
    assert w2s.budget.fits == 1 and 0 < w2s.budget.seconds_left < 3600


def test_render_fills_a_template_with_fields_and_answer():
    w2s = small()
    assert list(w2s.render(w2s.items[:1], "Q: {text} A: {answer}", "yes")) == ["Q: text 0 A: yes"]
    assert list(w2s.render(w2s.items)) == list(w2s.texts)


def test_the_open_kit_is_a_draw_like_any_other(smoke):
    kit, draw = open_kit(smoke.folder.kit), smoke.draw(0)
    assert kit.views == list(draw.features) and kit.weak.shape == draw.weak.shape
    student = kit.student().fit(kit.texts, kit.weak)
    assert student.predict_proba(kit.texts).shape == (len(kit.texts), 2)


ANSWERS = ("no", "yes")


def prompted(n=40, d=6):
    """A draw whose zero-shot answers and contrast pairs are known, and no model is there."""
    rng = np.random.default_rng(1)
    texts, positive = [f"text {i}" for i in range(n)], rng.random(n)
    known = {"zero-shot": {"answers": rng.normal(size=(n, 2)).astype(np.float16)},
             **{f"contrast-{k}": {"last:3": rng.normal(size=(n, d)).astype(np.float16)} for k in (0, 1)}}
    students = Students("probe", {}, ANSWERS, "{text}?", "{text}? {answer}")
    features = {"last:3": rng.normal(size=(n, d)).astype(np.float16)}
    w2s = W2S(texts, [{"text": text} for text in texts], np.arange(n), np.stack([1 - positive, positive], 1)[None], features,
              "last:3", 1, 5.0, "{text}", students, known)
    return w2s, known


def test_items_written_with_an_answer_have_the_hidden_states_of_that_prompt():
    w2s, known = prompted()
    for k, answer in enumerate(w2s.answers):
        strings = w2s.render(w2s.items[7:12], answer=answer)
        assert strings[0] == f"text 7? {ANSWERS[k]}"
        assert np.allclose(w2s.student().embed(strings), known[f"contrast-{k}"]["last:3"][7:12].astype(np.float32))


def test_zero_shot_answers_of_pool_texts_come_from_the_block():
    w2s, known = prompted()
    odds = w2s.student().zero_shot(w2s.texts[3:9])
    logits = known["zero-shot"]["answers"][3:9].astype(np.float32)
    assert odds.shape == (6, 2) and np.allclose(np.log(odds[:, 1] / odds[:, 0]), logits[:, 1] - logits[:, 0], atol=1e-3)


def test_a_batch_brings_its_own_answers_and_contrast_pairs():
    w2s, _ = prompted()
    rng = np.random.default_rng(2)
    blocks = {"zero-shot": {"answers": np.array([[0, 5], [5, 0]], np.float16)}, "contrast-1": {"last:3": rng.normal(size=(2, 6))}}
    batch = Batch(["new a", "new b"], [{"text": "new a"}, {"text": "new b"}], None, {"last:3": rng.normal(size=(2, 6))}, blocks)
    w2s.meet(batch)
    student = w2s.student()
    assert (student.zero_shot(batch).argmax(1) == [1, 0]).all()
    assert np.allclose(student.embed(w2s.render(batch.items, answer="yes")), blocks["contrast-1"]["last:3"])


def test_what_was_not_handed_out_is_refused_with_the_way_to_it():
    w2s, _ = prompted()
    for reach in (lambda s: s.generate(["a"]), lambda s: s.model, lambda s: s.tokenizer, lambda s: s.zero_shot(["my own prompt"])):
        with pytest.raises(ValueError, match="elicitation track"):
            reach(w2s.student())
    with pytest.raises(ValueError, match="has no prompts"):
        small().student().zero_shot(["text 1"])


def test_the_teacher_is_silent_where_nobody_can_answer():
    with pytest.raises(ValueError, match="cannot be asked here"):
        small().teacher.refit("")


def test_the_language_model_is_reached_by_names_that_the_scan_knows_and_by_no_other():
    assert not [name for name in dir(small()) if "language" in name and not name.startswith("_") and name != "has_language"]


def test_as_many_long_items_as_a_task_has_are_asked_about_in_messages_that_fit():
    from eval.asking import MOST_BYTES
    from eval.w2s import Teacher
    asked = []

    def ask(question):
        asked.append(len(json.dumps({"header": {"ask": {**question, "number": 15}}, "arrays": {}})))
        positive = np.array([float(fields["text"][:6]) / 1e4 for fields in question["fields"]])
        return np.stack([1 - positive, positive], 1)

    answers = Teacher(ask).label([f"{number:06d}" + "\u00e9" * 5000 for number in range(2000)])
    assert np.allclose(answers[:, 1], np.arange(2000) / 1e4) and len(asked) > 10 and max(asked) < MOST_BYTES
    with pytest.raises(ValueError, match="item 1 has 3,000,014 bytes: the teacher is asked about items of at most"):
        Teacher(ask).label(["000001", "x" * 3_000_000])
