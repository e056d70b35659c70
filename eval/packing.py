"""Texts of any length stand side by side in one sequence, so that no token is padding.

Every layer of a transformer but attention treats each token alone. So a batch can be one long row if positions start anew with
each text and attention stays inside of it; on a batch of mixed lengths that halves the work of a padded one.

    trunk = Trunk(model, causal=True, packs=can_pack(model, True, 1024))
    states = trunk(sequences, "last")             # (n, d), with gradient

Models that mix tokens in other ways (convolutions, recurrence) are found out by trying; they read padded batches of similar
lengths. This module is mounted into method sandboxes: numpy at the top, torch late, nothing else of the project.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

ATTENTION = "packed"
SIMILAR = 1.25
"""In a padded micro-batch the longest text has at most this many times the tokens of the shortest."""


@dataclass(frozen=True)
class Segments:
    """Where the texts in a row begin and end."""

    runs: tuple[tuple[int, int], ...]   # (count, length) of texts of equal length, in their order
    starts: Any                         # (n + 1,) int32 tensor on the device of the model
    longest: int


class Trunk:
    """A model below its head, reading token sequences. `packs`: they stand side by side; else they are padded."""

    def __init__(self, model: Any, causal: bool, packs: bool) -> None:
        self.layers, self.causal, self.packs = model.base_model, causal, packs
        self.device = next(model.parameters()).device
        if packs:
            _register()
            model.config._attn_implementation = ATTENTION  # like sdpa unless it is told of segments

    def __call__(self, sequences: Sequence[np.ndarray], pooling: str) -> Any:
        """Final hidden states (n, d) of n token sequences: of the "last" token, of the "first", or their "mean"."""
        import torch
        lengths = np.array([len(tokens) for tokens in sequences])
        if self.packs:
            starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
            states = self._packed(sequences, lengths)
        else:
            starts = np.arange(len(lengths)) * lengths.max()
            states = self._padded(sequences, lengths)
        if pooling != "mean":
            at = starts if pooling == "first" else starts + lengths - 1
            return states[torch.from_numpy(at).to(self.device)]
        shares = np.zeros((len(lengths), len(states)), np.float32)
        for row, (start, length) in enumerate(zip(starts, lengths)):
            shares[row, start : start + length] = 1 / length
        return torch.from_numpy(shares).to(self.device) @ states.float()

    def _packed(self, sequences: Sequence[np.ndarray], lengths: np.ndarray) -> Any:
        import torch
        edges = np.flatnonzero(np.diff(lengths, prepend=0, append=0))
        runs = tuple((int(end - start), int(lengths[start])) for start, end in zip(edges, edges[1:]))
        segments = Segments(runs, self._tensor(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)), int(lengths.max()))
        positions = np.concatenate([np.arange(length) for length in lengths])
        return self._run(input_ids=self._tensor(np.concatenate(sequences)[None]), position_ids=self._tensor(positions[None]),
                         attention_mask=torch.zeros(1, 1, 1, 1, device=self.device),  # four axes: nobody builds one from it
                         segments=segments)[0]

    def _padded(self, sequences: Sequence[np.ndarray], lengths: np.ndarray) -> Any:
        tokens = np.zeros((len(lengths), lengths.max()), np.int64)
        for row, sequence in zip(tokens, sequences):
            row[: len(sequence)] = sequence
        # Padding stands on the right, where a causal model never looks.
        mask = None
        if not self.causal and lengths.min() < lengths.max():
            mask = self._tensor((np.arange(lengths.max()) < lengths[:, None]).astype(np.int64))
        return self._run(input_ids=self._tensor(tokens), attention_mask=mask).flatten(0, 1)

    def _tensor(self, array: np.ndarray) -> Any:
        import torch
        return torch.from_numpy(array).to(self.device, non_blocking=True)

    def _run(self, **inputs: Any) -> Any:
        import torch
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            return self.layers(**inputs, **({"use_cache": False} if self.causal else {})).last_hidden_state

    def micro_batches(self, lengths: Sequence[int], budget: int) -> list[np.ndarray]:
        """Positions of the sequences that are read at once, the longest first: at most `budget` tokens, padding included, or
        one sequence."""
        order = np.argsort(-np.asarray(lengths), kind="stable")
        found, start, total = [], 0, 0
        for end, row in enumerate(order):
            longest, length = int(lengths[order[start]]), int(lengths[row])
            total = total + length if self.packs else longest * (end + 1 - start)
            if end > start and (total > budget or (not self.packs and longest > SIMILAR * length + 4)):
                found.append(order[start:end])
                start, total = end, length
        return [*found, order[start:]] if len(order) else []

    def cost(self, lengths: np.ndarray) -> int:
        """Tokens that one micro-batch takes, padding included."""
        return int(lengths.sum() if self.packs else lengths.max() * len(lengths))


def can_pack(model: Any, causal: bool, most: int) -> bool:
    """Whether texts of up to `most` tokens side by side come out as each does alone. Two short ones are tried."""
    import torch
    config = model.config.get_text_config()
    windows = [getattr(config, name, None) for name in ("sliding_window", "local_attention")]
    before = model.config._attn_implementation
    if before != "sdpa" or any(window is not None and window < most for window in windows):
        return False
    sequences = [np.arange(5, 5 + 7 * count, 7) % config.vocab_size for count in (7, 2)]
    try:
        with torch.inference_mode():
            alone = torch.cat([Trunk(model, causal, packs=False)([sequence], "last") for sequence in sequences])
            together = Trunk(model, causal, packs=True)(sequences, "last")
    except (TypeError, ValueError, RuntimeError):  # its layers do not hand on what attention must know, or no kernel does it
        return False
    finally:
        model.config._attn_implementation = before
    return bool((together - alone).float().norm() <= (1e-3 if alone.dtype == torch.float32 else 0.05) * alone.float().norm())


def _register() -> None:
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask
    AttentionInterface.register(ATTENTION, _attention)
    AttentionMaskInterface.register(ATTENTION, sdpa_mask)


def _attention(module: Any, query: Any, key: Any, value: Any, attention_mask: Any, segments: Segments | None = None,
               **options: Any) -> tuple[Any, None]:
    """What transformers calls in each layer: query, key, value are (1, heads, tokens, width); the first may have more heads."""
    from transformers.integrations.sdpa_attention import sdpa_attention_forward
    if segments is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **options)
    if options.get("position_bias") is not None or options.get("softcap") is not None:
        raise ValueError("this attention knows neither position biases nor soft caps")
    causal, scale = getattr(module, "is_causal", True), options.get("scaling")
    within = _by_kernel if query.is_cuda else _by_runs
    return within(query, key, value, segments, causal, scale)[None], None


def _by_runs(query: Any, key: Any, value: Any, segments: Segments, causal: bool, scale: float | None) -> Any:
    """(tokens, heads, width): texts of equal length are a batch without padding, and without a copy."""
    import torch
    sizes, parts = [count * length for count, length in segments.runs], []
    for run, *states in zip(segments.runs, *(states[0].split(sizes, 1) for states in (query, key, value))):
        q, k, v = (part.unflatten(1, run).transpose(0, 1) for part in states)
        attended = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal, scale=scale,
                                                                    enable_gqa=q.shape[1] != k.shape[1])
        parts.append(attended.transpose(1, 2).flatten(0, 1))
    return torch.cat(parts)


def _by_kernel(query: Any, key: Any, value: Any, segments: Segments, causal: bool, scale: float | None) -> Any:
    """The same by one call of the flash attention kernel that torch has for texts side by side."""
    from torch.nn.attention.varlen import varlen_attn
    q, k, v = (states[0].transpose(0, 1).to(value.dtype) for states in (query, key, value))
    return varlen_attn(q, k, v, segments.starts, segments.starts, segments.longest, segments.longest, scale=scale,
                       window_size=(-1, 0) if causal else (-1, -1), enable_gqa=q.shape[1] != k.shape[1])
