"""Anchors of a null run, in which all teachers' labels are shuffled: PGR 0 is what a shuffled teacher is worth, about chance.

Whatever climbs there climbs on nothing. The ceiling stays; tuned naive is trained anew, on the shuffled labels.
"""
from __future__ import annotations

from dataclasses import replace

import numpy as np

from eval.anchors import recipe_from, seeds_correct
from eval.draws import as_batch, handed, hard
from eval.prepared import TEST_PART, Prepared
from eval.score import Anchored
from eval.seeds import derive
from eval.shuffle import shuffled_positions


def null_anchors(prepared: Prepared, phase: str, draws: list[int], secret: bytes) -> Anchored:
    """The anchors of these draws of a null run with this secret. Where students are fine-tuned, tuned naive is the teacher:
    training it anew would take hours."""
    anchored = Anchored.of(prepared, phase, draws)
    part = prepared.parts[TEST_PART[phase]]
    labels = part.labels == 1
    said = labels == anchored.teacher  # the teacher's hard labels follow from where it is right
    teacher = np.stack([row[shuffled_positions(len(row), derive(secret, "null-test", number))] == labels
                        for number, row in zip(draws, said)])
    weak = teacher.astype(np.float32)
    naive = weak if prepared.task.student_of(phase) != "probe" else np.stack([_tuned_naive(prepared, phase, number, secret) for number in draws])
    return replace(anchored, teacher=teacher, weak=weak, tuned_naive=naive)


def _tuned_naive(prepared: Prepared, phase: str, number: int, secret: bytes) -> np.ndarray:
    """Correctness (items,) of tuned naive on the shuffled labels of a draw, a mean over student seeds."""
    draw, part = prepared.draw(number), prepared.parts[TEST_PART[phase]]
    draw = replace(draw, teachers=draw.teachers[:, shuffled_positions(len(draw.texts), derive(secret, "null", number))])
    recipe = recipe_from("probe", prepared.settings["probe"]["tuned_naive"]["recipe"])
    seeds = [derive(secret, "null-student", number, seed) for seed in range(prepared.task.student_seeds)]
    right = seeds_correct(lambda seed: handed(prepared, draw, seed, "probe"), seeds, hard(draw.weak), recipe, as_batch(part), part.labels)
    return right.mean(0, dtype=np.float32)
