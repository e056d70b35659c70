"""Contrast-consistent search: a direction on which a statement and its negation get opposite answers, found without labels.

Burns et al. 2022 (arXiv 2212.03827). Each item is written with either answer; a probe p on the two hidden states, each set
less its own mean, minimises (p+ + p- - 1)^2 + min(p+, p-)^2. Which end means true is the one thing taken from the weak
labels. The answers on the pool then train a student, so that test items need no contrast pairs. On the elicitation track;
needs a task with prompts.
"""
import numpy as np

FAMILY = "ccs"

STARTS = 10
STEPS = 100
LR = 0.05
L2 = 0.1


def fit(w2s):
    if w2s.answers is None:
        raise ValueError("ccs needs a task with [prompts]")
    import torch
    student, rate = w2s.student(), (w2s.weak[:, 1] > 0.5).mean()
    pair = [student.embed(w2s.render(w2s.items, answer=answer)) for answer in w2s.answers]
    pair = [torch.tensor((x - x.mean(0)) / (x.std(0) + 1e-6)).float() / x.shape[1] ** 0.5 for x in pair]
    start = torch.tensor(w2s.rng.normal(size=(pair[0].shape[1], STARTS)), dtype=torch.float32)
    losses, directions = descended(pair, start)
    w2s.log("loss", losses.min())
    score = ((pair[1] - pair[0]) @ directions[:, losses.argmin()]).numpy()
    score *= np.sign(np.corrcoef(score, w2s.weak[:, 1])[0, 1])
    return w2s.student().fit(w2s.texts, score > np.quantile(score, 1 - rate), l2=L2).match_prior(w2s.texts, rate)


def descended(pair, start):
    """Losses (k,) and directions (d, k) after Adam from `start` (d, k)."""
    import torch
    w, b = start.requires_grad_(), torch.zeros(start.shape[1], requires_grad=True)
    adam = torch.optim.Adam([w, b], lr=LR)
    for _ in range(STEPS):
        no, yes = [(x @ w + b).sigmoid() for x in pair]
        losses = ((no + yes - 1) ** 2 + torch.minimum(no, yes) ** 2).mean(0)
        adam.zero_grad()
        losses.sum().backward()
        adam.step()
    return losses.detach(), w.detach()
