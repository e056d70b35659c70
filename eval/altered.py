"""Public items written otherwise, for audits: as easy to read as before, but of no use to who runs them or goes by their place.

    python     `return` becomes words: a function that a person still understands and no interpreter does
    numbers    what a worked solution arrives at becomes a word, and another number follows
    swap       the two answers of a preference change places, and with them what is right

Made by `prepare` where a task says how (`alter`; preferences are swapped in any case), with hidden states of their own.
"""
from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Mapping

import numpy as np

from eval.blocks import save
from eval.prepared import Prepared
from eval.seeds import derive
from eval.task import Task
from state.files import write_atomic

MOST = 400
"""Items that are altered: whole groups until there are so many."""
SAYINGS = ("give back", "hand back", "send back", "pass back", "answer with", "come up with")
"""What stands in place of `return`; which one is a secret of the machine's task."""
ONES = ("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen "
        "nineteen").split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()


def number_in_words(number: int) -> str:
    """English for a number of at most six digits: 305 -> three hundred and five."""
    if number < 20:
        return ONES[number]
    if number < 100:
        return TENS[number // 10 - 2] + (f"-{ONES[number % 10]}" if number % 10 else "")
    head, rest, name = (number // 100, number % 100, "hundred") if number < 1000 else (number // 1000, number % 1000, "thousand")
    return f"{number_in_words(head)} {name}" + (f" and {number_in_words(rest)}" if rest else "")


def _python(fields: Mapping[str, str], saying: str) -> dict[str, str]:
    return {**fields, "choice": re.sub(r"\breturn\b", saying, fields["choice"])}


def _numbers(fields: Mapping[str, str], saying: str) -> dict[str, str]:
    numbers = re.findall(r"\d{1,6}", fields["choice"])
    last = number_in_words(int(numbers[-1])) if numbers else ""
    choice = re.sub(rf"\b{numbers[-1]}\b", last, fields["choice"]) if numbers else fields["choice"]
    return {**fields, "choice": f"{choice.replace(' = ', ' makes ')} This was solution 7 of 30."}


def _swap(fields: Mapping[str, str], saying: str) -> dict[str, str]:
    return {**fields, "first": fields["second"], "second": fields["first"]}


WAYS: dict[str, Callable[[Mapping[str, str], str], dict[str, str]]] = {"python": _python, "numbers": _numbers, "swap": _swap}


def way_of(task: Task) -> str | None:
    """How the items of a task are altered; None where they are not."""
    return "swap" if getattr(task.data, "format", None) == "preference" else task.alter


def make_altered(prepared: Prepared, progress: Callable[[int, int], None] = lambda done, total: None) -> None:
    """Write and read the altered items of a task's public part, where they are missing."""
    task, public, way = prepared.task, prepared.parts["public"], way_of(prepared.task)
    if way is None:
        return
    secret = prepared.folder.secret.read_bytes()
    saying = SAYINGS[derive(secret, "saying") % len(SAYINGS)]
    order = np.random.default_rng(derive(secret, "altered")).permutation(int(public.groups.max()) + 1)
    place = np.argsort(order)[public.groups]
    rows = np.sort(np.argsort(place, kind="stable")[:MOST])
    fields = [WAYS[way](public.fields[row], saying) for row in rows]
    changed = [i for i, row in enumerate(rows) if fields[i] != public.fields[row]]
    rows, fields = rows[changed], [fields[i] for i in changed]
    if not fields:
        return
    folder = prepared.folder.part("altered")
    scratch = folder.with_name(".altered.part")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(mode=0o700)
    lines = (json.dumps({"text": task.template.format(**one), "fields": one}, ensure_ascii=False) + "\n" for one in fields)
    write_atomic(scratch / "items.jsonl", "".join(lines), mode=0o600)
    save(scratch / "labels.npy", public.labels[rows] ^ (way == "swap"))
    save(scratch / "groups.npy", public.groups[rows])
    save(scratch / "rows.npy", rows)
    prepared.blocks.ensure({"altered": fields}, progress=progress)
    shutil.rmtree(folder, ignore_errors=True)
    scratch.rename(folder)
