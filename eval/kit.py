"""The open kit of a task: what agents may experiment with, without a submission.

One draw as a method would be handed it, and a practice task of another concept with true labels. Nothing in here is from a
test part of the task, and no true label of it is.
"""
from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from eval.blocks import save, view_file
from eval.models import model_mounts
from eval.prepared import Draw, Prepared
from eval.task import Task
from eval.w2s import Students
from state.files import write_atomic

ABOUT = """# Task {name}

{description}

## What can be told apart

On {items:,} public items and {draws} draws the teacher is right on {weak:.3f} of the items, a student with true labels on
{ceiling:.3f}, tuned naive on {naive:.3f} (PGR {pgr}). The smallest difference in PGR that these draws resolve, four times out
of five, is {smallest}. What differs by less is noise: repeat it on the practice task, or look for the mechanism.

## The open kit

`kit/` is one draw as a method is handed it; `practice/` is a small task of another concept with every true label open. Both can
be tried as often as you like, without a submission:

    import os
    from eval.w2s import open_kit, practice_test
    import sys; sys.path.insert(0, "methods"); import my_method
    kit = os.environ["AAR_TASK"]
    model = my_method.fit(open_kit(kit + "/practice"))
    batch, labels = practice_test(kit + "/practice")
    print(((model.predict_proba(batch)[:, 1] > 0.5) == labels).mean())

Students there are probes on the strong model's hidden states, and the teacher cannot be asked. The model itself is mounted in
jobs (`aar job -- ...`), where `zero_shot`, `generate`, `model` and `embed` of any text work.
"""


def shown_pgr(figures: Mapping[str, Any]) -> str:
    """PGR of tuned naive as it is printed."""
    known = figures["tuned_naive_pgr"]
    return "n/a, since the gap between teacher and ceiling is not established" if known is None else f"{known:.2f}"


def make_kit(prepared: Prepared, figures: Mapping[str, Any]) -> None:
    """Write open/description.md, with what preparation found, and open/kit, as `eval.w2s.open_kit` reads it."""
    task, folder = prepared.task, prepared.folder
    folder.kit.mkdir(parents=True, exist_ok=True)
    smallest = "not known" if figures["resolvable"] is None else f"{figures['resolvable']:.2f}"
    write_atomic(folder.open / "description.md", ABOUT.format(
        name=task.name, description=task.description.strip(), items=figures["public_items"], draws=len(prepared.search_draws),
        weak=figures["weak"][0], ceiling=figures["ceiling"][0], naive=figures["tuned_naive"][0], pgr=shown_pgr(figures),
        smallest=smallest))
    write_draw(folder.kit, task, prepared.draw("open"), prepared.views)


def list_models(prepared: Prepared) -> None:
    """Write where the strong model's files lie, for the mounts of jobs, whose makers do not load what reads models. Agents need not
    know this machine's folders: they are shown a link that leads nowhere inside of a sandbox."""
    shown, listed = prepared.folder.open / "models.json", prepared.folder.root / "models.json"
    if shown.is_symlink() and listed.exists():
        return
    files = [[str(file), name] for file, name in model_mounts(prepared.blocks.folder)]
    write_atomic(listed, json.dumps({"strong": files}, indent=1), mode=0o600)
    link = shown.with_name(".models.link")
    link.unlink(missing_ok=True)
    link.symlink_to(Path("..") / listed.name)
    link.replace(shown)


def write_draw(folder: Path, task: Task, draw: Draw, views: Sequence[str]) -> None:
    """One draw in a folder that anybody may read."""
    write_items(folder, draw.texts, draw.fields, draw.features)
    for file, array in {"groups.npy": draw.groups, "teachers.npy": draw.teachers}.items():
        open_array(folder / file, array)
    about = {"features": {view: view_file(view) for view in draw.features}, "default_view": views[0],
             "fit_seconds": task.fit_seconds, "template": task.template, "students": asdict(Students.of(task, "probe", {}))}
    write_atomic(folder / "kit.json", json.dumps(about, indent=1))


def write_items(folder: Path, texts: Sequence[str], fields: Sequence[Mapping[str, Any]], features: Mapping[str, np.ndarray]) -> None:
    """Items and what the strong model makes of them."""
    rows = zip(texts, fields)
    write_atomic(folder / "items.jsonl", "".join(json.dumps({"text": text, "fields": row}, ensure_ascii=False) + "\n" for text, row in rows))
    for view, block in features.items():
        open_array(folder / view_file(view), block)


def open_array(file: Path, array: np.ndarray) -> None:
    """Save an array that anybody may read."""
    save(file, array)
    file.chmod(0o644)
