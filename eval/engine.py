"""Runs one method file on some draws of a task, in a method sandbox, and checks what comes back.

This is the narrow gate between submitted code and labels: the code goes in with pools and weak labels, arrays of
predictions come out. Nothing here compares a prediction to a label; `eval/score.py` does.
"""

from __future__ import annotations

import builtins
import functools
import math
import os
import time
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from eval.prepared import TEST_PART, Prepared
from eval.seeds import derive
from eval.slots import Slot
from eval.warm import WarmPool, WarmSandbox, method_box
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
        self._packed: dict[int, int] = {}
        self._batches: dict[tuple[str, bool], list[tuple[np.ndarray, int]]] = {}
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

    def run(self, source: str, name: str, draws: list[int], needs_groups: bool, slot: Slot) -> Outcome:
        """Fit on all `draws` (of one phase), then predict that phase's test part. The caller holds `slot`."""
        phase = self.prepared.draw(draws[0]).phase
        started = time.perf_counter()
        sandbox = self.pools[slot.gpu].take()
        outcome = Outcome("scored")
        try:
            self._fit(sandbox, source, name, draws, slot, outcome)
            outcome.predictions = self._predict(sandbox, source, phase, len(draws), needs_groups, outcome)
        except Failed as failure:
            outcome.status, outcome.error = failure.status, str(failure)
        finally:
            sandbox.close()
            result = sandbox.handle.wait(10)
            outcome.peak_memory_mib = round(result.peak_memory_mib, 1)
            outcome.total_seconds = time.perf_counter() - started
        return outcome

    def _packed_draw(self, number: int) -> int:
        """The pool of a draw as a sealed memfd: shuffled, anonymous, without labels."""
        if number not in self._packed:
            draw = self.prepared.draw(number)
            order = np.random.default_rng(derive(self.secret, "pool", number)).permutation(len(draw.texts))
            views = list(draw.features)
            arrays = {f"view {view}": draw.features[view][order] for view in views}
            arrays |= {"groups": draw.groups[order], "teachers": draw.teachers[:, order]}
            header = {"texts": [draw.texts[i] for i in order], "fields": [draw.fields[i] for i in order], "views": views}
            self._packed[number] = pack(header, arrays)
        return self._packed[number]

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

    def _fit(self, sandbox: WarmSandbox, source: str, name: str, draws: list[int], slot: Slot, outcome: Outcome) -> None:
        seconds = self.task.fit_seconds
        job = {
            "name": name,
            "source": source,
            "fit_seconds": seconds,
            "at_once": 1 if slot.gpu is not None else CORES_A_SLOT,
            # One column too many or too few must arrive, to be told as what it is; a gigabyte need not.
            "limit": 64 * BATCH * 8,
            "seeds": [derive(self.secret, "student", number) for number in draws],
        }
        descriptors = tuple(self._packed_draw(number) for number in draws)
        limit = seconds * len(draws)
        sandbox.channel.limit = 1 << 20
        sandbox.handle.begin(replace(self.limits, seconds=limit))
        doing = "while fitting" if len(draws) == 1 else f"while fitting {len(draws)} draws"
        header, _ = self._ask(sandbox, doing, limit, lambda: sandbox.channel.send(job, descriptors=descriptors))
        if "error" in header:
            raise Failed("crashed", f"while fitting: {str(header['error'])[:2000]}")
        if header.get("fitted") != len(draws):
            raise Failed("rejected", f"{doing}: {MALFORMED}")
        outcome.method_seconds += _seconds(header)

    def _predict(
        self, sandbox: WarmSandbox, source: str, phase: str, draws: int, needs_groups: bool, outcome: Outcome
    ) -> np.ndarray:
        batches = self._packed_test(phase, needs_groups)
        items = sum(len(rows) for rows, _ in batches)
        predictions = np.empty((draws, items, 2))
        limit = max(30.0, self.task.fit_seconds * draws)
        sandbox.handle.begin(replace(self.limits, seconds=limit))
        sandbox.channel.limit = 64 * draws * BATCH * 8
        for rows, descriptor in batches:
            send = functools.partial(sandbox.channel.send, {}, descriptors=(descriptor,))
            header, answers = self._ask(sandbox, "while predicting", limit, send)
            if "error" in header:
                raise Failed("crashed", f"while predicting: {_class_and_line(header, source)}")
            outcome.method_seconds += _seconds(header)
            for draw in range(draws):
                predictions[draw, rows] = _checked(answers.get(str(draw)), len(rows))
        return predictions

    def _packed_test(self, phase: str, with_groups: bool) -> list[tuple[np.ndarray, int]]:
        """The test items of a phase in small shuffled batches: their rows, and a sealed memfd with texts and features."""
        if (phase, with_groups) not in self._batches:
            part = self.prepared.parts[TEST_PART[phase]]
            order = np.random.default_rng(derive(self.secret, "test", phase)).permutation(len(part.texts))
            views = list(part.features)
            made = []
            for first in range(0, len(order), BATCH):
                rows = order[first : first + BATCH]
                arrays = {f"view {view}": np.asarray(part.features[view][rows]) for view in views}
                if with_groups:
                    arrays["groups"] = part.groups[rows]
                header = {"texts": [part.texts[i] for i in rows], "fields": [part.fields[i] for i in rows], "views": views}
                made.append((rows, pack(header, arrays)))
            self._batches[phase, with_groups] = made
        return self._batches[phase, with_groups]


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
