"""How a fine-tuned student takes its steps: AdamW on whole batches, of which as much is read at once as memory holds.

A batch is drawn at random and never sorted or filled up; only how it is cut into micro-batches depends on the lengths of its
texts. Gradients add up to exactly those of the whole batch, also for a loss that looks at all of its logits at once: then the
logits are computed first without gradient, and each micro-batch once more with its share of the gradient (Gao et al. 2021,
arXiv 2101.06983). Mounted into method sandboxes: numpy at the top, torch late.
"""
from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

from eval.packing import Trunk

MOST_NORM = 1.0
"""Gradients are scaled down to this norm, as is usual."""
LOOK_EVERY = 16
"""Steps after which a GPU is asked whether the loss is still a number: asking makes it wait."""
KEPT = {"cpu": 1 << 30, "cuda": 0.6}
"""For activations: bytes, or the share of a GPU's memory that weights leave."""
FEWEST, MOST, READING = 256, {"cpu": 4096, "cuda": 16_384}, {"cpu": 1024, "cuda": 32_768}
"""Tokens that are read at once: at least and at most while training, and while only reading. More is not faster."""


@dataclass
class Descent:
    """The training of n texts. `forward(rows)` gives logits (b, 2) with gradient; `lengths` (n,) in tokens; `parameters` are
    trained; `targets` (n, 2), `weights` (n,) with mean 1, `index` (n,), `groups` (n,) or None as a loss sees them; `losses`
    collects the value of each step."""

    forward: Callable[[np.ndarray], Any]
    lengths: np.ndarray
    trunk: Trunk
    parameters: Sequence[Any]
    targets: np.ndarray
    weights: np.ndarray
    index: np.ndarray
    groups: np.ndarray | None
    loss: str | Callable
    lr: float
    l2: float
    warmup: float
    epochs: int
    batch: int
    seed: int
    micro_tokens: int
    losses: list[float] = field(default_factory=list)
    _halved: bool = False

    def run(self, on_epoch: Callable[[int], Any] | None) -> None:
        """All epochs, or until `on_epoch(number)` returns True. ValueError where the loss stops being a number, MemoryError
        where memory does not suffice."""
        import torch
        adam = torch.optim.AdamW([
            {"params": [one for one in self.parameters if one.ndim > 1], "weight_decay": self.l2},
            {"params": [one for one in self.parameters if one.ndim <= 1], "weight_decay": 0.0},  # biases and norms go free
        ], lr=self.lr, fused=True)
        device = self.trunk.device
        self._targets = torch.from_numpy(self.targets).to(device, torch.float32)
        self._weights = torch.from_numpy(self.weights).to(device, torch.float32)
        steps, values, number = self.epochs * -(-len(self.lengths) // self.batch), [], 0
        for step, (rows, last) in enumerate(batches(len(self.lengths), self.batch, self.epochs, self.seed)):
            for group in adam.param_groups:
                group["lr"] = self.lr * rate(step, steps, self.warmup)
            values.append(self._gradients(rows, step, steps))
            torch.nn.utils.clip_grad_norm_(self.parameters, MOST_NORM)
            adam.step()
            adam.zero_grad()
            if last or device.type == "cpu" or len(values) == LOOK_EVERY:
                self._look(torch.stack(values).tolist(), steps)
                values = []
            if last:
                number += 1
                if on_epoch is not None and on_epoch(number) is True:
                    return

    def _look(self, values: list[float], steps: int) -> None:
        for value in values:
            self.losses.append(value)
            if not math.isfinite(value):
                raise ValueError(f"the loss is not finite in step {len(self.losses)} of {steps}: lower lr, or mend the loss")

    def _gradients(self, rows: np.ndarray, step: int, steps: int) -> Any:
        """The gradient of a batch in its parameters' `grad`; its loss. Where memory does not suffice, once in a training, it
        starts again with micro-batches of half the size."""
        import torch
        cuda = [self.trunk.device] if self.trunk.device.type == "cuda" else []
        before = torch.get_rng_state(), [torch.cuda.get_rng_state(device) for device in cuda]
        while True:
            micro = self.trunk.micro_batches(self.lengths[rows], self.micro_tokens)
            try:
                return self._accumulated(rows, micro, step / steps)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            # only here, after the exception is gone, are the tensors of the failed pass free
            used = max(self.trunk.cost(self.lengths[rows[part]]) for part in micro)
            if self._halved:
                raise MemoryError(
                    f"out of memory in step {step + 1} of {steps} with {used} tokens at once, after halving them before: set "
                    f"micro_tokens below {used}, checkpointing=True, or a lower max_tokens (the longest text here has "
                    f"{self.lengths[rows].max()})")
            self._halved, self.micro_tokens = True, max(1, used // 2)
            for one in self.parameters:
                one.grad = None
            torch.set_rng_state(before[0])
            for device, state in zip(cuda, before[1]):
                torch.cuda.set_rng_state(state, device)
                torch.cuda.empty_cache()

    def _accumulated(self, rows: np.ndarray, micro: list[np.ndarray], progress: float) -> Any:
        import torch
        targets, weights, device = self._targets[rows], self._weights[rows], self.trunk.device
        if self.loss == "ce":  # a sum over items: each micro-batch adds its own
            total = 0.0
            for part in micro:
                with reproducible(device):
                    surprise = -(targets[part] * self.forward(rows[part]).log_softmax(1)).sum(1)
                    value = (weights[part] * surprise).sum() / len(rows)
                    value.backward()
                total = total + value.detach()
            return total
        batch = SimpleNamespace(index=self.index[rows], groups=None if self.groups is None else self.groups[rows])
        with torch.set_grad_enabled(len(micro) == 1), reproducible(device):
            parts = [self.forward(rows[part]) for part in micro]
        logits = torch.cat(parts).detach()[np.argsort(np.concatenate(micro))].requires_grad_()
        value = self.loss(logits, targets, weights, progress, batch)
        value.backward()
        if logits.grad is not None:  # else the loss does not depend on what the model says
            with reproducible(device):
                for number, part in enumerate(micro):
                    again = parts[number] if len(micro) == 1 else self.forward(rows[part])
                    again.backward(logits.grad[part])
        return value.detach()


def batches(count: int, batch: int, epochs: int, seed: int) -> Iterator[tuple[np.ndarray, bool]]:
    """(rows of a batch, whether it is the last of its epoch): all `count` rows once an epoch, in an order made from `seed`."""
    rng = np.random.default_rng(seed)
    for _ in range(epochs):
        order = rng.permutation(count)
        for start in range(0, count, batch):
            yield order[start : start + batch], start + batch >= count


def rate(step: int, steps: int, warmup: float) -> float:
    """The share of the learning rate in a step, counted from 0: linearly up during a share `warmup` of the steps, then down."""
    rising = min(math.ceil(warmup * steps), steps - 1)
    return min((step + 1) / (rising + 1), (steps - step) / (steps - rising))


def room(device: Any, weights: int, keeps: float) -> float:
    """How many tokens fit beside `weights` bytes if the backward pass wants `keeps` bytes of each. It depends on the device,
    not on what else runs there: the same training is cut the same way."""
    import torch
    if device.type != "cuda":
        return KEPT["cpu"] / keeps
    return KEPT["cuda"] * max(0, torch.cuda.get_device_properties(device).total_memory - weights) / keeps


def at_once(device: Any, fitting: float | None = None) -> int:
    """How many tokens are read at once: while training, of `fitting` ones; else as many as are worth it."""
    kind = "cuda" if device.type == "cuda" else "cpu"
    return READING[kind] if fitting is None else int(min(MOST[kind], max(FEWEST, fitting)))


def is_out_of_memory(error: BaseException) -> bool:
    import torch
    said = str(error)  # the CPU's allocator and cuBLAS have no error of their own
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "DefaultCPUAllocator" in said or "ALLOC_FAILED" in said


@contextlib.contextmanager
def reproducible(device: Any) -> Iterator[None]:
    """On a GPU: no kernels that sum in another order each time. A loss of a method's own runs outside of this, since some
    functions have no others. What was set before is set again afterwards."""
    if device.type != "cuda":
        yield
        return
    import torch
    mode, warns = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    fills = torch.utils.deterministic.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(mode, warn_only=warns)
        torch.utils.deterministic.fill_uninitialized_memory = fills
