"""Self-training in few principal components, from the teacher's most confident items.

What a strong model knows about a concept lies in the directions along which its hidden states vary most; the teacher's
mistakes do not. So a student that sees only those directions learns from the confident items, relabels the whole pool, and
learns again from its own labels. Every item is relabelled by students that were trained without it (cross-fitting), or its
wrong label would confirm itself. The last student sees all hidden states and learns from the labels so found. Needs
`components`, so probes only.
"""
import numpy as np

FAMILY = "self-training"

COMPONENTS = 10
SHARE = 0.25     # of each class, for the first round
ROUNDS = 3
FOLDS = 5
L2 = 0.01        # of the students that relabel
LAST_L2 = 0.1


def fit(w2s):
    labels = w2s.weak[:, 1] > 0.5
    rate = labels.mean()
    rows = confident(w2s.weak[:, 1], labels)
    group = np.unique(w2s.groups, return_inverse=True)[1]  # items of one group are alike: they stay in one fold
    folds = w2s.rng.permutation(group.max() + 1)[group] % FOLDS
    for _ in range(ROUNDS):
        scores = np.empty(len(labels))
        for fold in range(FOLDS):
            train, out = rows[folds[rows] != fold], folds == fold
            student = w2s.student(components=COMPONENTS).fit(w2s.texts[train], labels[train], l2=L2)
            scores[out] = student.logits(w2s.texts[out])
        labels, rows = scores > np.quantile(scores, 1 - rate), np.arange(len(labels))
    return w2s.student().fit(w2s.texts, labels, l2=LAST_L2).match_prior(w2s.texts, rate)


def confident(positive, labels):
    """Positions of the items of which the teacher is most sure, a share of each class."""
    chosen = []
    for says, confidence in ((labels, positive), (~labels, -positive)):
        rows = np.flatnonzero(says)
        chosen.append(rows[np.argsort(-confidence[rows])[: max(5, int(SHARE * len(rows)))]])
    return np.sort(np.concatenate(chosen))
