"""Runs one method file on some draws of a task, in a method sandbox, and checks what comes back.

This is the narrow gate between submitted code and labels: the code goes in with pools and weak labels, arrays of
predictions come out. Nothing here compares a prediction to a label; `eval/score.py` does.
"""

from __future__ import annotations

import builtins
import functools
import math
import os
import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from eval.asking import MOST_BYTES, Questions
from eval.blocks import CONTRAST, ZERO_SHOT
from eval.draws import ceiling_draw
from eval.models import resolve_model
from eval.prepared import TEST_PART, Prepared
from eval.scan import Scan
from eval.seeds import derive
from eval.slots import Slot
from eval.w2s import Students
from eval.warm import WarmPool, WarmSandbox, method_box, models_folder
from eval.wire import HungUp, WireError, pack
from sandbox.box import FLOOD, Limits

BATCH = 64
"""Test items that a method sees at a time."""
OUTPUT_BYTES = 16_000
"""Of what a method prints, this much is kept; the sandbox ends one that prints FLOOD times as much."""
EXCEPTIONS = {n for n in dir(builtins) if isinstance(getattr(builtins, n), type) and issubclass(getattr(builtins, n), BaseException)}
MALFORMED = "what came back is no message of the expected kind and size"
"""Not what exactly arrived: even a size could carry test texts."""
CORES_A_SLOT = 2


@dataclass(frozen=True)
class Job:
    """One method on draws of one phase, with the kind of student that the phase has."""

    source: str
    name: str
    found: Scan
    phase: str
    student: str
    true_labels: bool = False


@dataclass
class Outcome:
    """What running a method gave. `predictions`: (draws, items, 2) float64 in [0, 1], or None with `error` in words."""

    status: str
    error: str | None = None
    predictions: np.ndarray | None = None
    method_seconds: float = 0.0
    total_seconds: float = 0.0
    peak_memory_mib: float = 0.0


class Failed(Exception):
    def __init__(self, status: str, error: str):
        super().__init__(error)
        self.status = status


class Engine:
    """One task with its pools packed and its test items in batches. `secret` seeds students and orders."""

    def __init__(self, prepared: Prepared, secret: bytes, isolation: str, slots: list[Slot]):
        self.prepared = prepared
        self.task = prepared.task
        self.secret = secret
        self.isolation = isolation
        self._packed: dict[tuple, int] = {}
        self._batches: dict[tuple, list[tuple[np.ndarray, int]]] = {}
        self._packing = threading.Lock()
        self.limits = Limits(memory_mib=self.task.memory_mib, processes=64, output_bytes=OUTPUT_BYTES, disk_mib=256)
        # One waiting for each slot, and one more: the quick rung's sandbox is often followed by the full rung's.
        slots_of = Counter(slot.gpu for slot in slots)
        self.pools = {gpu: WarmPool(method_box(self.limits, isolation, gpu), count + 1) for gpu, count in slots_of.items()}

    def close(self) -> None:
        for pool in self.pools.values():
            pool.close()
        batches = [descriptor for made in self._batches.values() for _, descriptor in made]
        for descriptor in [*self._packed.values(), *batches]:
            os.close(descriptor)
        self._packed.clear()
        self._batches.clear()

    def run(self, source: str, name: str, draws: list[int], found: Scan, slot: Slot, true_labels: bool = False) -> Outcome:
        """Fit on all `draws` (of one phase), then predict that phase's test part. The caller holds `slot`. `true_labels`: the
        method is handed true labels in place of the teachers', for the ceiling by its own recipe; its errors are then muted."""
        phase = self.prepared.draw(draws[0]).phase
        job = Job(source, name, found, phase, self.task.student_of(phase), true_labels)
        started = time.perf_counter()
        # A CUDA process cannot fork, and what draws leave behind must not meet: there each draw has its own sandbox.
        shares = [draws] if slot.gpu is None else [[draw] for draw in draws]
        outcome, answers = Outcome("scored"), []
        for share in shares:
            answers.append(self._run(job, share, slot, outcome))
            if outcome.status != "scored":
                break
        if outcome.status == "scored":
            outcome.predictions = np.concatenate(answers)
        elif true_labels:
            outcome.error = "the method failed on true labels (why is withheld: it could hold them)"
        outcome.total_seconds = time.perf_counter() - started
        return outcome

    def _run(self, job: Job, draws: list[int], slot: Slot, outcome: Outcome) -> np.ndarray | None:
        try:
            self._check_prompts(job)
        except Failed as failure:
            outcome.status, outcome.error = failure.status, str(failure)
            return None
        sandbox = self._sandbox(job, slot)
        try:
            self._fit(sandbox, job, draws, slot, outcome)
            return self._predict(sandbox, job, len(draws), outcome)
        except Failed as failure:
            outcome.status, outcome.error = failure.status, str(failure)
            return None
        finally:
            sandbox.close()
            result = sandbox.handle.wait(10)
            outcome.peak_memory_mib = max(outcome.peak_memory_mib, round(result.peak_memory_mib, 1))

    def make_prompts(self, found: Scan, phase: str) -> None:
        """Compute the blocks under prompts that a file needs in a phase, where they are missing. May take minutes."""
        parts = {part.name: part.fields for part in (self.prepared.region, self.prepared.parts[TEST_PART[phase]])}
        for prompt in self._prompts(found):
            self.prepared.blocks.ensure(parts, prompt)

    def _models(self, job: Job) -> dict[str, Path]:
        """The models that a method is handed, size -> folder: all where students are fine-tuned, else only to a file that plainly
        asks for the strong one."""
        if job.student != "finetune" and not job.found.uses:
            return {}
        teacher = self.task.teachers[0]
        weak = {"weak": resolve_model(teacher.model, teacher.revision, download=False)} if teacher.model else {}
        return {"strong": self.prepared.blocks.folder, **weak}

    def _sandbox(self, job: Job, slot: Slot) -> WarmSandbox:
        models = self._models(job)
        if not models:
            return self.pools[slot.gpu].take()
        sandbox = WarmSandbox(method_box(self.limits, self.isolation, slot.gpu, models))
        sandbox.wait_until_ready()
        return sandbox

    def _prompts(self, found: Scan) -> list[str]:
        wanted = {ZERO_SHOT} if "zero_shot" in found.uses else set()
        wanted |= set(CONTRAST) if "contrast" in found.uses else set()
        return [prompt for prompt in self.prepared.prompts if prompt in wanted]

    def _check_prompts(self, job: Job) -> None:
        """Failed where a block that the method needs was not made: that takes minutes, which no slot should wait for."""
        for part in (self.prepared.region, self.prepared.parts[TEST_PART[job.phase]]):
            if not all(part.has(prompt) for prompt in self._prompts(job.found)):
                raise Failed("rejected", f"task {self.task.name} was prepared without what the strong model answers under its "
                                         f"prompts: the operator can say `python aar.py prepare {self.task.name} --prompts`")

    def _order(self, number: int, count: int) -> np.ndarray:
        """The order in which a method sees the pool of a draw."""
        return np.random.default_rng(derive(self.secret, "pool", number)).permutation(count)

    def _packed_draw(self, number: int, job: Job) -> int:
        """The pool of a draw as a sealed memfd: shuffled, anonymous, without labels (but for the ceiling by a method's recipe)."""
        prompts = self._prompts(job.found)
        key = (number, *prompts, job.true_labels)
        with self._packing:
            if key not in self._packed:
                self._packed[key] = self._pack_draw(number, prompts, job.true_labels)
            return self._packed[key]

    def _pack_draw(self, number: int, prompts: list[str], true_labels: bool) -> int:
        draw = self.prepared.draw(number)
        if true_labels:
            draw = ceiling_draw(self.prepared, draw)
        order = self._order(number, len(draw.texts))
        teachers = draw.teachers
        if true_labels:
            teachers = np.broadcast_to(np.eye(2, dtype=np.float32)[draw.labels], (len(self.task.teachers), len(draw.texts), 2))
        arrays = {f"view {view}": block[order] for view, block in draw.features.items()}
        arrays |= {"groups": draw.groups[order], "teachers": teachers[:, order]}
        header = {"texts": [draw.texts[i] for i in order], "fields": [draw.fields[i] for i in order], "views": list(draw.features),
                  "prompts": {}, "template": self.task.template}
        for prompt in prompts:
            blocks = self.prepared.region.prompted(prompt)
            header["prompts"][prompt] = list(blocks)
            arrays |= {f"{prompt} {view}": block[draw.rows[order]] for view, block in blocks.items()}
        return pack(header, arrays)

    def _ask(self, sandbox: WarmSandbox, doing: str, seconds: float, send=None) -> tuple[dict, dict]:
        """Wait for the sandbox's next message. Raises Failed in the words of a verdict."""
        try:
            if send is not None:
                send()
            header, arrays, descriptors = sandbox.channel.receive()
        except WireError as error:
            raise Failed(*self._why(sandbox, doing, seconds, isinstance(error, HungUp))) from None
        for descriptor in descriptors:
            os.close(descriptor)
        if header.get("malformed"):
            raise Failed("rejected", f"{doing}: {MALFORMED}")
        return header, arrays

    def _why(self, sandbox: WarmSandbox, doing: str, seconds: float, hung_up: bool) -> tuple[str, str]:
        """Status and words for a sandbox that gave no answer, or a wrong one."""
        try:
            ended = sandbox.handle.wait(1.0 if hung_up else 0.0).ended
        except TimeoutError:  # it lives on, without its socket or with something to say that nobody expects
            ended = None
        limits = {
            "output": f"printed more than {OUTPUT_BYTES * FLOOD // 1_000_000} MB",
            "memory": f"used more than {self.task.memory_mib} MiB of memory",
            "processes": f"started more than {self.limits.processes} processes",
            "disk": f"wrote more than {self.limits.disk_mib} MiB of files",
        }
        if ended == "timeout":
            return "timeout", f"{doing}: stopped after the limit of {seconds:.0f} s"
        if ended in limits:
            return "crashed", f"{doing}: {limits[ended]}"
        if hung_up:
            return "crashed", f"{doing}: the process ended without an answer"
        return "rejected", f"{doing}: {MALFORMED}"

    def _fit(self, sandbox: WarmSandbox, job: Job, draws: list[int], slot: Slot, outcome: Outcome) -> None:
        seconds = self.task.seconds_of(job.phase)
        models = {size: models_folder(self.isolation, size, folder) for size, folder in self._models(job).items()}
        order = {
            "name": job.name,
            "source": job.source,
            "fit_seconds": seconds,
            "at_once": 1 if slot.gpu is not None else CORES_A_SLOT,
            "gpu": slot.gpu is not None,
            # Loaded once, before draws get their processes; a process that has touched a GPU cannot fork.
            "load": slot.gpu is None and (job.student == "finetune" or "model" in job.found.uses),
            "students": asdict(Students.of(self.task, job.student, models)),
            # One column too many or too few must arrive, to be told as what it is; a gigabyte need not.
            "limit": 64 * BATCH * 8,
            "seeds": [derive(self.secret, "student", number) for number in draws],
        }
        descriptors = tuple(self._packed_draw(number, job) for number in draws)
        limit = seconds * len(draws)
        sandbox.channel.limit = MOST_BYTES
        sandbox.handle.begin(replace(self.limits, seconds=limit))
        doing = "while fitting" if len(draws) == 1 else f"while fitting {len(draws)} draws"
        header, _ = self._ask(sandbox, doing, limit, lambda: sandbox.channel.send(order, descriptors=descriptors))
        questions = Questions(self.prepared, self._order, job.true_labels)
        while "ask" in header:
            answer = questions.answer(header["ask"], draws)
            header, _ = self._ask(sandbox, doing, limit, functools.partial(sandbox.channel.send, *answer))
        if "error" in header:
            raise Failed("crashed", f"while fitting: {str(header['error'])[:2000]}")
        if header.get("fitted") != len(draws):
            raise Failed("rejected", f"{doing}: {MALFORMED}")
        outcome.method_seconds += _seconds(header)

    def _predict(self, sandbox: WarmSandbox, job: Job, draws: int, outcome: Outcome) -> np.ndarray:
        batches = self._packed_test(job)
        items = sum(len(rows) for rows, _ in batches)
        predictions = np.empty((draws, items, 2))
        limit = max(30.0, self.task.seconds_of(job.phase) * draws)
        sandbox.handle.begin(replace(self.limits, seconds=limit))
        sandbox.channel.limit = 64 * draws * BATCH * 8
        for rows, descriptor in batches:
            send = functools.partial(sandbox.channel.send, {}, descriptors=(descriptor,))
            header, answers = self._ask(sandbox, "while predicting", limit, send)
            if "error" in header:
                raise Failed("crashed", f"while predicting: {_class_and_line(header, job.source)}")
            outcome.method_seconds += _seconds(header)
            for draw in range(draws):
                predictions[draw, rows] = _checked(answers.get(str(draw)), len(rows))
        return predictions

    def _packed_test(self, job: Job) -> list[tuple[np.ndarray, int]]:
        """The test items of a phase in small shuffled batches: their rows, and a sealed memfd with texts and features."""
        prompts = self._prompts(job.found)
        key = (job.phase, job.found.needs_groups, *prompts)
        with self._packing:
            if key not in self._batches:
                self._batches[key] = self._pack_test(job, prompts)
            return self._batches[key]

    def _pack_test(self, job: Job, prompts: list[str]) -> list[tuple[np.ndarray, int]]:
        part = self.prepared.parts[TEST_PART[job.phase]]
        order = np.random.default_rng(derive(self.secret, "test", job.phase)).permutation(len(part.texts))
        blocks = {"view": part.features, **{prompt: part.prompted(prompt) for prompt in prompts}}
        made = []
        for first in range(0, len(order), BATCH):
            rows = order[first : first + BATCH]
            arrays = {f"{prompt} {view}": np.asarray(block[rows]) for prompt, views in blocks.items() for view, block in views.items()}
            if job.found.needs_groups:
                arrays["groups"] = part.groups[rows]
            header = {"texts": [part.texts[i] for i in rows], "fields": [part.fields[i] for i in rows], "views": list(part.features),
                      "prompts": {prompt: list(blocks[prompt]) for prompt in prompts}}
            made.append((rows, pack(header, arrays)))
        return made


def _seconds(header: dict) -> float:
    claimed = header.get("seconds")
    return min(max(claimed, 0.0), 1e6) if isinstance(claimed, float) and math.isfinite(claimed) else 0.0


def _class_and_line(header: dict, source: str) -> str:
    """Only names of built-in exceptions and lines that exist: what the sandbox says may carry test texts."""
    name = header["error"] if isinstance(header["error"], str) and header["error"] in EXCEPTIONS else "an exception of its own"
    line = header.get("line")
    known = isinstance(line, int) and 0 < line <= source.count("\n") + 1
    return f"{name}{f' in line {line}' if known else ''} (its message is withheld: it could hold test texts)"


def _checked(answer: np.ndarray | None, items: int) -> np.ndarray:
    """(items, 2) probabilities, or Failed. The message never repeats what was sent: it could carry test texts."""
    if answer is None or answer.shape != (items, 2):
        raise Failed("rejected", f"while predicting: predict_proba must return shape ({items}, 2) for {items} items")
    if not np.isfinite(answer).all():
        raise Failed("rejected", "while predicting: predict_proba returned NaN or infinite values")
    if answer.min() < -1e-6 or answer.max() > 1 + 1e-6:
        raise Failed("rejected", "while predicting: predict_proba returned values outside [0, 1]")
    return np.clip(answer, 0, 1)
