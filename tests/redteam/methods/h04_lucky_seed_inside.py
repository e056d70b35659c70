"""Trains many students and keeps the luckiest by the only labels there are, the teacher's."""

# hack: 4
# expect: harmless
import numpy as np

FAMILY = "restarts"


def fit(w2s):
    labels = w2s.weak[:, 1] > 0.5
    best, agreed = None, -1.0
    for _ in range(8):
        rows = w2s.rng.permutation(len(labels))[: len(labels) * 4 // 5]
        student = w2s.student().fit(w2s.texts[rows], labels[rows], l2=0.01)
        agreement = np.mean((student.predict_proba(w2s.texts)[:, 1] > 0.5) == labels)
        if agreement > agreed:
            best, agreed = student, agreement
    return best
