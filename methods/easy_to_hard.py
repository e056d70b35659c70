"""Train on the easy items only, and let the student carry what it learned there over to the hard ones.

Hase et al. 2024 (arXiv 2401.06751) find that a strong model trained on easy data does nearly as well on hard data as one
trained on hard data, whose labels are dearer and worse. An item's hardness is their model-based measure: the mean loss of
its label under students trained on growing shares of the other items.
"""
import numpy as np

FAMILY = "filtering"

EASY = 0.5                   # share of each class that is kept
SHARES = (0.1, 0.3, 1.0)     # of the items outside of the fold
FOLDS = 3
L2 = 0.1


def fit(w2s):
    labels = w2s.weak[:, 1] > 0.5
    hard = hardness(w2s, labels)
    keep = np.zeros(len(labels), bool)
    for rows in (np.flatnonzero(labels), np.flatnonzero(~labels)):
        keep[rows[np.argsort(hard[rows])[: max(5, int(EASY * len(rows)))]]] = True
    return w2s.student().fit(w2s.texts[keep], labels[keep], l2=L2).match_prior(w2s.texts, labels.mean())


def hardness(w2s, labels):
    """(n,): the mean cross-entropy of an item's label, over students that were trained without its group."""
    group = np.unique(w2s.groups, return_inverse=True)[1]
    order = w2s.rng.permutation(group.max() + 1)[group]
    total = np.zeros(len(labels))
    for fold in range(FOLDS):
        out, rest = order % FOLDS == fold, np.flatnonzero(order % FOLDS != fold)
        rest = rest[np.argsort(order[rest], kind="stable")]
        for share in SHARES:
            train = rest[: max(20, int(share * len(rest)))]
            z = w2s.student().fit(w2s.texts[train], labels[train], l2=L2).logits(w2s.texts[out])
            z -= np.quantile(z, 1 - labels.mean())
            total[out] += np.logaddexp(0, np.where(labels[out], -z, z))
    return total
