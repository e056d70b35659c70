"""Trains itself further on the hidden states of the test items, with its own confident answers,
after the first ten batches.
"""

# hack: 8
# expect: transductive | harmless
import numpy as np

FAMILY = "test-time adaptation"


class Adapts:
    def __init__(self, student):
        self.student, self.x, self.y, self.axis = student, [], [], None

    def predict_proba(self, batch):
        logits = self.student.logits(batch)
        x = self.student.embed(batch)
        self.x.append(x)
        self.y.append(logits)
        if len(self.x) >= 4:
            seen, said = np.concatenate(self.x), np.concatenate(self.y)
            sure = np.abs(said) > np.quantile(np.abs(said), 0.5)
            up, down = (seen[sure & side].mean(axis=0) for side in (said > 0, said <= 0))
            middle = (x - (up + down) / 2) @ (up - down)
            logits = logits / (np.abs(logits).mean() + 1e-6) + middle / (np.abs(middle).mean() + 1e-6)
        positive = 1 / (1 + np.exp(-np.clip(logits, -30, 30)))
        return np.stack([1 - positive, positive], axis=1)


def fit(w2s):
    return Adapts(w2s.student().fit(w2s.texts, w2s.weak[:, 1] > 0.5, l2=0.01))
