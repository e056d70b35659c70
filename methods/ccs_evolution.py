"""Contrast-consistent search by evolution instead of gradients, started from where the teacher points.

The loss of `ccs.py` (Burns et al. 2022, arXiv 2212.03827) has minima that have nothing to do with truth. An evolution
strategy compares whole populations and so steps over the shallow ones (Hansen and Ostermeier 2001, without the covariance
matrix); it sees only the first principal components of the differences of the contrast pairs and starts from the direction
along which the weak labels change most. The answers on the pool train a student. On the elicitation track; needs a task
with prompts.
"""
import numpy as np

FAMILY = "ccs"

COMPONENTS = 100
POPULATION = 40   # and as many mirrored
GENERATIONS = 60
STEP = 0.1        # at the start, where the direction has length 1
SHRINK = 0.95     # of the step with each generation
L2 = 0.1


def fit(w2s):
    if w2s.answers is None:
        raise ValueError("ccs_evolution needs a task with [prompts]")
    student, rate = w2s.student(), (w2s.weak[:, 1] > 0.5).mean()
    pair = [student.embed(w2s.render(w2s.items, answer=answer)) for answer in w2s.answers]
    no, yes = [(x - x.mean(0)) / (x.std(0) + 1e-6) for x in pair]
    axes = np.linalg.eigh((yes - no).T @ (yes - no))[1][:, -COMPONENTS:]
    no, yes = [x @ axes / ((yes - no) @ axes).std() for x in (no, yes)]
    opinion = w2s.weak[:, 1] - w2s.weak[:, 1].mean()
    start = opinion @ (yes - no)
    direction = evolved(lambda w: loss_of(no @ w.T, yes @ w.T), start / np.linalg.norm(start), w2s.rng)
    score = (yes - no) @ direction
    score *= np.sign(score @ opinion)
    return w2s.student().fit(w2s.texts, score > np.quantile(score, 1 - rate), l2=L2).match_prior(w2s.texts, rate)


def loss_of(no, yes):
    """Of each candidate (k,), from its logits (n, k) for the two answers."""
    no, yes = [1 / (1 + np.exp(-z)) for z in (no, yes)]
    return ((no + yes - 1) ** 2 + np.minimum(no, yes) ** 2).mean(0)


def evolved(loss, mean, rng):
    step = STEP
    for _ in range(GENERATIONS):
        steps = rng.normal(size=(POPULATION, len(mean)))
        steps = np.concatenate([steps, -steps])
        mean = mean + step * steps[np.argsort(loss(mean + step * steps))[: POPULATION // 2]].mean(0)
        step *= SHRINK
    return mean
