"""Short word problems with worked solutions, right and wrong: a generated stand-in for mathematics.

    rows(GeneratedData(source="arithmetic", questions=1000), secret)

A wrong solution miscopies a number or leaves out a step, now and then it takes the wrong operation or slips in a sum. How a
solution is phrased is drawn before it is known whether it is right. The label comes from comparing its last number with the
problem's.
"""
from __future__ import annotations

import random
from dataclasses import dataclass, replace
from itertools import product

from eval.data.candidates import check_choices, plan_answers, streams
from eval.data.rows import Row
from eval.task import GeneratedData

NAMES = ("Ada", "Amir", "Ana", "Ben", "Carl", "Chloe", "Dana", "Elif", "Eva", "Finn", "Hugo", "Ines", "Jack", "Kofi", "Lena",
         "Leo", "Lily", "Mia", "Nina", "Noah", "Omar", "Priya", "Ravi", "Rosa", "Sam", "Tom", "Wei", "Yuki", "Zoe")
THINGS = ("apples", "balloons", "beads", "books", "bottles", "buttons", "cakes", "candles", "cards", "coins", "cookies", "eggs",
          "flowers", "keys", "lemons", "marbles", "nuts", "pears", "pencils", "photos", "pins", "plums", "shells", "stamps",
          "stickers", "stones", "tickets", "toys")
DEEDS = {
    "+": ("finds {} more", "buys {} more", "gets {} from a friend", "picks up {}", "wins {}", "earns {}", "collects {} more",
          "is given {}"),
    "-": ("gives away {}", "loses {}", "sells {}", "lends {} to a friend", "throws out {}", "breaks {}", "drops {}", "trades {} away"),
    "*": ("then has {} times as many",),
}
SIGNS = {"+": "plus", "-": "minus", "*": "times"}
WRONG_ANSWERS = 3
"""How many wrong answers to a problem there are; several solutions may end in the same one."""
MOST = 999
"""The largest number that may come up."""


@dataclass(frozen=True)
class Solution:
    """A start and (operation, number) steps; `slip` is (step, error) where one sum comes out wrong by `error`."""

    start: int
    steps: tuple[tuple[str, int], ...]
    slip: tuple[int, int] | None = None

    def lines(self) -> list[tuple[int, str, int, int]]:
        """(before, operation, number, after) of every step."""
        lines, value = [], self.start
        for position, (operation, number) in enumerate(self.steps):
            after = {"+": value + number, "-": value - number, "*": value * number}[operation]
            if self.slip is not None and self.slip[0] == position:
                after += self.slip[1]
            lines.append((value, operation, number, after))
            value = after
        return lines

    @property
    def answer(self) -> int:
        return self.lines()[-1][3]

    def possible(self) -> bool:
        """Whether all numbers on the way can be counts of things."""
        return all(0 < after <= MOST for *_, after in self.lines())


def _miscopy(rng: random.Random, right: Solution) -> Solution:
    """One number of the problem is read with a wrong digit."""
    place = rng.randrange(len(right.steps) + 1)
    number = right.start if place == 0 else right.steps[place - 1][1]
    digits = list(str(number))
    at = rng.randrange(len(digits))
    digits[at] = rng.choice([digit for digit in "123456789" if digit != digits[at]])
    wrong = int("".join(digits))
    if place == 0:
        return replace(right, start=wrong)
    steps = list(right.steps)
    steps[place - 1] = (steps[place - 1][0], wrong)
    return replace(right, steps=tuple(steps))


def _leave_out(rng: random.Random, right: Solution) -> Solution:
    at = rng.randrange(len(right.steps))
    return replace(right, steps=right.steps[:at] + right.steps[at + 1:])


def _mistake_operation(rng: random.Random, right: Solution) -> Solution:
    at = rng.randrange(len(right.steps))
    operation, number = right.steps[at]
    steps = right.steps[:at] + (({"+": "-", "-": "+", "*": "+"}[operation], number),) + right.steps[at + 1:]
    return replace(right, steps=steps)


def _slip(rng: random.Random, right: Solution) -> Solution:
    return replace(right, slip=(rng.randrange(len(right.steps)), rng.choice((-10, -2, -1, 1, 2, 10))))


MISTAKES = {_miscopy: 0.45, _leave_out: 0.45, _mistake_operation: 0.06, _slip: 0.04}
"""Mostly mistakes that a small model notices: it hardly tells a wrong operation from a right one, and does not add up."""


def _mistake(rng: random.Random, right: Solution) -> Solution:
    kind, = rng.choices(list(MISTAKES), list(MISTAKES.values()))
    return kind(rng, right)


def _problem(rng: random.Random) -> Solution:
    """The right solution of a new problem, of two or three steps."""
    while True:
        steps = []
        for _ in range(rng.choice((2, 2, 2, 3))):
            operation, = rng.choices("+-*", (0.45, 0.45, 0.10))
            steps.append((operation, rng.randint(2, 4) if operation == "*" else rng.randint(3, 60)))
        solution = Solution(rng.randint(11, 99), tuple(steps))
        if solution.possible():
            return solution


def _question(rng: random.Random, name: str, things: str, right: Solution) -> str:
    deeds = [rng.choice(DEEDS[operation]).format(number) for operation, number in right.steps]
    return f"{name} has {right.start} {things}, {', '.join(deeds[:-1])} and {deeds[-1]}. How many {things} now?"


# The openings differ, so that solutions of one step never are the same text in two phrasings.
EQUATIONS = ("{} {sign} {} = {}", "{} {word} {} is {}")
JOINTS = (("", ", then "), ("Working: ", "; "), ("First ", ". Then "), ("We get ", ", then "))
CLOSINGS = (". Answer: {answer}", ". The answer is {answer}", ". So {answer} {things}", ", which makes {answer}")
PHRASINGS = list(product(EQUATIONS, JOINTS, CLOSINGS))


def _write(solution: Solution, things: str, phrasing: tuple[str, tuple[str, str], str]) -> str:
    equation, (opening, joint), closing = phrasing
    lines = [equation.format(before, number, after, sign="x" if operation == "*" else operation, word=SIGNS[operation])
             for before, operation, number, after in solution.lines()]
    return opening + joint.join(lines) + closing.format(answer=solution.answer, things=things) + "."


def rows(data: GeneratedData, secret: bytes) -> list[Row]:
    """`questions` problems with `choices` solutions each, the same for the same secret; no two problems have the same numbers.

    The group is the question, the key the solution's last number. UserError for a number of choices that cannot be made.
    """
    check_choices(data.source, data.choices, len(PHRASINGS))
    seen, made = set(), []
    for rng in streams(secret):
        if len(seen) == data.questions:
            return made
        right = _problem(rng)
        if right in seen:
            continue
        seen.add(right)
        name, things = rng.choice(NAMES), rng.choice(THINGS)
        question = _question(rng, name, things, right)
        solutions = {right.answer: right}  # one for each last number, the right one first
        while len(solutions) <= WRONG_ANSWERS:
            wrong = _mistake(rng, right)
            if wrong.possible():
                solutions.setdefault(wrong.answer, wrong)
        by_answer, answers = list(solutions.values()), plan_answers(rng, data.choices, WRONG_ANSWERS)
        for answer, phrasing in zip(answers, rng.sample(PHRASINGS, data.choices)):
            solution = by_answer[answer]
            made.append(Row({"question": question, "choice": _write(solution, things, phrasing)},
                            int(solution.answer == right.answer), question, key=str(solution.answer)))
