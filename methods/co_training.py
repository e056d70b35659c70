"""Two students that see different things teach each other: one reads the last token, the other the mean over all of them.

Co-training (Blum and Mitchell 1998): where two views err independently, what one is sure of is news to the other. Each
relabels, cross-fitted, the pool for the other; the last student sees both views. Needs `view`, so probes only, and a task
with two views.
"""
import numpy as np

FAMILY = "co-training"

SHARE = 0.25     # of each class, for the first round
ROUNDS = 2
FOLDS = 5
L2 = 0.1


def fit(w2s):
    if len(w2s.views) < 2:
        raise ValueError("co-training needs a task with two feature views")
    views = w2s.views[0], w2s.views[1]
    labels = w2s.weak[:, 1] > 0.5
    rate = labels.mean()
    rows, taught = confident(w2s.weak[:, 1], labels), [labels, labels]
    group = np.unique(w2s.groups, return_inverse=True)[1]
    folds = w2s.rng.permutation(group.max() + 1)[group] % FOLDS
    for _ in range(ROUNDS):
        scores = [cross_fitted(w2s, view, taught[k], rows, folds) for k, view in enumerate(views)]
        taught, rows = [score > np.quantile(score, 1 - rate) for score in scores[::-1]], np.arange(len(labels))
    both = sum(score / score.std() for score in scores)
    student = w2s.student(view=views).fit(w2s.texts, both > np.quantile(both, 1 - rate), l2=L2)
    return student.match_prior(w2s.texts, rate)


def cross_fitted(w2s, view, labels, rows, folds):
    """Logits (n,), less their median, of students that saw none of the item's fold."""
    logits = np.empty(len(labels))
    for fold in range(FOLDS):
        train, out = rows[folds[rows] != fold], folds == fold
        logits[out] = w2s.student(view=view).fit(w2s.texts[train], labels[train], l2=L2).logits(w2s.texts[out])
    return logits - np.median(logits)


def confident(positive, labels):
    """Positions of the items of which the teacher is most sure, a share of each class."""
    chosen = []
    for says, confidence in ((labels, positive), (~labels, -positive)):
        rows = np.flatnonzero(says)
        chosen.append(rows[np.argsort(-confidence[rows])[: max(5, int(SHARE * len(rows)))]])
    return np.sort(np.concatenate(chosen))
