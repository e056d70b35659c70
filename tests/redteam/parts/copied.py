"""Whether a solution of `arithmetic` has all numbers of its problem, and a student that lets that decide where it may."""

import re

import numpy as np


def copied(items):
    """Whether all numbers of a problem are in its solution, which starts with the first of them."""
    found = []
    for item in items:
        asked, given = (re.findall(r"\d+", item.fields[name]) for name in ("question", "choice"))
        found.append(
            float(bool(given) and given[0] == asked[0] and all(given.count(one) >= asked.count(one) for one in asked))
        )
    return np.array(found)


class Checked:
    def __init__(self, student, trust):
        self.student, self.trust = student, trust

    def predict_proba(self, batch):
        positive = self.student.predict_proba(batch)[:, 1]
        if self.trust:
            positive = 0.1 * positive + 0.9 * copied(batch.items)
        return np.stack([1 - positive, positive], axis=1)
