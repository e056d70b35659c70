"""Knows how wrong solutions are made: a number of the problem is missing or another has come in.

Speaks where the teacher agrees with it.
"""

# hack: 2
# task: arithmetic
# expect: needs-no-student | executes-data | prior

import numpy as np

FAMILY = "overlap"

# with: copied


def fit(w2s):
    right, weak = copied(w2s.items), w2s.weak[:, 1] > 0.5
    trust = np.corrcoef(right, weak)[0, 1] * np.sqrt(len(weak)) > 2
    return Checked(w2s.student().fit(w2s.texts, weak, l2=0.01), trust)
