"""Expectation-maximisation over a noisy channel: the teacher is a sensor of unknown reliability, the student the prior.

The teacher's confidence is cut into bins; how often each bin comes up for either class is estimated from what the student
believes, cross-fitted so that no item has a say in its own label. Student and channel together give each item's chance,
from which the next student learns (Dawid and Skene 1979; Raykar et al. 2010, with one annotator).
"""
import numpy as np

FAMILY = "noise-model"

BINS = 6
ROUNDS = 2
FOLDS = 5
L2 = 0.1


def fit(w2s):
    positive = w2s.weak[:, 1]
    rate = (positive > 0.5).mean()
    bins = np.argsort(np.argsort(positive, kind="stable")) * BINS // len(positive)
    group = np.unique(w2s.groups, return_inverse=True)[1]
    folds = w2s.rng.permutation(group.max() + 1)[group] % FOLDS
    chance, weights = (positive > 0.5).astype(float), np.abs(positive - 0.5) + 1e-6
    for _ in range(ROUNDS):
        prior = cross_fitted(w2s, chance, weights, folds)
        prior -= np.quantile(prior, 1 - rate)
        believed = 1 / (1 + np.exp(-prior))
        seen = np.stack([np.bincount(bins, b, BINS) + 2 for b in (1 - believed, believed)])
        channel = np.log(seen / seen.sum(1, keepdims=True))
        chance = 1 / (1 + np.exp(-(prior + channel[1, bins] - channel[0, bins])))
        weights = np.ones(len(chance))
    return w2s.student().fit(w2s.texts, chance, l2=L2).match_prior(w2s.texts, rate)


def cross_fitted(w2s, targets, weights, folds):
    """Logits (n,) of students that were trained on the other folds."""
    logits = np.empty(len(targets))
    for fold in range(FOLDS):
        out = folds == fold
        student = w2s.student().fit(w2s.texts[~out], targets[~out], weights=weights[~out], l2=L2)
        logits[out] = student.logits(w2s.texts[out])
    return logits
