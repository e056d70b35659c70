"""Inside the method sandbox: one process a draw fits the submitted method; then, and only then, test items arrive.

The evaluator starts it ahead of time (`python -c ... main(FD)`): it imports numpy, says that it is ready and waits for one
job. This parent never runs submitted code. It forks a child for each draw, which holds that draw and nothing else: no other
draw's data or models, and not the channel on which test items come. Children cannot make files or sockets (`eval/confine.py`), so
what one draw learned does not help another. What a child asks its teacher goes through the parent to the evaluator. Whatever a child says is a
claim, which the evaluator checks.

Once fitted, and before any test item arrives, a child may fork a twin: it gets some of the same items in other company, and a
method whose answers depend on nothing else gives the same ones. `eval/trace.py` tells what the method's own code does.
"""

from __future__ import annotations
import __future__

import ctypes
import linecache
import os
import re
import resource
import selectors
import socket
import sys
import tempfile
import time
import traceback
import types
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eval.confine import confine
from eval.trace import Trace
from eval.w2s import W2S, Batch, Students
from eval.wire import Channel, HungUp, WireError, unpack

MOST_LINES = 8
MOST_CHARACTERS = 1500
MOST_LOGGED = 50
MOST_TRACED = 4000
"""Bytes of what the trace of a draw says."""
PRELOADED = ("scipy", "sklearn", "torch", "transformers")
"""Libraries that are imported once, before the fork, where a method asks for them."""
NEEDS_TORCH = re.compile(r"\b(losses|loss\s*=|hidden\s*=)")
"""What in a method makes a probe train with torch."""
PR_SET_DUMPABLE = 4


def main(descriptor: int) -> None:
    # Not dumpable: no child can read or write this process by way of /proc.
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    channel = Channel(socket.socket(fileno=descriptor))
    channel.send({"ready": True})
    job, _, draws = channel.receive()
    for library in PRELOADED:
        if re.search(rf"^\s*(?:import|from)\s+{library}\b", job["source"], re.MULTILINE):
            __import__(library)
    if NEEDS_TORCH.search(job["source"]):
        __import__("torch")
    if job["load"]:
        _load(job["students"])
    children: list[_Child] = []
    try:
        started = time.perf_counter()
        problem = _fit_all(job, draws, channel, children)
        channel.send({**(problem or {"fitted": len(children), "seconds": time.perf_counter() - started}), "trace": _traced(children)})
        while problem is None:
            order, _, (batch,) = channel.receive()
            twins = order.get("twins", 0)
            asked = [child.twin or child.channel for child in children[:twins]] if twins else [child.channel for child in children]
            started = time.perf_counter()
            problem, answers = _predict_all(batch, asked)
            channel.send({**(problem or {"seconds": time.perf_counter() - started}), "trace": _traced(children)}, answers)
    except HungUp:
        pass  # the evaluator has all it wanted, or a child ended without a word: with this process everything here ends


@dataclass
class _Child:
    """The process of one draw: its channel, that of its twin where it has one, and where its trace comes in."""

    channel: Channel
    twin: Channel | None
    trace: int

    def traced(self) -> list[str]:
        try:
            return os.read(self.trace, MOST_TRACED).decode("ascii", "replace").splitlines()
        except BlockingIOError:
            return []


def _traced(children: list[_Child]) -> list[str]:
    return [line for child in children for line in child.traced()]


LOADED: dict = {}
"""Language models, size -> LanguageModel, that all draws share until one of them writes to its own copy."""


def _load(students: dict) -> None:
    import torch

    from eval.language import LanguageModel

    torch.set_num_threads(1)
    for size, folder in students["models"].items():
        LOADED[size] = LanguageModel(Path(folder), max_tokens=students["max_tokens"])
        _ = LOADED[size].model


def _fit_all(job: dict, draws: list[int], channel: Channel, children: list[_Child]) -> dict | None:
    """Fork a child for each draw, `job["at_once"]` of them busy at a time; what went wrong, or None."""
    waiting, busy = list(enumerate(draws)), selectors.DefaultSelector()
    while waiting or busy.get_map():
        while waiting and len(busy.get_map()) < job["at_once"]:
            number, draw = waiting.pop(0)
            children.append(_start(job, draw, number))
            busy.register(children[-1].channel.socket, selectors.EVENT_READ, number)
        for key, _ in busy.select():
            child = children[key.data].channel
            header = _heard(child)
            if "ask" in header:
                _relay(header, key.data, child, channel)
                continue
            busy.unregister(key.fileobj)
            child.limit = job["limit"]
            if children[key.data].twin:
                children[key.data].twin.limit = job["limit"]
            if header.get("fitted") is not True:
                return header
    return None


def _start(job: dict, draw: int, number: int) -> _Child:
    ours, theirs = socket.socketpair()
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    ours_twin, theirs_twin = socket.socketpair() if number < job["twins"] else (None, None)
    if os.fork() == 0:
        _child(theirs, draw, job, number, theirs_twin, writing)
    os.close(writing)
    theirs.close()
    if theirs_twin is not None:
        theirs_twin.close()
    return _Child(Channel(ours), Channel(ours_twin) if ours_twin else None, reading)


def _heard(child: Channel) -> dict:
    """What a child that fits has to say: a question, that it is done, or its error."""
    try:
        header, _, _ = child.receive()
    except HungUp:
        raise
    except WireError:
        return {"malformed": True}
    return header


def _relay(question: dict, number: int, child: Channel, channel: Channel) -> None:
    """Hand a child's question about its teacher to the evaluator, and the answer back."""
    channel.send({"ask": {**question, "number": number}})
    header, arrays, _ = channel.receive()
    child.send(header, arrays)


def _predict_all(batch: int, children: list[Channel]) -> tuple[dict | None, dict[str, np.ndarray]]:
    """Hand one batch to all children; the error of one of them, or one array for each draw."""
    for child in children:
        child.send({}, descriptors=(batch,))
    os.close(batch)
    answers = {}
    for number, child in enumerate(children):
        try:
            header, arrays, _ = child.receive()
        except HungUp:
            raise
        except WireError:
            return {"malformed": True}, {}
        if "answer" not in arrays:
            return header, {}
        answers[str(number)] = arrays["answer"]
    return None, answers


def _child(connection: socket.socket, draw: int, job: dict, number: int, twin: socket.socket | None, writing: int) -> None:
    """Fit one draw and answer batches until the parent is gone. Never returns."""
    try:
        kept = {connection.fileno(), draw, writing, twin.fileno() if twin else -1}
        for descriptor in os.listdir("/proc/self/fd"):
            if int(descriptor) > 2 and int(descriptor) not in kept:
                try:
                    os.close(int(descriptor))
                except OSError:
                    pass  # the one that listed them
        tempfile.tempdir = "/tmp"  # or libraries that ask for it try to write a file, which is forbidden
        if not job["gpu"]:  # a CUDA driver writes to memory files; there each draw has a sandbox of its own
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
            confine()
        seen: list[str] = []
        Trace(writing, job["name"], job["imports"], seen).start()
        channel = Channel(connection)
        w2s, model = _fit(channel, draw, job, number, seen)
        if model is None:
            return
        if twin is not None:
            channel = Channel(twin) if os.fork() == 0 else channel
            if channel.socket is not twin:
                twin.close()
        _predict(channel, w2s, model, job["name"], seen)
    finally:
        os._exit(0)


def _fit(channel: Channel, draw: int, job: dict, number: int, seen: list[str]) -> tuple[W2S | None, object]:
    name = job["name"]
    linecache.cache[name] = (len(job["source"]), None, [line + "\n" for line in job["shown"].split("\n")], name)
    module = types.ModuleType("method")
    sys.modules["method"] = module
    try:
        # Without docstrings (optimize=2), and annotations stay text: what the scan does not count does not exist.
        flags = __future__.annotations.compiler_flag
        exec(compile(job["source"], name, "exec", flags, dont_inherit=True, optimize=2), module.__dict__)
        w2s = _handed(channel, draw, job, number, seen)
        model = module.fit(w2s)
        if not callable(getattr(model, "predict_proba", None)):
            raise TypeError(f"fit returned {type(model).__name__}, which has no predict_proba(batch)")
        logged = _plain(w2s.logged)
    except BaseException as error:  # the submitted code may raise anything, SystemExit included
        channel.send({"error": _described(error, name)})
        return None, None
    channel.send({"fitted": True, "logged": logged})
    return w2s, model


def _unpacked(descriptor: int) -> tuple[dict, dict]:
    try:
        return unpack(descriptor)
    finally:
        os.close(descriptor)  # the map stays


def _handed(channel: Channel, descriptor: int, job: dict, number: int, seen: list[str]) -> W2S:
    header, arrays = _unpacked(descriptor)
    seen += [value for fields in header["fields"] for value in fields.values()]
    features, prompted = _blocks(header, arrays)
    students = job["students"]

    def ask(question: dict) -> np.ndarray:
        channel.send(question)
        reply, answer, _ = channel.receive()
        if "refused" in reply:
            raise ValueError(reply["refused"])
        return answer["labels"]

    return W2S(
        texts=header["texts"],
        fields=header["fields"],
        groups=arrays["groups"],
        teachers=arrays["teachers"],
        features=features,
        default_view=header["views"][0],
        seed=job["seeds"][number],
        seconds=job["fit_seconds"],
        template=header["template"],
        students=Students(**students),
        prompted=prompted,
        ask=ask,
        languages=LOADED,
    )


def _blocks(header: dict, arrays: dict) -> tuple[dict, dict]:
    """The blocks of a packed pool or batch: view -> array, and prompt -> view -> array for those that were handed out."""
    features = {view: arrays[f"view {view}"] for view in header["views"]}
    prompted = {prompt: {view: arrays[f"{prompt} {view}"] for view in views} for prompt, views in header["prompts"].items()}
    return features, prompted


def _plain(logged: dict) -> dict[str, float]:
    return {str(key)[:60]: float(value) for key, value in list(logged.items())[:MOST_LOGGED]}


def _described(error: BaseException, name: str) -> str:
    """The last lines of the method's own traceback. Only used while no test text has been seen."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == name]
    lines = "".join(traceback.format_list(frames)).splitlines()
    lines += "".join(traceback.format_exception_only(error)).splitlines()
    return "\n".join(lines[-MOST_LINES:])[-MOST_CHARACTERS:]


def _predict(channel: Channel, w2s: W2S, model: object, name: str, seen: list[str]) -> None:
    """Answer batch after batch with an (m, 2) array, until the parent hangs up."""
    while True:
        _, _, (descriptor,) = channel.receive()
        header, arrays = _unpacked(descriptor)
        seen += [value for fields in header["fields"] for value in fields.values()]
        features, prompted = _blocks(header, arrays)
        try:
            batch = Batch(header["texts"], header["fields"], arrays.get("groups"), features, prompted)
            w2s.meet(batch)
            answer = _array(model.predict_proba(batch))
        except BaseException as error:  # class and line only: a message could carry test texts
            frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == name]
            channel.send({"error": type(error).__name__, "line": frames[-1].lineno if frames else 0})
            return
        channel.send({}, {"answer": answer})


def _array(answer: object) -> np.ndarray:
    array = np.asarray(answer)
    if array.dtype == object or array.dtype.kind not in "fiub":
        raise TypeError("predict_proba must return numbers")
    return array.astype(np.float64)
