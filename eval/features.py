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
import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from eval.encode import shorten
from eval.feature_crew import Chunk, Crew, Place, Tokens
from eval.models import describe_model
from eval.slots import visible_gpus
from state.errors import UserError

ANSWERS = "answers"
"""The view that holds the logits of an encoder's `answers`."""
CHUNK_TOKENS = 4096
CHUNK_WORK = {"cpu": 5e11, "cuda": 1e15}      # FLOP: some seconds of one worker
CHUNK_RANGE = {"cpu": (512, 16_384), "cuda": (16_384, 1 << 18)}
WORTH_A_WORKER = {"cpu": 1e11, "cuda": 2e14}  # FLOP: what one does in the time that it takes to load torch and the model
CHUNKS_AT_LEAST = 32                          # so that workers end at about the same time
WORKER_MEMORY = 1 << 30                       # of a worker with an embedded model
TOKENIZED_AT_ONCE = 2000


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


def find_places(encoder: Encoder, work: float) -> list[Place]:
    """One for each GPU; without any, as many as cores and memory allow; fewer for `work` (FLOP) that does not make up for their
    start. UserError where not even one copy of the model fits."""
    if gpus := [device.number for device in visible_gpus() if not device.fault]:
        return [Place(gpu, 4) for gpu in gpus][: max(1, int(work / WORTH_A_WORKER["cuda"]))]
    words, layers = sizes(encoder)
    memory = max(WORKER_MEMORY, WORKER_MEMORY // 2 + 4 * (words + layers))
    if memory > (free := psutil.virtual_memory().available):
        raise UserError(f"{encoder.folder.name} takes {memory / 2**30:.1f} GiB of memory without a GPU, and {free / 2**30:.1f} are "
                        "free: choose a smaller model, or prepare on a machine with a GPU")
    count = max(1, min(worker_count(memory), int(work / WORTH_A_WORKER["cpu"])))
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
    tokens = list(encoder.tokens(items))
    lengths = [len(one.ids) for one in tokens]
    places = find_places(encoder, 2.0 * sizes(encoder)[1] * sum(lengths))[:workers]
    low, high = CHUNK_RANGE[places[0].device]
    size = min(CHUNK_WORK[places[0].device] / (2 * sizes(encoder)[1]), sum(lengths) / CHUNKS_AT_LEAST)
    chunks = cut_chunks(lengths, int(np.clip(size, low, high)))
    missing = [chunk for chunk in reversed(chunks) if not chunk.file(folder).exists()]
    total = sum(chunk.tokens for chunk in chunks)
    done = total - sum(chunk.tokens for chunk in missing)
    progress(done, total)
    if missing:
        Crew(_reading(encoder), tokens, folder, missing, lambda tokens: progress(done + tokens, total)).run(places)
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


def _reading(encoder: Encoder) -> dict:
    """What workers have to know of an encoder."""
    return {"folder": str(encoder.folder), "layers": encoder.layers, "views": encoder.views, "answers": encoder.answer_ids()}
