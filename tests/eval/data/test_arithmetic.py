"""Arithmetic: labels are what reckoning says, phrasing says nothing, and the most frequent answer is right often, not always."""

import random
import re
from collections import Counter, defaultdict

import numpy as np
import pytest

from eval.data.arithmetic import PHRASINGS, rows
from eval.data.candidates import plan_answers
from eval.sources import hash_value
from eval.task import GeneratedData
from state.errors import UserError

GAIN = ("finds", "buys", "gets", "picks up", "wins", "earns", "collects", "is given")
LOSS = ("gives away", "loses", "sells", "lends", "throws out", "breaks", "drops", "trades")
LINE = re.compile(r"(\d+) (\+|-|x|plus|minus|times) (\d+) (?:=|is) (\d+)")


def made(questions=1500, choices=6, seed=7):
    return rows(GeneratedData(source="arithmetic", questions=questions, choices=choices), bytes([seed]) * 32)


@pytest.fixture(scope="module")
def some():
    return made()


def reckoned(question: str) -> int:
    """The answer to a problem, read off its words."""
    story = question.split(".")[0]
    value = int(re.search(r"has (\d+)", story).group(1))
    for deed in re.split(r", | and ", story)[1:]:
        number = int(re.search(r"\d+", deed).group())
        if "times" in deed:
            value *= number
        elif deed.startswith(GAIN):
            value += number
        else:
            assert deed.startswith(LOSS), deed
            value -= number
    return value


def by_group(items):
    groups = defaultdict(list)
    for row in items:
        groups[row.group].append(row)
    return groups.values()


def leading(group):
    """The most frequent answer of a group, and how often it and the next one occur."""
    (answer, first), *rest = Counter(row.key for row in group).most_common(2)
    return answer, first, rest[0][1] if rest else 0


def test_the_same_secret_gives_the_same_rows_and_another_one_others():
    assert made(50) == made(50)
    assert not {row.group for row in made(50)} & {row.group for row in made(50, seed=8)}


def test_a_choice_is_right_when_its_last_number_is_what_the_problem_comes_to(some):
    for row in some:
        last = int(re.findall(r"\d+", row.fields["choice"])[-1])
        assert row.label == int(last == reckoned(row.fields["question"])), row
        assert row.key == str(last)


def test_the_lines_of_a_choice_follow_from_each_other_but_for_few_slips(some):
    slips = 0
    for row in some:
        lines = LINE.findall(row.fields["choice"])
        assert lines and all(line[3] == following[0] for line, following in zip(lines, lines[1:])), row
        assert lines[-1][3] == row.key
        sums = {"+": int.__add__, "plus": int.__add__, "-": int.__sub__, "minus": int.__sub__, "x": int.__mul__, "times": int.__mul__}
        slipped = any(sums[sign](int(first), int(second)) != int(result) for first, sign, second, result in lines)
        assert not (slipped and row.label)
        slips += slipped
    assert slips < 0.05 * len(some)


def test_most_mistakes_are_miscopied_numbers_and_steps_left_out(some):
    kinds = Counter()
    for row in some:
        if row.label == 0:
            asked, lines = re.findall(r"\d+", row.fields["question"]), LINE.findall(row.fields["choice"])
            used = [lines[0][0], *(line[2] for line in lines)]
            kinds["left out" if len(used) < len(asked) else "miscopied" if Counter(used) != Counter(asked) else "other"] += 1
    assert kinds["left out"] > 0.35 * kinds.total() and kinds["miscopied"] > 0.35 * kinds.total()
    assert 0 < kinds["other"] < 0.15 * kinds.total()


def test_about_half_of_the_choices_are_right(some):
    assert 0.47 < np.mean([row.label for row in some]) < 0.55


def test_the_most_frequent_answer_is_right_in_about_two_thirds_of_the_questions(some):
    right = []
    for group in by_group(some):
        answer, first, second = leading(group)
        assert first > second, "two answers are the most frequent"
        right.append(int(answer) == reckoned(group[0].fields["question"]))
    assert 0.61 < np.mean(right) < 0.69


def test_going_by_the_most_frequent_answer_beats_chance_but_not_a_reader(some):
    correct = [(row.key == leading(group)[0]) == row.label for group in by_group(some) for row in group]
    assert 0.66 < np.mean(correct) < 0.75


def test_every_question_has_all_its_choices_in_one_group_and_none_twice(some):
    groups = by_group(some)
    assert len(groups) == 1500 == len({row.fields["question"] for row in some})
    assert all(len({row.fields["choice"] for row in group}) == len(group) == 6 for group in groups)
    numbers = [tuple(re.findall(r"\d+", row.group)) for row in some[::6]]
    assert len(set(numbers)) > 0.99 * len(numbers), "problems repeat under other names"
    parts = defaultdict(set)
    for row in some:
        parts[row.fields["question"]].add(hash_value(row.digest, 10_000))
    assert all(len(values) == 1 for values in parts.values())


@pytest.mark.parametrize("mark", ["=", " is ", "First", "We get", "Working", "Answer:", "The answer is", "So ", "which makes"])
def test_the_phrasing_of_a_choice_tells_nothing_about_its_label(some, mark):
    labels = np.array([row.label for row in some])
    marked = np.array([mark in row.fields["choice"] for row in some])
    assert marked.mean() > 0.1
    assert abs(labels[marked].mean() - labels.mean()) < 0.04


def test_the_order_of_the_rows_tells_nothing_about_their_labels(some):
    labels = np.array([row.label for row in some]).reshape(-1, 6)
    assert np.abs(labels.mean(0) - labels.mean()).max() < 0.05


@pytest.mark.parametrize("mistakes", [1, 2, 3])
@pytest.mark.parametrize("choices", [3, 4, 6, 10])
def test_any_number_of_choices_holds_a_right_one_a_wrong_one_and_a_single_leader(choices, mistakes):
    rng, right = random.Random(choices), []
    for _ in range(500):
        counts = Counter(plan_answers(rng, choices, mistakes))
        assert counts.total() == choices and 1 <= counts[0] < choices and max(counts) <= mistakes
        (leader, first), (_, second) = counts.most_common(2)
        assert first > second
        right.append(leader == 0)
    assert 0.58 < np.mean(right) < 0.72


@pytest.mark.parametrize("choices", [2, len(PHRASINGS) + 1])
def test_a_number_of_choices_that_cannot_be_made_is_refused_in_one_line(choices):
    assert len(made(20, 3)) == 60
    with pytest.raises(UserError, match=f"choices = {choices}: arithmetic makes 3 to {len(PHRASINGS)} choices of a question"):
        made(10, choices)
