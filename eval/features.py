"""Hidden states of the strong model, computed once a machine.

Texts are sorted by length and cut into chunks; single-threaded worker processes (`python -m eval.features`, one a core) take
the longest chunks first and write each as one file, so that a killed preparation loses a few seconds of work. When all are
there, `compute_features` returns one block a view. Work is counted in tokens: time is nearly proportional to them.
"""
from __future__ import annotations

import io
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from state.errors import UserError
from state.files import write_atomic

CHUNK_TOKENS = 4096   # about 7 s of SmolLM2's lower half on one core
BATCH_TOKENS = 512    # more is not faster on a CPU
WORKER_MEMORY = 1 << 30
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Encoder:
    """What is computed: which `views` ("last:16": layer 16 of the last token; "mean:12": the mean over the text's tokens)
    of the model in `folder` reading `template` with the text in it, cut after `max_tokens`."""

    folder: Path
    views: tuple[str, ...]
    template: str
    max_tokens: int

    @property
    def layers(self) -> int:
        """How many layers have to run."""
        return max(int(view.split(":")[1]) for view in self.views)

    def token_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens that the model reads, special ones of its tokenizer included."""
        tokenizer = self._tokenizer()
        rendered = [self.template.format(text=text) for text in texts]
        return [encoding.ids[: self.max_tokens] for encoding in tokenizer.encode_batch(rendered)]

    def prefix(self) -> int:
        """How many tokens at the start belong to the template; means leave them out."""
        before = self.template.split("{text}")[0].rstrip()
        return len(self._tokenizer().encode(before).ids) if before else 0

    def _tokenizer(self):
        from tokenizers import Tokenizer  # alone, without transformers: .1 s instead of 3 s
        tokenizer = Tokenizer.from_file(str(self.folder / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return tokenizer


@dataclass(frozen=True)
class Chunk:
    """Consecutive texts in the order of length: their positions among all texts, and the tokens they cost."""

    number: int
    rows: np.ndarray
    tokens: int

    def file(self, folder: Path) -> Path:
        return folder / f"chunk-{self.number:04d}.npy"


def cut_chunks(lengths: Sequence[int], size: int = CHUNK_TOKENS) -> list[Chunk]:
    """Chunks of about `size` tokens, the shortest texts first; the same lengths always give the same chunks."""
    order = np.argsort(lengths, kind="stable")
    sums = np.cumsum(np.asarray(lengths)[order])
    edges = np.searchsorted(sums, np.arange(size, sums[-1] + size, size)) + 1
    starts = np.unique(np.clip(np.concatenate([[0], edges]), 0, len(order)))
    return [Chunk(number, order[start:end], int(sums[end - 1] - (sums[start - 1] if start else 0)))
            for number, (start, end) in enumerate(zip(starts, starts[1:]))]


def worker_count() -> int:
    """One a core that this process may use, as long as memory allows."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, 16, psutil.virtual_memory().available // WORKER_MEMORY))


def compute_features(encoder: Encoder, texts: Sequence[str], folder: Path, progress: Callable[[int, int], None],
                     workers: int | None = None) -> dict[str, np.ndarray]:
    """A block (n, d) float16 for each view, rows in the order of `texts`.

    Chunks are kept in `folder`, which must be used for this encoder and these texts alone; those that are there already are
    not computed again. `progress(done, total)` is called in tokens, from several threads one at a time. UserError says why
    a worker failed.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    ids = encoder.token_ids(texts)
    chunks = cut_chunks([len(tokens) for tokens in ids])
    missing = [chunk for chunk in reversed(chunks) if not chunk.file(folder).exists()]
    total = sum(chunk.tokens for chunk in chunks)
    done = total - sum(chunk.tokens for chunk in missing)
    progress(done, total)
    if missing:
        _Crew(encoder, ids, folder, missing, lambda tokens: progress(done + tokens, total)).run(workers or worker_count())
    first = np.load(chunks[0].file(folder), mmap_mode="r")
    blocks = np.empty((len(encoder.views), len(texts), first.shape[2]), np.float16)
    for chunk in chunks:
        blocks[:, chunk.rows] = np.load(chunk.file(folder))
    if not np.isfinite(blocks).all():
        raise UserError(f"some hidden states of {encoder.folder.name} are not finite in half precision: choose other views")
    return dict(zip(encoder.views, blocks))


class _Crew:
    """Worker processes, each driven by a thread that hands it chunk after chunk."""

    def __init__(self, encoder: Encoder, ids: list[list[int]], folder: Path, chunks: list[Chunk],
                 progress: Callable[[int], None]) -> None:
        self.encoder, self.ids, self.folder, self.progress = encoder, ids, folder, progress
        self.chunks: queue.SimpleQueue[Chunk] = queue.SimpleQueue()
        for chunk in chunks:
            self.chunks.put(chunk)
        self.count, self.tokens, self.lock = len(chunks), 0, threading.Lock()
        self.failure: str | None = None
        self.processes: list[subprocess.Popen] = []

    def run(self, workers: int) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
        threads = []
        try:
            for _ in range(min(workers, self.count)):
                errors = tempfile.TemporaryFile("w+")
                process = subprocess.Popen([sys.executable, "-m", "eval.features"], stdin=subprocess.PIPE, text=True,
                                           stdout=subprocess.PIPE, stderr=errors, env=environment, start_new_session=True)
                self.processes.append(process)
                threads.append(threading.Thread(target=self._drive, args=(process, errors), daemon=True))
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

    def _drive(self, process: subprocess.Popen, errors) -> None:
        try:
            about = {"folder": str(self.encoder.folder), "layers": self.encoder.layers, "views": self.encoder.views,
                     "prefix": self.encoder.prefix()}
            self._send(process, about)
            while self.failure is None:
                try:
                    chunk = self.chunks.get_nowait()
                except queue.Empty:
                    return
                self._send(process, {"file": str(chunk.file(self.folder)), "ids": [self.ids[row] for row in chunk.rows]})
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


def encode(model, ids: Sequence[Sequence[int]], views: Sequence[str], prefix: int,
           progress: Callable[[int], None] = lambda tokens: None) -> np.ndarray:
    """Hidden states (views, n, d) float16 of token sequences, in batches of similar length if `ids` are sorted."""
    import torch
    parts = []
    for start, end in _batches([len(tokens) for tokens in ids]):
        lengths = torch.tensor([len(tokens) for tokens in ids[start:end]])
        tokens = torch.zeros(end - start, int(lengths.max()), dtype=torch.long)
        for row, sequence in enumerate(ids[start:end]):
            tokens[row, : len(sequence)] = torch.tensor(sequence)
        position = torch.arange(tokens.shape[1])[None]
        mask = position < lengths[:, None]
        inside = (mask & ((position >= prefix) | (lengths[:, None] <= prefix))).float()[..., None]
        with torch.inference_mode():
            states = model(input_ids=tokens, attention_mask=mask.long(), output_hidden_states=True).hidden_states
        rows = torch.arange(end - start)
        parts.append(np.stack([
            (states[int(layer)][rows, lengths - 1] if pooling == "last" else
             (states[int(layer)] * inside).sum(1) / inside.sum(1)).numpy().astype(np.float16)
            for pooling, layer in (view.split(":") for view in views)]))
        progress(int(lengths.sum()))
    return np.concatenate(parts, axis=1)


def _batches(lengths: Sequence[int]):
    start = 0
    while start < len(lengths):
        end = start + 1
        while end < len(lengths) and max(lengths[start : end + 1]) * (end + 1 - start) <= BATCH_TOKENS:
            end += 1
        yield start, end
        start = end


def _work() -> None:
    """A worker: one line says what to compute, each further one is a chunk; answers are token counts, then null."""
    import torch

    from eval.models import load_encoder
    os.nice(10)
    torch.set_num_threads(1)
    about = json.loads(sys.stdin.readline())
    _, model = load_encoder(Path(about["folder"]), about["layers"])
    for line in sys.stdin:
        chunk = json.loads(line)
        states = encode(model, chunk["ids"], about["views"], about["prefix"], lambda tokens: print(tokens, flush=True))
        buffer = io.BytesIO()
        np.save(buffer, states)
        write_atomic(chunk["file"], buffer.getvalue(), mode=0o600)
        print("null", flush=True)


if __name__ == "__main__":
    try:
        _work()
    except BrokenPipeError:  # the preparation was killed
        os._exit(1)
