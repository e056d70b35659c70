"""Draws and their anchors: who is labelled, who is in the pool, what the teachers say, how good their students are.

Everything random about a draw comes from HMAC-SHA256(the task's secret, its number), so that nobody can foresee it and a
repeated preparation step gives the same again.
"""
from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from eval.anchors import GRIDS, choose, describe, mean_and_error, recipe_from, seeds_correct, validation_correct
from eval.models import resolve_model
from eval.prepared import TEST_PART, UNKNOWN, Draw, Part, Prepared
from eval.seeds import derive
from eval.task import Task
from eval.teacher import Teacher, train_teacher
from eval.w2s import W2S, Batch, Students
from state.errors import UserError
from stats.pgr import Bootstrap, estimate_pgr
from stats.power import resolvable

FEWEST = 20
"""Labelled items, or pool items, with which a draw still makes sense."""
_LANGUAGES: dict[Path, Any] = {}
MOST_OF_A_FILE = 0.8
"""Of labelled or pool rows that the data keep apart, a draw takes no more than this share, so that draws differ."""


def phase_of(task: Task, number: int | str) -> str | None:
    return next((phase for phase in TEST_PART if number in task.draws(phase)), None)


def sample(region: Part, task: Task, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions in the region of a draw's labelled items and of its pool. No group is in both: where the data are split into files
    and a group has rows of both, a draw takes it to one side, now this one, now that. UserError where there are too few."""
    rng = np.random.default_rng(seed)
    order = _by_group(rng.permutation(region.groups.max() + 1), region.groups)
    apart = (region.files != "").any()
    if apart:
        own = {name: order[region.files[order] == name] for name in ("labelled", "pool")}
        own = dict(zip(own, _parted(own["labelled"], own["pool"], region.groups, task.labelled / (task.labelled + task.pool))))
        labelled, pool = (_take(own[name], region.groups, min(size, int(MOST_OF_A_FILE * len(own[name]))))[0]
                          for name, size in (("labelled", task.labelled), ("pool", task.pool)))
    else:
        labelled, rest = _take(order, region.groups, task.labelled)
        pool, _ = _take(rest, region.groups, task.pool)
    wanted = (FEWEST, FEWEST) if apart else (task.labelled, task.pool)
    if len(labelled) < wanted[0] or len(pool) < wanted[1]:
        raise UserError(f"task {task.name}: its data give a draw {len(labelled)} labelled items and {len(pool)} pool items, it "
                        f"needs {wanted[0]} and {wanted[1]}: bring more rows or lower `labelled` and `pool` in the task file")
    return labelled, pool


def _parted(labelled: np.ndarray, pool: np.ndarray, groups: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Labelled and pool rows, in their order, without what would put a group on both sides: of the groups that have rows of both
    kinds the first `share` keep the labelled ones, the others those of the pool."""
    both = np.intersect1d(groups[labelled], groups[pool])
    taught = np.array(list(dict.fromkeys(groups[labelled][np.isin(groups[labelled], both)])), np.int64)[: round(share * len(both))]
    asked = np.setdiff1d(both, taught)
    return labelled[~np.isin(groups[labelled], asked)], pool[~np.isin(groups[pool], taught)]


def _by_group(group_order: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Positions of all items, group after group in the given order."""
    place = np.empty(len(group_order), np.int64)
    place[group_order] = np.arange(len(group_order))
    return np.argsort(place[groups], kind="stable")


def _take(order: np.ndarray, groups: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The first `count` of `order`, and what is left without the group that was cut through."""
    taken = order[:count]
    rest = order[count:]
    return taken, rest[groups[rest] != groups[taken[-1]]] if len(taken) else rest


def trained_teachers(prepared: Prepared, number: int | str, secret: bytes, labelled: np.ndarray, prefix: str = "",
                     only_first: bool = False) -> list[Teacher]:
    """The teachers of a draw, trained anew: the same seed gives the same teacher. Their cut is not set."""
    task, region = prepared.task, prepared.region
    specs = task.teachers[:1] if only_first else task.teachers
    fields = [region.fields[row] for row in labelled]
    return [train_teacher(task, spec, fields, region.labels[labelled], derive(secret, "draw", number) + index, prefix,
                          resolve_model(spec.model, spec.revision, download=False) if spec.model else None)
            for index, spec in enumerate(specs)]


def make_draw(prepared: Prepared, secret: bytes, number: int | str) -> dict[str, np.ndarray]:
    """Positions in the region of the labelled items and of the pool, the teachers' soft labels on the pool (T, n, 2), and
    for a scored draw whether the first one's hard labels are right on the phase's test part (items,)."""
    task, region = prepared.task, prepared.region
    labelled, pool = sample(region, task, derive(secret, "draw", number))
    fields = [region.fields[row] for row in pool]
    teachers = [teacher.match_prior(fields) for teacher in trained_teachers(prepared, number, secret, labelled)]
    positive = np.stack([teacher(fields) for teacher in teachers]).astype(np.float32)
    made = {"labelled": labelled, "pool": pool, "teachers": np.stack([1 - positive, positive], 2)}
    phase = phase_of(task, number)
    if phase is not None:
        part = prepared.parts[TEST_PART[phase]]
        made["weak"] = (teachers[0](part.fields) > 0.5) == (part.labels == 1)
    return made


def handed(prepared: Prepared, draw: Draw, seed: int, kind: str) -> W2S:
    """The draw as a method would be handed it, with students of this kind."""
    task = prepared.task
    students = Students.of(task, kind, {"strong": str(prepared.blocks.folder)} if kind == "finetune" else {})
    return W2S(draw.texts, draw.fields, draw.groups, draw.teachers, draw.features, prepared.views[0], seed, task.fit_seconds,
               task.template, students, languages=_loaded(prepared) if kind == "finetune" else None)


def _loaded(prepared: Prepared) -> dict[str, Any]:
    """The strong model, loaded once for all anchors of a preparation."""
    from eval.language import LanguageModel
    key = prepared.blocks.folder
    if key not in _LANGUAGES:
        _LANGUAGES[key] = LanguageModel(key, max_tokens=prepared.task.finetune.max_tokens)
    return {"strong": _LANGUAGES[key]}


def as_batch(part: Part) -> Batch:
    return Batch(part.texts, part.fields, None, part.features)


def hard(weak: np.ndarray) -> np.ndarray:
    return (weak[:, 1] > 0.5).astype(np.float32)


def ceiling_draw(prepared: Prepared, draw: Draw) -> Draw:
    """The items that a ceiling is trained on: the draw's pool, or labelled items where the pool's labels are not known."""
    if (draw.labels != UNKNOWN).all():
        return draw
    rows = prepared.labelled_rows(draw.number)
    teachers = np.full((1, len(rows), 2), 0.5, np.float32)
    return prepared.pool_of(rows, teachers, draw.number, draw.phase)


def _trainings(prepared: Prepared, number: int | str) -> list[tuple[str, Draw, np.ndarray]]:
    """(anchor, items, hard labels) of the two students that a draw's anchors are."""
    draw = prepared.draw(number)
    best = ceiling_draw(prepared, draw)
    return [("ceiling", best, best.labels), ("tuned_naive", draw, hard(draw.weak))]


def kinds(task: Task) -> list[str]:
    """The kinds of students that anchors are needed for."""
    return list(dict.fromkeys(task.student_of(phase) for phase in TEST_PART))


def make_settings(prepared: Prepared, secret: bytes, advance: Callable[[], None]) -> dict[str, Any]:
    """For each kind of student the recipes of ceiling and tuned naive, chosen on the validation part, with all scores."""
    part = prepared.parts["validation"]
    batch, settings = as_batch(part), {}
    for kind in kinds(prepared.task):
        right: dict[str, list[np.ndarray]] = {"ceiling": [], "tuned_naive": []}
        for number in settings_draws(prepared, kind):
            for name, draw, labels in _trainings(prepared, number):
                w2s = handed(prepared, draw, derive(secret, "validation", number), kind)
                right[name].append(validation_correct(w2s, labels, GRIDS[kind][name], batch, part.labels))
            advance()
        settings[kind] = {name: _chosen(GRIDS[kind][name], np.mean(rows, axis=0)) for name, rows in right.items()}
    return settings


def settings_draws(prepared: Prepared, kind: str) -> list[int]:
    """The draws whose pools the recipes are tried on; never a test label is."""
    phase = next(phase for phase in TEST_PART if prepared.task.student_of(phase) == kind)
    draws = prepared.anchored_draws(phase)
    return draws if kind == "probe" else draws[:1]  # fine-tuning is dear, and its grid small


def _chosen(grid: list, mean_right: np.ndarray) -> dict[str, Any]:
    tried = [{**describe(recipe), "accuracy": round(float(mean), 4)} for recipe, mean in zip(grid, mean_right.mean(1))]
    return {"recipe": describe(choose(grid, mean_right)), "tried": tried}


def make_anchors(prepared: Prepared, secret: bytes, number: int, settings: dict[str, Any]) -> dict[str, np.ndarray]:
    """Correctness on the phase's test part: ceiling and tuned_naive (student seeds, items)."""
    task = prepared.task
    phase = phase_of(task, number)
    kind, part = task.student_of(phase), prepared.parts[TEST_PART[phase]]
    batch, seeds = as_batch(part), [derive(secret, "student", number, seed) for seed in range(task.student_seeds)]
    made = {}
    for name, draw, labels in _trainings(prepared, number):
        cached = lru_cache(maxsize=1)(lambda seed, draw=draw: handed(prepared, draw, seed, kind))
        recipe = recipe_from(kind, settings[kind][name]["recipe"])
        made[name] = seeds_correct(cached, seeds, labels, recipe, batch, part.labels)
    return made


def public_figures(prepared: Prepared) -> dict[str, Any]:
    """Mean and standard error of each anchor on the public part, the PGR of tuned naive, and the smallest lift that the
    search draws resolve (both None where the gap is not established)."""
    found = prepared.anchors("search", prepared.search_draws)
    means = {"weak": found.weak, "ceiling": found.ceiling.mean(0), "tuned_naive": found.tuned_naive.mean(0)}
    bootstrap = Bootstrap(len(found.weak), prepared.parts["public"].groups)
    figures: dict[str, Any] = {name: mean_and_error(right, bootstrap) for name, right in means.items()}
    pgr = estimate_pgr(means["tuned_naive"], means["weak"], means["ceiling"], bootstrap)
    smallest = resolvable(means["weak"], means["ceiling"], means["tuned_naive"], bootstrap)
    return {**figures, "tuned_naive_pgr": pgr.value, "public_items": found.weak.shape[1],
            "resolvable": smallest, "origin": found.origin}
