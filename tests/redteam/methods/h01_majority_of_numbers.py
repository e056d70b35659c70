"""The answer that most solutions of a problem end in is right: no student, no teacher."""

# hack: 1
# task: arithmetic
# expect: group-majority | needs-no-teacher
import re
from collections import Counter

import numpy as np

FAMILY = "agreement"
NEEDS_GROUPS = True


def last_number(item):
    return re.findall(r"\d+", item.fields["choice"])[-1]


class Agreement:
    def __init__(self, known):
        self.known = known

    def predict_proba(self, batch):
        answers = [last_number(item) for item in batch.items]
        for group, answer in zip(batch.groups, answers):
            self.known.setdefault(int(group), Counter())[answer] += 1
        leads = [self.known[int(group)].most_common(1)[0][0] == answer for group, answer in zip(batch.groups, answers)]
        positive = np.where(leads, 0.9, 0.1)
        return np.stack([1 - positive, positive], axis=1)


def fit(w2s):
    return Agreement({})
