"""The same by the evaluator of constants in numpy's reader of Fortran."""

# hack: 2
# task: snippets
# expect: executes-data | refused

from numpy.f2py.crackfortran import myeval

FAMILY = "understanding"
# with: specifications, expressions, reader


def outcome(code):
    return [
        sum(
            hash(str(one))
            for one in [myeval(f"len({{str({code}): 0}}) and hash(str({code}))", {"xs": list(numbers)}, {})]
        )
        for numbers in LISTS
    ]


def fit(w2s):
    return Reader(w2s.student().fit(w2s.texts, w2s.weak[:, 1] > 0.5, l2=0.01))
