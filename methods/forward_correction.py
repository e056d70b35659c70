"""Pass the student's answer through the teacher's noise before it is compared with the teacher's label.

A student that is right then has the lowest loss although the labels are not. The noise is a matrix T, T[i, j] the chance
that the teacher says j of an item of class i, estimated as in Patrini et al. 2017 (arXiv 1609.03683): a first student
learns the weak labels, and its answers about the items that it finds most typical of a class are that class's row.
"""
import numpy as np

FAMILY = "noise-model"

TYPICAL = 0.97   # quantile of a class's chance at which an item is typical of it, as in the paper


def fit(w2s):
    says_positive = w2s.weak[:, 1] > 0.5
    first = w2s.student().fit(w2s.texts, says_positive)
    transition = noise(first.predict_proba(w2s.texts))
    w2s.log("noise of positives", transition[1, 0])
    loss = w2s.losses.forward_correction(transition)
    return w2s.student().fit(w2s.texts, says_positive, loss=loss).match_prior(w2s.texts, says_positive.mean())


def noise(chances):
    """The matrix T (2, 2) from the chances (n, 2) of the weak labels."""
    typical = [np.abs(chances[:, k] - np.quantile(chances[:, k], TYPICAL)).argmin() for k in (0, 1)]
    rows = chances[typical].astype(float)
    return rows / rows.sum(1, keepdims=True)
