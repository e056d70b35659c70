"""Methods that misbehave get a clear verdict, and nothing else is disturbed. Real sandboxes, the real task `smoke`."""

import os
import re
import threading
from contextlib import suppress
from dataclasses import replace

import numpy as np
import psutil
import pytest

from eval.engine import Engine
from eval.prepared import Prepared
from eval.scan import scan
from eval.score import Anchored, correctness
from eval.seeds import derive
from eval.slots import Slot
from eval.wire import Channel, WireError, pack, unpack

HEAD = "import numpy as np\nimport math, random, itertools\n"
NAIVE = "def fit(w2s):\n    return w2s.student().fit(w2s.texts, w2s.weak)\n"


def predicting(body: str) -> str:
    """A method that fits nothing and answers a batch by `body`."""
    return f"{HEAD}class Model:\n    def predict_proba(self, batch):\n        n = len(batch.texts)\n        {body}\ndef fit(w2s):\n    return Model()\n"


@pytest.fixture(scope="module")
def engine(smoke):
    prepared = Prepared(smoke.task.model_copy(update={"fit_seconds": 60.0, "memory_mib": 600}), smoke.folder)
    engine = Engine(prepared, b"s" * 32, "bubblewrap", [Slot(0)])
    yield engine
    engine.close()


def run(engine: Engine, source: str, draws=(0,), groups=False, hangs_for=3.0, **options):
    # Only what hangs meets the wall clock: how long the rest takes is the machine's business.
    seconds = hangs_for if "while True: pass" in source else 600.0
    engine.task = engine.task.model_copy(update={"fit_seconds": seconds})
    found = replace(scan(source.encode(), "methods/x.py"), needs_groups=groups)
    return engine.run(source, "methods/x.py", list(draws), found, Slot(0), **options)


FIT = f"{HEAD}def fit(w2s):\n    "
HOSTILE = {
    "an error while fitting": (f"{FIT}return 1 / 0\n", "crashed", r"line 4, in fit\n.*ZeroDivisionError"),
    "leaving while fitting": (f"{FIT}raise SystemExit(0)\n", "crashed", "SystemExit"),
    "no model": (f"{FIT}return 3\n", "crashed", "returned int, which has no predict_proba"),
    "an error while predicting": (predicting("raise ValueError(batch.texts[0])"), "crashed", r"ValueError in line 6 \(its message is withheld"),
    "an error class of its own": (predicting("raise type(batch.texts[0], (Exception,), {})"), "crashed", "an exception of its own in line 6"),
    "a wrong shape": (predicting("return np.zeros((n, 3))"), "rejected", r"must return shape \(64, 2\)"),
    "one row too few": (predicting("return np.full((n - 1, 2), .5)"), "rejected", r"must return shape"),
    "one dimension": (predicting("return np.full(n, .5)"), "rejected", r"must return shape"),
    "not a number": (predicting("return np.full((n, 2), np.nan)"), "rejected", "NaN or infinite"),
    "above one": (predicting("return np.full((n, 2), 1.5)"), "rejected", r"outside \[0, 1\]"),
    "below zero": (predicting("return np.full((n, 2), -.5)"), "rejected", r"outside \[0, 1\]"),
    "text instead of numbers": (predicting("return np.array(batch.texts)"), "crashed", "TypeError"),
    "a gigabyte of answers": (predicting("return np.zeros((3 * 10**7, 1))"), "rejected", "expected kind and size"),
    "hanging while fitting": (f"{FIT}while True: pass\n", "timeout", "while fitting: stopped after the limit of 3 s"),
    "printing a gigabyte": (f"{FIT}for _ in range(10**6): print('x' * 1000)\n", "crashed", "printed more than 1 MB"),
    "one array that eats all memory": (f"{FIT}x = np.ones(10**10)\n", "crashed", "MemoryError"),
    "eating memory bit by bit": (f"{FIT}x = [np.ones(10**7) for _ in itertools.count()]\n", "crashed", "memory|MemoryError"),
    "closing the socket and hanging": (f"{FIT}import os\n    os.closerange(3, 100)\n    while True: pass\n", "(crashed|timeout)", "ended without an answer|stopped after the limit"),
    "an error that no text can hold": (f"{FIT}raise ValueError(chr(0xd800))\n", "crashed", "ValueError"),
    "killing itself": (f"{FIT}import ctypes; ctypes.string_at(0)\n", "crashed", "ended without an answer"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_method_that_misbehaves_gets_a_clear_verdict(engine, name):
    source, status, words = HOSTILE[name]
    outcome = run(engine, source)
    assert re.fullmatch(status, outcome.status), outcome
    assert re.search(words, outcome.error, re.S), outcome.error
    assert outcome.predictions is None


def test_after_all_of_them_an_honest_method_is_scored_as_ever(engine):
    first = run(engine, NAIVE, draws=(0, 1))
    for name in ("killing itself", "hanging while fitting", "a gigabyte of answers"):
        run(engine, HOSTILE[name][0])
    again = run(engine, NAIVE, draws=(0, 1))
    assert again.status == "scored" and np.array_equal(first.predictions, again.predictions)


def test_a_timeout_leaves_no_process(engine):
    source = f"{FIT}import os\n    for _ in range(3):\n        os.fork()\n    while True: pass\n"
    seen, over, looking_on = set(), threading.Event(), []
    original = engine._ask

    def look(outside):  # again and again, also when all of it is gone
        while not over.wait(0.02):
            with suppress(psutil.Error):
                seen.update(outside.children(recursive=True))

    def looking(sandbox, *arguments):  # while the method runs, its children are there to be seen
        looking_on.append(threading.Thread(target=look, args=(psutil.Process(sandbox.handle.pid),), daemon=True))
        looking_on[-1].start()
        return original(sandbox, *arguments)

    engine._ask = looking
    try:
        assert run(engine, source, hangs_for=8.0).status == "timeout"
    finally:
        engine._ask = original
        over.set()
        for thread in looking_on:
            thread.join()
    assert len(seen) > 8, "the control: the children did run"
    psutil.wait_procs(seen, timeout=10)
    assert not [process for process in seen if process.is_running()]


def test_a_draw_starts_no_program_and_makes_no_file_that_another_draw_could_read(engine):
    for attempt in ("import subprocess; subprocess.run(['true'])", "import os; os.symlink('x', '/tmp/x')", "open('/tmp/x', 'w')",
                    "import os; os.mkdir('/tmp/x')", "import socket; socket.socket(socket.AF_UNIX)", "import os; os.mkfifo('/tmp/x')"):
        outcome = run(engine, f"{FIT}{attempt}\n    return w2s.student().fit(w2s.texts, w2s.weak)\n")
        assert outcome.status == "crashed" and re.search("Operation not permitted|Read-only", outcome.error), (attempt, outcome.error)
    control = run(engine, f"{FIT}open('/aar/lib/eval/wire.py').read()\n    return w2s.student().fit(w2s.texts, w2s.weak)\n")
    assert control.status == "scored", "what is there can be read"


def test_a_method_cannot_see_a_test_text_before_its_last_fit(engine, smoke):
    """It looks through everything it can reach while fitting; the same search finds the texts while predicting."""
    hidden = sorted(smoke.parts["public"].texts)
    pool = set(smoke.draw(0).texts)
    prefix = [text for text in hidden if text not in pool][0][:25]
    search = f"""
def hits():
    import gc, sys
    count = 0
    needle = {prefix[::-1]!r}[::-1]  # not as it stands: the search would find its own source
    frame = sys._getframe()
    things = list(gc.get_objects())
    while frame is not None:
        things.append(dict(frame.f_locals))
        frame = frame.f_back
    for thing in things:
        try:
            if isinstance(thing, dict):
                thing = list(thing.values())
            if isinstance(thing, (list, tuple)):
                count += sum(isinstance(x, str) and needle in x and len(x) > len(needle) for x in thing)
            elif isinstance(thing, np.ndarray) and thing.dtype == object:
                count += sum(needle in str(x) for x in thing)
        except Exception:
            pass
    return count
"""
    fitting = f"{HEAD}{search}\ndef fit(w2s):\n    raise ValueError('hits %d' % (hits() > 0))\n"
    assert "hits 0" in run(engine, fitting).error
    # While predicting, the one batch that holds the text is there: 2 classes of answer tell it apart.
    there = predicting("return np.tile([1.0, 0.0] if hits() else [0.0, 1.0], (n, 1))").replace("class Model", search + "\nclass Model")
    outcome = run(engine, there)
    assert outcome.status == "scored" and (outcome.predictions[0, :, 0] == 1).any()


def test_one_draw_learns_nothing_from_another_through_the_module_or_through_files(engine):
    """A method that averages all draws' students would look surer than it is: each draw must be on its own."""
    source = f"""{HEAD}SEEN = []
class Model:
    def __init__(self, count): self.count = count
    def predict_proba(self, batch): return np.full((len(batch.texts), 2), (len(SEEN) + self.count) / 10)
def fit(w2s):
    SEEN.append(w2s)
    try:
        np.save('/tmp/draw.npy', w2s.weak)
        return Model(5)
    except OSError:
        return Model(0)
"""
    outcome = run(engine, source, draws=(0, 1, 2))
    assert outcome.status == "scored", outcome
    assert np.allclose(outcome.predictions, 0.1)  # one draw in the list, and no file could be written


def test_fits_cannot_reach_the_channel_on_which_test_items_come(engine):
    """The stack and the descriptors of the process that fits: nothing there leads to the evaluator."""
    source = f"""{FIT}import random
    os, sys = random._os, random._os.sys
    frame, names = sys._getframe(), []
    while frame is not None:
        names += [type(v).__name__ for v in frame.f_locals.values()]
        frame = frame.f_back
    sockets = [fd for fd in os.listdir('/proc/self/fd') if 'socket' in os.path.realpath('/proc/self/fd/' + fd)]
    def works(action, *arguments):
        try:
            return bool(action(*arguments))
        except OSError:
            return False
    parent = '/proc/%d/' % os.getppid()
    reached = [fd for fd in range(256) if works(os.readlink, parent + 'fd/%d' % fd)]
    reached += [name for name in ('mem', 'environ') if works(lambda: os.open(parent + name, os.O_RDONLY) >= 0)]
    own = [fd for fd in range(256) if works(os.readlink, '/proc/self/fd/%d' % fd)]
    raise ValueError('%d sockets, reached %s, own %s' % (len(sockets), reached, len(own) > 3))
"""
    assert "1 sockets, reached [], own True" in run(engine, source).error


def test_draws_and_seeds_are_the_same_for_every_submission_and_another_run_has_others(engine, smoke):
    noise = f"{HEAD}class Model:\n    def predict_proba(self, batch):\n        return np.full((len(batch.texts), 2), self.p)\ndef fit(w2s):\n    m = Model(); m.p = float(w2s.rng.random()); return m\n"
    one, two = run(engine, noise, draws=(0, 1)), run(engine, noise, draws=(0, 1))
    assert np.array_equal(one.predictions, two.predictions)
    assert one.predictions[0, 0, 0] != one.predictions[1, 0, 0]
    assert derive(b"a", "student", 0) != derive(b"b", "student", 0)


def test_test_items_come_in_small_shuffled_batches_and_each_exactly_once(engine, smoke):
    counting = predicting("return np.full((n, 2), n / 1000)")
    outcome = run(engine, counting)
    sizes = np.round(outcome.predictions[0, :, 0] * 1000).astype(int)
    assert sizes.max() == 64 and len(sizes) == len(smoke.parts["public"].texts)
    assert not (np.diff(sizes) == 0).all()  # the last, smaller batch is spread over the file: the order was shuffled


def test_what_the_student_saw_is_what_the_anchor_saw(engine, smoke):
    """A method that predicts as the naive recipe does scores near the stored anchors of the same draws."""
    draws = smoke.search_draws
    outcome = run(engine, NAIVE, draws=draws)
    figures = Anchored.of(smoke, "search", draws).figures(correctness(smoke, "search", outcome.predictions))
    assert figures["weak_accuracy"] - 0.03 < figures["accuracy"] < figures["ceiling_accuracy"]


# -- the wire -----------------------------------------------------------------------------------------------------------------


def test_a_packed_draw_cannot_be_changed_by_who_maps_it():
    descriptor = pack({"texts": ["a"]}, {"x": np.arange(6.0).reshape(2, 3)})
    header, arrays = unpack(descriptor)
    assert header == {"texts": ["a"]} and arrays["x"].tolist() == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(ValueError):
        arrays["x"][0, 0] = 9
    with pytest.raises(OSError):
        os.pwrite(descriptor, b"x", 0)
    with pytest.raises(OSError):
        os.ftruncate(descriptor, 0)
    os.close(descriptor)


@pytest.mark.parametrize(
    "message",
    [b"", b"\xff\xff\xff\xff", b"\x04\0\0\0nope", b"\x02\0\0\0[]", b'\x10\0\0\0{"header": null}', b"\x0a\0\0\0" + b"[" * 10],
)
def test_a_malformed_message_is_a_wire_error_and_nothing_else(message):
    import socket

    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(message)
        theirs.close()
        with pytest.raises(WireError):
            Channel(ours, limit=1000).receive()


@pytest.mark.parametrize("shape", [[10**9], [-1], [2, "x"], [1.5], [2**62, 4], [0, 2**30, 2**30, 2**30], [1] * 100, [True]])
def test_an_array_larger_than_expected_or_of_a_strange_shape_is_refused_before_it_is_read(shape):
    import json
    import socket
    import struct

    text = json.dumps({"header": {}, "arrays": {"0": ["float64", shape]}}).encode()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(struct.pack("<I", len(text)) + text)
        with pytest.raises(WireError):
            Channel(ours, limit=10_000).receive()


EVERYDAY = {
    "a pipeline": "from sklearn.pipeline import make_pipeline\nfrom sklearn.preprocessing import StandardScaler\n"
                  "from sklearn.linear_model import LogisticRegression\n"
                  "def fit(w2s):\n    x = w2s.student().embed(w2s.texts)\n"
                  "    make_pipeline(StandardScaler(), LogisticRegression()).fit(x, w2s.weak[:, 1] > .5)\n",
    "a forest on two jobs": "from sklearn.ensemble import RandomForestClassifier\ndef fit(w2s):\n"
                            "    RandomForestClassifier(20, n_jobs=2).fit(w2s.student().embed(w2s.texts), w2s.weak[:, 1] > .5)\n",
    "an optimiser of torch": "import torch\ndef fit(w2s):\n    m = torch.nn.Linear(3, 1)\n    o = torch.optim.Adam(m.parameters())\n"
                             "    m(torch.ones(2, 3)).sum().backward()\n    o.step()\n    m.weight.detach().numpy().sum()\n",
    "a data class": "import dataclasses\n@dataclasses.dataclass\nclass A:\n    x: int = 1\ndef fit(w2s):\n    A(2)\n",
}


@pytest.mark.parametrize("name", EVERYDAY)
def test_everyday_libraries_work_and_raise_no_flag(engine, name):
    source = f"{EVERYDAY[name]}    return w2s.student().fit(w2s.texts, w2s.weak)\n"
    found = scan(source.encode(), "methods/x.py")
    assert found.problem is None and found.flags == []
    outcome = run(engine, source)
    assert (outcome.error, outcome.traced) == (None, {})
