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
    student, rate = w2s.student(), (w2s.weak[:, 1] > 0.5).mean()
    pair = [student.embed(w2s.render(w2s.items, answer=answer)) for answer in w2s.answers]
    no, yes = [((x - x.mean(0)) / (x.std(0) + 1e-6) / np.sqrt(x.shape[1])).astype(np.float32) for x in pair]
    loss_of, directions = descended(no, yes, w2s.rng.normal(size=(no.shape[1], STARTS)))
    w2s.log("loss", loss_of.min())
    score = (yes - no) @ directions[:, loss_of.argmin()]
    score *= np.sign(np.corrcoef(score, w2s.weak[:, 1])[0, 1])
    return w2s.student().fit(w2s.texts, score > np.quantile(score, 1 - rate), l2=L2).match_prior(w2s.texts, rate)


def descended(no, yes, start):
    """Losses (k,) and directions (d, k) after Adam from each column of `start` (d, k); the last row is the offset."""
    no, yes = [np.append(x, np.ones((len(x), 1), np.float32), axis=1) for x in (no, yes)]
    w = np.append(start, np.zeros((1, start.shape[1])), axis=0).astype(np.float32)
    mean, square = np.zeros_like(w), np.zeros_like(w)
    for step in range(1, STEPS + 1):
        p, q = [0.5 * (1 + np.tanh(0.5 * (x @ w))) for x in (no, yes)]
        apart, least = p + q - 1, np.minimum(p, q)
        of_p, of_q = [2 * (apart + least * (one == least)) * one * (1 - one) / len(p) for one in (p, q)]
        gradient = no.T @ of_p + yes.T @ of_q
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        w -= LR * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
    return (apart**2 + least**2).mean(0), w[:-1]
