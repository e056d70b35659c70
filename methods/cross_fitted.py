"""Self-training in which every item is relabelled by students that have not seen its label.

A student that relabels its own training items repeats the labels it was given; one that never saw an item can only say what
the others have in common (cross-fitting; self-training as in Lee 2013 and Xie et al. 2020, arXiv 1911.04252). It starts
from the items of which the teacher is most sure.
"""
import numpy as np

FAMILY = "self-training"

SHARE = 0.1    # of each class, for the first round
ROUNDS = 3
FOLDS = 5
L2 = 0.1


def fit(w2s):
    labels = w2s.weak[:, 1] > 0.5
    rate = labels.mean()
    rows = confident(w2s.weak[:, 1], labels)
    group = np.unique(w2s.groups, return_inverse=True)[1]   # items of one group stay together
    folds = w2s.rng.permutation(group.max() + 1)[group] % FOLDS
    for _ in range(ROUNDS):
        scores = np.empty(len(labels))
        for fold in range(FOLDS):
            train, out = rows[folds[rows] != fold], folds == fold
            scores[out] = w2s.student().fit(w2s.texts[train], labels[train], l2=L2).logits(w2s.texts[out])
        labels, rows = scores > np.quantile(scores, 1 - rate), np.arange(len(labels))
    return w2s.student().fit(w2s.texts, labels, l2=L2).match_prior(w2s.texts, rate)


def confident(positive, labels):
    """Positions of the items of which the teacher is most sure, a share of each class."""
    chosen = []
    for says, confidence in ((labels, positive), (~labels, -positive)):
        rows = np.flatnonzero(says)
        chosen.append(rows[np.argsort(-confidence[rows])[: max(5, int(SHARE * len(rows)))]])
    return np.sort(np.concatenate(chosen))
