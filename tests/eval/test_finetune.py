import gc
import os
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest

from eval.descent import KEPT, batches, rate
from eval.finetune import FineTuned
from eval.language import LanguageModel
from eval.models import resolve_model
from eval.task import FineTuning
from eval.w2s import W2S, Batch, Students
from tests.eval.tiny import ANSWERS, made_up_texts, save_tiny

SETTINGS = {"rank": 4, "alpha": 8, "epochs": 3, "lr": 0.02, "batch": 16, "max_tokens": 64}
TEXTS, LABELS = made_up_texts(96)
TEST, TEST_LABELS = made_up_texts(64, seed=1)


@pytest.fixture(scope="module")
def language(tmp_path_factory):
    return LanguageModel(save_tiny(tmp_path_factory.mktemp("tiny")), device="cpu")


@pytest.fixture(scope="module")
def encoder():
    return LanguageModel(resolve_model("minilm-l6"), device="cpu")


def student_of(language, **options):
    return FineTuned(language, TEXTS, np.arange(96) // 2, SETTINGS, ANSWERS, **options)


def accuracy(student):
    return ((student.predict_proba(TEST)[:, 1] > 0.5) == TEST_LABELS).mean()


def cross_entropy(logits, targets, weights, progress, batch):
    assert logits.shape == targets.shape == (len(weights), 2) and 0 <= progress < 1 and len(batch.index) == len(weights)
    return (weights * -(targets * logits.log_softmax(1)).sum(1)).mean()


@pytest.mark.parametrize("options", [{}, {"head": "head"}, {"method": "full", "lr": 0.003}, {"method": "full", "head": "head", "lr": 0.003},
                                     {"targets": ["q_proj", "v_proj", "down_proj"], "rslora": False}])  # fmt: skip
def test_all_ways_of_training_learn_the_concept(language, options):
    assert accuracy(student_of(language, **options).fit(TEXTS, LABELS, epochs=8)) > 0.8


@pytest.mark.parametrize("options", [{"method": "full", "lr": 5e-4}, {"pooling": "cls", "lr": 3e-3}])
def test_an_encoder_learns_it_under_a_head(encoder, options):
    short = np.array([text[-40:] for text in TEXTS], object)
    student = FineTuned(encoder, short, None, SETTINGS, None, **options).fit(short[:48], LABELS[:48])
    assert ((student.predict_proba(short[48:])[:, 1] > 0.5) == LABELS[48:]).mean() > 0.6
    assert np.mean(student.losses[-2:]) < 0.9 * student.losses[0] and abs(student.losses[0] - np.log(2)) < 1e-4


@pytest.mark.parametrize("loss", ["ce", cross_entropy])
@pytest.mark.parametrize("packs", [True, False])
def test_a_batch_in_pieces_takes_the_same_steps_as_one_at_once(language, monkeypatch, loss, packs):
    monkeypatch.setattr(language, "_packs", {64: packs})
    whole, pieces, anew = (student_of(language, **options).fit(TEXTS, LABELS, epochs=1, loss=loss) for options in
                           ({"micro_tokens": 10_000}, {"micro_tokens": 40}, {"micro_tokens": 70, "checkpointing": True}))  # fmt: skip
    for other in (pieces, anew):
        assert np.allclose(whole.losses, other.losses, rtol=1e-4) and len(whole.losses) == 6
        assert np.allclose(whole.logits(TEST), other.logits(TEST), atol=2e-3)


def test_a_callable_cross_entropy_takes_the_steps_of_the_built_in_one(language):
    weights = np.linspace(0, 2, 96)
    fits = [student_of(language).fit(TEXTS, LABELS, weights, loss=loss) for loss in ("ce", cross_entropy)]
    assert np.allclose(fits[0].losses, fits[1].losses, rtol=1e-4)
    assert np.allclose(fits[0].logits(TEST), fits[1].logits(TEST), atol=2e-3)


def test_a_loss_sees_whole_batches_of_the_pool_with_their_groups(language):
    seen = []

    def loss(logits, targets, weights, progress, batch):
        seen.append((batch.index, batch.groups, targets[:, 1].numpy(), progress))
        return cross_entropy(logits, targets, weights, progress, batch)

    student_of(language, micro_tokens=50).fit(np.append(TEXTS[:23], "a stranger Label:"), np.append(LABELS[:23], 0), loss=loss, epochs=1)
    index, groups, targets = (np.concatenate(parts) for parts in list(zip(*seen))[:3])
    known = index >= 0
    assert [len(one[0]) for one in seen] == [16, 8] and seen[1][3] == 0.5
    assert sorted(index) == [-1, *range(23)] and (groups[~known] == -1).all()
    assert (groups[known] == index[known] // 2).all() and (targets[known] == LABELS[index[known]]).all()


def test_an_item_of_weight_zero_might_as_well_not_be_there_and_only_ratios_of_weights_count(language):
    student = student_of(language)
    fewer = student.fit(TEXTS[:60], LABELS[:60], epochs=1).logits(TEST)
    for scale in (1, 10):
        weighted = student.fit(TEXTS, LABELS, np.r_[np.full(60, scale), np.zeros(36)], epochs=1).logits(TEST)
        assert np.allclose(weighted, fewer, atol=1e-4)


def test_the_same_seed_gives_the_same_student_and_a_new_fit_starts_afresh(language):
    student = student_of(language, seed=5)
    first = student.fit(TEXTS, LABELS, epochs=1).logits(TEST)
    again = student.fit(TEXTS, LABELS, epochs=1).logits(TEST)
    other = student_of(language, seed=5).fit(TEXTS, LABELS, epochs=1).logits(TEST)
    another = student_of(language, seed=6).fit(TEXTS, LABELS, epochs=1).logits(TEST)
    assert np.array_equal(first, again) and np.array_equal(first, other) and not np.allclose(first, another, atol=1e-3)


@pytest.mark.parametrize("method", ["lora", "full"])
def test_students_of_one_model_leave_it_and_one_another_alone(language, method):
    one = student_of(language, method=method, lr=0.005).fit(TEXTS, LABELS, epochs=1)
    before, untouched = one.logits(TEST), language.answer_logits(TEST, ANSWERS)
    student_of(language, method=method, seed=1, lr=0.005).fit(TEXTS, 1 - LABELS, epochs=1)
    assert np.array_equal(one.logits(TEST), before) and np.array_equal(language.answer_logits(TEST, ANSWERS), untouched)
    positive = 1 / (1 + np.exp(untouched[:, 0] - untouched[:, 1]))
    assert np.allclose(one.zero_shot(TEST)[:, 1], positive, atol=1e-6) and not np.allclose(one.predict_proba(TEST)[:, 1], positive, atol=0.01)
    assert np.array_equal(one.generate(TEST[:2], 3), language.generate(TEST[:2], 3))


def test_before_its_first_step_a_student_answers_like_the_model_itself(language):
    student = student_of(language, lr=1e-12).fit(TEXTS[:16], LABELS[:16], epochs=1)
    assert np.allclose(student.predict_proba(TEST), student.zero_shot(TEST), atol=1e-4)


def test_the_memory_of_a_student_that_nobody_holds_is_free(language):
    student = student_of(language).fit(TEXTS[:16], LABELS[:16], epochs=1)
    kept = [weakref.ref(one) for one in student._learned.values()]
    del student
    gc.collect()
    assert kept and all(one() is None for one in kept)


@pytest.mark.parametrize("options", [{}, {"method": "full", "head": "head"}])
def test_a_state_can_be_carried_to_another_student_and_init_goes_on(language, options):
    student = student_of(language, **options).fit(TEXTS, LABELS, epochs=2).match_prior(TEST, 0.3)
    state = student.state()
    assert all(isinstance(values, np.ndarray) and values.dtype == np.float32 for values in state["parameters"].values())
    other = student_of(language, seed=9, **options).load(state)
    assert np.array_equal(student.predict_proba(TEST), other.predict_proba(TEST))
    assert abs((other.predict_proba(TEST)[:, 1] > 0.5).mean() - 0.3) < 0.02
    on = student_of(language, init=state, **options)
    first, _ = (on.fit(TEXTS, LABELS, epochs=1).losses[0] for _ in range(2))
    assert on.losses[0] == first < 0.9 * student.losses[0]
    with pytest.raises(ValueError, match="other options"):
        student_of(language, **{**options, "head": "head" if not options else "tokens"}).load(state)


def test_only_adapters_and_head_are_in_the_state_of_a_lora_student(language):
    state = student_of(language, head="head").fit(TEXTS[:16], LABELS[:16], epochs=1).state()
    assert all("lora_" in name or name in ("head.weight", "head.bias") for name in state["parameters"])
    assert sum("lora_A" in name for name in state["parameters"]) == 14  # all seven projections of two layers


def test_on_epoch_ends_the_training_and_may_ask_the_student(language):
    seen = []
    student_of(language, checkpointing=True).fit(TEXTS, LABELS, epochs=5, on_epoch=lambda number, student: seen.append((number, accuracy(student))) or number == 2)
    assert [number for number, _ in seen] == [1, 2] and seen[0][1] != seen[1][1]


def test_a_batch_object_is_answered_like_its_texts_in_any_order(language):
    from eval.w2s import Batch
    student = student_of(language).fit(TEXTS, LABELS, epochs=1)
    batch = Batch(TEST, [{}] * 64, None, {})
    assert np.array_equal(student.predict_proba(batch), student.predict_proba(TEST)) and len(student.predict_proba([])) == 0
    assert np.allclose(student.predict_proba(TEST[::-1])[::-1], student.predict_proba(TEST), atol=1e-5)


def test_embeddings_are_those_of_the_student_as_it_stands(language):
    student = student_of(language)
    before = student.embed(TEST)
    assert before.shape == (64, 32) and np.array_equal(before, language.embed(TEST, [2], "last"))
    student.fit(TEXTS, LABELS, epochs=1)
    assert not np.allclose(student.embed(TEST), before, atol=1e-3) and student.embed(TEST, [1, 2], "mean").shape == (64, 64)


class Memory:
    """Memory that holds `most` tokens: a hook on the model refuses to read more at once, as a device would."""

    def __init__(self, student, most):
        self.most, self.refused = most, 0
        student.model.base_model.register_forward_pre_hook(self.look, with_kwargs=True)

    def look(self, module, arguments, inputs):
        import torch
        torch.rand(1)  # what a pass drew before it failed must not shift what the next one draws
        if inputs["input_ids"].numel() > self.most:
            self.refused += 1
            raise torch.OutOfMemoryError("out of memory")


@pytest.mark.parametrize("loss", ["ce", cross_entropy])
def test_out_of_memory_halves_the_micro_batch_once_and_changes_no_step(language, loss):
    calm, troubled = student_of(language), student_of(language)
    memory = Memory(troubled, 160)
    for student in (calm, troubled):
        student.fit(TEXTS, LABELS, loss=loss, epochs=1)
    assert memory.refused == 1 and np.allclose(calm.losses, troubled.losses, rtol=1e-4)
    assert np.allclose(calm.logits(TEST[:4]), troubled.logits(TEST[:4]), atol=2e-3)


def test_out_of_memory_after_halving_names_the_settings_to_change(language):
    student = student_of(language)
    Memory(student, 100)
    with pytest.raises(MemoryError, match="micro_tokens below .* checkpointing=True, or a lower max_tokens"):
        student.fit(TEXTS, LABELS)


def test_another_error_in_a_step_is_not_taken_for_a_want_of_memory(language):
    def loss(logits, targets, weights, progress, batch):
        raise RuntimeError("a mistake")

    with pytest.raises(RuntimeError, match="a mistake"):
        student_of(language).fit(TEXTS, LABELS, loss=loss)


def test_a_loss_that_is_no_number_ends_the_training_with_its_step(language):
    with pytest.raises(ValueError, match="not finite in step 1 of 18"):
        student_of(language).fit(TEXTS, LABELS, loss=lambda logits, *_: logits.sum() / 0)


def test_the_memory_of_a_token_decides_how_many_are_read_and_whether_activations_are_kept(language, monkeypatch):
    student = student_of(language)
    assert student.model.training is False
    plainly, sparingly = student._bytes_a_token
    assert plainly > 4 * 32 * 4 * 2 and sparingly < plainly
    monkeypatch.setitem(KEPT, "cpu", 300 * plainly)
    assert student._memory(64) == (300, False) and student._memory(400)[1]


@pytest.mark.parametrize(("arguments", "words"), [
    ({"targets": [0.5, 1.5]}, "between 0 and 1"),
    ({"targets": [1]}, "shape"),
    ({"targets": [0, 1], "weights": [0, 0]}, "not all zero"),
    ({"targets": [0, 1], "l2": -1}, "l2"),
    ({"targets": [0, 1], "epochs": 0}, "epochs"),
    ({"targets": [0, 1], "loss": "hinge"}, "callable"),
])
def test_wrong_arguments_are_named(language, arguments, words):
    with pytest.raises(ValueError, match=words):
        student_of(language).fit(TEXTS[:2], **arguments)


@pytest.mark.parametrize(("options", "words"), [
    ({"ranks": 4}, "no setting 'ranks'.*rank, alpha"), ({"method": "prefix"}, "'lora' or 'full'"), ({"batch": 0}, "batch=0"),
])  # fmt: skip
def test_wrong_settings_are_named(language, options, words):
    with pytest.raises(ValueError, match=words):
        student_of(language, **options)


def test_what_a_student_lacks_it_says(language):
    with pytest.raises(ValueError, match="not trained yet"):
        student_of(language).predict_proba(TEST)
    with pytest.raises(ValueError, match="choose head='head'"):
        FineTuned(language, TEXTS, None, SETTINGS, None)
    with pytest.raises(ValueError, match="texts is one string"):
        student_of(language).fit("text", [1])


def test_the_rate_rises_falls_and_is_never_zero():
    rates = [rate(step, 40, 0.1) for step in range(40)]
    assert np.argmax(rates) == 4 and rates[4] == 1 and min(rates) > 0 and rates[-1] < 0.03 and rate(0, 1, 0.1) == 1


def test_every_epoch_has_every_row_once_in_another_order():
    epochs = [np.concatenate([rows for rows, _ in list(batches(10, 4, 2, 0))[start : start + 3]]) for start in (0, 3)]
    assert all(sorted(rows) == list(range(10)) for rows in epochs) and list(epochs[0]) != list(epochs[1])


def test_training_writes_no_file(language):
    """As behind the walls: no file may grow, no home, no network."""
    code = f"""
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
from tests.eval.tiny import ANSWERS, made_up_texts
from eval.finetune import FineTuned
from eval.language import LanguageModel
texts, labels = made_up_texts(8)
student = FineTuned(LanguageModel({str(language.folder)!r}, device="cpu"), texts, None, {{"rank": 2}}, ANSWERS)
print(student.fit(texts, labels, epochs=1).predict_proba(texts).shape, len(student.generate(texts[:1], 2)))
"""
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=Path(__file__).parents[2])
    assert done.stdout.strip() == "(8, 2) 1", done.stderr


def test_items_are_asked_about_under_the_zero_shot_prompt_of_the_task_as_with_probes(tmp_path):
    """A batch and pool texts; a prompt of one's own is asked as it is."""
    folder = save_tiny(tmp_path / "tiny")
    fields = [{"text": text} for text in made_up_texts(8)[0]]
    texts, weak = [f"Text: {row['text']}" for row in fields], np.full((8, 2), 0.5)
    rows = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float16)
    batch = Batch(texts, fields, None, {"last:1": rows})

    def answers(kind):
        students = Students(kind, FineTuning().model_dump(), ANSWERS, "{text} Is it so?", "{text}{answer}", 64, {"strong": str(folder)})
        w2s = W2S(texts, fields, np.arange(8), weak[None], {"last:1": rows}, "last:1", 0, 60.0, "Text: {text}", students)
        student = w2s.student()
        return [student.zero_shot(source) for source in (batch, w2s.texts, [f"{row['text']} Is it so?" for row in fields])]

    probe, finetuned = answers("probe"), answers("finetune")
    assert all(np.allclose(one, probe[0], atol=1e-5) for one in (*probe, *finetuned))
