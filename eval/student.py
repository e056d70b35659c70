"""The probe student: a small head on the frozen hidden states of the strong model.

A method gets one from `w2s.student()` and trains it on pool texts. The hidden states are not computed here: they come
as blocks (one per *view*, for example `last:16`, the last token at layer 16), made once a machine by `eval.prepare`.
Only numpy is imported; torch comes in lazily for a loss that is a callable or for a hidden layer.

The head that `fit` trains by default is convex, so student seeds change nothing there. They are the initialisation
and the order of the data for heads that are trained in epochs.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

BATCH = 32


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 0.5 * (1.0 + np.tanh(0.5 * z))


class Student:
    """A head on hidden states. Options: `view` (a view's name, or several side by side; default: the task's own),
    `components` (see only that many principal components of the pool), `hidden` (width of a hidden layer; 64 is a
    good one), `seed`, and `init` (the `state()` of a student with the same options, to go on from)."""

    def __init__(self, pool: Any, seed: int = 0, view: str | Sequence[str] | None = None,
                 components: int | None = None, hidden: int | None = None,
                 init: Mapping[str, Any] | None = None, on_fit: Callable[[], None] | None = None, asked: Any = None) -> None:
        self._pool, self._views, self._on_fit, self._asked = pool, pool.views(view), on_fit, asked
        width = pool.width(self._views)
        if components is not None and not 1 <= components <= min(width, len(pool.texts)):
            raise ValueError(f"components={components}: choose from 1 to {min(width, len(pool.texts))}")
        if hidden is not None and hidden < 1:
            raise ValueError(f"hidden={hidden}: a hidden layer needs at least one unit")
        self._components, self._hidden, self._seed = components, hidden, seed
        self._width = width if components is None else components
        self._parameters: list[np.ndarray] | None = None
        self._start: list[np.ndarray] | None = None
        self._cut = 0.0  # in logits; 0 is a probability of one half
        if init is not None:
            self.load(init)
            self._start = self._parameters

    def fit(self, texts: Sequence[str], targets: Any, weights: Any = None, loss: str | Callable = "ce",
            epochs: int | None = None, lr: float = 0.003, l2: float = 0.3,
            on_epoch: Callable[[int, Student], Any] | None = None) -> Student:
        """Train on pool `texts` (m,) and return self; a second `fit` starts afresh.

        `targets` is (m,) chances of the positive class in [0, 1], or (m, 2) with rows that sum to 1. `weights` (m,)
        are not negative; only their ratios count. The default minimises the weighted mean cross-entropy plus
        `l2 / 2 * |w|^2` to convergence. With `epochs` (5 unless given), a hidden layer or a callable `loss` it is
        trained by Adam in batches of 32, `lr` falling to 0; then `on_epoch(number, student)` is called after each
        epoch and ends the training by returning True. A callable is `loss(logits, targets, weights, progress,
        batch)` with torch tensors (b, 2), (b, 2), (b,), progress from 0 to 1, and `batch.index`, `batch.groups`
        (b,): positions in the pool and groups (None where unknown); it returns the loss to minimise.
        ValueError says which argument is wrong.
        """
        rows = self._pool.rows(texts)
        positive, weights = check_targets(targets, len(rows)), check_weights(weights, len(rows))
        if not (np.isfinite(l2) and l2 >= 0):
            raise ValueError(f"l2={l2}: it must be a number >= 0")
        used = np.flatnonzero(weights)
        rows, positive, weights = rows[used], positive[used], weights[used] / weights[used].mean()
        if self._on_fit is not None:
            self._on_fit()
        self._cut = 0.0
        x = self._pool.inputs(self._pool.texts, self._views, self._components)[rows]
        if loss == "ce" and epochs is None and self._hidden is None:
            start = self._start or [np.zeros(self._width, np.float32), np.zeros((), np.float32)]
            self._parameters = solve_logistic(x, positive, weights / len(rows), l2, start)
            return self
        if loss != "ce" and not callable(loss):
            raise ValueError(f"loss={loss!r}: it is 'ce' or a callable")
        epochs = 5 if epochs is None else epochs
        if epochs < 1 or not lr > 0:
            raise ValueError(f"epochs={epochs}, lr={lr}: both must be positive")
        rng = np.random.default_rng(self._seed)
        self._parameters = [p.copy() for p in self._start or initial(rng, self._width, self._hidden)]
        run = _descend_numpy if loss == "ce" and self._hidden is None else _descend_torch
        run(self, SimpleNamespace(x=x, positive=positive, weights=weights, rows=rows, loss=loss, epochs=epochs, lr=lr,
                                  l2=l2, rng=rng, on_epoch=on_epoch, groups=self._pool.groups))
        return self

    def predict_proba(self, source: Any) -> np.ndarray:
        """Class chances (m, 2), float32, of a batch or of pool texts, the cut applied."""
        positive = sigmoid(self.logits(source) - self._cut)
        return np.stack([1 - positive, positive], axis=1)

    def logits(self, source: Any) -> np.ndarray:
        """Logits (m,) of the positive class for a batch or pool texts, before the cut is applied."""
        if self._parameters is None:
            raise ValueError("this student is not trained yet: call fit or load first")
        return forward(self._parameters, self._pool.inputs(source, self._views, self._components))

    def match_prior(self, texts: Sequence[str], rate: float) -> Student:
        """Move the cut so that a share `rate` of these pool texts comes out positive; returns self."""
        if not 0 < rate < 1:
            raise ValueError(f"rate={rate}: it must lie between 0 and 1")
        self._cut = float(np.quantile(self.logits(texts), 1 - rate))
        return self

    def embed(self, source: Any, layers: int | Sequence[int] | None = None, pool: str | None = None) -> np.ndarray:
        """Hidden states (m, d) float32 as the model gave them, of a batch, of pool texts, of either written under the task's
        contrast prompts, or, where the model is handed out, of any strings: the student's own view, or the one named by `layers`
        and `pool` ("last" or "mean"). Several layers come side by side. ValueError names the views that exist."""
        own_pool, own_layer = self._views[0].split(":")
        layers = [own_layer] if layers is None else [layers] if np.isscalar(layers) else list(layers)
        own = layers == [own_layer] and pool in (None, own_pool)
        views = self._views if own else tuple(f"{pool or own_pool}:{layer}" for layer in layers)
        if hasattr(source, "features"):
            return self._pool.raw(source, self._pool.views(views))
        if isinstance(source, str):
            raise ValueError("texts is one string: pass an array of texts")
        known = self._pool.known(source, views)
        if known is not None:
            return known
        if self._asked is None or not self._asked.has_language:
            return self._pool.raw(source, self._pool.views(views))  # raises, and says what there is
        return np.concatenate([self._asked._language().embed(list(source), [int(layer)], pooling)
                               for pooling, layer in (view.split(":") for view in views)], axis=1)

    def zero_shot(self, source: Any) -> np.ndarray:
        """What the strong model answers unasked to learn anything: chances (m, 2), of a batch, of pool texts, or of prompts of
        your own. Methods that use it compete on the elicitation track. ValueError where the task has no prompts."""
        return self._asked.zero_shot(source)

    def generate(self, prompts: Sequence[str], max_new_tokens: int = 32) -> np.ndarray:
        """What the strong model writes after each prompt (m,), greedily. Elicitation track."""
        return self._asked._language().generate(list(prompts), max_new_tokens)

    @property
    def model(self) -> Any:
        """The strong model itself, a torch module. Elicitation track."""
        return self._asked._language().model

    @property
    def tokenizer(self) -> Any:
        """The strong model's tokenizer. Elicitation track."""
        return self._asked._language().tokenizer

    def state(self) -> dict[str, Any]:
        """A copy of what was learned, for `load` or `init`."""
        if self._parameters is None:
            raise ValueError("this student is not trained yet: it has no state")
        return {"parameters": [p.copy() for p in self._parameters], "cut": self._cut}

    def load(self, state: Mapping[str, Any]) -> Student:
        """Take over the state of a student with the same options; ValueError if the shapes differ."""
        shapes = [p.shape for p in initial(np.random.default_rng(0), self._width, self._hidden)]
        if [np.shape(p) for p in state["parameters"]] != shapes:
            raise ValueError("this state is of a student with other options (view, components, hidden)")
        self._parameters = [np.array(p, np.float32) for p in state["parameters"]]
        self._cut = float(state["cut"])
        return self


def check_targets(targets: Any, count: int) -> np.ndarray:
    """The chance (m,) float32 of the positive class, from (m,) or (m, 2) targets."""
    values = np.asarray(targets, np.float32)
    if values.ndim == 2 and values.shape == (count, 2):
        if not np.allclose(values.sum(1), 1, atol=1e-3):
            raise ValueError("targets: each row of an (m, 2) array must sum to 1")
        values = values[:, 1]
    if values.shape != (count,):
        raise ValueError(f"targets have shape {np.shape(targets)}: expected ({count},) or ({count}, 2)")
    if count == 0:
        raise ValueError("there are no texts to train on")
    if not (values >= 0).all() or not (values <= 1).all():  # also true for NaN
        raise ValueError("targets must be numbers between 0 and 1")
    return values


def check_weights(weights: Any, count: int) -> np.ndarray:
    values = np.ones(count, np.float32) if weights is None else np.asarray(weights, np.float32)
    if values.shape != (count,):
        raise ValueError(f"weights have shape {values.shape}: expected ({count},)")
    if not (np.isfinite(values).all() and (values >= 0).all() and values.any()):
        raise ValueError("weights must be finite, not negative, and not all zero")
    return values


def initial(rng: np.random.Generator, width: int, hidden: int | None) -> list[np.ndarray]:
    """Random parameters: [w (d,), b] of a linear head, or [V (d, h), c (h,), w (h,), b] of one with a hidden layer."""
    bias = np.zeros((), np.float32)
    if hidden is None:
        return [rng.normal(0, 0.01, width).astype(np.float32), bias]
    first = rng.normal(0, np.sqrt(2 / width), (width, hidden)).astype(np.float32)
    return [first, np.zeros(hidden, np.float32), rng.normal(0, np.sqrt(1 / hidden), hidden).astype(np.float32), bias]


def forward(parameters: Sequence[Any], x: Any) -> Any:
    """Logits (m,) of the positive class; numpy and torch alike."""
    *first, w, b = parameters
    if first:
        x = (x @ first[0] + first[1]).clip(0, None)
    return x @ w + b


def solve_logistic(x: np.ndarray, positive: np.ndarray, weights: np.ndarray, l2: float,
                   start: Sequence[np.ndarray], iterations: int = 300, tolerance: float = 1e-5) -> list[np.ndarray]:
    """[w, b] that minimise sum(weights * cross-entropy) + l2 / 2 |w|^2 (bias unpenalised), by L-BFGS.

    x (m, d) float32, positive and weights (m,). Written out because importing scipy.optimize (.4 s) takes far longer
    than a fit (.02 s), in a sandbox that most methods leave with numpy alone.
    """
    def objective(point: np.ndarray) -> tuple[float, np.ndarray]:
        w = point[:-1].astype(np.float32)
        z = x @ w + np.float32(point[-1])
        error = weights * (sigmoid(z) - positive)
        value = float(weights @ (np.logaddexp(0, z) - positive * z)) + 0.5 * l2 * float(point[:-1] @ point[:-1])
        return value, np.append(error @ x + l2 * w, error.sum()).astype(np.float64)

    point = np.append(start[0], start[1]).astype(np.float64)
    value, gradient = objective(point)
    history: list[tuple[np.ndarray, np.ndarray]] = []
    for _ in range(iterations):
        if np.abs(gradient).max() < tolerance:
            break
        direction = _two_loops(gradient, history)
        slope, step = float(gradient @ direction), 1.0 if history else min(1.0, 1 / np.abs(gradient).sum())
        while True:  # Armijo; the objective is convex, so that backtracking ends
            trial, trial_gradient = objective(point + step * direction)
            if trial <= value + 1e-4 * step * slope or step < 1e-6:
                break
            step /= 2
        moved, change = step * direction, trial_gradient - gradient
        if trial >= value:  # float32 sums carry no more
            break
        if moved @ change > 1e-12:
            history = (history + [(moved, change)])[-10:]
        point, value, gradient = point + moved, trial, trial_gradient
    return [point[:-1].astype(np.float32), np.float32(point[-1]).reshape(())]


def _two_loops(gradient: np.ndarray, history: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """The L-BFGS direction (Nocedal 1980)."""
    q, shares = -gradient, []
    for moved, change in reversed(history):
        share = (moved @ q) / (moved @ change)
        q = q - share * change
        shares.append(share)
    if history:
        moved, change = history[-1]
        q = q * ((moved @ change) / (change @ change))
    for (moved, change), share in zip(history, reversed(shares)):
        q = q + moved * (share - (change @ q) / (moved @ change))
    return q


def _batches(job: SimpleNamespace):
    """Yields (positions of a batch, step from 0, is the last of its epoch's batches), epoch by epoch."""
    step = 0
    for _ in range(job.epochs):
        order = job.rng.permutation(len(job.rows))
        for first in range(0, len(order), BATCH):
            yield order[first:first + BATCH], step, first + BATCH >= len(order)
            step += 1


def _descend_numpy(student: Student, job: SimpleNamespace) -> None:
    """Adam on the cross-entropy of a linear head; the same steps as _descend_torch without importing torch."""
    w, b = student._parameters
    point = np.append(w, b)
    first, second = np.zeros_like(point), np.zeros_like(point)
    steps, epoch = job.epochs * -(-len(job.rows) // BATCH), 0
    for at, step, last in _batches(job):
        x = job.x[at]
        error = job.weights[at] * (sigmoid(x @ point[:-1] + point[-1]) - job.positive[at]) / len(at)
        gradient = np.append(error @ x + np.float32(job.l2) * point[:-1], error.sum())
        first += 0.1 * (gradient - first)
        second += 0.001 * (gradient * gradient - second)
        rate = job.lr * (1 - step / steps) / (1 - 0.9 ** (step + 1))
        point -= np.float32(rate) * first / (np.sqrt(second / np.float32(1 - 0.999 ** (step + 1))) + np.float32(1e-8))
        if last:
            student._parameters, epoch = [point[:-1].copy(), point[-1:].copy().reshape(())], epoch + 1
            if job.on_epoch is not None and job.on_epoch(epoch, student) is True:
                return


def _descend_torch(student: Student, job: SimpleNamespace) -> None:
    """Adam by automatic differentiation: any loss, any head. Written out, since torch's own imports its compiler: 2 s for each
    draw, more than most fits take."""
    import torch
    torch.set_num_threads(1)
    parameters = [torch.tensor(p, requires_grad=True) for p in student._parameters]
    first, second = ([torch.zeros_like(p) for p in parameters] for _ in range(2))
    x, positive, weights = (torch.from_numpy(np.ascontiguousarray(a)) for a in (job.x, job.positive, job.weights))
    targets, steps, epoch = torch.stack([1 - positive, positive], 1), job.epochs * -(-len(job.rows) // BATCH), 0
    for at, step, last in _batches(job):
        z = forward(parameters, x[at])
        logits = torch.stack([-z / 2, z / 2], 1)
        batch = SimpleNamespace(index=job.rows[at], groups=None if job.groups is None else job.groups[job.rows[at]])
        if job.loss == "ce":
            per_item = -(targets[at] * torch.log_softmax(logits, 1)).sum(1)
            value = (weights[at] * per_item).mean()
        else:
            value = job.loss(logits, targets[at], weights[at], step / steps, batch)
        if not torch.isfinite(value):
            raise ValueError(f"the loss is not finite in step {step + 1} of {steps}: lower lr, or mend the loss")
        value = value + 0.5 * job.l2 * sum((p * p).sum() for p in parameters[0::2])  # biases go free
        rate = job.lr * (1 - step / steps) / (1 - 0.9 ** (step + 1))
        gradients = torch.autograd.grad(value, parameters)
        with torch.no_grad():
            for p, gradient, mean, square in zip(parameters, gradients, first, second):
                mean.lerp_(gradient, 0.1)
                square.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
                p -= rate * mean / ((square / (1 - 0.999 ** (step + 1))).sqrt() + 1e-8)
        if last:
            student._parameters, epoch = [p.detach().numpy().copy() for p in parameters], epoch + 1
            if job.on_epoch is not None and job.on_epoch(epoch, student) is True:
                return
