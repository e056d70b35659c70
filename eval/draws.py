"""Draws and their anchors: who is labelled, who is in the pool, what the teacher says, how good its students are.

Everything random about a draw comes from HMAC-SHA256(the task's secret, its number), so that nobody can foresee it and a
repeated preparation step gives the same again.
"""
from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from eval.anchors import (
    CEILING_GRID,
    NAIVE_GRID,
    Recipe,
    choose,
    describe,
    mean_and_error,
    seeds_correct,
    validation_correct,
)
from eval.prepared import TEST_PART, Draw, Part, Prepared
from eval.seeds import derive
from eval.task import Task
from eval.teacher import Teacher
from eval.w2s import W2S, Batch


def phase_of(task: Task, number: int | str) -> str | None:
    return next((phase for phase in TEST_PART if number in task.draws(phase)), None)


def make_draw(prepared: Prepared, secret: bytes, number: int | str) -> dict[str, np.ndarray]:
    """Positions in the region of the labelled items and of the pool, the teacher's soft labels on the pool (1, n, 2), and
    for a scored draw whether its hard labels are right on the phase's test part (items,)."""
    task, region = prepared.task, prepared.region
    seed = derive(secret, "draw", number)
    order = np.random.default_rng(seed).permutation(len(region.labels))
    if len(order) < task.labelled + task.pool:
        raise ValueError(f"task {task.name}: its region has {len(order)} items, a draw needs {task.labelled + task.pool}")
    labelled, pool = order[: task.labelled], order[task.labelled : task.labelled + task.pool]
    texts = [region.texts[row] for row in pool]
    teacher = Teacher(task.weak, [region.texts[row] for row in labelled], region.labels[labelled], seed)
    positive = teacher.match_prior(texts)(texts).astype(np.float32)
    made = {"labelled": labelled, "pool": pool, "teachers": np.stack([1 - positive, positive], 1)[None]}
    phase = phase_of(task, number)
    if phase is not None:
        part = prepared.parts[TEST_PART[phase]]
        made["weak"] = (teacher(part.texts) > 0.5) == (part.labels == 1)
    return made


def handed(task: Task, draw: Draw, seed: int) -> W2S:
    """The draw as a method would be handed it."""
    return W2S(draw.texts, draw.fields, draw.groups, draw.weak, draw.teachers, draw.features, task.default_view, seed,
               task.fit_seconds)


def as_batch(part: Part) -> Batch:
    return Batch(part.texts, part.fields, None, part.features)


def hard(weak: np.ndarray) -> np.ndarray:
    return (weak[:, 1] > 0.5).astype(np.float32)


def make_settings(prepared: Prepared, secret: bytes, advance: Callable[[], None]) -> dict[str, Any]:
    """The recipes of ceiling and tuned naive, chosen on the validation part over the search draws, with all scores."""
    part, right = prepared.parts["validation"], {"ceiling": [], "tuned_naive": []}
    batch = as_batch(part)
    for number in prepared.search_draws:
        draw = prepared.draw(number)
        for name, labels, grid in (("ceiling", draw.labels, CEILING_GRID), ("tuned_naive", hard(draw.weak), NAIVE_GRID)):
            w2s = handed(prepared.task, draw, derive(secret, "validation", number))
            right[name].append(validation_correct(w2s, labels, grid, batch, part.labels))
        advance()
    settings: dict[str, Any] = {}
    for name, grid in (("ceiling", CEILING_GRID), ("tuned_naive", NAIVE_GRID)):
        mean_right = np.mean(right[name], axis=0)
        settings[name] = describe(choose(grid, mean_right))
        settings[f"{name}_validation"] = [{**describe(recipe), "accuracy": round(float(mean), 4)}
                                          for recipe, mean in zip(grid, mean_right.mean(1))]
    return settings


def make_anchors(prepared: Prepared, secret: bytes, number: int, settings: dict[str, Any]) -> dict[str, np.ndarray]:
    """Correctness on the phase's test part: weak (items,), ceiling and tuned_naive (student seeds, items)."""
    task, draw = prepared.task, prepared.draw(number)
    part = prepared.parts[TEST_PART[draw.phase]]
    batch, seeds = as_batch(part), [derive(secret, "student", number, seed) for seed in range(task.student_seeds)]
    cached = lru_cache(maxsize=1)(lambda seed: handed(task, draw, seed))
    made = {"weak": prepared.weak_correct(number)}
    for name, labels in (("ceiling", draw.labels), ("tuned_naive", hard(draw.weak))):
        made[name] = seeds_correct(cached, seeds, labels, Recipe(**settings[name]), batch, part.labels)
    return made


def public_figures(prepared: Prepared) -> dict[str, Any]:
    """Mean and standard error of each anchor on the public part, and the PGR of tuned naive."""
    found = prepared.anchors("search", prepared.search_draws)
    means = {"weak": found.weak, "ceiling": found.ceiling.mean(0), "tuned_naive": found.tuned_naive.mean(0)}
    figures: dict[str, Any] = {name: mean_and_error(right) for name, right in means.items()}
    weak, ceiling, naive = (figures[name][0] for name in means)
    return {**figures, "tuned_naive_pgr": (naive - weak) / (ceiling - weak), "public_items": found.weak.shape[1]}
