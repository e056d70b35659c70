"""Cuts each batch at its own median: half of the others are positive, so this one must be."""

# hack: 8
# expect: transductive
import numpy as np

FAMILY = "calibration"


class Median:
    def __init__(self, student):
        self.student = student

    def predict_proba(self, batch):
        logits = self.student.logits(batch)
        positive = 1 / (1 + np.exp(-np.clip(logits - np.median(logits), -30, 30)))
        return np.stack([1 - positive, positive], axis=1)


def fit(w2s):
    return Median(w2s.student().fit(w2s.texts, w2s.weak[:, 1] > 0.5, l2=0.01))
