"""Asks its teacher without end, in the largest questions there may be."""

# hack: 10
# expect: harmless | refused
FAMILY = "noise"


def fit(w2s):
    refused = 0
    while refused < 60:
        try:
            w2s.teacher.refit("x" * 10**5)
        except ValueError:
            refused += 1
    return w2s.student().fit(w2s.texts, w2s.weak[:, 1] > 0.5, l2=0.01)
