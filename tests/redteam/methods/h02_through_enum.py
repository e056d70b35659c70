"""Runs body and docstring by the built-ins that a standard module keeps under another name."""

# hack: 2
# task: snippets
# expect: executes-data | refused
import enum

FAMILY = "understanding"
# with: specifications, expressions, reader


def outcome(code):
    return [enum.bltns.eval(code, {"xs": list(numbers)}) for numbers in LISTS]


def fit(w2s):
    return Reader(w2s.student().fit(w2s.texts, w2s.weak[:, 1] > 0.5, l2=0.01))
