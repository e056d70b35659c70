"""What the scan refuses, what it moves to another track, and which files it holds for the same code."""

import base64
import re
import zlib
from pathlib import Path

import pytest

from eval.knowledge import Knowledge, knowledge_of, plain, runs
from eval.scan import scan
from swarm.researchers.method_file import write
from tests.swarm.test_search_recipes import some_recipes

METHOD = '''"""Keep what is sure (Burns et al. 2023)."""
import numpy as np

FAMILY = "filtering"


def fit(w2s):
    confidence = w2s.weak.max(axis=1)
    keep = confidence >= np.quantile(confidence, 0.5)
    return w2s.student().fit(w2s.texts[keep], w2s.weak[keep], l2=0.3)
'''


def look(source: str, knows: Knowledge | None = None):
    return scan(source.encode(), "methods/x.py", knows)


def beside(lines: str):
    """What is found of the method with some `lines` more."""
    return look(METHOD.replace("FAMILY", lines + "\nFAMILY", 1))


def within(line: str, imports: str = ""):
    """What is found of the method with one `line` more in its `fit`."""
    return look(METHOD.replace("    keep =", f"    {line}\n    keep =").replace("import numpy", f"{imports}\nimport numpy"))


def test_an_honest_method_passes_without_a_flag():
    found = look(METHOD)
    assert (found.problem, found.flags, found.track, found.family) == (None, [], "main", "filtering")


LONGER = """import numpy as np
from math import sqrt

SHARE = 0.5
HALF = 1 / 2


class Mixed:
    def __init__(self, student, share):
        self.student, self.share = student, share

    def predict_proba(self, batch):
        return self.share * self.student.predict_proba(batch) + 0.5 * (1 - self.share)


def scaled(chances, power=2):
    return sqrt(2) * chances**power


def fit(w2s):
    weak = scaled(w2s.weak, power=3)
    if weak.mean() > HALF:
        weak = weak * SHARE
    return Mixed(w2s.student().fit(w2s.texts, weak, l2=0.1, epochs=3), SHARE)
"""
SAME = {
    "another name": ("weak =", "soft ="),
    "another name of a parameter": ("power", "exponent"),
    "another name of a class": ("Mixed", "Blend"),
    "another name of an attribute": ("self.share", "self.part"),
    "another name of an import": ("sqrt", "root"),
    "a remark": ("def scaled", "# a remark\ndef scaled"),
    "text that does nothing": ("    weak = scaled", "    'text'\n    weak = scaled"),
    "a family": ("SHARE = 0.5", "FAMILY = 'other'\nSHARE = 0.5"),
    "a number written otherwise": ("SHARE = 0.5", "SHARE = 5e-1"),
    "arithmetic": ("HALF = 1 / 2", "HALF = 0.5"),
    "a function that nobody calls": ("def fit", "def unused(x):\n    return x\n\n\ndef fit"),
    "a constant that nobody reads": ("SHARE = 0.5", "SHARE = 0.5\nTICKET = 17"),
    "an import that nobody needs": ("import numpy as np", "import numpy as np\nimport itertools"),
    "an import left out": ("import numpy as np\n", ""),
    "pass": ("    weak = scaled", "    pass\n    weak = scaled"),
    "a branch that is always taken": ("    weak = scaled", "    if True:\n        pass\n    weak = scaled"),
    "a branch that is never taken": ("    weak = scaled", "    if 0:\n        weak = 1\n    weak = scaled"),
    "code behind a return": ("    return sqrt(2) * chances**power", "    return sqrt(2) * chances**power\n    return 7"),
    "factors in another order": ("weak * SHARE", "SHARE * weak"),
    "a comparison from the other side": ("weak.mean() > HALF", "HALF < weak.mean()"),
    "keywords in another order": ("l2=0.1, epochs=3", "epochs=3, l2=0.1"),
    "an annotation": ("SHARE = 0.5", "SHARE: float = 0.5"),
}


@pytest.mark.parametrize("change", SAME)
def test_what_does_the_same_is_the_same_code(change):
    old, new = SAME[change]
    assert old in LONGER
    if change == "another name":
        changed = re.sub(r"(?<!\.)\bweak\b", "soft", LONGER)
    elif change == "another name of an import":
        changed = LONGER.replace("import sqrt", "import sqrt as root").replace("sqrt(2)", "root(2)")
    else:
        changed = LONGER.replace(old, new)
    assert look(changed).tree == look(LONGER).tree != look(METHOD).tree


def test_a_yield_that_is_never_reached_still_makes_a_generator():
    source = "def fit(w2s):\n    return 1\n    yield\n"
    assert look(source).tree != look(source.replace("    yield\n", "")).tree
    assert look(source.replace("yield", "print(1)")).tree == look(source.replace("    yield\n", "")).tree


def test_an_annotation_that_makes_a_field_counts():
    source = "class X:\n    a: int = 1\n    b = 2\n\n\ndef fit(w2s):\n    return X\n"
    assert look(source).tree != look(source.replace("a: int", "a")).tree


def test_functions_in_another_order_are_the_same_code():
    one, two = (f"def {name}(x):\n    return x {sign} 1\n" for name, sign in (("up", "+"), ("down", "-")))
    last = "def fit(w2s):\n    return up(w2s), down(w2s)\n"
    assert (
        look(one + two + last).tree
        == look(last + two + one).tree
        != look(one + two + last.replace("up(w2s), down", "down(w2s), up")).tree
    )


OTHER = [
    ("0.5\n", "0.6\n"),
    ("l2=0.1", "l2=0.4"),
    ("l2=", "lr="),
    ("> HALF", "< HALF"),
    ("1 - self.share", "self.share - 1"),
    ("power=3", "power=4"),
    ("self.student.predict_proba", "self.student.logits"),
    ("weak * SHARE", "weak @ SHARE"),
    ("w2s.weak", "w2s.teachers"),
    ("power=2", "power=1"),
    ("epochs=3", "epochs=True"),
    ("    weak = scaled", "    w2s.rng.random()\n    weak = scaled"),
    ("def predict_proba", "def predict"),
]


@pytest.mark.parametrize("change", OTHER)
def test_what_may_change_the_result_is_other_code(change):
    assert change[0] in LONGER
    assert look(LONGER.replace(*change)).tree != look(LONGER).tree


@pytest.mark.parametrize(
    "source, words",
    [
        ("def fit(w2s:\n", "line 1"),
        ("x = 1\n", "no function fit"),
        ("import os\ndef fit(w2s): pass\n", "line 1: imports os"),
        ("def fit(w2s):\n    from subprocess import run\n", "line 2: imports subprocess"),
        ("def fit(w2s):\n    return " + "(" * 3000 + ")" * 3000, "."),
        ("#" * 70_000, "64000"),
        ("x = '\0'\n", "."),
    ],
    ids=["syntax", "no fit", "os", "subprocess", "nesting", "size", "nul"],
)
def test_a_refusal_says_what_and_where(source, words):
    assert re.search(words, look(source).problem)


REFUSED = {
    "eval": "x = eval('1')",
    "another name for eval": "x = eval",
    "eval handed on": "x = list(map(eval, ['1']))",
    "exec": "exec('x = 1')",
    "open": "x = open('/etc/passwd')",
    "compile": "x = compile('1', '', 'eval')",
    "locals": "x = locals()",
    "dir": "x = dir(w2s)",
    "vars": "x = vars(w2s)",
    "classes": "x = w2s.__class__.__subclasses__()",
    "built-ins": "x = __builtins__",
    "traceback": "x = ValueError().__traceback__",
    "a class pattern": "match w2s:\n        case object(__class__=x): pass",
    "a private name": "x = w2s._pool",
    "a format": "x = '{0.__class__}'.format(w2s)",
    "a format of items": "x = '{0[__class__]}'.format(w2s)",
    "a name put together": "x = getattr(w2s, 'zero' + '_shot')",
    "a name in getattr": "x = getattr(w2s, '_pool')",
    "getattr handed on": "x = list(map(getattr, [w2s], ['x']))",
    "the stack": "x = (i for i in [1]).gi_frame.f_back",
    "module of a module": "x = enum.sys",
    "private module": "x = random._os",
    "module by another name": "y = enum\n    x = y.unique",
    "module out of a list": "x = [operator][0].index(1)",
    "module handed on": "x = list(map(str, [np]))",
    "module by a default": "x = lambda m=operator: m",
    "allowed module of a module": "x = random.bisect if random.operator else 1",
    "built-ins of enum": "x = enum.bltns",
    "ForwardRef": "x = typing.ForwardRef('1')",
    "type hints": "x = typing.get_type_hints(w2s)",
    "make_dataclass": "x = dataclasses.make_dataclass('X', ['a'])",
    "attrgetter": "x = operator.attrgetter('texts')(w2s)",
    "dispatch on hints": "x = functools.singledispatch(fit)",
    "np.load": "x = np.load('/tmp/x.npy')",
    "np.load handed on": "x = list(map(np.load, ['x']))",
    "another name for getattr": "x = getattr",
    "a formatter": "x = string.Formatter().get_field('0.x', [w2s], {})",
    "a field": "x = w2s.get_field('0.bltns')",
    "a class by type": "x = type('X', (), {})",
    "torch script": "x = torch.jit.CompilationUnit('')",
    "a pattern by position": "match w2s:\n        case object(x): pass",
    "half a name": "x = '__match' + '_args' + '__'",
    "numpy of the losses": "x = w2s.losses.np.save",
    "np.fromfile": "x = np.fromfile('/etc/passwd')",
    "np.memmap": "x = np.memmap('/etc/passwd')",
    "tofile": "w2s.weak.tofile('/tmp/x')",
    "allow_pickle": "x = w2s.read(allow_pickle=True)",
    "ctypes": "x = w2s.weak.ctypes",
    "flags of features": "w2s.weak.setflags(write=True)",
    "a patch": "np.asarray = list",
    "a patch by setattr": "setattr(np, 'asarray', list)",
    "a patched library class": "np.random.Generator.random = None",
}
IMPORTED = [
    "from enum import sys",
    "from random import _os",
    "from contextlib import os as system",
    "from numpy import load",
    "from numpy import *",
    "from numpy.testing import runstring",
    "import numpy.f2py.crackfortran",
    "import numpy.ctypeslib",
    "from sklearn.datasets import fetch_openml",
    "from sklearn import datasets",
    "import scipy.io",
    "from torch import hub",
    "from torch import load",
    "import torch.utils.cpp_extension",
    "from transformers import pipeline",
    "from typing import get_type_hints",
    "from operator import methodcaller",
    "from numpy.lib import format",
]
STANDARD = "import enum, random, typing, dataclasses, operator, functools, string, torch"


@pytest.mark.parametrize("way", REFUSED)
def test_ways_to_run_code_and_to_reach_what_was_not_handed_out_are_refused(way):
    found = within(REFUSED[way], STANDARD)
    assert re.match(r"methods/x.py, line \d+: \w", found.problem) and "\n" not in found.problem


@pytest.mark.parametrize("line", IMPORTED)
def test_parts_of_libraries_that_read_files_or_run_code_are_refused(line):
    assert "line 2: " in within("pass", line).problem


@pytest.mark.parametrize("name", ["zero_shot", "generate", "model"])
def test_a_loaded_model_is_refused_and_one_that_was_handed_is_not(name):
    assert (
        "from_pretrained" in within("x = AutoModel.from_pretrained('gpt2')", "from transformers import AutoModel").problem
    )
    assert within(f"x = w2s.student().{name}").problem is None


@pytest.mark.parametrize("dunder", ["__getattr__", "__set_name__", "__reduce__", "__del__"])
def test_classes_that_turn_names_into_data_are_refused(dunder):
    assert f"defines {dunder}" in beside(f"class X:\n    def {dunder}(self, *a): pass").problem


HONEST = [
    "x = re.compile('[a-z]+').findall('ab')",
    "x = w2s.student().load(w2s.student().state())",
    "x = copy.copy(w2s.weak)",
    "x = collections.abc.Sequence",
    "x = getattr(w2s, 'views')",
    "x = hasattr(w2s, 'losses')",
    "x = np.random.default_rng(0).random()",
    "x = functools.partial(max, 1)",
    "x = operator.itemgetter(1)",
    "x = np.trace(np.eye(3)) + np.select([True], [1])",
    "x = 'a {text} b'.format(text=1)",
    "x = sorted(w2s.groups)[0]",
    "x = collections.namedtuple('Point', 'x y')(1, 2)._replace(x=3)",
    "x = statistics.mean([1, 2])",
    "warnings.simplefilter('ignore')",
    "x = [i for i in map(str, w2s.texts)]",
    "x = scipy.special.expit(0.5)",
    "x = torch.nn.Linear(3, 2)",
]


@pytest.mark.parametrize("line", HONEST)
def test_what_honest_methods_do_is_not_refused(line):
    found = within(
        line, "import collections.abc, copy, functools, operator, re, scipy.special, statistics, torch, warnings"
    )
    assert (found.problem, found.flags) == (None, [])


def test_docstrings_may_speak_of_anything():
    assert (
        look(METHOD.replace("Keep what is sure", "Like __init__ of {self._x}; see os.path, eval and {0.__class__}")).problem
        is None
    )


def test_own_private_names_are_ones_own():
    own = "class X:\n    def _step(self):\n        self._x = 1\n        return self._x\n\n\nY = X()._step()"
    assert beside(own).problem is None
    assert "private" in beside(own.replace("X()._step", "np._step")).problem


@pytest.mark.parametrize("head", ["class X(type): pass", "class X(metaclass=ABCMeta): pass"])
def test_classes_of_classes_are_refused(head):
    assert "makes classes of classes" in beside(head).problem
    assert beside("class X(dict): pass").problem is None


def test_bytes_that_are_no_text_are_refused():
    assert "UTF-8" in scan(b"\xff\xfe\x00", "x.py").problem


# -- labels and knowledge in code --------------------------------------------------------------------------------

WORDS = (
    "awful dull great superb boring lovely charming tedious funny moving mess waste bland lazy fresh smart warm rich "
    "clever honest poor best worst love hate fails flat silly ugly pointless brilliant gripping touching empty tired forced "
    "mediocre solid joy trash"
).split()
LABELS = [int(x) for x in f"{zlib.crc32(b'labels') ** 9:b}"[:280]]
PACKED = base64.b64encode(zlib.compress(" ".join(WORDS).encode())).decode()
NUMBERS = [int.from_bytes(word.encode(), "big") for word in WORDS]
STORES = {
    "a list": (f"X = {WORDS!r}", "word-list", "X = ['soft', 'hard', 'mean']"),
    "a set in a tuple of sets": (
        f"X = ({set(WORDS[:9])!r}, {set(WORDS[9:18])!r})",
        "word-list",
        "X = ({'soft'}, {'hard'})",
    ),
    "a dictionary": (
        f"X = {dict.fromkeys(WORDS, 1)!r}",
        "word-list",
        "X = {'share': 0.1, 'rounds': 3, 'folds': 5, 'l2': 0.1}",
    ),
    "many short lists": (
        "\n".join(f"X{i} = {WORDS[i : i + 8]!r}" for i in range(0, 40, 8)),
        "word-list",
        "X = ['last', 'mean']\nY = ['soft', 'hard']",
    ),
    "one text": (f"X = {' '.join(WORDS)!r}.split()", "word-list", "X = 'share of positives'.split()"),
    "a pattern": (f"X = {'|'.join(WORDS)!r}", "word-list", "X = r'[a-z]+|[0-9]+'"),
    "words run together": (f"X = {''.join(w.title() for w in WORDS)!r}", "word-list", "X = 'keepBestOf'"),
    "short texts put together": (
        "X = " + " + ".join(repr(w + " ") for w in WORDS),
        "word-list",
        "X = 'noise of ' + 'positives'",
    ),
    "formatted text": ("X = f'" + " {1} ".join(WORDS) + "'", "word-list", "X = f'share of {1}'"),
    "names of arguments": (
        f"X = dict({', '.join(f'{w}=1' for w in WORDS)})",
        "word-list",
        "X = dict(share=0.1, rounds=3, folds=5, size=2)",
    ),
    "names of arguments, few a call": (
        "\n".join(f"X{i} = dict({WORDS[i]}=1, {WORDS[i + 1]}=1)" for i in range(0, 40, 2)),
        "word-list",
        "\n".join(f"X{i} = dict(share={i}, rounds=1)" for i in range(6)),
    ),
    "attributes of a class": (
        "class X:\n" + "\n".join(f"    {w} = 1" for w in WORDS),
        "word-list",
        "class X:\n    share = 0.1\n    rounds = 3",
    ),
    "fields of a tuple": (
        "class X:\n" + "\n".join(f"    {w}: int" for w in WORDS),
        "word-list",
        "class X:\n    share: float\n    rounds: int",
    ),
    "one long name": (
        f"def {'_'.join(WORDS[:9])}(): return 1\n\n\nX = {'_'.join(WORDS[:9])}.{'__name__'}",
        "word-list",
        "def difference_in_means(): return 1\n\n\nX = difference_in_means.__name__",
    ),
    "parameters": (
        f"def x({', '.join(WORDS)}, a, b, c): return 1",
        "word-list",
        "def x(targets, weights, share, rounds): return 1",
    ),
    "functions": (
        "\n".join(f"def {w}{n}(): return 1" for n, w in enumerate([*WORDS, *WORDS])),
        "word-list",
        "def up(): return 1\n\n\ndef down(): return 1",
    ),
    "names that nothing stands for": (
        "try:\n    awful, dull, great, superb\nexcept NameError as e:\n    X = str(e)",
        "word-list",
        "try:\n    X = 1\nexcept NameError as e:\n    X = str(e)",
    ),
    "annotations": (
        f"{' = '.join(WORDS)} = 0\ndef x(a: {' or '.join(WORDS)}): return 1",
        "word-list",
        "def x(a: np.ndarray, b: float | None): return 1",
    ),
    "letters by number": (f"X = bytes({list(' '.join(WORDS).encode())!r})", "large-literals", "X = bytes([65, 66])"),
    "words as numbers": ("\n".join(f"X{i} = {n}" for i, n in enumerate(NUMBERS)), "large-literals", "X = 10000\nY = 12345"),
    "remainders of words": (
        f"X = {[n % 9973 for n in NUMBERS[:10]]!r}\nY = {[n % 9973 for n in NUMBERS[10:20]]!r}",
        "large-literals",
        "X = [100, 300, 512]",
    ),
    "one number": (f"X = {int.from_bytes(b'awful dull great superb', 'big')}", "blob", "X = 2**40 + 1000003"),
    "a huge number": (f"X = {2**2000}", "blob", "X = 2**2000"),
    "labels as numbers": (f"X = {LABELS!r}", "large-literals", "X = [0, 1, 1, 0]"),
    "labels as truths": (f"X = {[bool(x) for x in LABELS]!r}", "large-literals", "X = [True, False]"),
    "labels as names": (
        f"A, B = 0, 1\nX = [{', '.join('AB'[x] for x in LABELS)}]",
        "large-literals",
        "A, B = 0, 1\nX = [A, B, B, A]",
    ),
    "labels as empty lists": (f"X = [{', '.join(('[]', '[[]]')[x] for x in LABELS)}]", "large-literals", "X = [[], [[]]]"),
    "labels as a chain": (
        f"A, B = 'ab'\nX = {' + '.join('AB'[x] for x in LABELS[:99])}",
        "large-literals",
        "X = 1 + 2 + 3 + 4",
    ),
    "labels as steps": (
        "X = []\n" + "\n".join(("X.reverse()", "X.clear()")[x] for x in LABELS),
        "large-literals",
        "X = []\nX.append(1)\nX.append(2)",
    ),
    "labels in rows": (f"X = {[LABELS[i : i + 7] for i in range(0, 280, 7)]!r}", "large-literals", "X = [[1, 0], [0, 1]]"),
    "labels one by one": (
        "\n".join(f"X{i} = {x}" for i, x in enumerate(LABELS)),
        "large-literals",
        "\n".join(f"X{i} = {i}" for i in range(20)),
    ),
    "digits of many numbers": (
        "\n".join(f"X{i} = 0.{n}" for i, n in enumerate(NUMBERS)),
        "large-literals",
        "X, Y = 0.123456, 1e-9",
    ),
    "base64": (f"X = {PACKED!r}", "blob", "X = 'https://arxiv.org/abs/2312.09390'"),
    "base64 in short pieces": (
        "\n".join(f"X{i} = {PACKED[i : i + 20]!r}" for i in range(0, 240, 20)),
        "blob",
        "X = 'last:16'\nY = '{question}'",
    ),
    "hexadecimal digits": (f"X = {' '.join(WORDS[:12]).encode().hex()!r}", "blob", "X = '0x1f'"),
    "bytes": (f"X = {zlib.compress(' '.join(WORDS).encode())!r}", "blob", "X = b'ab'"),
    "letters shifted": (
        f"X = {''.join(chr(97 + (ord(c) - 84) % 26) for c in ''.join(WORDS[:20]))!r}",
        "blob",
        "X = 'standardisation'",
    ),
}


@pytest.mark.parametrize("way", STORES)
def test_what_is_stored_in_code_moves_a_method_to_the_prior_track_and_its_honest_counterpart_is_let_be(way):
    hidden, flag, honest = STORES[way]
    found, control = beside(hidden), beside(honest)
    assert found.problem is None and flag in found.flags and found.track == "prior"
    assert (control.problem, control.flags, control.track) == (None, [], "main")


@pytest.mark.parametrize("way", STORES)
def test_every_flag_has_one_sentence_with_its_figure(way):
    found = beside(STORES[way][0])
    assert len(found.reasons) == len(found.flags) == len(set(found.flags))
    assert all(re.search(r"\d", reason) and "\n" not in reason for reason in found.reasons)


def test_a_sentence_says_how_many_words_stand_where():
    assert beside(f"X = {WORDS[:12]!r}").reasons == ["holds 12 words in one list (line 4)"]


def test_text_that_python_can_read_but_not_write_back_is_scanned():
    awkward = 'X = f"\\"\\"\\"\\\'\\\'{\'a\'}"\nFAMILY ='  # quotes of every kind in one f-string
    assert look(METHOD.replace("FAMILY =", awkward)).problem is None


def test_a_long_docstring_is_no_word_list():
    assert look(METHOD.replace("(Burns et al. 2023)", " ".join(WORDS * 20))).track == "main"


def test_errors_in_plain_words_are_no_word_list():
    errors = "\n    ".join(
        f"if len(w2s.texts) < {n}: raise ValueError('{words}')"
        for n, words in enumerate(
            ["this method needs a task with two feature views", "too few items of one class to learn from", "needs prompts"]
        )
    )
    assert within(errors).flags == []


# -- what is known of the task ----------------------------------------------------------------------------------

ITEM = "A warm, funny and surprisingly moving film about growing old"
KNOWS = Knowledge(frozenset({"movi", "review"}), frozenset(WORDS), frozenset(map(hash, runs(plain(ITEM)))))


@pytest.mark.parametrize(
    "quote", [ITEM, ITEM.upper(), "is it\nsurprisingly - moving film about?", "see: warm, funny and surprisingly"]
)
def test_a_text_that_quotes_an_item_is_a_label_by_hand(quote):
    found = look(METHOD.replace("FAMILY", f"X = {quote!r}\nFAMILY", 1), KNOWS)
    assert "hand-labels" in found.flags and found.track == "prior" and "quotes an item" in found.reasons[0]
    assert "hand-labels" not in look(METHOD.replace("FAMILY", f"X = {quote!r}\nFAMILY", 1)).flags


@pytest.mark.parametrize("text", ["a warm film", "needs a task with two views", "a surprisingly old film"])
def test_a_few_words_that_occur_in_items_are_no_quote(text):
    assert look(METHOD.replace("FAMILY", f"X = {text!r}\nFAMILY", 1), KNOWS).flags == []


def test_words_that_tell_the_classes_apart_are_seen_as_names_of_variables_too():
    hidden = METHOD.replace("confidence", "awful_dull_great").replace("keep", "superb_boring_lovely_charming")
    hidden = hidden.replace("w2s.weak.max", "w2s.tedious_funny_moving_mess.max")
    found = look(hidden, KNOWS)
    assert found.flags == ["word-list"] and look(hidden).flags == []
    assert not re.search(r"\d", found.reasons[0])  # how many would be an answer to a question about labels


PROMPTED = METHOD.replace("w2s.texts[keep]", "w2s.render(w2s.items, template={!r})")


@pytest.mark.parametrize(
    "template", ["Review: {text}\nGood?", "Is this movie good? {text}", "{text}\nWould you go and see it again?"]
)
def test_a_prompt_in_the_authors_words_is_his_knowledge_of_the_task(template):
    found = look(PROMPTED.format(template), KNOWS)
    assert found.flags == ["task-prompt", "uses-strong-answers"] and found.track == "prior"


def test_what_the_framework_hands_out_is_nobodys_prompt():
    asked = METHOD.replace("w2s.texts[keep]", "w2s.render(w2s.items, answer=w2s.answers[1])")
    assert look(asked, KNOWS).flags == ["uses-strong-answers"]
    assert look(PROMPTED.format("{text}"), KNOWS).flags == ["uses-strong-answers"]
    assert (
        look(METHOD.replace("np.quantile", "print('a review of a movie') or np.quantile"), KNOWS).flags == []
    )  # nobody is asked


def test_knowledge_of_a_prepared_task(smoke):
    knows = knowledge_of(smoke)
    assert {"movi", "review"} <= knows.words and not knows.words & {"class", "positiv"}
    longest = max(smoke.region.texts, key=len)
    assert "hand-labels" in look(METHOD.replace("FAMILY", f"X = {longest[:60]!r}\nFAMILY", 1), knows).flags
    assert knows.telling & {"bad", "dull", "great", "best", "film", "funny", "comedy", "performances"}


def test_honest_methods_raise_no_flag_beside_what_they_are_made_for(smoke):
    knows = knowledge_of(smoke)
    library = {path.name: path.read_text() for path in Path("methods").glob("*.py")}
    for name, source in {**library, **{str(n): write(recipe) for n, recipe in enumerate(some_recipes(60, seed=7))}}.items():
        found = look(source, knows)
        assert found.problem is None and set(found.flags) <= {"uses-strong-answers"}, (name, found)


def test_asking_the_strong_model_for_answers_is_the_elicitation_track():
    found = look(METHOD.replace("w2s.weak.max(axis=1)", "w2s.student().zero_shot(w2s.texts)"))
    assert found.track == "elicitation" and "zero_shot (line 8)" in found.reasons[0]


def test_groups_at_prediction_are_a_track_of_their_own():
    found = beside("NEEDS_GROUPS = True")
    assert found.needs_groups and found.track == "groups" and found.flags == ["uses-groups"]


@pytest.mark.parametrize("source", [
    "def fit(w2s):\n    return 0x" + "f" * 5000, "# a\x0b '''c\ndef fit(w2s):\n    pass", "def fit(w2s):\n    return " + "*".join("a" * 200),
    "def fit(w2s):\n    return " + "0x" + "f" * 200 + " * 0x" + "f" * 5000, "x = [" + "a," * 20000 + "]\ndef fit(w2s):\n    pass",
], ids=["a number without end", "an end of line that is none", "a chain of factors", "a product without end", "too many parts"])
def test_a_file_that_is_hard_to_read_is_refused_or_read_and_never_ends_who_reads_it(source):
    found = scan(source.encode(), "methods/x.py")
    assert found.problem is not None or found.tree
