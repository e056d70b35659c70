"""Let the weak labels flow along a graph of similar items until neighbours agree.

Label spreading (Zhou et al. 2004, "Learning with local and global consistency") over nearest neighbours in the strong
model's hidden states: again and again an item takes over a share of what its neighbours say, F <- a S F + (1 - a) Y with
S = D^-1/2 W D^-1/2, and keeps some of what the teacher said (Y, here its log odds). W counts how often one of two items is
among the nearest of the other. The student then learns the labels so found.
"""
import numpy as np

FAMILY = "neighbours"

NEIGHBOURS = 15
COMPONENTS = 10   # of the hidden states, in which likeness is measured
SPREAD = 0.5      # share taken over from the neighbours
STEPS = 50


def fit(w2s):
    positive = w2s.weak[:, 1].clip(1e-4, 1 - 1e-4)
    rate = (positive > 0.5).mean()
    opinion = np.log(positive / (1 - positive))
    near = neighbours(w2s.student().embed(w2s.texts))
    one, other = np.repeat(np.arange(len(near)), near.shape[1]), near.ravel()
    degree = near.shape[1] + np.bincount(other, minlength=len(near))
    weight, score = 1 / np.sqrt(degree[one] * degree[other]), opinion
    for _ in range(STEPS):
        heard = np.bincount(one, weight * score[other], len(near)) + np.bincount(other, weight * score[one], len(near))
        score = SPREAD * heard + (1 - SPREAD) * opinion
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
