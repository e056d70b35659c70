"""The forecast for fine-tuning: the published figures come out of it, and it grows with what makes work."""
from __future__ import annotations

import pytest

from eval.forecast import (
    core_speed,
    forecast,
    gpu_speed,
    in_words,
    machine_speed,
    mean_tokens,
    training,
    training_speed,
)
from eval.models import ModelFacts
from eval.task import ImportedAnchors, TeacherSpec, load_task
from sandbox.gpu import Device
from tests.eval.test_models import make_model

QWEN = ModelFacts("qwen3", layers=36, width=2560, parameters=4_022_468_096, causal=True, bytes=8_044_936_192)
WEAK = ModelFacts("qwen2", layers=24, width=1024, parameters=463_987_712, causal=True, bytes=1_239_173_352)
TOKENS, TEST_ITEMS = 512.0, 1263


@pytest.fixture(scope="module")
def chat():
    """A task of the published study's size, with its models and settings."""
    return load_task("smoke").model_copy(update={
        "labelled": 2245, "pool": 6826, "search_draws": 5, "sealed_draws": 5, "student_seeds": 1, "verify_student": "finetune",
        "teachers": (TeacherSpec(kind="finetune", model="Qwen/Qwen1.5-0.5B-Chat"),)})


def hours(operations: float, gpu: str | None = None) -> float:
    return operations / gpu_speed(gpu) / 3600


def test_an_evaluation_of_the_published_size_takes_about_nine_gpu_hours_and_sixteen_ceilings_twenty_eight(chat):
    work = forecast(chat, QWEN, [WEAK], TOKENS, TEST_ITEMS)
    assert work.draws == 5 and hours(work.finalist) == pytest.approx(9, rel=0.3)
    assert hours(16 * training(QWEN, chat.finetune, chat.pool, TOKENS, TEST_ITEMS)) == pytest.approx(28, rel=0.3)


def test_operations_are_six_a_parameter_and_token_for_lora_eight_in_full_and_two_for_an_answer(chat):
    lora, full = chat.finetune, chat.finetune.model_copy(update={"method": "full"})
    assert training(QWEN, lora, 10, 100.0) == 6 * QWEN.parameters * 10 * 5 * 100
    assert training(QWEN, full, 10, 100.0) == 8 * QWEN.parameters * 10 * 5 * 100
    assert training(QWEN, lora, 0, 100.0, answers=7) == 2 * QWEN.parameters * 7 * 100
    assert training(QWEN, lora, 10, 5000.0) == training(QWEN, lora, 10, lora.max_tokens), "longer items are cut"


def test_anchors_are_two_students_a_draw_and_seed_and_two_to_choose_recipes(chat):
    def trainings(**changes):
        return forecast(chat.model_copy(update=changes), QWEN, [WEAK], TOKENS, TEST_ITEMS).trainings
    assert trainings() == 2 * 5 + 2
    assert trainings(student="finetune") == 2 * 10 + 2
    assert trainings(student_seeds=3, anchor_draws=2) == 2 * 3 * 2 + 2
    assert trainings(verify_student=None) == 0
    assert trainings(anchors=ImportedAnchors(weak=0.5, ceiling=0.7, tuned_naive=0.6, origin="a paper")) == 0


def test_a_task_of_probes_with_a_forest_forecasts_nothing(chat):
    work = forecast(chat.model_copy(update={"verify_student": None}), QWEN, [None], TOKENS, TEST_ITEMS)
    assert (work.teachers, work.anchors, work.finalist, work.draws) == (0, 0, 0, 0)
    assert "nothing is fine-tuned" in in_words(work)


def test_a_slower_gpu_takes_longer_and_none_is_assumed_faster_than_the_published_ones(chat):
    assert gpu_speed("NVIDIA H100 80GB HBM3") == gpu_speed("NVIDIA A100-SXM4-80GB") == gpu_speed(None)
    assert gpu_speed("NVIDIA GeForce RTX 3090") < gpu_speed("NVIDIA A10") < gpu_speed("NVIDIA L40S") <= gpu_speed(None)
    assert gpu_speed("NVIDIA L4") < gpu_speed("NVIDIA L40") < gpu_speed("NVIDIA L40S"), "the longest name counts"
    assert gpu_speed("a GPU of the future") < gpu_speed(None)


def test_the_words_name_what_is_counted_and_on_what(chat):
    work = forecast(chat, QWEN, [WEAK], TOKENS, TEST_ITEMS)
    words = in_words(work, gpu="NVIDIA H200")
    assert words.startswith("forecast for fine-tuning, in GPU-hours: teachers about 0.9, 12 trainings for the anchors about 22, each "
                            "method on 5 fine-tuned draws about 9.1 (4.0 billion parameters, 512 tokens an item")
    assert "hours on 2 CPU cores: teachers about " in in_words(work, cores=2) and "on 1 CPU core:" in in_words(work, cores=1)
    assert 1e8 < core_speed() < 1e13


def test_tokens_are_counted_by_the_models_own_tokenizer_and_cut_where_the_model_stops_reading(tmp_path):
    folder = make_model(tmp_path / "tiny")
    assert mean_tokens(folder, ["w1 w2 w3", "w4"] * 500, most=50) == 2.0
    assert mean_tokens(folder, ["w1 " * 90, "w4"], most=50) == 25.5


def test_teachers_and_anchors_are_trained_on_one_gpu_and_texts_read_on_all():
    gpus = [Device(number, number, f"GPU-{number}", "NVIDIA A100-SXM4-80GB") for number in range(4)]
    assert training_speed(gpus) == training_speed(gpus[:1]) == gpu_speed("NVIDIA A100-SXM4-80GB")
    assert machine_speed(gpus) == 4 * training_speed(gpus)
    assert training_speed([]) == machine_speed([]) > 0
