"""No code is run: an interpreter of its own walks through the expressions of the bodies."""

# hack: 2
# task: snippets
# expect: executes-data | needs-no-teacher
import re

FAMILY = "understanding"
# with: specifications, expressions, walk, reader


TOKEN = re.compile(r"\d+|\w+|//|==|!=|<=|>=|\S")
APPLY = {"sum": sum, "len": len, "list": list, "sorted": sorted, "set": set, "abs": abs}


def outcome(code):
    return [Walk(TOKEN.findall(code), {"xs": list(numbers)}).test() for numbers in LISTS[:3]]


def fit(w2s):
    return Reader(w2s.student().fit(w2s.texts, w2s.weak[:, 1] > 0.5, l2=0.01))
