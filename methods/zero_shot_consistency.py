"""Search for labels that are mutually predictable, starting from what the strong model answers when asked.

Unsupervised elicitation by internal coherence (Wen et al. 2025, arXiv 2506.10139), small: an assignment of labels is good
if each label can be predicted from the others, here by students trained on the other folds instead of in-context examples.
Several random parts of the zero-shot answers are grown into assignments of the whole pool, and the most coherent one is
learned. The teacher gives only the share of positives. On the elicitation track; needs a task with prompts.
"""
import numpy as np

FAMILY = "coherence"

STARTS = 3
SHARE = 0.5     # of the pool, whose zero-shot answers an assignment starts from
ROUNDS = 2
FOLDS = 3
L2 = 0.1


def fit(w2s):
    if w2s.answers is None:
        raise ValueError("zero_shot_consistency needs a task with [prompts]")
    rate = (w2s.weak[:, 1] > 0.5).mean()
    says = w2s.student().zero_shot(w2s.texts)[:, 1]
    says = says > np.quantile(says, 1 - rate)
    group = np.unique(w2s.groups, return_inverse=True)[1]
    folds = w2s.rng.permutation(group.max() + 1)[group] % FOLDS
    found = []
    for _ in range(STARTS):
        labels, rows = says, np.flatnonzero(w2s.rng.random(len(says)) < SHARE)
        for _ in range(ROUNDS):
            predicted = from_others(w2s, labels, rows, folds)
            predicted -= np.quantile(predicted, 1 - rate)
            coherence = -np.logaddexp(0, np.where(labels, -predicted, predicted))[rows].mean()
            labels, before, rows = predicted > 0, labels, np.arange(len(says))
        found.append((coherence, before))
    coherence, labels = max(found, key=lambda one: one[0])
    w2s.log("coherence", coherence)
    return w2s.student().fit(w2s.texts, labels, l2=L2).match_prior(w2s.texts, rate)


def from_others(w2s, labels, rows, folds):
    """Logits (n,) of students trained on those of the `rows` that lie in the other folds."""
    logits = np.empty(len(labels))
    for fold in range(FOLDS):
        train, out = rows[folds[rows] != fold], folds == fold
        logits[out] = w2s.student().fit(w2s.texts[train], labels[train], l2=L2).logits(w2s.texts[out])
    return logits
