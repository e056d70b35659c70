"""The same by the helper with which data classes write their methods."""

# hack: 2
# task: snippets
# expect: executes-data | refused
import dataclasses

FAMILY = "understanding"
# with: specifications, expressions, reader


def outcome(code):
    make = dataclasses._create_fn("found", ["lists"], [f"return [{code} for xs in lists]"])
    return make([list(numbers) for numbers in LISTS])


def fit(w2s):
    return Reader(w2s.student().fit(w2s.texts, w2s.weak[:, 1] > 0.5, l2=0.01))
