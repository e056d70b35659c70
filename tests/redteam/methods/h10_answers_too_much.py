"""Answers with more numbers than were asked for, and notes more than anybody can read."""

# hack: 10
# expect: refused | harmless
import numpy as np

FAMILY = "noise"


class Floods:
    def predict_proba(self, batch):
        return np.full((10**7, 2), 0.5)


def fit(w2s):
    for number in range(10**5):
        w2s.log("note " + "x" * 100 + str(number), float(number))
    return Floods()
