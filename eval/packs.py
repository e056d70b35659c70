"""What goes into a method sandbox, packed once and mapped by all: pools with weak labels, and test items in small batches.

Sealed, shuffled, anonymous. A pool holds no label but what teachers say (true ones for the ceiling by a method's own recipe).
"""
from __future__ import annotations

import os
import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from eval.blocks import CONTRAST, ZERO_SHOT
from eval.draws import ceiling_draw
from eval.prepared import TEST_PART, Draw, Part, Prepared
from eval.scan import Scan
from eval.seeds import derive
from eval.shuffle import shuffled_positions
from eval.wire import pack

BATCH = 64
"""Test items that a method sees at a time."""
AGAIN = (64, 64, 48, 16)
"""Sizes of the batches of items that are asked about again."""


@dataclass(frozen=True)
class Job:
    """One method on draws of one phase, with the kind of student that the phase has. `shuffled`: teachers' labels are shuffled;
    `audited`: items are asked about again; `blind`: hidden states, of pool and test, are those of other items."""

    source: str
    name: str
    found: Scan
    phase: str
    student: str
    true_labels: bool = False
    shuffled: bool = False
    audited: bool = False
    blind: bool = False


@dataclass(frozen=True)
class Packed:
    """One batch: the `rows` of its part, (m,), and a descriptor of a sealed memfd with texts and features."""

    rows: np.ndarray
    descriptor: int


class Packs:
    """All packs of one task. `secret` decides about orders; `null`: teachers' labels are shuffled, whatever is done."""

    def __init__(self, prepared: Prepared, secret: bytes, null: bool = False) -> None:
        self.prepared, self.secret, self.null = prepared, secret, null
        self._made: dict[Hashable, list[Packed]] = {}
        self._packing = threading.Lock()

    def close(self) -> None:
        for packed in [one for made in self._made.values() for one in made]:
            os.close(packed.descriptor)
        self._made.clear()

    def _once(self, key: Hashable, make: Callable[[], list[Packed]]) -> list[Packed]:
        with self._packing:
            if key not in self._made:
                self._made[key] = make()
            return self._made[key]

    def prompts(self, found: Scan) -> list[str]:
        """The prompts, beside the task's own, under which a file asks to see the strong model."""
        wanted = {ZERO_SHOT} if "zero_shot" in found.uses else set()
        wanted |= set(CONTRAST) if "contrast" in found.uses else set()
        return [prompt for prompt in self.prepared.prompts if prompt in wanted]

    def order(self, number: int, count: int) -> np.ndarray:
        """The order in which a method sees the pool of a draw."""
        return np.random.default_rng(derive(self.secret, "pool", number)).permutation(count)

    def shuffle(self, job: Job) -> Callable[[Draw], np.ndarray] | None:
        """Whose labels the items of a pool get, (n,) positions; None where they get their own."""
        if job.true_labels or not (job.shuffled or self.null):
            return None
        why = "shuffled" if job.shuffled else "null"
        return lambda draw: shuffled_positions(len(draw.texts), derive(self.secret, why, draw.number))

    def _others(self, count: int, what: object) -> np.ndarray:
        return np.random.default_rng(derive(self.secret, "blind", what)).permutation(count)

    def pool(self, number: int, job: Job) -> int:
        """A descriptor of the pool of a draw."""
        prompts = self.prompts(job.found)
        made = self._once(("pool", number, *prompts, job.true_labels, job.shuffled, job.blind), lambda: [self._pack_pool(number, prompts, job)])
        return made[0].descriptor

    def _pack_pool(self, number: int, prompts: list[str], job: Job) -> Packed:
        draw, shuffle, task = self.prepared.draw(number), self.shuffle(job), self.prepared.task
        if job.true_labels:
            draw = ceiling_draw(self.prepared, draw)
        order = self.order(number, len(draw.texts))
        teachers = draw.teachers
        if job.true_labels:
            teachers = np.broadcast_to(np.eye(2, dtype=np.float32)[draw.labels], (len(task.teachers), len(draw.texts), 2))
        elif shuffle is not None:
            teachers = teachers[:, shuffle(draw)]
        # Whose hidden states stand for those of an item: its own, but for a blind job.
        seen = self._others(len(order), number) if job.blind else np.arange(len(order))
        arrays = {f"view {view}": block[seen[order]] for view, block in draw.features.items()}
        arrays |= {"groups": draw.groups[order], "teachers": teachers[:, order]}
        header = {"texts": [draw.texts[i] for i in order], "fields": [draw.fields[i] for i in order], "views": list(draw.features),
                  "prompts": {}, "template": task.template}
        for prompt in prompts:
            blocks = self.prepared.region.prompted(prompt)
            header["prompts"][prompt] = list(blocks)
            arrays |= {f"{prompt} {view}": block[draw.rows[seen[order]]] for view, block in blocks.items()}
        return Packed(draw.rows[order], pack(header, arrays))

    def test(self, job: Job) -> list[Packed]:
        """The test items of a phase in small shuffled batches."""
        return self._batches(job, "test", self.prepared.parts[TEST_PART[job.phase]])

    def again(self, job: Job) -> list[Packed]:
        """Some of them in batches of AGAIN items, each in other company than in any batch of `test`."""
        return self._batches(job, "again", self.prepared.parts[TEST_PART[job.phase]], AGAIN)

    def altered(self, job: Job) -> list[Packed]:
        """Items written otherwise, for a method on the search draws that asks for no prompt; else none."""
        part = self.prepared.altered
        if part is None or job.phase != "search" or self.prompts(job.found):
            return []
        return self._batches(job, "altered", part)

    def _batches(self, job: Job, which: str, part: Part, sizes: Sequence[int] = ()) -> list[Packed]:
        prompts = self.prompts(job.found)
        return self._once((which, job.phase, job.found.needs_groups, job.blind, *prompts),
                          lambda: self._pack_batches(part, which, job, prompts, sizes))

    def _pack_batches(self, part: Part, which: str, job: Job, prompts: list[str], sizes: Sequence[int]) -> list[Packed]:
        order = np.random.default_rng(derive(self.secret, which, job.phase)).permutation(len(part.texts))
        blocks = {"view": part.features, **{prompt: part.prompted(prompt) for prompt in prompts}}
        seen = self._others(len(order), which) if job.blind else np.arange(len(order))
        made = []
        cuts = np.cumsum(sizes) if sizes else np.arange(BATCH, len(order) + BATCH, BATCH)
        for rows in np.split(order[: cuts[-1]], cuts[:-1]):
            if not len(rows):
                continue
            arrays = {f"{prompt} {view}": np.asarray(block[seen[rows]]) for prompt, views in blocks.items() for view, block in views.items()}
            if job.found.needs_groups:
                arrays["groups"] = part.groups[rows]
            header = {"texts": [part.texts[i] for i in rows], "fields": [part.fields[i] for i in rows], "views": list(part.features),
                      "prompts": {prompt: list(blocks[prompt]) for prompt in prompts}}
            made.append(Packed(rows, pack(header, arrays)))
        return made
