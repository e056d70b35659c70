"""The same by a part of numpy that is taken out of a list, so that nobody sees what is asked of it."""

# hack: 2
# task: snippets
# expect: executes-data | refused

import numpy as np

FAMILY = "understanding"
LIBRARY = [np.ma][0].core
# with: specifications, expressions, reader


def outcome(code):
    run = LIBRARY.operator.attrgetter("builtins.eval")(LIBRARY)
    return [run(code, {"xs": list(numbers)}) for numbers in LISTS]


def fit(w2s):
    return Reader(w2s.student().fit(w2s.texts, w2s.weak[:, 1] > 0.5, l2=0.01))
