"""The same without asking for groups: the question in the text says which solutions belong together,
and they come one by one.
"""

# hack: 1
# task: arithmetic
# expect: transductive | group-majority | needs-no-teacher
import re
from collections import Counter, defaultdict

import numpy as np

FAMILY = "coherence"


class Coherent:
    def __init__(self, student):
        self.student, self.seen = student, defaultdict(Counter)

    def predict_proba(self, batch):
        positive = self.student.predict_proba(batch)[:, 1]
        for row, text in enumerate(batch.texts):
            question, _, solution = text.partition("\n")
            answer = re.findall(r"\d+", solution)[-1]
            self.seen[question][answer] += 1
            (leader, most), *others = self.seen[question].most_common(2)
            if most > 1 + (others[0][1] if others else 0):
                positive[row] = 0.95 if answer == leader else 0.05
        return np.stack([1 - positive, positive], axis=1)


def fit(w2s):
    return Coherent(w2s.student().fit(w2s.texts, w2s.weak[:, 1] > 0.5, l2=0.01))
