"""The practice task of the open kit: generated questions of another concept, with every true label open.

Agents can try a method on it as often as they like, from its fit to its accuracy, without a submission. It is small, made from
an open seed, where a task's own questions come from its secret, and read by the same strong model as the task that it comes with.
"""
from __future__ import annotations

import shutil

import numpy as np

from eval.blocks import Blocks
from eval.data.load import load_rows
from eval.draws import Draw
from eval.kit import open_array, write_draw, write_items
from eval.prepared import Prepared
from eval.seeds import derive
from eval.task import Task, load_task
from eval.teacher import train_teacher

OPEN = b"practice-2"
"""What its questions, its split and its teacher are made from: of five tried, one on which true labels are worth most to MiniLM, which
hardly reads code. Of so few questions others taught it nothing (`practice`: .65 with true labels, .69 with the teacher's)."""
SEED = derive(OPEN, "split") % 2**32
QUESTIONS = 120
LABELLED, POOL = 0.2, 0.45
"""Shares of the questions whose choices the teacher learns from, and that the student is given; the rest is the test."""


def practice_of(task: Task) -> Task:
    """The small generated task that comes with `task`: of the other concept where it is generated itself. It is as its file says:
    what `prepare` was told of other models for the task of that file is not meant for it."""
    model = load_task("arithmetic" if task.name == "snippets" else "snippets", as_told=False)
    data = model.data.model_copy(update={"questions": QUESTIONS})
    return model.model_copy(update={"name": f"practice-{model.name}", "data": data, "strong": task.strong, "revision": task.revision,
                                    "views": task.views, "max_tokens": max(task.max_tokens, model.max_tokens), "prompts": None})


def make_practice(prepared: Prepared) -> None:
    """Write open/practice: kit.json, items.jsonl, groups.npy, teachers.npy, features, labels.npy and test/ with its labels."""
    task, folder = practice_of(prepared.task), prepared.folder.practice
    if folder.exists():
        return
    rows = load_rows(task.data, OPEN)
    questions = np.unique([row.digest for row in rows], return_inverse=True)[1]
    order = np.random.default_rng(SEED).permutation(questions.max() + 1)
    share = np.argsort(order)[questions] / len(order)
    parts = {"labelled": share < LABELLED, "pool": (share >= LABELLED) & (share < LABELLED + POOL), "test": share >= LABELLED + POOL}
    fields = [row.fields for row in rows]
    labels = np.array([row.label for row in rows], np.uint8)
    blocks = Blocks(task, prepared.blocks.folder)
    blocks.ensure({"all": fields})
    features = blocks.load("all")

    def of(name: str) -> tuple[np.ndarray, list[str], list[dict[str, str]], dict[str, np.ndarray]]:
        at = np.flatnonzero(parts[name])
        kept = [fields[row] for row in at]
        return at, [task.template.format(**row) for row in kept], kept, {view: block[at] for view, block in features.items()}

    labelled, _, known, _ = of("labelled")
    teacher = train_teacher(task, task.teachers[0], known, labels[labelled], SEED)
    at, texts, pool, block = of("pool")
    positive = teacher.match_prior(pool)(pool).astype(np.float32)
    weak = np.stack([1 - positive, positive], 1)[None]
    scratch = folder.with_name(".practice.part")
    shutil.rmtree(scratch, ignore_errors=True)
    (scratch / "test").mkdir(parents=True)
    write_draw(scratch, task, Draw("open", "open", at, texts, pool, questions[at], weak, block, labels[at]), blocks.views)
    open_array(scratch / "labels.npy", labels[at])
    at, texts, test, block = of("test")
    write_items(scratch / "test", texts, test, block)
    open_array(scratch / "test" / "labels.npy", labels[at])
    scratch.rename(folder)
