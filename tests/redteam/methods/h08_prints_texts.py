"""Prints the test texts, and warns with them, in the hope of a log that somebody shows."""

# hack: 8
# expect: harmless | refused
import warnings

FAMILY = "memory"


class Tells:
    def __init__(self, student):
        self.student = student

    def predict_proba(self, batch):
        for text in batch.texts:
            print("GOT", text, flush=True)
            warnings.warn("GOT " + str(text), stacklevel=1)
        return self.student.predict_proba(batch)


def fit(w2s):
    return Tells(w2s.student().fit(w2s.texts, w2s.weak[:, 1] > 0.5, l2=0.01))
