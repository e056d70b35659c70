"""How the candidate answers to a generated question are made up: how many are right, how many share a mistake."""
from __future__ import annotations

import random
from collections import Counter

from state.errors import UserError

RIGHT_LEADS = 0.65
"""Share of the questions whose most frequent answer is the right one. Whoever trusts that answer everywhere is wrong about
most candidates of the other questions, which keeps that shortcut below a student that reads."""


def check_choices(source: str, count: int, ways: int) -> None:
    """UserError unless `count` choices of a question can be made in `ways` that tell nothing about their labels."""
    if not 3 <= count <= ways:
        raise UserError(f"choices = {count}: {source} makes 3 to {ways} choices of a question (with two, neither answer would be "
                        f"the most frequent; there are {ways} ways to write one down)")


def plan_answers(rng: random.Random, count: int, mistakes: int) -> list[int]:
    """The answer that each of `count` >= 3 candidates gives: 0 is the right one, 1 to `mistakes` are wrong ones.

    At least one candidate is right and one is wrong, and a single answer is the most frequent.
    """
    right_leads = rng.random() < RIGHT_LEADS
    while True:
        right = rng.randint(1, count - 1)
        answers = [0] * right + [rng.randint(1, mistakes) for _ in range(count - right)]
        (leader, most), (_, second) = Counter(answers).most_common(2)
        if most > second and (leader == 0) == right_leads:
            rng.shuffle(answers)
            return answers
