"""The trace charges a method with what its own code does, and with nothing that libraries do for themselves."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
CANDIDATE = "    return sum([x * x for x in xs if x % 2 == 0])"
RUN = """
import json, os, sys
import numpy, scipy, sklearn.linear_model, torch
from eval.trace import Trace
sources, candidate = json.loads(sys.argv[1]), sys.argv[2]
heard = []
for source, is_traced in sources:  # each in a process of its own, as draws are
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            code = compile(source, "methods/x.py", "exec", dont_inherit=True)
            allowed = {"numpy", "scipy", "sklearn", "torch", "collections", "dataclasses", "typing", "re", "random", "warnings"}
            trace = Trace(writing, "methods/x.py", allowed, [candidate])
            if is_traced:
                trace.start()
            exec(code, {"__name__": "method", "candidate": candidate})
            status = 0
        except BaseException as error:
            print(repr(error), file=sys.stderr)
        finally:
            os._exit(status)
    os.close(writing)
    with open(reading) as pipe:
        told = [json.loads(line) for line in pipe]
    heard.append([told, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])])
print(json.dumps(heard))
"""
HOSTILE = {
    "eval": ("print(eval('1+1'))", "executes-data"),
    "eval under another name": ("import warnings\nwarnings.sys.modules['builtins'].eval('1+1')", "executes-data"),
    "a callback of a library": ("import numpy, warnings\nnumpy.vectorize(warnings.sys.modules['builtins'].eval)(['1+1'])", "executes-data"),
    "a type hint that holds a candidate": ("import typing\ntyping.ForwardRef('(lambda xs: ' + candidate.strip()[7:] + ')')", "executes-data"),
    "a data class that holds a candidate": (
        "import dataclasses\ndataclasses.make_dataclass('A', [('xs', 'int', dataclasses.field(default=1))], "
        "namespace={})\ndataclasses._create_fn('f', ('xs',), [candidate.strip()], locals={}, globals={})", "executes-data"),
    "a function from code": ("def f(): pass\nimport typing\ntype(f)(f.__code__, {})", "executes-data"),
    "a program": ("import random\nrandom._os.system('true')", "spawns"),
    "a process": ("import random\nif random._os.fork() == 0: random._os._exit(0)", "spawns"),
    "a file": ("open('/etc/passwd')", "opens-files"),
    "a file by way of the standard library": ("import pathlib\npathlib.Path('/etc/passwd').read_text()", "opens-files"),
    "a bait by way of a library": ("import numpy\ntry: numpy.load('/aar/private/labels.npy')\nexcept OSError: pass", "opens-files"),
    "a list of files": ("import random\nrandom._os.listdir('/')", "opens-files"),
    "another module": ("import sqlite3", "imports"),
    "another module by name": ("import importlib\nimportlib.import_module('sqlite3')", "imports"),
    "a socket": ("import socket\nsocket.socket()", "connects"),
    "frames": ("import warnings\nwarnings.sys._getframe()", "inspects"),
    "frames of an error": ("try: 1 / 0\nexcept ZeroDivisionError as e: e.__traceback__.tb_frame", "inspects"),
    "objects": ("import gc\ngc.get_objects()", "inspects"),
    "in a thread": ("import threading\nt = threading.Thread(target=lambda: open('/etc/passwd'))\nt.start()\nt.join()", "opens-files"),
}
HONEST = {
    "imports of libraries": "import scipy.optimize, scipy.stats, sklearn.ensemble, torch.nn.functional, numpy.fft",
    "a named tuple": "import collections\ncollections.namedtuple('A', 'x y')(1, 2)",
    "a data class": "import dataclasses\n@dataclasses.dataclass\nclass A:\n    x: int = 1\nA()",
    "a warning": "import warnings\nwarnings.warn('x')",
    "training": "import torch\nm = torch.nn.Linear(3, 2)\no = torch.optim.SGD(m.parameters(), .1)\nm(torch.ones(4, 3)).sum().backward()\no.step()",
    "a student of scikit-learn": "import numpy\nfrom sklearn.linear_model import LogisticRegression\n"
                                 "LogisticRegression().fit(numpy.eye(4), [0, 1, 0, 1])",
    "patterns": "import re\nre.compile('a(b|c)').findall('ab')",
}


CLOSING = "import random\nfor d in range(3, 99):\n    try: random._os.close(d)\n    except OSError: pass\n"
OTHERS = {"the control": (HOSTILE["a file"][0], False), "closing": (CLOSING, True), "closing and a file": (CLOSING + "open('/etc/passwd')", True)}
"""Name -> source, and whether it is traced."""


@pytest.fixture(scope="module")
def heard() -> dict[str, tuple[list[dict], int]]:
    """For each source what its trace told, and its exit code. One process has imported the libraries for all of them."""
    hostile = {name: (source, True) for name, (source, _) in HOSTILE.items()}
    all_of_them = {**hostile, **{name: (source, True) for name, source in HONEST.items()}, **OTHERS}
    done = subprocess.run(
        [sys.executable, "-c", RUN, json.dumps(list(all_of_them.values())), CANDIDATE], cwd=PROJECT, capture_output=True, text=True,
        check=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    return dict(zip(all_of_them, json.loads(done.stdout.splitlines()[-1]), strict=True))


def test_what_a_methods_own_code_reaches_for_is_told_with_its_line(heard):
    for name, (source, flag) in HOSTILE.items():
        told, _ = heard[name]
        assert flag in {one["flag"] for one in told}, (name, told)
        assert all(1 <= one["line"] <= source.count("\n") + 1 for one in told), (name, told)


def test_what_libraries_do_for_an_honest_method_is_not_charged_to_it(heard):
    for name in HONEST:
        assert heard[name] == [[], 0], (name, heard[name])


def test_without_the_trace_nothing_is_told(heard):
    """The control: what is heard comes from the trace."""
    assert heard["the control"] == [[], 0] and heard["a file"][0]


def test_who_closes_the_pipe_does_not_go_on(heard):
    (_, went_on), (_, ended) = heard["closing"], heard["closing and a file"]
    assert (went_on, ended) == (0, 1)
