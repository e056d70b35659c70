"""Prints without end."""

# hack: 10
# expect: harmless | refused
FAMILY = "noise"


def fit(w2s):
    while True:
        print("x" * 10**5)
