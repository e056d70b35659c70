"""The fine-tuned student: a language model whose adapters (LoRA), or all weights, are trained on pool texts.

Same interface as the probe of eval/student.py. It classifies by the tokens of two answers after a prompt that ends in, say,
`Label:`, or by a linear head on the final hidden state. How the steps are taken is in eval/descent.py.

    student = FineTuned(LanguageModel(folder), texts, groups, {"rank": 8}, (" False", " True"), seed=0)
    student.fit(texts, targets).predict_proba(texts)
"""
from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from eval.descent import Descent, at_once, reproducible, room
from eval.language import LanguageModel, embed
from eval.packing import Trunk
from eval.student import check_targets, check_weights, sigmoid

SETTINGS: dict[str, Any] = {
    "method": "lora", "rank": 32, "alpha": 32.0, "rslora": True, "targets": "all-linear", "head": "tokens", "epochs": 5,
    "lr": 1e-4, "warmup": 0.1, "batch": 32, "max_tokens": 1024, "pooling": "mean", "micro_tokens": None, "checkpointing": None,
}
"""Those of the published study (FineTuning of eval/task.py says what they are), and of this class alone: `pooling` ("mean" or
"cls") of an encoder under a head; `micro_tokens`, how many tokens are read at once while training, and `checkpointing`, to
compute activations anew in the backward pass instead of keeping them (both None: as memory asks)."""
CHOICES = {"method": ("lora", "full"), "head": ("tokens", "head"), "pooling": ("mean", "cls")}


class FineTuned:
    """A student of `language` for a pool of `texts` (n,) with `groups` (n,) or None.

    `settings` and, above them, `options` have the names of SETTINGS. `answers`: how the model writes class 0 and class 1,
    wanted for head "tokens"; an encoder always has a head. `init`: the `state()` of a student with the same options, to go on
    from. `prompts` writes what `zero_shot` is asked about as the strong model is asked it; else it is asked as it is. ValueError
    says which setting is wrong. Many students share one `language`: with LoRA its weights too.
    """

    def __init__(self, language: LanguageModel, texts: Sequence[str], groups: Any, settings: Mapping[str, Any],
                 answers: tuple[str, str] | None, seed: int = 0, init: Mapping[str, Any] | None = None,
                 on_fit: Callable[[], None] | None = None, prompts: Callable[[Any], list[str]] | None = None, **options: Any) -> None:
        self.settings = checked({**SETTINGS, **settings, **options})
        self._by_tokens = language.causal and self.settings["head"] == "tokens"
        if self._by_tokens and answers is None:
            raise ValueError("head='tokens': this task does not say how the model writes its answers; choose head='head'")
        self._language, self._answers, self._seed, self._on_fit = language, answers, seed, on_fit
        self._prompts = prompts or strings
        self._row = {str(text): row for row, text in enumerate(texts)}
        self._groups = None if groups is None else np.asarray(groups)
        self.losses: list[float] = []
        """The training loss of each step of the last fit."""
        self._model: Any = None
        self._trained, self._cut = False, 0.0
        self._start: dict[str, Any] | None = None
        if init is not None:
            self.load(init)
            self._start = self._parameters()

    def fit(self, texts: Sequence[str], targets: Any, weights: Any = None, loss: str | Callable = "ce",
            epochs: int | None = None, lr: float | None = None, l2: float = 0.0,
            on_epoch: Callable[[int, FineTuned], Any] | None = None) -> FineTuned:
        """Train on `texts` (m,) and return self; a second `fit` starts afresh.

        `targets` is (m,) chances of the positive class in [0, 1], or (m, 2) with rows that sum to 1. `weights` (m,) are not
        negative; only their ratios count. AdamW with weight decay `l2`, batches of the setting `batch`, `lr` rising from 0
        during the setting `warmup` and then falling to 0 (both by default as in the settings). `on_epoch(number, student)` is
        called after each epoch and ends the training by returning True. A callable `loss` is `loss(logits, targets, weights,
        progress, batch)` with torch tensors (b, 2), (b, 2), (b,), progress from 0 to 1, and `batch.index`, `batch.groups` (b,):
        positions in the pool and groups (-1 for a text that is not in it; groups None where unknown); it returns the loss to
        minimise and always sees a whole batch. ValueError says which argument is wrong; MemoryError, which setting to change.
        """
        texts = strings(texts)
        positive, weights = check_targets(targets, len(texts)), check_weights(weights, len(texts))
        epochs, lr = self.settings["epochs"] if epochs is None else epochs, self.settings["lr"] if lr is None else lr
        if not (np.isfinite(l2) and l2 >= 0):
            raise ValueError(f"l2={l2}: it must be a number >= 0")
        if loss != "ce" and not callable(loss):
            raise ValueError(f"loss={loss!r}: it is 'ce' or a callable")
        if epochs < 1 or not lr > 0:
            raise ValueError(f"epochs={epochs}, lr={lr}: both must be positive")
        if self._on_fit is not None:
            self._on_fit()
        used = np.flatnonzero(weights)
        texts, positive, weights = [texts[row] for row in used], positive[used], weights[used] / weights[used].mean()
        self._reset()
        self._trained = True
        ids = self._ids(texts)
        index = np.array([self._row.get(text, -1) for text in texts])
        groups = None if self._groups is None else np.where(index >= 0, self._groups[index], -1)
        micro_tokens, checkpointing = self._memory(max(map(len, ids)))
        self._model.train(checkpointing)  # without dropout that only switches checkpointing on
        descent = Descent(
            forward=lambda rows: self._read([ids[row] for row in rows]), lengths=np.array([len(tokens) for tokens in ids]),
            trunk=self._trunk, parameters=list(self._learned.values()), targets=np.stack([1 - positive, positive], 1),
            weights=weights, index=index, groups=groups, loss=loss, lr=lr, l2=l2, warmup=self.settings["warmup"],
            epochs=epochs, batch=self.settings["batch"], seed=self._seed, micro_tokens=micro_tokens)
        self.losses = descent.losses
        try:
            with self._half_adapters():
                descent.run(on_epoch and (lambda number: on_epoch(number, self)))
        finally:
            self._model.eval()
        return self

    def predict_proba(self, source: Any) -> np.ndarray:
        """Class chances (m, 2), float32, of a batch or of texts, the cut applied."""
        positive = sigmoid(self.logits(source) - self._cut)
        return np.stack([1 - positive, positive], axis=1)

    def logits(self, source: Any) -> np.ndarray:
        """Logits (m,) float32 of the positive class against the other, of a batch or of texts, before the cut is applied."""
        self._check_trained()
        import torch
        ids, was_training = self._ids(strings(source)), self._model.training
        if not ids:
            return np.zeros(0, np.float32)
        micro = self._trunk.micro_batches([len(tokens) for tokens in ids], at_once(self._trunk.device))
        self._model.eval()
        with torch.inference_mode(), self._half_adapters(), reproducible(self._trunk.device):
            found = torch.cat([self._read([ids[row] for row in rows]) for rows in micro]).cpu().numpy()
        self._model.train(was_training)
        return (found[:, 1] - found[:, 0])[np.argsort(np.concatenate(micro))]

    def match_prior(self, texts: Sequence[str], rate: float) -> FineTuned:
        """Move the cut so that a share `rate` of these texts comes out positive; returns self."""
        if not 0 < rate < 1:
            raise ValueError(f"rate={rate}: it must lie between 0 and 1")
        self._cut = float(np.quantile(self.logits(texts), 1 - rate))
        return self

    def embed(self, source: Any, layers: int | Sequence[int] | None = None, pool: str | None = None) -> np.ndarray:
        """Hidden states (m, d) float32 of a batch or of any strings as this student has them, trained if it is: of the last
        layer, or of `layers` side by side; of the "last" token or the "mean" over all (by default the last one; an encoder's
        mean)."""
        count = self._language.model.config.get_text_config().num_hidden_layers
        layers = [count] if layers is None else [layers] if np.isscalar(layers) else layers
        model = self._model if self._trained else self._language.model
        return embed(model, self._ids(strings(source)), layers, pool or ("last" if self._language.causal else "mean"))

    def zero_shot(self, source: Any) -> np.ndarray:
        """What the untrained model answers: chances (m, 2) float32, of a batch or of pool texts under the task's zero-shot prompt,
        or of prompts of your own, as with probes. Elicitation track. ValueError where the task does not say how the answers are written, and for an encoder."""
        if self._answers is None:
            raise ValueError("this task has no prompts: the model cannot be asked")
        logits = self._language.answer_logits(self._prompts(source), self._answers)
        positive = sigmoid(logits[:, 1] - logits[:, 0])
        return np.stack([1 - positive, positive], axis=1)

    def generate(self, prompts: Sequence[str], max_new_tokens: int = 32) -> np.ndarray:
        """What the untrained model writes after each prompt (m,) str, greedily. Elicitation track."""
        return self._language.generate(strings(prompts), max_new_tokens)

    @property
    def model(self) -> Any:
        """The torch model of this student; with LoRA its adapters are inside of it, and its other weights are shared."""
        self._build()
        return self._model

    @property
    def tokenizer(self) -> Any:
        return self._language.tokenizer

    def state(self) -> dict[str, Any]:
        """A copy of what was learned (adapters and head, or all weights; float32), for `load` or `init`."""
        self._check_trained()
        return {"parameters": self._parameters(), "cut": self._cut}

    def load(self, state: Mapping[str, Any]) -> FineTuned:
        """Take over the state of a student with the same options; ValueError if the shapes differ."""
        self._build()
        shapes = {name: tuple(parameter.shape) for name, parameter in self._learned.items()}
        if {name: np.shape(values) for name, values in state["parameters"].items()} != shapes:
            raise ValueError("this state is of a student with other options (method, rank, targets, head)")
        self._take(state["parameters"])
        self._trained, self._cut = True, float(state["cut"])
        return self

    def _build(self) -> None:
        """Make the model that is trained, from the untouched one."""
        if self._model is not None:
            return
        import torch
        untouched = self._language.model
        device = next(untouched.parameters()).device
        if self.settings["method"] == "full":
            model = copy.deepcopy(untouched).float()
            (model if self._by_tokens else model.base_model).requires_grad_(True)
        else:
            with torch.random.fork_rng([device] if device.type == "cuda" else []):
                torch.manual_seed(self._seed)
                model = with_adapters(self._language.twin(), self.settings)
        self._learned = {name: one for name, one in model.named_parameters() if one.requires_grad}
        if self._by_tokens:
            self._output = model.get_output_embeddings()
            self._answer_ids = list(self._language.answer_ids(self._answers))
            if type(self._output) is not torch.nn.Linear:
                raise ValueError(f"head='tokens' with {type(self._output).__name__} as the model's own head: keep adapters off "
                                 "it, or choose head='head'")
        else:
            self._output = torch.nn.Linear(model.config.get_text_config().hidden_size, 2, device=device)
            torch.nn.init.zeros_(self._output.weight)
            torch.nn.init.zeros_(self._output.bias)
            self._learned |= {f"head.{name}": one for name, one in self._output.named_parameters()}
        packs = self._language.packs(self._language.limit(self.settings["max_tokens"]))
        self._trunk = Trunk(model, self._language.causal, packs)
        self._first = {} if self.settings["method"] == "full" else self._parameters()
        self._model = model

    def _reset(self) -> None:
        """Back to where a fit starts."""
        self._build()
        self._cut = 0.0
        if self._start is not None:
            self._take(self._start)
        elif self.settings["method"] == "lora":
            self._take(self._first)
        else:
            self._take(dict(self._language.model.named_parameters()))

    def _parameters(self) -> dict[str, np.ndarray]:
        return {name: one.detach().float().cpu().numpy().copy() for name, one in self._learned.items()}

    def _take(self, values: Mapping[str, Any]) -> None:
        """Set what is learned; a head that is not among `values` to 0."""
        import torch
        with torch.no_grad():
            for name, one in self._learned.items():
                one.copy_(torch.as_tensor(values[name])) if name in values else one.zero_()

    def _read(self, sequences: Sequence[Sequence[int]]) -> Any:
        """Logits (n, 2) float32 of token sequences, with gradient where that is on; their rows sum to 0."""
        import torch
        pooling = "last" if self._language.causal else {"mean": "mean", "cls": "first"}[self.settings["pooling"]]
        states = self._trunk([np.asarray(tokens) for tokens in sequences], pooling).float()
        if not self._by_tokens:
            logits = self._output(states)
        else:  # of the head, in full precision, only the rows of the two answers
            bias = self._output.bias
            logits = torch.nn.functional.linear(states, self._output.weight[self._answer_ids].float(),
                                                bias if bias is None else bias[self._answer_ids].float())
            cap = getattr(self._model.config.get_text_config(), "final_logit_softcapping", None)
            logits = logits if cap is None else cap * torch.tanh(logits / cap)
        return logits - logits.mean(1, keepdim=True)

    def _memory(self, longest: int) -> tuple[int, bool]:
        """How many tokens are read at once while training, and whether activations are computed anew."""
        tokens, anew = self.settings["micro_tokens"], self.settings["checkpointing"]
        if tokens is None or anew is None:
            device = self._trunk.device
            weights = sum(one.nbytes for one in self._model.parameters())
            weights += 12 * sum(one.numel() for one in self._learned.values())  # gradients and what AdamW keeps
            plainly, sparingly = (room(device, weights, keeps) for keeps in self._bytes_a_token)
            anew = plainly < longest if anew is None else anew
            tokens = at_once(device, sparingly if anew else plainly) if tokens is None else tokens
        if anew:
            self._model.activation_checkpointing_enable({"use_reentrant": False})
        return tokens, anew

    @cached_property
    def _bytes_a_token(self) -> tuple[float, float]:
        """What the backward pass wants kept of one token, plainly and with checkpointing: how much more of three texts than of
        one."""
        about = self._model.config.get_text_config()
        total = (self._kept([np.arange(32)] * 3) - self._kept([np.arange(32)])) / 64
        a_state = about.hidden_size * next(self._model.parameters()).element_size()
        return total, total / about.num_hidden_layers + a_state * about.num_hidden_layers

    def _kept(self, sequences: Sequence[np.ndarray]) -> int:
        """Bytes that are kept for the backward pass when these are read, weights not counted."""
        import torch
        own, kept = {one.untyped_storage().data_ptr() for one in self._model.parameters()}, {}

        def note(tensor):
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in own:
                kept[storage.data_ptr()] = storage.nbytes()
            return tensor.detach()  # itself would be held by the graph that it holds

        with self._half_adapters(), torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            logits = self._read(sequences)
        total = sum(kept.values())
        del logits  # only now: until here no address may be used twice
        return total

    def _half_adapters(self) -> contextlib.AbstractContextManager:
        """On a GPU adapters multiply in bfloat16, like all the rest; peft would turn their inputs to the float32 of their
        weights."""
        if self._trunk.device.type != "cuda":
            return contextlib.nullcontext()
        from peft.helpers import disable_input_dtype_casting
        return disable_input_dtype_casting(self._model)

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        return self._language.token_ids(texts, self.settings["max_tokens"])

    def _check_trained(self) -> None:
        if not self._trained:
            raise ValueError("this student is not trained yet: call fit or load first")


def strings(source: Any) -> list[str]:
    """The texts of a batch, or of a sequence of strings."""
    texts = getattr(source, "texts", source)
    if isinstance(texts, str):
        raise ValueError("texts is one string: pass an array of texts")
    return [str(text) for text in texts]


def checked(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings; ValueError for one that does not exist or cannot be."""
    unknown = sorted(set(settings) - set(SETTINGS))
    if unknown:
        raise ValueError(f"no setting {unknown[0]!r}: a fine-tuned student has {', '.join(SETTINGS)}")
    for name, choices in CHOICES.items():
        if settings[name] not in choices:
            raise ValueError(f"{name}={settings[name]!r}: it is {' or '.join(map(repr, choices))}")
    for name in ("rank", "alpha", "epochs", "lr", "batch", "max_tokens", "micro_tokens"):
        if settings[name] is not None and not settings[name] > 0:
            raise ValueError(f"{name}={settings[name]}: it must be positive")
    return settings


def with_adapters(model: Any, settings: Mapping[str, Any]) -> Any:
    """`model` with LoRA adapters (Hu et al. 2021, arXiv 2106.09685; rank-stabilised: arXiv 2312.03732) in float32, which start
    as no change."""
    import torch
    from peft import LoraConfig, inject_adapter_in_model
    targets = settings["targets"]
    config = LoraConfig(r=settings["rank"], lora_alpha=settings["alpha"], use_rslora=settings["rslora"], lora_dropout=0.0,
                        target_modules=targets if isinstance(targets, str) else list(targets))
    model = inject_adapter_in_model(config, model)
    for parameter in model.parameters():
        if parameter.requires_grad and parameter.dtype != torch.float32:
            parameter.data = parameter.data.float()
    return model
