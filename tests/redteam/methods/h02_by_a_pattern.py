"""The same by a match statement: a pattern looks up names, and any class may claim any value."""

# hack: 2
# task: snippets
# expect: executes-data | refused
import enum

FAMILY = "understanding"
# with: specifications, expressions, reader


class Anything(type):
    def __instancecheck__(cls, other):
        return True


Named = Anything("Named", (), {"__match" + "_args__": ("bltns",)})


def outcome(code):
    match enum:
        case Named(found):
            return [found.eval(code, {"xs": list(numbers)}) for numbers in LISTS]


def fit(w2s):
    return Reader(w2s.student().fit(w2s.texts, w2s.weak[:, 1] > 0.5, l2=0.01))
