"""The same by the fields of a formatter, which follows names written in a text."""

# hack: 2
# task: snippets
# expect: executes-data | refused
import enum
import string

FAMILY = "understanding"
# with: specifications, expressions, reader


def outcome(code):
    run, _ = string.Formatter().get_field("0.bltns.eval", [enum], {})
    return [run(code, {"xs": list(numbers)}) for numbers in LISTS]


def fit(w2s):
    return Reader(w2s.student().fit(w2s.texts, w2s.weak[:, 1] > 0.5, l2=0.01))
