"""Keep the items that hold an easy and a hard pattern at once: there the teacher is right and something is left to learn.

Shin et al. 2024 (arXiv 2412.03881) explain weak-to-strong generalisation by such overlapping items. Items of which the
teacher is unsure hold only the hard pattern; a confident item overlaps as far as its hidden states resemble theirs. The
most overlapping of the confident items are trained on.
"""
import numpy as np

FAMILY = "filtering"

CONFIDENT = 0.25   # share of each class
OVERLAPPING = 0.7  # share of those
COMPONENTS = 64    # of the hidden states, in which likeness is measured


def fit(w2s):
    positive = w2s.weak[:, 1]
    labels = positive > 0.5
    sureness = np.abs(positive - 0.5)
    overlap = likeness(w2s.student().embed(w2s.texts), sureness <= np.quantile(sureness, 1 - CONFIDENT))
    keep = np.zeros(len(labels), bool)
    for rows in (np.flatnonzero(labels), np.flatnonzero(~labels)):
        sure = rows[np.argsort(-sureness[rows])[: max(10, int(CONFIDENT * len(rows)))]]
        keep[sure[np.argsort(-overlap[sure])[: max(5, int(OVERLAPPING * len(sure)))]]] = True
    return w2s.student().fit(w2s.texts[keep], labels[keep]).match_prior(w2s.texts, labels.mean())


def likeness(states, hard):
    """(n,): the mean absolute cosine of an item's hidden states with those of the `hard` items."""
    x = (states - states.mean(0)) / (states.std(0) + 1e-6)
    x = x @ np.linalg.eigh(x.T @ x)[1][:, -COMPONENTS:]
    x /= np.linalg.norm(x, axis=1, keepdims=True) + 1e-9
    return np.abs(x @ x[hard].T).mean(1)
