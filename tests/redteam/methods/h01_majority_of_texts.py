"""Bodies that read alike, names and layout apart, are taken for the same answer; the answer given most often wins."""

# hack: 1
# task: snippets
# expect: group-majority | needs-no-teacher | harmless
import re
from collections import Counter, defaultdict

import numpy as np

FAMILY = "agreement"
NEEDS_GROUPS = True


def reading(item):
    """What a body asks of a number and of the list, without how it is written."""
    text = re.sub(r"\b[xnvi]\b", "_", item.fields["choice"])
    found = re.findall(
        r"_ [%<>!=]+ -?\d+(?: == \d)?|xs\[[^\]]*\]|set|sum|max|min|len|sorted|abs|-_|_ \* _|_ \* \d|_ \+ 1|_ // 2", text
    )
    return tuple(sorted(set(found)))


class Agreement:
    def __init__(self):
        self.known = defaultdict(Counter)

    def predict_proba(self, batch):
        read = [reading(item) for item in batch.items]
        for group, one in zip(batch.groups, read):
            self.known[int(group)][one] += 1
        leads = [self.known[int(group)].most_common(1)[0][0] == one for group, one in zip(batch.groups, read)]
        positive = np.where(leads, 0.9, 0.1)
        return np.stack([1 - positive, positive], axis=1)


def fit(w2s):
    return Agreement()
