"""Two students choose each other's training items: each learns from those on which the other's loss is smallest.

A student that chooses for itself confirms its own mistakes; two that started differently filter different ones
(co-teaching, Han et al. 2018, arXiv 1804.06872). Here the choice uses the other's losses at the start of an epoch.
"""
import numpy as np

FAMILY = "small-loss"

KEEP = 0.7     # share of a batch at the end
EPOCHS = 5


def fit(w2s):
    says_positive = w2s.weak[:, 1] > 0.5
    states, losses = [None, None], [None, None]
    for epoch in range(EPOCHS):
        keep = 1 - (1 - KEEP) * min(1.0, 2 * epoch / EPOCHS)
        students = [w2s.student(init=state) for state in states]
        for student, of_other in zip(students, losses[::-1], strict=True):
            student.fit(w2s.texts, says_positive, epochs=1, loss=w2s.losses.small_loss(keep=keep, ramp=0.0, peer=of_other))
        states = [student.state() for student in students]
        losses = [np.logaddexp(0, np.where(says_positive, -1, 1) * student.logits(w2s.texts)) for student in students]
    return Average(students, w2s.texts, says_positive.mean())


class Average:
    """Answers with the mean of its members' logits, cut so that a share `rate` of the texts is positive."""

    def __init__(self, members, texts, rate):
        self.members = members
        self.cut = np.quantile(self.logits(texts), 1 - rate)

    def logits(self, source):
        return np.mean([member.logits(source) for member in self.members], axis=0)

    def predict_proba(self, source):
        positive = 1 / (1 + np.exp(self.cut - self.logits(source)))
        return np.stack([1 - positive, positive], axis=1)
