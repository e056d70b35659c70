"""Hidden states of the strong model, and its answers, computed once a machine.

Texts are sorted by length and cut into chunks; worker processes (eval/feature_worker.py: one a GPU in bfloat16, else one a
core in single precision) take the longest chunks first and write each as one file, so that a killed preparation loses a few
seconds of work. When all are there, `compute_features` returns one block a view. Work is counted in tokens: time is nearly
proportional to them.

    encoder = Encoder(folder, ("last:16", "mean:16"), "Review: {text}", max_tokens=60)
    blocks = compute_features(encoder, [{"text": "a fine film"}], chunks_folder, lambda done, total: None)
"""
from __future__ import annotations

import json
import os
import queue
import string
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil

from eval.encode import shorten
from eval.models import describe_model
from eval.slots import visible_gpus
from sandbox.gpu import environment
from state.errors import UserError

ANSWERS = "answers"
"""The view that holds the logits of an encoder's `answers`."""
CHUNK_TOKENS = 4096
CHUNK_WORK = {"cpu": 5e11, "cuda": 1e15}      # FLOP: some seconds of one worker
CHUNK_RANGE = {"cpu": (512, 16_384), "cuda": (16_384, 1 << 18)}
CHUNKS_AT_LEAST = 32                          # so that workers end at about the same time
WORKER_MEMORY = 1 << 30                       # of a worker with an embedded model
TOKENIZED_AT_ONCE = 2000
ROOT = Path(__file__).resolve().parent.parent


class Tokens(NamedTuple):
    """What the model reads for one item, special tokens of its tokenizer included. Means leave out the first `prefix` and the
    last `suffix` tokens, which belong to the template and to its fields before the last one."""

    ids: list[int]
    prefix: int
    suffix: int


@dataclass(frozen=True)
class Encoder:
    """What is computed: which `views` ("last:16": layer 16 of the last token; "mean:12": the mean over the tokens of the
    template's last field) of the model in `folder` reading `template` with an item's fields in it; with `answers`, also the view
    "answers", the logits of their first tokens after the last token.

    Longer ones are cut to `max_tokens`: at the end where the template ends in its only field, else in the middle.
    """

    folder: Path
    views: tuple[str, ...]
    template: str
    max_tokens: int
    answers: tuple[str, ...] = ()

    @property
    def layers(self) -> int:
        """How many layers have to run."""
        if self.answers:
            return describe_model(self.folder).layers
        return max(int(view.split(":")[1]) for view in self.views)

    def tokens(self, items: Sequence[Mapping[str, str]]) -> Iterator[Tokens]:
        """The tokens of each item, given its fields. UserError for an item that lacks a field, or of which nothing is left."""
        tokenizer = self._tokenizer()
        pieces = list(string.Formatter().parse(self.template))
        fields = [place for place, piece in enumerate(pieces) if piece[1] is not None]
        last, after = pieces[fields[-1]][1], "".join(piece[0] for piece in pieces[fields[-1] + 1 :])
        cut_at_end = len(fields) == 1 and not after.strip()
        for start in range(0, len(items), TOKENIZED_AT_ONCE):
            batch = items[start : start + TOKENIZED_AT_ONCE]
            try:
                rendered = [self.template.format_map(item) for item in batch]
            except KeyError as error:
                raise UserError(f"the template asks for {{{error.args[0]}}}, items have {', '.join(batch[0])}") from None
            for item, text, encoding in zip(batch, rendered, tokenizer.encode_batch(rendered)):
                if not encoding.ids:
                    raise UserError(f"{self.folder.name} finds no tokens in {text!r}: leave such items out")
                ends = len(text) - len(after)
                begins = len(text[: ends - len(item[last])].rstrip())  # a space belongs to the word after it
                yield self._cut(encoding.ids, *_outside(encoding.offsets, begins, ends if after.strip() else None), cut_at_end)

    def _cut(self, ids: list[int], prefix: int, suffix: int, at_end: bool) -> Tokens:
        most, removed = self.max_tokens, max(0, len(ids) - self.max_tokens)
        if at_end or not removed:
            return Tokens(ids[:most], prefix, suffix)
        head, tail = most // 2, most - most // 2
        return Tokens(shorten(ids, most), min(prefix, max(head, prefix - removed)), min(suffix, max(tail, suffix - removed)))

    def answer_ids(self) -> list[int]:
        """The first token of each answer. UserError where two answers share it."""
        tokenizer = self._tokenizer()
        ids = [tokenizer.encode(answer, add_special_tokens=False).ids[:1] for answer in self.answers]
        if [] in ids or len(set(map(tuple, ids))) < len(ids):
            raise UserError(f"the first tokens of the answers {self.answers} do not tell them apart for {self.folder.name}")
        return [first for first, in ids]

    def _tokenizer(self):
        from tokenizers import Tokenizer  # alone, without transformers: .1 s instead of 3 s
        tokenizer = Tokenizer.from_file(str(self.folder / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return tokenizer


def _outside(offsets: Sequence[tuple[int, int]], begins: int, ends: int | None) -> tuple[int, int]:
    """How many tokens come before the characters from `begins` to `ends` (None: to whatever comes last), and how many after."""
    inside = [place for place, (start, end) in enumerate(offsets)
              if end > begins and start < end and (ends is None or start < ends)]
    if not inside:
        return len(offsets), 0
    return inside[0] if begins else 0, 0 if ends is None else len(offsets) - 1 - inside[-1]


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


def cut_chunks(lengths: Sequence[int], size: int = CHUNK_TOKENS) -> list[Chunk]:
    """Chunks of about `size` tokens, the shortest texts first; the same lengths always give the same chunks."""
    order = np.argsort(lengths, kind="stable")
    sums = np.cumsum(np.asarray(lengths)[order])
    edges = np.searchsorted(sums, np.arange(size, sums[-1] + size, size)) + 1
    starts = np.unique(np.clip(np.concatenate([[0], edges]), 0, len(order)))
    return [Chunk(number, size, order[start:end], int(sums[end - 1] - (sums[start - 1] if start else 0)))
            for number, (start, end) in enumerate(zip(starts, starts[1:]))]


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def worker_count(memory: int = WORKER_MEMORY) -> int:
    """Workers without a GPU: one a core that this process may use, as long as `memory` bytes for each are free."""
    return max(1, min(cores(), 16, psutil.virtual_memory().available // memory))


class Place(NamedTuple):
    """Where a worker runs: on a GPU of this number, or (None) on `threads` cores."""

    gpu: int | None
    threads: int

    @property
    def device(self) -> str:
        return "cpu" if self.gpu is None else "cuda"


def find_places(encoder: Encoder) -> list[Place]:
    """One for each GPU; without any, as many as cores and memory allow. UserError where not even one copy of the model fits."""
    if gpus := [device.number for device in visible_gpus() if not device.fault]:
        return [Place(gpu, 4) for gpu in gpus]
    words, layers = sizes(encoder)
    memory = max(WORKER_MEMORY, WORKER_MEMORY // 2 + 4 * (words + layers))
    if memory > (free := psutil.virtual_memory().available):
        raise UserError(f"{encoder.folder.name} takes {memory / 2**30:.1f} GiB of memory without a GPU, and {free / 2**30:.1f} are "
                        "free: choose a smaller model, or prepare on a machine with a GPU")
    count = worker_count(memory)
    return [Place(None, max(1, cores() // count))] * count


def sizes(encoder: Encoder) -> tuple[int, int]:
    """Parameters of the model's table of words, about, and of the layers that run: only these cost time."""
    facts = describe_model(encoder.folder)
    words = json.loads((encoder.folder / "config.json").read_bytes()).get("vocab_size", 0) * facts.width
    return words, (facts.parameters - words) * encoder.layers // facts.layers


def compute_features(encoder: Encoder, items: Sequence[Mapping[str, str]], folder: Path,
                     progress: Callable[[int, int], None], workers: int | None = None) -> dict[str, np.ndarray]:
    """A block (n, d) float16 for each view, and (n, answers) float32 for "answers", rows in the order of `items`, which are the
    template's fields.

    Chunks are kept in `folder`, which must be used for this encoder and these items alone; those that are there already are
    not computed again. `progress(done, total)` is called in tokens, from several threads one at a time. UserError says why
    a worker failed.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    places = find_places(encoder)[:workers]
    tokens = list(encoder.tokens(items))
    lengths = [len(one.ids) for one in tokens]
    low, high = CHUNK_RANGE[places[0].device]
    size = min(CHUNK_WORK[places[0].device] / (2 * sizes(encoder)[1]), sum(lengths) / CHUNKS_AT_LEAST)
    chunks = cut_chunks(lengths, int(np.clip(size, low, high)))
    missing = [chunk for chunk in reversed(chunks) if not chunk.file(folder).exists()]
    total = sum(chunk.tokens for chunk in chunks)
    done = total - sum(chunk.tokens for chunk in missing)
    progress(done, total)
    if missing:
        _Crew(encoder, tokens, folder, missing, lambda tokens: progress(done + tokens, total)).run(places)
    blocks: dict[str, np.ndarray] = {}
    for chunk in chunks:
        with np.load(chunk.file(folder)) as found:
            for view, rows in found.items():
                block = blocks.setdefault(view, np.empty((len(items), rows.shape[1]), rows.dtype))
                block[chunk.rows] = rows
    if wrong := [view for view, block in blocks.items() if not np.isfinite(block).all()]:
        raise UserError(f"some hidden states {', '.join(wrong)} of {encoder.folder.name} are not finite in half precision: choose "
                        "other views")
    return blocks


class _Crew:
    """Worker processes, each driven by a thread that hands it chunk after chunk."""

    def __init__(self, encoder: Encoder, items: list[Tokens], folder: Path, chunks: list[Chunk],
                 progress: Callable[[int], None]) -> None:
        self.encoder, self.items, self.folder, self.progress = encoder, items, folder, progress
        self.answer_ids = encoder.answer_ids()
        self.chunks: queue.SimpleQueue[Chunk] = queue.SimpleQueue()
        for chunk in chunks:
            self.chunks.put(chunk)
        self.count, self.tokens, self.lock = len(chunks), 0, threading.Lock()
        self.failure: str | None = None
        self.processes: list[subprocess.Popen] = []

    def run(self, places: Sequence[Place]) -> None:
        threads = []
        try:
            for place in places[: self.count]:
                errors = tempfile.TemporaryFile("w+")
                given = {"OMP_NUM_THREADS": str(place.threads), "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
                process = subprocess.Popen([sys.executable, "-m", "eval.feature_worker"], stdin=subprocess.PIPE, text=True,
                                           stdout=subprocess.PIPE, stderr=errors, start_new_session=True,
                                           env={**os.environ, **environment(place.gpu), **given})
                self.processes.append(process)
                threads.append(threading.Thread(target=self._drive, args=(process, errors, place), daemon=True))
                threads[-1].start()
            for thread in threads:
                thread.join()
        finally:  # also at Ctrl-C; when this process is killed the workers find their pipes closed
            self._kill()
        if self.failure is not None:
            raise UserError(self.failure)

    def _kill(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()

    def _drive(self, process: subprocess.Popen, errors, place: Place) -> None:
        try:
            self._send(process, {"folder": str(self.encoder.folder), "layers": self.encoder.layers, "views": self.encoder.views,
                                 "answers": self.answer_ids, "device": place.device, "threads": place.threads})
            while self.failure is None:
                try:
                    chunk = self.chunks.get_nowait()
                except queue.Empty:
                    return
                self._send(process, {"file": str(chunk.file(self.folder)), "items": [self.items[row] for row in chunk.rows]})
                while (tokens := json.loads(process.stdout.readline())) is not None:
                    with self.lock:
                        self.tokens += tokens
                        self.progress(self.tokens)
        except (BrokenPipeError, json.JSONDecodeError):  # it hung up
            self._failed(process, errors)

    @staticmethod
    def _send(process: subprocess.Popen, message: dict) -> None:
        process.stdin.write(json.dumps(message) + "\n")
        process.stdin.flush()

    def _failed(self, process: subprocess.Popen, errors) -> None:
        with self.lock:
            if self.failure is not None:
                return
            code = process.wait()
            errors.seek(0)
            said = [line for line in errors.read().splitlines() if line.strip()] or ["it said nothing"]
            if code == -9:
                said = ["it was killed, perhaps for want of memory"]
            self.failure = (f"computing hidden states with {self.encoder.folder.name} failed: {said[-1]}; what was done is "
                            "kept, prepare again to go on")
        for other in self.processes:
            other.kill()
