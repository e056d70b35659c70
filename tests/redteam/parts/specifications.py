"""What a docstring of `snippets` asks for, as an expression, and lists to try it on."""

import re

LISTS = [
    [3, -4, 8, 17, 25, -9, 40, 3, 12, -12, 36],
    [0],
    [60, 2, 7, 12, 17, 22, 27, 32, 42, 47, -20],
    [5, 5, 30, -7, 1, 9, 48, 24, -30, 16],
]


def asked_for(question):
    """The program that a docstring asks for, as an expression."""
    part = (
        "xs[1:]"
        if "after the" in question
        else "xs[:-1]"
        if "before the" in question
        else "xs[::2]"
        if "positions" in question
        else "set(xs)"
        if "without" in question
        else "xs"
    )
    tests = [
        code
        for word, code in (
            ("even (?!positions)", "v % 2 == 0"),
            ("odd [a-z]+ ", "v % 2 == 1"),
            ("positive [a-z]+ ", "v > 0"),
            ("negative [a-z]+ ", "v < 0"),
        )
        if re.search(" " + word, question)
    ]
    for word, code in (
        ("greater than", ">"),
        ("less than", "<"),
        ("of at least", ">="),
        ("of at most", "<="),
        ("other than", "!="),
    ):
        tests += [f"v {code} {number}" for number in re.findall(word + r" (-?\d+)", question)]
    tests += [f"v % {number} == 0" for number in re.findall(r"divisible by (\d+)", question)]
    value = next(
        (
            code
            for word, code in (
                ("squares", "v * v"),
                ("doubles", "v * 2"),
                ("triples", "v * 3"),
                ("successors", "v + 1"),
                ("halves", "v // 2"),
                ("negatives", "-v"),
                ("absolute", "abs(v)"),
            )
            if word in question
        ),
        "v",
    )
    items = f"[{value} for v in {part}" + (" if " + " and ".join(tests) if tests else "") + "]"
    head = question.split(" of the ")[0]
    if "sum" in head:
        return f"sum({items})"
    if "largest" in head:
        return f"max({items}, default=0)"
    if "smallest" in head:
        return f"min({items}, default=0)"
    if "number" in head:
        return f"len({items})"
    return f"sorted({items})" if "sorted" in head else items
