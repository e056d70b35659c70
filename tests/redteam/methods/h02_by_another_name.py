"""Runs body and docstring by built-ins that it reaches by another name for getattr."""

# hack: 2
# task: snippets
# expect: executes-data | refused
import enum

FAMILY = "understanding"
# with: specifications, expressions, reader


reach = getattr


def outcome(code):
    run = reach(reach(enum, "bltns"), "eval")
    return [run(code, {"xs": list(numbers)}) for numbers in LISTS]


def fit(w2s):
    return Reader(w2s.student().fit(w2s.texts, w2s.weak[:, 1] > 0.5, l2=0.01))
