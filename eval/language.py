"""A language model in a folder: what it makes of texts, what it answers to prompts, and what it writes.

    language = LanguageModel(Path("models/smollm2-135m"))
    language.answer_logits(["Review: wonderful\nSentiment:"], (" negative", " positive"))       # (1, 2)

The model itself is never trained: students take a `twin` (their own modules, its weights) or a copy. It is loaded when first
needed, in bfloat16 on a GPU and float32 on a CPU, from local files alone; nothing is written anywhere. This module is mounted
into method sandboxes: numpy at the top, torch late.
"""
from __future__ import annotations

import copy
import json
import os
import tempfile
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from eval.encode import answer_logits, hidden_states, shorten, token_batches
from eval.packing import can_pack

GENERATE_TOKENS = {"cpu": 2048, "cuda": 32_768}
"""Tokens a batch of prompts may have, what is written to them included."""


class LanguageModel:
    """The model and tokenizer in `folder`. `device`: "cuda", "cpu", ...; by default a GPU where there is one. Texts of more
    than `max_tokens` tokens are cut in the middle."""

    def __init__(self, folder: str | Path, device: str | None = None, max_tokens: int = 1024) -> None:
        self.folder, self.max_tokens, self._device = Path(folder), max_tokens, device
        self._packs: dict[int, bool] = {}

    @cached_property
    def causal(self) -> bool:
        """Whether it writes text; else it is an encoder."""
        about = json.loads((self.folder / "config.json").read_text(encoding="utf-8"))
        return any("CausalLM" in name or "LMHead" in name for name in about.get("architectures") or ())

    @cached_property
    def device(self) -> Any:
        import torch
        device = torch.device(self._device or ("cuda" if torch.cuda.is_available() else "cpu"))
        if device.type == "cuda":  # without it cuBLAS may sum in another order each time; read when CUDA starts
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        return device

    @cached_property
    def tokenizer(self) -> Any:
        _need_no_file()
        from transformers import AutoTokenizer
        return AutoTokenizer.from_pretrained(self.folder, local_files_only=True)

    @cached_property
    def model(self) -> Any:
        """The torch model: with its language-modelling head where it has one, without dropout, no parameter to be trained."""
        _need_no_file()
        import torch
        from transformers import AutoConfig, AutoModel, AutoModelForCausalLM
        from transformers.utils import logging
        logging.disable_progress_bar()
        config = AutoConfig.from_pretrained(self.folder, local_files_only=True)
        for name, value in config.to_dict().items():
            if "drop" in name and isinstance(value, (int, float)) and not isinstance(value, bool):
                setattr(config, name, 0.0)  # few epochs do not need it, and without it micro-batches change nothing
        dtype = torch.bfloat16 if self.device.type == "cuda" else torch.float32
        kind = AutoModelForCausalLM if self.causal else AutoModel
        model = kind.from_pretrained(self.folder, config=config, dtype=dtype, local_files_only=True)
        if not self.causal and getattr(model, "pooler", None) is not None:
            model.pooler = None  # nobody asks it, and adapters for "all-linear" would be put there
        return model.requires_grad_(False).to(self.device).eval()

    def twin(self) -> Any:
        """The same model once more: its own modules, in which adapters can be put, around the same weights."""
        shared = {id(tensor): tensor for tensor in (*self.model.parameters(), *self.model.buffers())}
        return copy.deepcopy(self.model, shared)

    def packs(self, most: int) -> bool:
        """Whether texts of up to `most` tokens can stand side by side in one sequence."""
        if most not in self._packs:
            self._packs[most] = can_pack(self.twin(), self.causal, most)
        return self._packs[most]

    def limit(self, max_tokens: int | None = None) -> int:
        """The most tokens that are read of a text: what was asked for, as far as the model has positions."""
        positions = getattr(self.model.config.get_text_config(), "max_position_embeddings", None) or 10**9
        return min(max_tokens or self.max_tokens, positions, self.tokenizer.model_max_length)

    def token_ids(self, texts: Sequence[str], max_tokens: int | None = None) -> list[list[int]]:
        """The tokens of each text, special ones included, at most `max_tokens`: a long text is cut in the middle. ValueError
        for a text without any."""
        if isinstance(texts, str):
            raise ValueError("texts is one string: pass an array of texts")
        if not len(texts):
            return []
        found = self.tokenizer(list(map(str, texts)), verbose=False)["input_ids"]
        if not all(found):
            raise ValueError(f"text {found.index([])} has no tokens: there is nothing to read")
        limit = self.limit(max_tokens)
        return [shorten(ids, limit) for ids in found]

    def answer_ids(self, answers: tuple[str, str]) -> tuple[int, int]:
        """The first token of each answer, by which they are told apart. ValueError if it is the same one."""
        found = [self.tokenizer(answer, add_special_tokens=False)["input_ids"] for answer in answers]
        while all(found) and found[0][0] == found[1][0] and not self.tokenizer.decode(found[0][0]).strip():
            found = [ids[1:] for ids in found]  # some tokenizers write a space as a token of its own
        if not all(found) or found[0][0] == found[1][0]:
            raise ValueError(f"answers {answers[0]!r} and {answers[1]!r} begin with the same token of {self.folder.name}: "
                             "choose answers that differ in their first one")
        return found[0][0], found[1][0]

    def answer_logits(self, prompts: Sequence[str], answers: tuple[str, str]) -> np.ndarray:
        """Logits (m, 2) float32 of the two answers' tokens after each prompt. ValueError for an encoder."""
        self._check_causal("answers")
        return answer_logits(self.model, self.token_ids(prompts), self.answer_ids(answers))

    def embed(self, texts: Sequence[str], layers: Sequence[int], pool: str) -> np.ndarray:
        """Hidden states (m, d) float32 of `layers`, side by side: of the "last" token, or the "mean" over all."""
        return embed(self.model, self.token_ids(texts), layers, pool)

    def generate(self, prompts: Sequence[str], max_new_tokens: int = 32) -> np.ndarray:
        """What it writes after each prompt (m,) str, always the likeliest token. ValueError for an encoder."""
        import torch
        from transformers import GenerationConfig
        self._check_causal("writes")
        ids = self.token_ids(prompts, max(1, min(self.max_tokens, self.limit(10**9) - max_new_tokens)))
        own, pad = self.model.generation_config, self.tokenizer.pad_token_id or 0
        settings = GenerationConfig(max_new_tokens=max_new_tokens, do_sample=False, pad_token_id=pad,
                                    bos_token_id=own.bos_token_id, eos_token_id=own.eos_token_id or self.tokenizer.eos_token_id)
        written = np.empty(len(ids), object)
        order = np.argsort([len(tokens) for tokens in ids], kind="stable")
        lengths = [len(ids[row]) + max_new_tokens for row in order]
        for start, end in token_batches(lengths, GENERATE_TOKENS.get(self.device.type, 2048)):
            rows, longest = order[start:end], len(ids[order[end - 1]])
            tokens = torch.tensor([[pad] * (longest - len(ids[row])) + ids[row] for row in rows], device=self.device)
            mask = torch.tensor([[0] * (longest - len(ids[row])) + [1] * len(ids[row]) for row in rows], device=self.device)
            with torch.inference_mode():
                new = self.model.generate(input_ids=tokens, attention_mask=mask, generation_config=settings)[:, longest:]
            written[rows] = self.tokenizer.batch_decode(new, skip_special_tokens=True)
        return written

    def _check_causal(self, what: str) -> None:
        if not self.causal:
            raise ValueError(f"{self.folder.name} is an encoder: it {what} nothing, a causal language model does")


def _need_no_file() -> None:
    """Parts of torch look for a temporary folder when they are imported, by writing into it. Where no file may be written they
    are told one."""
    try:
        tempfile.gettempdir()
    except FileNotFoundError:
        tempfile.tempdir = "/tmp"


def embed(model: Any, ids: Sequence[Sequence[int]], layers: Sequence[int], pool: str) -> np.ndarray:
    """Hidden states (m, d) float32 that `model` has of token sequences, layers side by side."""
    if pool not in ("last", "mean"):
        raise ValueError(f"pool={pool!r}: it is 'last' or 'mean'")
    states = hidden_states(model, ids, [f"{pool}:{int(layer)}" for layer in layers])
    return np.concatenate(list(states), axis=1).astype(np.float32)
