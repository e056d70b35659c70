"""How generated questions are made up: from which random numbers, how many candidate answers are right, how many share a mistake."""
from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from itertools import count

from eval.seeds import derive
from state.errors import UserError

RIGHT_LEADS = 0.65
"""Share of the questions whose most frequent answer is the right one. Whoever trusts that answer everywhere is wrong about
most candidates of the other questions, which keeps that shortcut below a student that reads."""


def streams(secret: bytes) -> Iterator[random.Random]:
    """Random numbers for one question after the other, without end. Each has a seed of its own: who has seen thousands of questions
    and finds out how one of them was made can still make none of the others, for that takes the secret."""
    return (random.Random(derive(secret, "question", number)) for number in count())


def check_choices(source: str, choices: int, ways: int) -> None:
    """UserError unless so many `choices` of a question can be made in `ways` that tell nothing about their labels."""
    if not 3 <= choices <= ways:
        raise UserError(f"choices = {choices}: {source} makes 3 to {ways} choices of a question (with two, neither answer would be "
                        f"the most frequent; there are {ways} ways to write one down)")


def plan_answers(rng: random.Random, choices: int, mistakes: int) -> list[int]:
    """The answer that each of `choices` >= 3 candidates gives: 0 is the right one, 1 to `mistakes` are wrong ones.

    At least one candidate is right and one is wrong, and a single answer is the most frequent.
    """
    right_leads = rng.random() < RIGHT_LEADS
    while True:
        right = rng.randint(1, choices - 1)
        answers = [0] * right + [rng.randint(1, mistakes) for _ in range(choices - right)]
        (leader, most), (_, second) = Counter(answers).most_common(2)
        if most > second and (leader == 0) == right_leads:
            rng.shuffle(answers)
            return answers
