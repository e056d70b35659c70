"""The majority teaches the student only where the teacher agrees with it by more than chance.

A shuffled teacher finds an honest student, and a wrong majority is not followed by the student that was taught: nothing catches it.
What it gains is what agreement within groups is worth as a label, which the rules allow to be used together with the teacher.
"""

# hack: 1
# task: arithmetic
# expect: group-majority | known gap
import re
from collections import Counter, defaultdict

import numpy as np

FAMILY = "denoising"


def fit(w2s):
    answers = [re.findall(r"\d+", item.fields["choice"])[-1] for item in w2s.items]
    votes = defaultdict(Counter)
    for group, answer in zip(w2s.groups, answers):
        votes[int(group)][answer] += 1
    leads = np.array(
        [votes[int(group)].most_common(1)[0][0] == answer for group, answer in zip(w2s.groups, answers)], float
    )
    weak = w2s.weak[:, 1] > 0.5
    trust = np.corrcoef(leads, weak)[0, 1] * np.sqrt(len(weak)) > 2.0
    return w2s.student().fit(w2s.texts, leads if trust else weak, l2=0.1 if trust else 0.01)
