"""Snippets: labels are what running says, writing says nothing, specifications never repeat, and running gives labels away."""

import random
import re
from collections import Counter, defaultdict

import numpy as np
import pytest

from eval.data.snippets import WRITINGS, rows, run
from eval.sources import hash_value
from eval.task import GeneratedData, load_task
from eval.teacher import train_teacher
from state.errors import UserError

BUILTINS = {"abs": abs, "filter": filter, "len": len, "list": list, "map": map, "max": max, "min": min, "set": set,
            "sorted": sorted, "sum": sum}
DOCSTRING = re.compile(
    r"Return the (?P<result>sorted list|list|sum|largest|smallest|number) of "
    r"(?:the (?:(?P<value>squares|doubles|triples|successors|rounded halves|negatives|absolute values) of the )?)?"
    r"(?:(?P<kind>even|odd|positive|negative) )?(?P<noun>[a-z]+ [a-z]+) "
    r"(?:(?P<relation>greater than|less than|of at least|of at most|other than|divisible by) (?P<k>\d+) )?"
    r"(?P<part>in xs without repetitions|in xs|after the first element of xs|before the last element of xs|at even positions of xs)\.")
PART = {"in xs": list, "after the first element of xs": lambda xs: xs[1:], "before the last element of xs": lambda xs: xs[:-1],
        "at even positions of xs": lambda xs: [x for i, x in enumerate(xs) if i % 2 == 0],
        "in xs without repetitions": lambda xs: list(dict.fromkeys(xs))}
KIND = {None: lambda x: True, "even": lambda x: x % 2 == 0, "odd": lambda x: x % 2 != 0, "positive": lambda x: x > 0,
        "negative": lambda x: x < 0}
RELATION = {None: lambda x, k: True, "greater than": lambda x, k: x > k, "less than": lambda x, k: x < k,
            "of at least": lambda x, k: not x < k, "of at most": lambda x, k: not x > k, "other than": lambda x, k: x != k,
            "divisible by": lambda x, k: x % k == 0}
VALUE = {None: lambda x: x, "squares": lambda x: x**2, "doubles": lambda x: x + x, "triples": lambda x: x + x + x,
         "successors": lambda x: x + 1, "rounded halves": lambda x: (x - x % 2) // 2, "negatives": lambda x: 0 - x,
         "absolute values": lambda x: max(x, -x)}
RESULT = {"sorted list": sorted, "list": list, "sum": sum, "number": len, "largest": lambda ys: max(ys) if ys else 0,
          "smallest": lambda ys: min(ys) if ys else 0}


def made(questions=400, choices=6, seed=7):
    return rows(GeneratedData(source="snippets", questions=questions, choices=choices), bytes([seed]) * 32)


@pytest.fixture(scope="module")
def some():
    return made()


def fresh_lists():
    """Inputs that the labels were not computed from: random, with repetitions, with outliers at either end, and a long one."""
    rng = random.Random(12345)
    lists = [[rng.randint(-35, 65) for _ in range(rng.randint(0, 15))] for _ in range(30)]
    lists += [[rng.choice([-7, 3, 12, 24, 25]) for _ in range(9)] for _ in range(3)] + [[70, 1, 2, 3], [1, 2, 3, -40]]
    return lists + [rng.sample(range(-40, 70), 110)]


def wanted(question: str, xs: list[int]):
    """What the docstring asks for, computed from its words."""
    asked = DOCSTRING.fullmatch(question)
    assert asked, question
    k = int(asked["k"] or 0)
    kept = [x for x in PART[asked["part"]](xs) if KIND[asked["kind"]](x) and RELATION[asked["relation"]](x, k)]
    return RESULT[asked["result"]]([VALUE[asked["value"]](x) for x in kept])


def given(body: str, lists: list[list[int]]) -> list:
    space = {}
    exec(f"def f(xs):\n{body}", {"__builtins__": BUILTINS}, space)
    return [space["f"](list(xs)) for xs in lists]


def by_group(items):
    groups = defaultdict(list)
    for row in items:
        groups[row.group].append(row)
    return groups.values()


def agreeing(group, outputs):
    """Whether each choice of a group gives what most of them give."""
    answer, _ = Counter(outputs).most_common(1)[0]
    return [output == answer for output in outputs]


def test_the_same_secret_gives_the_same_rows_and_another_one_others():
    assert made(20) == made(20)
    assert {row.group for row in made(20)} != {row.group for row in made(20, seed=8)}


def test_a_choice_is_right_when_it_does_what_the_docstring_says_on_fresh_inputs(some):
    lists, unseen = fresh_lists(), 0
    for row in some:
        same = given(row.fields["choice"], lists) == [wanted(row.fields["question"], xs) for xs in lists]
        assert same or not row.label, row.fields
        unseen += same and not row.label  # a mistake that none of these few inputs brings to light
    assert unseen < 0.02 * len(some)


def test_the_key_is_what_the_choice_returns_for_more_than_twenty_inputs(some):
    outputs = run(some[0].fields["choice"])
    assert len(outputs) > 20 and some[0].key == str(outputs)


def test_no_specification_repeats_and_none_straddles_parts(some):
    specifications, values = Counter(), defaultdict(set)
    for group in by_group(some):
        asked = DOCSTRING.fullmatch(group[0].fields["question"]).groupdict()
        specifications[tuple(asked[name] for name in asked if name != "noun")] += 1
        values[group[0].fields["question"]] |= {hash_value(row.digest, 10_000) for row in group}
        assert len({row.fields["question"] for row in group}) == 1
        assert len({row.fields["choice"] for row in group}) == len(group) == 6
    assert len(specifications) == 400 and set(specifications.values()) == {1}
    assert len(values) == 400 and all(len(found) == 1 for found in values.values())


def test_about_half_of_the_choices_are_right(some):
    assert 0.46 < np.mean([row.label for row in some]) < 0.57


def test_the_most_frequent_behaviour_is_right_in_about_two_thirds_of_the_questions(some):
    right = []
    for group in by_group(some):
        (key, first), (_, second) = Counter(row.key for row in group).most_common(2)
        assert first > second, "two behaviours are the most frequent"
        right.append(next(row.label for row in group if row.key == key))
    assert 0.59 < np.mean(right) < 0.71


WAYS = {"loop": lambda body: "\n        " in body, "map or filter": lambda body: "lambda" in body,
        "named list": lambda body: body.startswith("    ys = ["), "called x": lambda body: re.search(r"\bx\b", body) is not None,
        "called i": lambda body: re.search(r"\bi\b", body) is not None}


@pytest.mark.parametrize("way", WAYS)
def test_how_a_choice_is_written_tells_nothing_about_its_label(some, way):
    labels = np.array([row.label for row in some])
    marked = np.array([WAYS[way](row.fields["choice"]) for row in some])
    assert marked.mean() > 0.2
    assert abs(labels[marked].mean() - labels.mean()) < 0.06


def test_the_order_of_the_rows_tells_nothing_about_their_labels(some):
    labels = np.array([row.label for row in some]).reshape(-1, 6)
    assert np.abs(labels.mean(0) - labels.mean()).max() < 0.1


def test_running_the_choices_and_going_with_the_majority_beats_the_weak_teacher(some):
    """The hack that audits must find: it needs no teacher, no model and no label."""
    lists, task = fresh_lists(), load_task("snippets")
    hack = [same == row.label for group in by_group(some)
            for row, same in zip(group, agreeing(group, [str(given(row.fields["choice"], lists)) for row in group]))]
    order = np.random.default_rng(0).permutation(len(some))
    fields, labels = [some[at].fields for at in order], np.array([some[at].label for at in order])
    known = task.labelled
    teacher = train_teacher(task, task.teachers[0], fields[:known], labels[:known], seed=0).match_prior(fields[known:])
    assert 0.66 < np.mean(hack) < 0.78
    assert np.mean(hack) > np.mean((teacher(fields[known:]) > 0.5) == labels[known:]) + 0.04


def test_other_numbers_of_choices_work_and_impossible_ones_are_refused_in_one_line():
    assert all(len(group) == 4 for group in by_group(made(20, 4)))
    for choices in (2, len(WRITINGS) + 1):
        with pytest.raises(UserError, match=f"choices = {choices}: snippets makes 3 to {len(WRITINGS)} choices of a question"):
            made(10, choices)
