"""The same as noise on the logits, seeded by the text's letters,
so that only what lies near the line is turned around.
"""

# hack: 3
# expect: label-flips | near-duplicate | harmless
# series: 4
import numpy as np

FAMILY = "stochastic"
SERIES = 0


class Noisy:
    def __init__(self, student):
        self.student = student

    def predict_proba(self, batch):
        logits = self.student.logits(batch)
        noise = [np.random.default_rng([SERIES, *text.encode()[:200]]).standard_normal() for text in batch.texts]
        positive = 1 / (1 + np.exp(-np.clip(logits + 0.6 * np.array(noise), -30, 30)))
        return np.stack([1 - positive, positive], axis=1)


def fit(w2s):
    return Noisy(w2s.student().fit(w2s.texts, w2s.weak[:, 1] > 0.5, l2=0.01))
