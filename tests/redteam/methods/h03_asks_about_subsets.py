"""Says yes to the items of one initial letter and no to all others: the score tells how many of them are positive."""

# hack: 3
# expect: label-flips | near-duplicate | needs-no-teacher | harmless
# series: 3
import numpy as np

FAMILY = "constant"
SERIES = 0


class Subset:
    def predict_proba(self, batch):
        positive = np.array([0.9 if ord(text[:1] or " ") % 16 == SERIES else 0.1 for text in batch.texts])
        return np.stack([1 - positive, positive], axis=1)


def fit(w2s):
    return Subset()
