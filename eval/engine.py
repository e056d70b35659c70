"""Runs one method file on some draws of a task, in a method sandbox, and checks what comes back.

This is the narrow gate between submitted code and labels: the code goes in with pools and weak labels, arrays of
predictions come out. Nothing here compares a prediction to a label; `eval/score.py` does.
"""

from __future__ import annotations

import builtins
import functools
import json
import math
import os
import time
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from eval.asking import MOST_BYTES, Questions
from eval.models import describe_model, resolve_model
from eval.packs import BATCH, Job, Packed, Packs
from eval.prepared import TEST_PART, Prepared
from eval.scan import MODULES, Scan
from eval.seeds import derive
from eval.slots import Slot
from eval.trace import EVENTS
from eval.tracks import FLAGS
from eval.w2s import Students
from eval.warm import WarmPool, WarmSandbox, method_box, models_folder, start_patiently
from eval.wire import HungUp, WireError
from sandbox.box import FLOOD, Handle, Limits
from sandbox.cgroup import ended_for_memory

OUTPUT_BYTES = 16_000
"""Of what a method prints, this much is kept; the sandbox ends one that prints FLOOD times as much."""
EXCEPTIONS = {n for n in dir(builtins) if isinstance(getattr(builtins, n), type) and issubclass(getattr(builtins, n), BaseException)}
MALFORMED = "what came back is no message of the expected kind and size"
"""Not what exactly arrived: even a size could carry test texts."""
HANG_UP_SECONDS = 5.0
"""So long a sandbox may live on that has hung up, before it is killed."""
CORES_A_SLOT = 2
LIVE_MIB = 320
"""What a draw takes that asks a small language model."""
TWINS = 2
"""Draws that are asked again, by a twin that has met no test item, about items in other company."""


@dataclass(frozen=True)
class Asked:
    """What the first draws said of items when asked again: `rows` (m,) of their part, `predictions` (draws, m, 2)."""

    rows: np.ndarray
    predictions: np.ndarray


@dataclass
class Outcome:
    """What running a method gave. `predictions`: (draws, items, 2) float64 in [0, 1], or None with `error` in words. `again`:
    what some draws said of items in other company; `altered`: of items written otherwise, by draws
    from position `asked_from` on. `traced`: flag -> reason in words."""

    status: str
    error: str | None = None
    predictions: np.ndarray | None = None
    method_seconds: float = 0.0
    total_seconds: float = 0.0
    peak_memory_mib: float = 0.0
    again: Asked | None = None
    altered: Asked | None = None
    asked_from: int = 0
    traced: dict[str, str] = field(default_factory=dict)


class Failed(Exception):
    def __init__(self, status: str, error: str):
        super().__init__(error)
        self.status = status


class Engine:
    """One task with its pools packed and its test items in batches. `secret` seeds students and orders. `null`: all teachers'
    labels are shuffled, whatever is done."""

    def __init__(self, prepared: Prepared, secret: bytes, isolation: str, slots: list[Slot], null: bool = False):
        self.prepared = prepared
        self.task = prepared.task
        self.secret = secret
        self.packs = Packs(prepared, secret, null)
        self.isolation = isolation
        self.limits = Limits(memory_mib=self.task.memory_mib, processes=64, output_bytes=OUTPUT_BYTES, disk_mib=256)
        # One waiting for each slot, and one more: the quick rung's sandbox is often followed by the full rung's.
        slots_of = Counter(slot.gpu for slot in slots)
        self.pools = {gpu: WarmPool(method_box(self.limits, isolation, gpu), count + 1) for gpu, count in slots_of.items()}

    def close(self) -> None:
        for pool in self.pools.values():
            pool.close()
        self.packs.close()

    def run(self, source: str, name: str, draws: list[int], found: Scan, slot: Slot, true_labels: bool = False,
            shuffled: bool = False, audited: bool = False, blind: bool = False) -> Outcome:
        """Fit on all `draws` (of one phase), then predict that phase's test part. The caller holds `slot`. `true_labels`: the
        method is handed true labels in place of the teachers', for the ceiling by its own recipe; its errors are then muted.
        `shuffled`: it is handed the teachers' labels shuffled; `blind`: the hidden states of other items. `audited`: some items are
        asked about again, in other company."""
        phase = self.prepared.draw(draws[0]).phase
        job = Job(source, name, found, phase, self.task.student_of(phase), true_labels, shuffled, audited, blind)
        started = time.perf_counter()
        # A CUDA process cannot fork, and what draws leave behind must not meet: there each draw has its own sandbox.
        shares = [draws] if slot.gpu is None else [[draw] for draw in draws]
        outcome, answers = Outcome("scored"), []
        for share in shares:
            answers.append(self._run(job, share, slot, outcome))
            job = replace(job, audited=False)  # a few draws are enough
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
        sandbox = self._sandbox(job, slot, len(draws))
        try:
            self._fit(sandbox, job, draws, slot, outcome)
            return self._predict(sandbox, job, len(draws), outcome)
        except Failed as failure:
            outcome.status, outcome.error = failure.status, str(failure)
            return None
        finally:
            sandbox.close()
            if touched := sandbox.honeypot.touched():
                outcome.traced["honeypot"] = f"{FLAGS['honeypot'][1]}: {', '.join(touched)}"
            result = sandbox.handle.wait()
            outcome.peak_memory_mib = max(outcome.peak_memory_mib, round(result.peak_memory_mib, 1))

    def make_prompts(self, found: Scan, phase: str) -> None:
        """Compute the blocks under prompts that a file needs in a phase, where they are missing. May take minutes."""
        parts = {part.name: part.fields for part in (self.prepared.region, self.prepared.parts[TEST_PART[phase]])}
        for prompt in self.packs.prompts(found):
            self.prepared.blocks.ensure(parts, prompt)

    def _models(self, job: Job) -> dict[str, Path]:
        """The models that a method is handed, size -> folder: all where students are fine-tuned, else only to a file that plainly
        asks for the strong one."""
        if job.student != "finetune" and not job.found.uses:
            return {}
        teacher = self.task.teachers[0]
        weak = {"weak": resolve_model(teacher.model, teacher.revision, download=False)} if teacher.model else {}
        return {"strong": self.prepared.blocks.folder, **weak}

    def _limits_of(self, job: Job, draws: int, seconds: float) -> Limits:
        """A task's memory is meant for probes where its students are probes: a live model needs its own, and some for each draw."""
        extra = 0
        if job.student == "probe" and "model" in job.found.uses:
            extra = sum(describe_model(folder).parameters for folder in self._models(job).values()) * 4 // 2**20 + LIVE_MIB * draws
        return replace(self.limits, seconds=seconds, memory_mib=self.task.memory_mib + extra)

    def _sandbox(self, job: Job, slot: Slot, draws: int) -> WarmSandbox:
        models = self._models(job)
        if not models:
            return self.pools[slot.gpu].take()
        return start_patiently(method_box(self._limits_of(job, draws, self.limits.seconds), self.isolation, slot.gpu, models))

    def _check_prompts(self, job: Job) -> None:
        """Failed where a block that the method needs was not made: that takes minutes, which no slot should wait for."""
        for part in (self.prepared.region, self.prepared.parts[TEST_PART[job.phase]]):
            if not all(part.has(prompt) for prompt in self.packs.prompts(job.found)):
                raise Failed("rejected", f"task {self.task.name} was prepared without what the strong model answers under its "
                                         f"prompts: the operator can say `python aar.py prepare {self.task.name} --prompts`")

    def _ask(self, sandbox: WarmSandbox, doing: str, limits: Limits, send=None) -> tuple[dict, dict]:
        """Wait for the sandbox's next message. Raises Failed in the words of a verdict."""
        try:
            if send is not None:
                send()
            header, arrays, descriptors = sandbox.channel.receive()
        except WireError as error:
            raise Failed(*self._why(sandbox, doing, limits, isinstance(error, HungUp))) from None
        for descriptor in descriptors:
            os.close(descriptor)
        if header.get("malformed"):
            raise Failed("rejected", f"{doing}: {MALFORMED}")
        return header, arrays

    def _why(self, sandbox: WarmSandbox, doing: str, limits: Limits, hung_up: bool) -> tuple[str, str]:
        """Status and words for a sandbox that gave no answer, or a wrong one."""
        if hung_up:
            ended = _end_of(sandbox.handle)
        else:  # it had something to say that nobody expects, perhaps while it was struck
            ended = sandbox.handle.wait().ended if sandbox.handle.poll() is not None else None
        words = {
            "output": f"printed more than {OUTPUT_BYTES * FLOOD // 1_000_000} MB",
            "memory": f"used more than {limits.memory_mib} MiB of memory",
            "processes": f"started more than {self.limits.processes} processes",
            "disk": f"wrote more than {self.limits.disk_mib} MiB of files",
        }
        if ended == "timeout":
            return "timeout", f"{doing}: stopped after the limit of {limits.seconds:.0f} s"
        if ended in words:
            return "crashed", f"{doing}: {words[ended]}"
        if hung_up:
            return "crashed", f"{doing}: the process ended without an answer"
        return "rejected", f"{doing}: {MALFORMED}"

    def _fit(self, sandbox: WarmSandbox, job: Job, draws: list[int], slot: Slot, outcome: Outcome) -> None:
        seconds = self.task.seconds_of(job.phase)
        models = {size: models_folder(self.isolation, size, folder) for size, folder in self._models(job).items()}
        order = {
            "name": job.name,
            "source": job.source,
            "shown": job.found.shown,
            "fit_seconds": seconds,
            "at_once": 1 if slot.gpu is not None else CORES_A_SLOT,
            "gpu": slot.gpu is not None,
            # Loaded once, before draws get their processes; a process that has touched a GPU cannot fork.
            "load": slot.gpu is None and (job.student == "finetune" or "model" in job.found.uses),
            "students": asdict(Students.of(self.task, job.student, models)),
            # One column too many or too few must arrive, to be told as what it is; a gigabyte need not.
            "limit": 64 * BATCH * 8,
            "imports": sorted(MODULES),
            # A CUDA process cannot fork a twin.
            "twins": TWINS if job.audited and slot.gpu is None else 0,
            "seeds": [derive(self.secret, "student", number) for number in draws],
        }
        descriptors = tuple(self.packs.pool(number, job) for number in draws)
        limits = self._limits_of(job, len(draws), seconds * len(draws))
        sandbox.channel.limit = MOST_BYTES
        sandbox.handle.begin(limits)
        doing = "while fitting" if len(draws) == 1 else f"while fitting {len(draws)} draws"
        header, _ = self._ask(sandbox, doing, limits, lambda: sandbox.channel.send(order, descriptors=descriptors))
        questions = Questions(self.prepared, self.packs.order, job.true_labels, self.packs.shuffle(job))
        while "ask" in header:
            answer = questions.answer(header["ask"], draws)
            header, _ = self._ask(sandbox, doing, limits, functools.partial(sandbox.channel.send, *answer))
        _note_trace(header, job.source, outcome)
        if "error" in header:
            raise Failed("crashed", f"while fitting: {str(header['error'])[:2000]}")
        if header.get("fitted") != len(draws):
            raise Failed("rejected", f"{doing}: {MALFORMED}")
        outcome.method_seconds += _seconds(header)

    def _predict(self, sandbox: WarmSandbox, job: Job, draws: int, outcome: Outcome) -> np.ndarray:
        batches = self.packs.test(job)
        items = sum(len(batch.rows) for batch in batches)
        predictions = np.empty((draws, items, 2))
        limits = self._limits_of(job, draws, max(30.0, self.task.seconds_of(job.phase) * draws))
        sandbox.handle.begin(limits)
        sandbox.channel.limit = 64 * draws * BATCH * 8
        for batch in batches:
            answers = self._answers(sandbox, job, {}, batch, limits, outcome)
            for draw in range(draws):
                predictions[draw, batch.rows] = _checked(answers.get(str(draw)), len(batch.rows))
        if job.audited:
            self._ask_again(sandbox, job, draws, limits, outcome)
        return predictions

    def _answers(self, sandbox: WarmSandbox, job: Job, order: dict, batch: Packed, limits: Limits, outcome: Outcome) -> dict:
        """What all draws, or the twins of some, say of one batch."""
        send = functools.partial(sandbox.channel.send, order, descriptors=(batch.descriptor,))
        header, answers = self._ask(sandbox, "while predicting", limits, send)
        _note_trace(header, job.source, outcome)
        if "error" in header:
            raise Failed("crashed", f"while predicting: {_class_and_line(header, job.source)}")
        outcome.method_seconds += _seconds(header)
        return answers

    def _ask_again(self, sandbox: WarmSandbox, job: Job, draws: int, limits: Limits, outcome: Outcome) -> None:
        """Ask those who have met no item about some in other company, and about some that are written otherwise."""
        def asked(batches: list[Packed]) -> Asked | None:
            heard = [(batch.rows, self._answers(sandbox, job, {"twins": TWINS}, batch, limits, outcome)) for batch in batches]
            if not heard:
                return None
            return Asked(np.concatenate([rows for rows, _ in heard]),
                         np.stack([np.concatenate([_checked(answers.get(str(draw)), len(rows)) for rows, answers in heard])
                                   for draw in range(min(TWINS, draws))]))

        outcome.again, outcome.altered = asked(self.packs.again(job)), asked(self.packs.altered(job))


def _end_of(handle: Handle) -> str | None:
    """What ended a sandbox that has hung up. It may be dead and take long to be buried, or live on without its socket: that one is killed,
    which changes nothing about why another one was."""
    try:
        return handle.wait(HANG_UP_SECONDS).ended
    except TimeoutError:
        handle.kill("memory" if ended_for_memory(handle.group) else "killed")
        return handle.wait().ended


def _note_trace(header: dict, source: str, outcome: Outcome) -> None:
    """Take in what the trace of the sandbox told: flags and events that exist, lines that exist, and nothing else."""
    lines = header.get("trace")
    for line in lines[:100] if isinstance(lines, list) else ():
        try:
            told = json.loads(line)
            flag, event, number = (told[name] for name in ("flag", "event", "line"))
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
        known = isinstance(event, str) and isinstance(flag, str) and EVENTS.get(event) == flag
        if known and type(number) is int and 0 <= number <= source.count("\n") + 1:
            outcome.traced.setdefault(flag, f"{FLAGS[flag][1]} ({event} in line {number})")


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
