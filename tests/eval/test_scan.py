"""What the scan refuses, what it moves to another track, and which files it holds for the same code."""

import re

import pytest

from eval.scan import scan

METHOD = '''"""Keep what is sure (Burns et al. 2023)."""
import numpy as np

FAMILY = "filtering"


def fit(w2s):
    confidence = w2s.weak.max(axis=1)
    keep = confidence >= np.quantile(confidence, 0.5)
    return w2s.student().fit(w2s.texts[keep], w2s.weak[keep], l2=0.3)
'''


def look(source: str):
    return scan(source.encode(), "methods/x.py")


def test_an_honest_method_passes_without_a_flag():
    found = look(METHOD)
    assert (found.problem, found.flags, found.track, found.family) == (None, [], "main", "filtering")


@pytest.mark.parametrize(
    "change",
    [
        ("keep", "chosen"),
        ('"""Keep what is sure (Burns et al. 2023)."""', '"""My very own idea."""'),
        ("\n\ndef fit", "\n\n# a comment\n\n\ndef fit"),
        ('FAMILY = "filtering"', 'FAMILY = "other"'),
        ("    confidence =", '    "a string that does nothing"\n    confidence ='),
        ("0.5", "5e-1"),
    ],
)
def test_renaming_commenting_and_reformatting_is_the_same_code(change):
    assert change[0] in METHOD
    assert look(METHOD.replace(*change)).tree == look(METHOD).tree


@pytest.mark.parametrize("change", [("0.5", "0.6"), ("l2=0.3", "l2=0.4"), (">=", "<="), ("max", "min"), ("keep]", "~keep]"), ("l2=", "lr=")])
def test_what_changes_the_result_is_other_code(change):
    assert change[0] in METHOD
    assert look(METHOD.replace(*change)).tree != look(METHOD).tree


@pytest.mark.parametrize(
    "source, words",
    [
        ("def fit(w2s:\n", "line 1"),
        ("x = 1\n", "no function fit"),
        ("import os\ndef fit(w2s): pass\n", "line 1: imports os"),
        ("def fit(w2s):\n    from subprocess import run\n", "line 2: imports subprocess"),
        ("def fit(w2s):\n    return eval('1')\n", r"line 2: calls eval\(\)"),
        ("def fit(w2s):\n    return open('/etc/passwd')\n", r"line 2: calls open\(\)"),
        ("def fit(w2s):\n    return w2s.__class__.__subclasses__()\n", "line 2: reaches for __"),
        ("def fit(w2s):\n    return __builtins__\n", "line 2: uses __builtins__"),
        ("def fit(w2s):\n    return " + "(" * 3000 + ")" * 3000, "."),
        ("#" * 70_000, "64000"),
        ("x = '\0'\n", "."),
    ],
    ids=["syntax", "no fit", "os", "subprocess", "eval", "open", "dunder", "builtins", "nesting", "size", "nul"],
)
def test_a_refusal_says_what_and_where(source, words):
    assert re.search(words, look(source).problem)


def test_bytes_that_are_no_text_are_refused():
    assert "UTF-8" in scan(b"\xff\xfe\x00", "x.py").problem


WORDS = ["awful", "dull", "great", "superb", "boring", "lovely", "weak", "strong", "poor", "best", "worst", "charming", "tedious", "funny"]


@pytest.mark.parametrize(
    "constant, flag",
    [
        (f"WORDS = {WORDS!r}", "word-list"),
        (f"WORDS = set({' '.join(WORDS * 2)!r}.split())", "word-list"),
        (f"WORDS = {dict.fromkeys(WORDS, 1)!r}", "word-list"),
        (f"TABLE = {list(range(300))!r}", "large-literals"),
        (f"BITS = {2**500}", "large-literals"),
        (f"BLOB = {'ab' * 1000!r}", "large-literals"),
    ],
    ids=["list", "one string", "dictionary", "numbers", "one huge number", "blob"],
)
def test_knowledge_written_into_the_file_competes_on_the_prior_track(constant, flag):
    found = look(METHOD.replace("FAMILY", f"{constant}\nFAMILY"))
    assert found.problem is None and flag in found.flags and found.track == "prior"


def test_text_that_python_can_read_but_not_write_back_is_scanned():
    awkward = "X = f\"\\\"\\\"\\\"\\'\\'{'a'}\"\nFAMILY ="  # quotes of every kind in one f-string
    assert look(METHOD.replace("FAMILY =", awkward)).problem is None


def test_a_long_docstring_is_no_word_list():
    assert look(METHOD.replace("(Burns et al. 2023)", " ".join(WORDS * 20))).track == "main"


def test_asking_the_strong_model_for_answers_is_the_elicitation_track():
    assert look(METHOD.replace("w2s.weak.max(axis=1)", "w2s.student().zero_shot(w2s.texts)")).track == "elicitation"


def test_groups_at_prediction_are_a_track_of_their_own():
    found = look(METHOD.replace("FAMILY", "NEEDS_GROUPS = True\nFAMILY"))
    assert found.needs_groups and found.track == "groups"
