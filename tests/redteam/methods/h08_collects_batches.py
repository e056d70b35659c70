"""Collects test items batch after batch and centres on all that it has seen,
but never changes its mind about one it has answered.
"""

# hack: 8
# expect: transductive
import numpy as np

FAMILY = "test-time adaptation"


class Adapts:
    def __init__(self, student):
        self.student, self.seen, self.said = student, [], {}

    def predict_proba(self, batch):
        logits = self.student.logits(batch)
        self.seen += [float(one) for one in logits]
        centred = logits - np.median(self.seen)
        answer = 1 / (1 + np.exp(-np.clip(centred, -30, 30)))
        positive = np.array([self.said.setdefault(str(text), float(one)) for text, one in zip(batch.texts, answer)])
        return np.stack([1 - positive, positive], axis=1)


def fit(w2s):
    return Adapts(w2s.student().fit(w2s.texts, w2s.weak[:, 1] > 0.5, l2=0.01))
