"""Inside the method sandbox: fits a submitted method on every draw, then, and only then, is sent test items.

The evaluator starts it ahead of time (`python -c ... main(FD)`); it imports numpy, says that it is ready and waits for one
job. It shares its process with the submitted code, so everything it says is a claim: the evaluator checks each array.
"""

from __future__ import annotations

import linecache
import os
import socket
import sys
import time
import traceback
import types

import numpy as np

from eval.w2s import W2S, Batch
from eval.wire import Channel, unpack

MOST_LINES = 8
MOST_CHARACTERS = 1500
MOST_LOGGED = 50


def main(descriptor: int) -> None:
    channel = Channel(socket.socket(fileno=descriptor))
    channel.send({"ready": True})
    job, _, descriptors = channel.receive()
    fitted = _fit_all(channel, job, descriptors)
    if fitted is not None:
        _predict_all(channel, fitted, job)


def _fit_all(channel: Channel, job: dict, descriptors: list[int]) -> list | None:
    """One fitted model a draw, or None after the error was told."""
    name = job["name"]
    linecache.cache[name] = (len(job["source"]), None, job["source"].splitlines(keepends=True), name)
    module = types.ModuleType("method")
    module.__file__ = name
    sys.modules["method"] = module
    started, fitted, logged, draw = time.perf_counter(), [], [], -1
    try:
        exec(compile(job["source"], name, "exec"), module.__dict__)
        for draw, (descriptor, seed) in enumerate(zip(descriptors, job["seeds"], strict=True)):
            w2s = _handed(descriptor, seed, job["fit_seconds"])
            model = module.fit(w2s)
            if not callable(getattr(model, "predict_proba", None)):
                raise TypeError(f"fit returned {type(model).__name__}, which has no predict_proba(batch)")
            fitted.append(model)
            logged.append(_plain(w2s))
    except BaseException as error:  # the submitted code may raise anything, SystemExit included
        channel.send({"error": _described(error, name), "draw": draw})
        return None
    channel.send({"fitted": len(fitted), "seconds": time.perf_counter() - started, "logged": logged})
    return fitted


def _unpacked(descriptor: int) -> tuple[dict, dict]:
    try:
        return unpack(descriptor)
    finally:
        os.close(descriptor)  # the map stays


def _handed(descriptor: int, seed: int, seconds: float) -> W2S:
    header, arrays = _unpacked(descriptor)
    return W2S(
        texts=header["texts"],
        fields=header["fields"],
        groups=arrays["groups"],
        weak=arrays["teachers"][0],
        teachers=arrays["teachers"],
        features={view: arrays[f"view {view}"] for view in header["views"]},
        default_view=header["views"][0],
        seed=seed,
        seconds=seconds,
    )


def _plain(w2s: W2S) -> dict[str, float]:
    values = getattr(w2s, "logged", {})
    return {str(key)[:60]: float(value) for key, value in list(values.items())[:MOST_LOGGED]}


def _described(error: BaseException, name: str) -> str:
    """The last lines of the method's own traceback. Only used while no test text has been seen."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == name]
    lines = "".join(traceback.format_list(frames)).splitlines()
    lines += "".join(traceback.format_exception_only(error)).splitlines()
    return "\n".join(lines[-MOST_LINES:])[-MOST_CHARACTERS:]


def _predict_all(channel: Channel, fitted: list, job: dict) -> None:
    """Answer batch after batch with one (m, 2) array for each draw, until the evaluator hangs up."""
    while True:
        _, _, descriptors = channel.receive()
        header, arrays = _unpacked(descriptors[0])
        features = {view: arrays[f"view {view}"] for view in header["views"]}
        answers, started = {}, time.perf_counter()
        try:
            for draw, model in enumerate(fitted):
                batch = Batch(header["texts"], header["fields"], arrays.get("groups"), features)
                answers[str(draw)] = _array(model.predict_proba(batch))
        except BaseException as error:  # class and line only: a message could carry test texts
            frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == job["name"]]
            line = frames[-1].lineno if frames else 0
            channel.send({"error": type(error).__name__, "line": line, "draw": draw})
            return
        channel.send({"seconds": time.perf_counter() - started}, answers)


def _array(answer: object) -> np.ndarray:
    array = np.asarray(answer)
    if array.dtype == object or array.dtype.kind not in "fiub":
        raise TypeError("predict_proba must return numbers")
    return array.astype(np.float64)
