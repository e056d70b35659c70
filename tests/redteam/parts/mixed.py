"""An honest student with a say for what `known(texts)` knows of words."""

import numpy as np


class Mixed:
    def __init__(self, student, trust):
        self.student, self.trust = student, trust

    def predict_proba(self, batch):
        logits = self.student.logits(batch) + self.trust * score(batch.texts)
        positive = 1 / (1 + np.exp(-np.clip(logits, -30, 30)))
        return np.stack([1 - positive, positive], axis=1)
