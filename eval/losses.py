"""Losses for students, each a small callable: a method reaches them as `w2s.losses.gce(q=0.7)`.

Every function here takes the settings of a loss and returns the loss itself, for `student.fit(..., loss=...)`:

    loss(logits, targets, weights, progress, batch) -> the scalar tensor to minimise

with torch tensors logits (b, 2), targets (b, 2) whose rows sum to 1, and weights (b,) with a mean near 1; progress through
the training from 0 to 1; `batch.index` (b,), positions in the pool. Below, t is a row of targets, p the softmax of a row of
logits, and CE(p, t) is -sum_k t_k log p_k. Only methods of tensors are used, so that this file imports no torch.
"""
from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

Loss = Callable[..., Any]
SMALLEST = 1e-6  # a chance below it counts as this one where its logarithm is taken


def ce() -> Loss:
    """Cross-entropy, CE(p, t): what a student minimises unless told otherwise."""
    return lambda logits, targets, weights, progress, batch: _mean(_cross_entropy(logits, targets), weights)


def label_smoothing(amount: float = 0.1) -> Loss:
    """CE(p, (1 - amount) t + amount / 2) (Szegedy et al. 2016, arXiv 1512.00567)."""
    _check_share("amount", amount)
    return lambda logits, targets, weights, progress, batch: _mean(
        _cross_entropy(logits, (1 - amount) * targets + amount / 2), weights)


def aux_confidence(alpha: float = 0.75, warmup: float = 0.2, rate: float | None = None) -> Loss:
    """CE(p, (1 - a) t + a h): the student is also pulled towards its own hard answer h (Burns et al. 2023, arXiv 2312.09390).

    h is positive for the items of the batch above its quantile `1 - rate`, so that a share `rate` of them is (None: the
    batch's own mean target); a grows linearly from 0 to `alpha` over the share `warmup` of the training and stays there.
    """
    _check_share("alpha", alpha)
    _check_share("warmup", warmup)

    def loss(logits, targets, weights, progress, batch):
        a = _warmed(alpha, warmup, progress)
        positive = logits.detach().float().softmax(1)[:, 1]
        share = targets[:, 1].float().mean() if rate is None else positive.new_tensor(rate)
        own = (positive > positive.quantile(1 - share)).to(targets.dtype)
        mixed = (1 - a) * targets
        mixed[:, 0] += a * (1 - own)
        mixed[:, 1] += a * own
        return _mean(_cross_entropy(logits, mixed), weights)
    return loss


def product_of_confidences(alpha: float = 1.0, beta: float = 1.0, warmup: float = 0.2) -> Loss:
    """CE(p, t'), t' proportional to t^alpha p^b: both must be confident for a target to be (the product loss in the release
    of arXiv 2312.09390). b grows linearly from 0 to `beta` over the share `warmup` of the training; t' has no gradient."""
    _check_share("warmup", warmup)

    def loss(logits, targets, weights, progress, batch):
        own = _warmed(beta, warmup, progress) * logits.detach().log_softmax(1)
        product = (alpha * targets.clamp(min=SMALLEST).log() + own).softmax(1)
        return _mean(_cross_entropy(logits, product), weights)
    return loss


def gce(q: float = 0.7) -> Loss:
    """Generalised cross-entropy, sum_k t_k (1 - p_k^q) / q: from CE (q near 0) to the mean absolute error (q = 1), which
    symmetric noise in the labels cannot mislead (Zhang and Sabuncu 2018, arXiv 1805.07836)."""
    if not 0 < q <= 1:
        raise ValueError(f"q={q}: it must lie above 0 and not above 1")
    return lambda logits, targets, weights, progress, batch: _mean(
        (targets * (1 - (q * logits.log_softmax(1)).exp()) / q).sum(1), weights)


def symmetric_ce(alpha: float = 0.1, beta: float = 1.0, floor: float = -4.0) -> Loss:
    """alpha CE(p, t) + beta CE(t, p), with log 0 taken as `floor` in the second (Wang et al. 2019, arXiv 1908.06112)."""
    return lambda logits, targets, weights, progress, batch: _mean(
        alpha * _cross_entropy(logits, targets) - beta * (logits.softmax(1) * targets.log().clamp(min=floor)).sum(1), weights)


def forward_correction(transition: Any) -> Loss:
    """CE(p T, t): the student's answer is passed through the teacher's noise before it is compared (Patrini et al. 2017,
    arXiv 1609.03683). T (2, 2): row i holds the chances of each weak label where class i is true."""
    matrix = _transition(transition)
    return lambda logits, targets, weights, progress, batch: _mean(
        -(targets * (logits.softmax(1) @ logits.new_tensor(matrix)).clamp(min=SMALLEST).log()).sum(1), weights)


def backward_correction(transition: Any) -> Loss:
    """sum_k t_k (T^-1 l)_k with l_k = -log p_k: on average over the noise T it is the loss on true labels (Patrini et al.
    2017, arXiv 1609.03683). It can be negative."""
    matrix = _transition(transition)
    if abs(np.linalg.det(matrix)) < 1e-3:
        raise ValueError(f"transition {matrix.tolist()} cannot be inverted: its rows are (nearly) the same")
    inverse = np.linalg.inv(matrix)
    return lambda logits, targets, weights, progress, batch: _mean(
        -(targets * (logits.log_softmax(1) @ logits.new_tensor(inverse.T))).sum(1), weights)


def reverse_kl(floor: float = 0.01) -> Loss:
    """sum_k p_k log(p_k / t_k): the student may leave out what the teacher half believes, where the usual direction makes it
    cover all of it (Yao et al. 2025, arXiv 2502.11107). Targets below `floor` count as that."""
    if not 0 < floor < 0.5:
        raise ValueError(f"floor={floor}: it must lie between 0 and 0.5")
    return lambda logits, targets, weights, progress, batch: _mean(
        (logits.softmax(1) * (logits.log_softmax(1) - targets.clamp(min=floor).log())).sum(1), weights)


def bootstrap(beta: float = 0.8, hard: bool = True) -> Loss:
    """CE(p, beta t + (1 - beta) z), z the student's own answer: its likelier class, or p itself where not `hard` (Reed et al.
    2014, arXiv 1412.6596; theirs are .8 hard, .95 soft)."""
    _check_share("beta", beta)

    def loss(logits, targets, weights, progress, batch):
        own = logits.softmax(1)
        own = (own == own.amax(1, keepdim=True)).to(own.dtype) if hard else own
        return _mean(_cross_entropy(logits, beta * targets + (1 - beta) * own), weights)
    return loss


def small_loss(keep: float = 0.7, ramp: float = 0.5, peer: Any = None) -> Loss:
    """CE(p, t) over the items of the batch where it is smallest (what a network learns first is more often right).

    The share of the batch that counts falls linearly from 1 to `keep` over the share `ramp` of the training. With `peer`
    (n,), a number for each pool item, the items with the smallest of those are taken instead: in co-teaching the losses of
    another student (Han et al. 2018, arXiv 1804.06872).
    """
    _check_share("keep", keep)
    _check_share("ramp", ramp)

    def loss(logits, targets, weights, progress, batch):
        per_item = _cross_entropy(logits, targets)
        by = per_item.detach() if peer is None else logits.new_tensor(np.asarray(peer)[np.asarray(batch.index)])
        count = math.ceil((1 - _warmed(1 - keep, ramp, progress)) * len(per_item) - 1e-9)
        chosen = by.argsort()[:max(1, count)]
        return _mean(per_item[chosen], weights[chosen])
    return loss


def _mean(per_item: Any, weights: Any) -> Any:
    return (weights * per_item).mean()


def _cross_entropy(logits: Any, targets: Any) -> Any:
    return -(targets * logits.log_softmax(1)).sum(1)


def _warmed(value: float, warmup: float, progress: float) -> float:
    """From 0 to `value`, linearly over the first `warmup` of the training."""
    return value * min(1.0, progress / warmup) if warmup > 0 else value


def _check_share(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{name}={value}: it must lie between 0 and 1")


def _transition(matrix: Any) -> np.ndarray:
    matrix = np.asarray(matrix, np.float64)
    if matrix.shape != (2, 2) or not np.allclose(matrix.sum(1), 1, atol=1e-4) or not (matrix >= 0).all():
        raise ValueError("transition must be a (2, 2) array of chances whose rows sum to 1")
    return matrix
