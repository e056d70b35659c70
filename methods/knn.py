"""Ask the neighbours: an item's new label is what the teacher thinks of the items most like it.

The teacher's mistakes about single items average out over neighbours in the strong model's hidden states, as in deep
k-nearest neighbours for noisy labels (Bahri et al. 2020, arXiv 2004.12289). The student then learns the new labels.
"""
import numpy as np

FAMILY = "neighbours"

NEIGHBOURS = 50
COMPONENTS = 10   # of the hidden states, in which likeness is measured


def fit(w2s):
    positive = w2s.weak[:, 1].clip(1e-4, 1 - 1e-4)
    rate = (positive > 0.5).mean()
    opinion = np.log(positive / (1 - positive))
    score = opinion[neighbours(w2s.student().embed(w2s.texts))].mean(1)
    return w2s.student().fit(w2s.texts, score > np.quantile(score, 1 - rate)).match_prior(w2s.texts, rate)


def neighbours(states):
    """Positions (n, NEIGHBOURS), or fewer in a small pool, of the items with the largest cosine, oneself left out."""
    most = min(NEIGHBOURS, len(states) - 1)
    x = (states - states.mean(0)) / (states.std(0) + 1e-6)
    x = x @ np.linalg.eigh(x.T @ x)[1][:, -COMPONENTS:]
    x /= np.linalg.norm(x, axis=1, keepdims=True) + 1e-9
    near = []
    for row in x:
        likeness = x @ row
        likeness[len(near)] = -np.inf
        near.append(np.argpartition(-likeness, most - 1)[:most])
    return np.array(near)
