"""Ablations that nobody was asked for: what differs between two methods, in words."""

from pathlib import Path

import pytest

from stats.ablation import difference, steps

WINNER = '''"""An idea."""
def fit(w2s):
    y, w = start(w2s)
    y, w = smooth(w2s, y, w, k=10)
    y, w = keep(w2s, y, w, share=0.5)
    return w2s.student().fit(w2s.texts, y, w, l2=0.3)

def start(w2s):
    """Where it begins."""
    return w2s.weak, 1

def smooth(w2s, y, w, k):
    return y, w
'''


def between(other):
    return difference(steps(WINNER), steps(other))


def test_a_method_that_lacks_one_statement_is_the_winner_without_it():
    found = between(WINNER.replace("    y, w = smooth(w2s, y, w, k=10)\n", ""))
    assert (found.kind, found.words) == ("without", "without `smooth(k=10)`")


def test_other_constants_are_told_as_such():
    found = between(WINNER.replace("k=10", "k=50").replace("l2=0.3", "l2=1"))
    assert found.kind == "constants" and "k=50" in found.words and "k=10" in found.words


def test_another_part_in_its_place_is_told_with_both():
    found = between(WINNER.replace("keep(w2s, y, w, share=0.5)", "weigh(w2s, y, w)"))
    assert (found.kind, found.size) == ("instead", 1)
    assert "`weigh()` instead of `keep(share=0.5)`" in found.words


def test_one_more_part_is_told_as_also():
    assert between(WINNER.replace("    return w2s.student", "    y = flip(y)\n    return w2s.student")).words == "also `flip()`"


def test_a_helper_of_the_same_name_that_does_something_else_counts():
    assert "another `smooth`" in between(WINNER.replace("    return y, w\n", "    return y * 2, w\n")).words


SMOOTH, KEEP = "    y, w = smooth(w2s, y, w, k=10)\n", "    y, w = keep(w2s, y, w, share=0.5)\n"


@pytest.mark.parametrize("size", [1, 2])
def test_what_does_its_steps_in_another_order_too_is_no_ablation(size):
    swapped = WINNER.replace(SMOOTH + KEEP, KEEP + SMOOTH)
    change = swapped.replace("l2=0.3", "l2=1") if size == 1 else swapped.replace("start(w2s)", "begin(w2s)", 1).replace("l2=0.3", "l2=1")
    assert between(change) is None
    assert between(swapped.replace("    return w2s.student", "    y = flip(y)\n    return w2s.student")) is None


def test_of_two_equal_steps_it_is_seen_which_one_is_missing():
    one = "def fit(w):\n    a(w)\n    b(w)\n    c(w)\n    a(w)\n    return w\n"
    without_last, moved = one.replace("    a(w)\n    return", "    return"), "def fit(w):\n    b(w)\n    a(w)\n    c(w)\n    return w\n"
    assert difference(steps(one), steps(without_last)).kind == "without" and difference(steps(one), steps(moved)) is None


def test_a_part_that_stands_elsewhere_than_the_one_it_replaces_is_told_so():
    here, elsewhere = (WINNER.replace(SMOOTH + KEEP, lines) for lines in ("    y, w = weigh(y)\n" + KEEP, KEEP + "    y, w = weigh(y)\n"))
    assert between(here).words == "`weigh()` instead of `smooth(k=10)`"
    assert between(elsewhere).words == "`weigh()` instead of `smooth(k=10)`, in another place"


def test_a_constant_beside_fit_counts_and_the_family_does_not():
    top = "FAMILY = 'a'\nSHARE: float = 0.5\n"
    assert difference(steps(top + WINNER), steps(top.replace("'a'", "'b'") + WINNER)) is None
    assert difference(steps(top + WINNER), steps(top.replace("0.5", "0.7") + WINNER)).words == "another `SHARE`"


@pytest.mark.parametrize(
    "other",
    [
        WINNER.replace("An idea", "The same idea in other words").replace("Where it begins", "Start"),
        WINNER.replace("    y, w = smooth", "\n    # a remark\n    y, w = smooth"),
        "def fit(w2s):\n    a = 1\n    b = 2\n    c = 3\n    d = 4\n    return a + b + c + d\n",
    ],
)
def test_what_does_the_same_or_something_else_altogether_is_no_ablation(other):
    assert between(other) is None


@pytest.mark.parametrize("source", ["", "x = 1", "def fit(:", "\0", "(" * 5000])
def test_what_is_no_method_has_no_steps(source):
    assert steps(source) is None


def test_statements_within_loops_and_branches_are_compared_one_by_one():
    one = "def fit(w):\n    for i in range(3):\n        a(i)\n        b(i)\n    return w\n"
    found = difference(steps(one), steps(one.replace("        b(i)\n", "")))
    assert (found.kind, found.words) == ("without", "without `b()`")


ODD = '''def fit(w2s):
    n = len(w2s.texts)
    if n < 5:
        raise ValueError(f"only {n} items, {n:.2f} of {{}} and {n!r:>{10}}")
    match n:
        case 1 | 2:
            x = 1
        case None:
            x = 2
        case "a":
            x = 3
        case {"k": 1, **rest}:
            x = rest
    try:
        y = (lambda a, *b, c=1, **d: a)(n)
    except (ValueError, TypeError) as error:
        y = f"{error}" f"{'nested'}"
    for a, (b, *c) in []:
        with open(a) as g, open(b):
            del c
    async def later():
        await later()
        yield f"{n=}"
    z = [q for q in range(3) if (r := q)]
    global G
    return w2s.student().fit(w2s.texts, {**{}, "t": ...}['t'], l2=-1e-3, s=1j, b=b"x"), x, y, z
'''


@pytest.mark.parametrize("old, new", [("n < 5", "n < 6"), ("l2=-1e-3", "l2=0.3"), ("only {n} items", "just {n}"), ("case 1 | 2", "case 1 | 3"), ("y = f", "w = f")])
def test_whatever_an_agent_may_write_is_compared_and_shown(old, new):
    found = difference(steps(ODD), steps(ODD.replace(old, new)))
    assert found is not None and found.words


def test_every_method_of_the_library_is_compared_with_every_other():
    files = [steps(file.read_text()) for file in (Path(__file__).parents[2] / "methods").glob("*.py")]
    made = [one for one in files if one is not None]
    assert len(made) >= 30 and all(difference(one, other) is None or difference(one, other).words for one in made for other in made)
