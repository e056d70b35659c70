"""Which row falls into which part, and how the parts are written.

The hash of a row's group decides, so that a group is never in two parts. Where the data are split themselves, their test rows
become the public and the sealed part, their labelled rows the validation part and the region's labelled items, and their
pool stays the pool, each in the proportion of the task's spans.
"""
from __future__ import annotations

import json
import shutil
from collections.abc import Sequence

import numpy as np

from eval.blocks import save
from eval.data.rows import Row
from eval.prepared import PARTS, UNKNOWN, TaskFolder
from eval.sources import hash_value
from eval.task import HASH_RANGE, Split, Task
from state.errors import UserError
from state.files import write_atomic

NAMES = (*PARTS, "region")
FEWEST = 20
"""Items without which a part says nothing."""


def part_of(row: Row, split: Split) -> str | None:
    """The part of a row; None where it is left out."""
    if row.file is None:
        return split.part_of(hash_value(row.digest, HASH_RANGE))
    if row.file == "pool":
        return "region"
    first, second = ("public", "sealed") if row.file == "test" else ("validation", "region")
    sizes = [end - start for start, end in (getattr(split, first), getattr(split, second))]
    return first if hash_value(row.digest, sum(sizes)) < sizes[0] else second


def divide(task: Task, rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Part -> its rows. UserError where one is too small or holds one class only."""
    parts: dict[str, list[Row]] = {name: [] for name in NAMES}
    for row in rows:
        name = part_of(row, task.split)
        if name is not None:
            parts[name].append(row)
    for name, kept in parts.items():
        classes = {row.label for row in kept} - {None}
        if len(kept) < FEWEST or len(classes) < 2:
            raise UserError(f"task {task.name}: its {name} part has {len(kept)} items of {len(classes)} classes; it needs at least "
                            f"{FEWEST}, of both classes: bring more rows, or change [split] in the task file")
    return parts


def write_part(folder: TaskFolder, name: str, rows: Sequence[Row], task: Task) -> None:
    """Write one part whole: items.jsonl, labels.npy, groups.npy."""
    scratch = folder.part(name).with_name(f".{name}.part")
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.rmtree(folder.part(name), ignore_errors=True)
    scratch.mkdir(mode=0o700)
    lines = (json.dumps({"text": task.template.format(**row.fields), "fields": row.fields, "file": row.file, "key": row.key},
                        ensure_ascii=False) + "\n" for row in rows)
    write_atomic(scratch / "items.jsonl", "".join(lines), mode=0o600)
    save(scratch / "labels.npy", np.array([UNKNOWN if row.label is None else row.label for row in rows], np.uint8))
    save(scratch / "groups.npy", np.unique([row.digest for row in rows], return_inverse=True)[1].astype(np.int64))
    scratch.rename(folder.part(name))
