"""Worker processes that compute hidden states (eval/feature_worker.py), each driven by a thread that hands it chunk after chunk.

A worker takes several seconds to load torch and transformers. Who reads several times, as a preparation does, keeps those without a
GPU meanwhile; their memory is free between two readings:

    with kept_workers():
        compute_features(...)
        compute_features(...)
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sandbox.gpu import environment
from state.errors import UserError

ROOT = Path(__file__).resolve().parent.parent


class Tokens(NamedTuple):
    """What the model reads for one item, special tokens of its tokenizer included. Means leave out the first `prefix` and the
    last `suffix` tokens, which belong to the template and to its fields before the last one."""

    ids: list[int]
    prefix: int
    suffix: int


class Place(NamedTuple):
    """Where a worker runs: on a GPU of this number, or (None) on `threads` cores."""

    gpu: int | None
    threads: int

    @property
    def device(self) -> str:
        return "cpu" if self.gpu is None else "cuda"


@dataclass(frozen=True)
class Chunk:
    """Consecutive texts in the order of length: their positions among all texts, and the tokens they cost. `size` is what
    chunks aim at: files of one size never pass for those of another."""

    number: int
    size: int
    rows: np.ndarray
    tokens: int

    def file(self, folder: Path) -> Path:
        return folder / f"chunk-{self.size}-{self.number:04d}.npz"


class _Worker:
    """A process at a place."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.errors = tempfile.TemporaryFile("w+")
        # By default a thread spins until the others are done: where the cores have more to do, that took three times the work itself.
        given = {"OMP_NUM_THREADS": str(place.threads), "OMP_WAIT_POLICY": "PASSIVE", "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "eval.feature_worker"], stdin=subprocess.PIPE, text=True, stdout=subprocess.PIPE, stderr=self.errors,
            start_new_session=True, env={**os.environ, **environment(place.gpu), **given},
        )  # fmt: skip

    def load(self, reading: dict) -> None:
        """Have it load the model of an encoder, and wait for it."""
        self.send({**reading, "device": self.place.device, "threads": self.place.threads})
        self.process.stdout.readline()

    def send(self, message: dict) -> None:
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def rest(self) -> bool:
        """Have it forget the model; whether it is there for more."""
        if self.place.gpu is not None:  # what it holds of a GPU beside the model is wanted by others
            return False
        with contextlib.suppress(BrokenPipeError):
            self.send({"rest": True})
            return True
        return False

    def last_words(self) -> str:
        """Of a worker that hung up."""
        code = self.process.wait()
        self.errors.seek(0)
        said = [line for line in self.errors.read().splitlines() if line.strip()] or ["it said nothing"]
        return "it was killed, perhaps for want of memory" if code == -9 else said[-1]

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self.errors.close()


_idle: list[_Worker] | None = None
"""Workers that wait for more to read; None: nobody asked to keep any."""


@contextlib.contextmanager
def kept_workers() -> Iterator[None]:
    """Workers that have read stay for who reads next, until this is left."""
    global _idle
    if _idle is not None:  # inside another one
        yield
        return
    _idle = []
    try:
        yield
    finally:
        ending, _idle = _idle, None
        for worker in ending:
            worker.end()


def _worker_at(place: Place) -> _Worker:
    for worker in _idle or ():
        if worker.place == place and worker.process.poll() is None:
            _idle.remove(worker)
            return worker
    return _Worker(place)


class Crew:
    """Reads chunks with an encoder's model. `reading`: what workers need to know of the encoder; `progress(tokens)` is told what is done
    so far, from several threads one at a time."""

    def __init__(self, reading: dict, items: list[Tokens], folder: Path, chunks: list[Chunk], progress: Callable[[int], None]) -> None:
        self.reading, self.items, self.folder, self.progress = reading, items, folder, progress
        self.chunks: queue.SimpleQueue[Chunk] = queue.SimpleQueue()
        for chunk in chunks:
            self.chunks.put(chunk)
        self.count, self.tokens, self.lock = len(chunks), 0, threading.Lock()
        self.failure: str | None = None
        self.workers: list[_Worker] = []

    def run(self, places: Sequence[Place]) -> None:
        """Until all chunks are there. UserError says why a worker failed."""
        threads, done = [], False
        try:
            for place in places[: self.count]:
                worker = _worker_at(place)
                self.workers.append(worker)
                threads.append(threading.Thread(target=self._drive, args=(worker,), daemon=True))
                threads[-1].start()
            for thread in threads:
                thread.join()
            done = self.failure is None
        finally:  # also at Ctrl-C; when this process is killed the workers find their pipes closed
            for worker in self.workers:
                if done and _idle is not None and worker.rest():
                    _idle.append(worker)
                else:
                    worker.end()
        if self.failure is not None:
            raise UserError(self.failure)

    def _drive(self, worker: _Worker) -> None:
        try:
            worker.load(self.reading)
            while self.failure is None:
                try:
                    chunk = self.chunks.get_nowait()
                except queue.Empty:
                    return
                worker.send({"file": str(chunk.file(self.folder)), "items": [self.items[row] for row in chunk.rows]})
                while (tokens := json.loads(worker.process.stdout.readline())) is not None:
                    with self.lock:
                        self.tokens += tokens
                        self.progress(self.tokens)
        except (BrokenPipeError, ValueError):  # it hung up
            self._failed(worker)

    def _failed(self, worker: _Worker) -> None:
        with self.lock:
            if self.failure is not None:
                return
            self.failure = (f"computing hidden states with {Path(self.reading['folder']).name} failed: {worker.last_words()}; what was "
                            "done is kept, prepare again to go on")  # fmt: skip
        for other in self.workers:
            other.process.kill()
