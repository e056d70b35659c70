"""What fine-tuning will cost, told before it starts: counted in floating-point operations, printed as GPU-hours.

A pass of one token forward takes 2 operations a parameter, its way back 2 for the activations and, in full fine-tuning, 2 more
for the weights; activations are computed once more where memory does not hold them (gradient checkpointing). So LoRA takes 6
and full fine-tuning 8, an answer 2. The speed assumed is one that gives back the published study's figures (five draws of its size take
about 9 GPU-hours, 16 ceilings 28), so on a new GPU it is more likely too long than too short.

    work = forecast(task, describe_model(folder), [None], tokens=512.0, test_items=1263)
    print(in_words(work, gpu="NVIDIA H100 80GB HBM3"))
"""
from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_limits

from eval.models import ModelFacts, describe_model, resolve_model
from eval.slots import visible_gpus
from eval.task import FineTuning, Task
from sandbox.gpu import Device

if TYPE_CHECKING:
    from eval.prepared import Prepared

READ, TRAIN = 2, {"lora": 6, "full": 8}
"""Operations a parameter and token."""
SUSTAINED, REFERENCE_PEAK = 65e12, 312e12
"""Operations a second that training sustains on a GPU whose bfloat16 products reach REFERENCE_PEAK. This is the published
study's rate at 512 tokens an item; which GPU it had is not told."""
PEAKS = {"H100": 989e12, "H200": 989e12, "H20": 148e12, "B200": 2250e12, "GB200": 2250e12, "A100": 312e12, "A800": 312e12,
         "L40S": 362e12, "L40": 181e12, "L4": 121e12, "A40": 150e12, "A30": 165e12, "A10": 125e12, "RTX A6000": 155e12,
         "6000 Ada": 364e12, "RTX 5090": 209e12, "RTX 4090": 165e12, "RTX 3090": 71e12, "V100": 125e12, "T4": 65e12}
"""Dense bfloat16 (on older ones float16) products a second, as their maker states them."""
UNKNOWN_PEAK = 100e12
CPU_SHARE = 0.3
"""Of what a core reaches in large products, this much is assumed to be left in training and reading."""
SAMPLE = 200


@dataclass(frozen=True)
class Work:
    """Operations: of the fine-tuned teachers, of `trainings` students for the anchors, and of one finalist on the `draws` that
    fine-tuned students are scored on; `parameters` of the strong model, `tokens` of a mean item."""

    teachers: float
    anchors: float
    finalist: float
    trainings: int
    draws: int
    parameters: int
    tokens: float


def training(facts: ModelFacts, settings: FineTuning, items: int, tokens: float, answers: int = 0) -> float:
    """Operations of fine-tuning a model on `items` and of reading `answers` other items with it."""
    length = min(tokens, settings.max_tokens)
    return facts.parameters * length * (TRAIN[settings.method] * items * settings.epochs + READ * answers)


def forecast(task: Task, strong: ModelFacts, teachers: Sequence[ModelFacts | None], tokens: float, test_items: int) -> Work:
    """What a task's fine-tuning costs. `teachers`: the model of each of its teachers, None for one that is no language model;
    `tokens`: of a mean item, `test_items`: of a phase's test part."""
    phases = [phase for phase in ("search", "sealed") if task.student_of(phase) == "finetune"]
    student = training(strong, task.finetune, task.pool, tokens, test_items)
    anchored = 0 if task.anchors else sum(len(task.draws(phase)[: task.anchor_draws]) for phase in phases)
    # Ceiling and tuned naive on each draw, and once more each to choose their recipes.
    trainings = 2 * (task.student_seeds * anchored + 1) if anchored else 0
    every_draw = task.search_draws + task.sealed_draws + 1  # and the open one of the kit
    taught = sum(training(facts, spec.finetune, task.labelled, tokens, task.pool + test_items)
                 for spec, facts in zip(task.teachers, teachers, strict=True) if facts is not None)
    draws = max((len(task.draws(phase)) for phase in phases), default=0)
    return Work(taught * every_draw, trainings * student, draws * student, trainings, draws, strong.parameters, tokens)


def gpu_speed(name: str | None) -> float:
    """Operations a second assumed for the GPU of this name (None: one that the study may have had)."""
    known = [peak for part, peak in sorted(PEAKS.items(), key=lambda one: -len(one[0])) if name and part in name]
    peak = REFERENCE_PEAK if name is None else known[0] if known else UNKNOWN_PEAK
    return SUSTAINED * min(1.0, peak / REFERENCE_PEAK)


@cache
def core_speed() -> float:
    """Operations a second of training on one core in float32: a share of what a large product reaches, measured (0.1 s)."""
    left = np.random.default_rng(0).random((768, 768), np.float32)
    best = float("inf")
    with threadpool_limits(1):
        for _ in range(5):
            started = time.perf_counter()
            left @ left
            best = min(best, time.perf_counter() - started)
    return CPU_SHARE * 2 * len(left) ** 3 / best


def in_words(work: Work, gpu: str | None = None, cores: int | None = None) -> str:
    """One line for a person. `gpu`: the name of the GPU that will do it; `cores`: so many do it without one."""
    speed = gpu_speed(gpu) if cores is None else core_speed() * cores
    unit = "GPU-hours" if cores is None else f"hours on {cores} CPU {'cores' if cores > 1 else 'core'}"

    def hours(operations: float) -> str:
        value = operations / speed / 3600
        return f"{value:,.0f}" if value >= 10 else f"{value:.1f}" if value >= 0.1 else "under 0.1"

    parts = []
    if work.teachers:
        parts.append(f"teachers about {hours(work.teachers)}")
    if work.anchors:
        parts.append(f"{work.trainings} trainings for the anchors about {hours(work.anchors)}")
    if work.finalist:
        parts.append(f"each method on {work.draws} fine-tuned draws about {hours(work.finalist)}")
    about = f"{work.parameters / 1e9:.1f} billion parameters, {work.tokens:.0f} tokens an item, {speed / 1e12:.3g} TFLOP/s assumed"
    return f"forecast for fine-tuning, in {unit}: {', '.join(parts) or 'nothing is fine-tuned'} ({about})"


def fine_tuning(prepared: Prepared) -> Work:
    """What the fine-tuning of a task costs whose data and models are there."""
    task, folder = prepared.task, prepared.blocks.folder
    taught = [None if spec.model is None else describe_model(resolve_model(spec.model, spec.revision, download=False))
              for spec in task.teachers]
    tokens = mean_tokens(folder, prepared.region.texts, task.finetune.max_tokens)
    return forecast(task, describe_model(folder), taught, tokens, len(prepared.parts["public"].texts))


def forecast_device() -> tuple[str | None, int | None]:
    """(name of the first GPU, None) or (None, number of cores): what `in_words` is to count with."""
    gpus = visible_gpus()
    return (gpus[0].name, None) if gpus else (None, len(os.sched_getaffinity(0)))


def machine_speed(gpus: Sequence[Device] | None = None) -> float:
    """Operations a second assumed where texts are read: by all GPUs of this machine together, or by all its cores. `gpus`: by
    default those that are there."""
    gpus = visible_gpus() if gpus is None else gpus
    return sum(gpu_speed(gpu.name) for gpu in gpus) if gpus else core_speed() * len(os.sched_getaffinity(0))


def training_speed(gpus: Sequence[Device] | None = None) -> float:
    """The same where teachers and anchors are trained: that is done on the first GPU alone."""
    return machine_speed((visible_gpus() if gpus is None else gpus)[:1])


def mean_tokens(folder: Path, texts: Sequence[str], most: int) -> float:
    """Tokens of a mean text, cut at `most`, of the model in `folder`; measured on a sample."""
    from tokenizers import Tokenizer
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    sample = list(texts[:: max(1, len(texts) // SAMPLE)])
    return float(np.mean([min(most, len(encoding.ids)) for encoding in tokenizer.encode_batch(sample)]))
