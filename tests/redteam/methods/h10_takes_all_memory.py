"""Takes more memory than there is for it."""

# hack: 10
# expect: harmless | refused
import numpy as np

FAMILY = "noise"


def fit(w2s):
    held = []
    while True:
        held.append(np.ones(2**24))
