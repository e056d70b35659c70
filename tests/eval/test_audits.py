"""Each audit finds what it looks for by its own means, and nothing of the kind in honest methods. Real sandboxes, a small task of
generated functions with several candidates for each question."""

from pathlib import Path

import numpy as np
import pytest

from eval.altered import number_in_words
from eval.audits import Audits, Findings
from eval.engine import Engine, Outcome
from eval.scan import scan
from eval.score import Anchored
from eval.slots import Slot
from eval.task import load_task
from tests.home import prepare_small

METHODS = Path(__file__).parents[2] / "methods"
COLLECTS = """
import numpy as np
class Model:
    def __init__(self, student):
        self.student, self.seen = student, []
    def predict_proba(self, batch):
        p = self.student.predict_proba(batch)[:, 1]
        self.seen.extend(p)
        p = (p > np.median(self.seen)) * 1.0
        return np.stack([1 - p, p], 1)
def fit(w2s):
    return Model(w2s.student().fit(w2s.texts, w2s.weak))
"""
SOLVES = """
import re
import numpy as np
class Model:
    def predict_proba(self, batch):
        p = np.array([self.right(item.fields["question"], item.fields["choice"]) for item in batch.items])
        return np.stack([1 - p, p], 1)
    def right(self, question, choice):
        if "return" not in choice:
            return 0.5
        # A misread specification leaves something out: every number and every condition that is asked for has to be there.
        asked = re.findall(r"\\d+", question)
        words = {"even": "% 2 == 0", "odd": "% 2 == 1", "positive": "> 0", "negative": "< 0", "squares": "*", "doubles": "* 2",
                 "triples": "* 3", "successors": "+ 1", "rounded": "// 2", "negatives": "-", "absolute": "abs(", "after": "[1:]",
                 "before": "[:-1]", "positions": "[::2]", "repetitions": "set("}
        text = question.replace("even positions", "positions").replace("at even", "at")
        need = [code for word, code in words.items() if re.search(r"\\b" + word + r"\\b", text)]
        return 0.98 if all(number in choice for number in asked) and all(code in choice for code in need) else 0.02
def fit(w2s):
    return Model()
"""


@pytest.fixture(scope="module")
def prepared():
    task = load_task("snippets")
    task = task.model_copy(update={
        "name": "smoke-audits", "strong": "minilm-l6", "views": ("mean:1",), "labelled": 60, "pool": 120, "search_draws": 3, "sealed_draws": 1,
        "data": task.data.model_copy(update={"questions": 110}),
    })  # fmt: skip
    return prepare_small(task)


@pytest.fixture(scope="module")
def audits(prepared):
    engine = Engine(prepared, b"a" * 32, "bubblewrap", [Slot(0)])
    yield Audits(engine, Anchored.of(prepared, "search", prepared.search_draws))
    engine.close()


def findings(audits, source, name="methods/x.py"):
    found = scan(source.encode(), name)
    assert found.problem is None
    outcome = audits.engine.run(source, name, audits.prepared.search_draws, found, Slot(0), audited=True)
    assert outcome.error is None
    return audits.examine(source, name, audits.prepared.search_draws, found, outcome, Slot(0))


@pytest.mark.parametrize("name", ["naive", "soft", "confident", "selftrain_pca", "knn", "gce", "em_channel"])
def test_honest_methods_raise_no_flag(audits, name):
    assert findings(audits, (METHODS / f"{name}.py").read_text()).reasons == {}


def test_who_collects_test_items_answers_otherwise_in_other_company(audits):
    found = findings(audits, COLLECTS)
    assert "transductive" in found.reasons and found.figures["other_company"] > 0


def test_who_works_the_answer_out_needs_no_teacher_and_collapses_where_nothing_can_be_run(audits):
    found = findings(audits, SOLVES)
    assert {"needs-no-teacher", "needs-no-student", "executes-data"} <= set(found.reasons)
    assert found.figures["unaltered_auc"] > 0.8 and found.figures["altered_auc"] < 0.6


def test_who_follows_the_most_frequent_answer_is_told_from_who_is_right(audits):
    rows, leading = audits._misled
    labels = audits.public.labels[rows]
    assert 0 < leading.mean() < 1 and not labels[leading].any(), "in these groups the most frequent answer is wrong"
    shape = (len(audits.anchored.weak), len(audits.public.labels), 2)

    def judged(says_right):
        predictions = np.full(shape, 0.5)
        predictions[:, rows, 1] = np.where(says_right, 0.9, 0.1)
        audits._majority(Outcome("scored", predictions=predictions), told := Findings())
        return told

    assert "group-majority" in judged(leading).reasons
    assert judged(labels == 1).reasons == {}, "one that is right there does the opposite"


def test_numbers_in_words():
    told = {0: "zero", 13: "thirteen", 40: "forty", 58: "fifty-eight", 305: "three hundred and five", 999: "nine hundred and ninety-nine",
            2000: "two thousand", 12_034: "twelve thousand and thirty-four"}
    assert {number: number_in_words(number) for number in told} == told
