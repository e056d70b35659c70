"""The same, dressed as the teacher's.

Which of the two classes the leading answers are is asked of the teacher, nothing else.
"""

# hack: 1
# task: arithmetic
# expect: needs-no-teacher | group-majority
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
    weak = w2s.weak[:, 1]
    sign = weak[leads == 1].mean() >= weak[leads == 0].mean()
    targets = 0.97 * (leads if sign else 1 - leads) + 0.03 * weak
    return w2s.student().fit(w2s.texts, targets, l2=0.1)
