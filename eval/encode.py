"""A language model reads token sequences in padded batches: hidden states of its layers, and logits of answers.

    states = hidden_states(model, ids, ("last:16", "mean:12"), prefix=2)   # (2, n, d) float16
    logits = answer_logits(model, ids, (352, 425))                         # (n, 2) float32

Both work on the model's own device and in its own precision, sort by length themselves, and leave the model as it was. Only
what is asked for is kept: each layer is looked at as it runs, and nothing runs above the last one that matters. This module is
mounted into method sandboxes: numpy at the top, torch late, nothing else of the project.
"""
from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np

BATCH_TOKENS = {"cpu": 512, "cuda": 16_384}
"""Padded tokens a batch: on a CPU more is not faster."""
ROWS_AT_ONCE = 256
Progress = Callable[[int], None]


def shorten(ids: Sequence[int], most: int) -> list[int]:
    """At most `most` tokens: what is too long is cut in the middle, so that its beginning and the question at its end stay."""
    if len(ids) <= most:
        return list(ids)
    return [*ids[: most // 2], *ids[len(ids) - (most - most // 2) :]]


def token_batches(lengths: Sequence[int], budget: int) -> Iterator[tuple[int, int]]:
    """(start, end) of consecutive sequences that take at most `budget` tokens padded to the longest, or of a single one."""
    start = longest = 0
    for end, length in enumerate(lengths):
        longest = max(longest, int(length))
        if end > start and longest * (end + 1 - start) > budget:
            yield start, end
            start, longest = end, int(length)
    if start < len(lengths):
        yield start, len(lengths)


def singles(block: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Those rows of a block (n, d) of finite float16 numbers, as float32, exactly. numpy's own conversion goes number by number;
    this moves bits in whole vectors: mantissa and exponent to their places, then the exponent to its other origin."""
    if block.dtype != np.float16:
        return np.asarray(block[rows], np.float32)
    found = np.empty((len(rows), block.shape[1]), np.float32)
    bits, halves = found.view(np.int32), np.asarray(block).view(np.int16)
    for start in range(0, len(rows), ROWS_AT_ONCE):  # so many stay in the processor's cache
        part = bits[start : start + ROWS_AT_ONCE]
        part[...] = halves[rows[start : start + ROWS_AT_ONCE]]
        part <<= 13
        part &= np.int32(-0x70002000)  # the sign's copies between its new place and the exponent
        found[start : start + ROWS_AT_ONCE] *= np.float32(2.0**112)
    return found


def hidden_states(model, ids: Sequence[Sequence[int]], views: Sequence[str], prefix: int | Sequence[int] = 0,
                  suffix: int | Sequence[int] = 0, budget: int | None = None,
                  progress: Progress = lambda tokens: None) -> np.ndarray:
    """Hidden states (views, n, d) float16 of n token sequences.

    A view is "last:16" (what layer 16 makes of the last token, before any final norm) or "mean:12" (layer 12 averaged over the
    tokens, without the first `prefix` and the last `suffix` ones: one number, or one a sequence; over all of them where nothing
    else is left). `progress(tokens)` after each batch of at most `budget` padded tokens. ValueError for a layer that the model
    does not have and for an empty sequence.
    """
    return read(model, ids, views, (), prefix, suffix, budget, progress)[0]


def answer_logits(model, ids: Sequence[Sequence[int]], answer_ids: Sequence[int], budget: int | None = None,
                  progress: Progress = lambda tokens: None) -> np.ndarray:
    """Logits (n, answers) float32 that a causal language model gives to the tokens `answer_ids` after each of n sequences.

    ValueError for a model without a language-modelling head and for an empty sequence.
    """
    return read(model, ids, (), answer_ids, budget=budget, progress=progress)[1]


def read(model, ids: Sequence[Sequence[int]], views: Sequence[str] = (), answer_ids: Sequence[int] = (),
         prefix: int | Sequence[int] = 0, suffix: int | Sequence[int] = 0, budget: int | None = None,
         progress: Progress = lambda tokens: None) -> tuple[np.ndarray | None, np.ndarray | None]:
    """`hidden_states` and `answer_logits` in one pass; None for what was not asked for."""
    import torch
    lengths, answer_ids = np.fromiter(map(len, ids), int, len(ids)), list(answer_ids)
    if not len(ids):
        raise ValueError("there are no texts to read")
    if not lengths.all():
        raise ValueError(f"text {int(np.argmin(lengths))} has no tokens: there is nothing to read")
    starts, ends = np.broadcast_to(prefix, len(ids)), lengths - suffix
    whole = starts >= ends
    starts, ends = np.where(whole, 0, starts), np.where(whole, lengths, ends)
    order = np.argsort(lengths, kind="stable")
    device = next(model.parameters()).device
    states, logits = [], []
    with torch.inference_mode(), _Reader(model, views, answer_ids) as reader:
        waiting = list(token_batches(lengths[order], budget or BATCH_TOKENS.get(device.type, BATCH_TOKENS["cpu"])))[::-1]
        while waiting:
            start, end = waiting.pop()
            rows = order[start:end]
            tokens = np.zeros((len(rows), lengths[rows[-1]]), np.int64)
            for row, index in zip(tokens, rows):
                row[: lengths[index]] = ids[index]
            spans = np.stack([lengths[rows], starts[rows], ends[rows]])
            if not reader.fits(torch.from_numpy(tokens).to(device), torch.from_numpy(spans).to(device)):
                waiting += [((start + end) // 2, end), (start, (start + end) // 2)]
                continue
            states.append(reader.states)
            logits.append(reader.logits)
            progress(int(lengths[rows].sum()))
    back = np.argsort(order)
    # one transfer for all batches: a GPU need not wait for the CPU between them
    return (torch.cat(states, 1).cpu().numpy()[:, back] if views else None,
            torch.cat(logits).float().cpu().numpy()[back] if answer_ids else None)


class _Enough(Exception):
    """Raised inside of a forward pass when all that was asked for has been seen."""


class _Reader:
    """Hooks on the layers that `views` name and, for answers, on the head, as long as the `with` block lasts."""

    def __init__(self, model, views: Sequence[str], answer_ids: Sequence[int]) -> None:
        self.model, self.answer_ids = model, answer_ids
        self.views = [(pooling, int(layer)) for pooling, layer in (view.split(":") for view in views)]
        self.hooks: list = []
        attention = [module.is_causal for module in model.modules() if hasattr(module, "is_causal")]
        # Padding stands on the right, where a causal model never looks: without a mask its attention is faster.
        self.needs_mask = not (attention and all(attention))

    def __enter__(self) -> _Reader:
        if self.answer_ids:
            head = self.model.get_output_embeddings()
            if head is None:
                raise ValueError(f"{type(self.model).__name__} has no language-modelling head, so it gives no answers")
            self.hooks.append(head.register_forward_pre_hook(self._only_last))
        if self.views:
            layers = _layers(self.model)
            for number in {number for _, number in self.views}:
                if not 1 <= number <= len(layers):
                    self.__exit__()
                    raise ValueError(f"layer {number}: the model has layers 1 to {len(layers)}")
                self.hooks.append(layers[number - 1].register_forward_hook(self._pool(number)))
        return self

    def __exit__(self, *_) -> None:
        for hook in self.hooks:
            hook.remove()

    def fits(self, tokens, spans) -> bool:
        """Read a batch; False where the GPU's memory does not hold it and it can be halved."""
        import torch
        try:
            self.batch(tokens, spans)
        except torch.OutOfMemoryError:
            if len(tokens) == 1:
                raise
            return False
        return True

    def batch(self, tokens, spans) -> None:
        """Read `tokens` (b, length) on the model's device; `spans` (3, b): length, start and end of the mean. Leaves `states`
        (views, b, d) float16 and `logits` (b, answers), or None."""
        import torch
        self.rows = torch.arange(len(tokens), device=tokens.device)
        self.last = spans[0] - 1
        position = torch.arange(tokens.shape[1], device=tokens.device)[None]
        self.inside = ((position >= spans[1][:, None]) & (position < spans[2][:, None])).float()[..., None]
        self.pooled: dict = {}
        how = {"attention_mask": (position <= self.last[:, None]).long()} if self.needs_mask else {"use_cache": False}
        with contextlib.suppress(_Enough):
            logits = self.model(input_ids=tokens, **how).logits
        self.states = torch.stack([self.pooled[view] for view in self.views]) if self.views else None
        self.logits = logits[:, 0, self.answer_ids] if self.answer_ids else None

    def _only_last(self, head, arguments):
        """The head sees the last token alone: a whole batch of logits over the vocabulary would be large."""
        return (arguments[0][self.rows, self.last][:, None], *arguments[1:])

    def _pool(self, number: int) -> Callable:
        def look(layer, arguments, output) -> None:
            states = output[0] if isinstance(output, tuple) else output
            for pooling, _ in (view for view in self.views if view[1] == number):
                pooled = (states[self.rows, self.last] if pooling == "last" else
                          (states.float() * self.inside).sum(1) / self.inside.sum(1))
                self.pooled[pooling, number] = pooled.half()
            if not self.answer_ids and len(self.pooled) == len(set(self.views)):
                raise _Enough
        return look


def _layers(model):
    """The list of a model's layers, whatever it is called there."""
    import torch
    count = model.config.get_text_config().num_hidden_layers
    for module in model.modules():
        if isinstance(module, torch.nn.ModuleList) and len(module) == count:
            return module
    raise ValueError(f"{type(model).__name__} has no list of {count} layers to look into")
