"""How the candidate answers to a generated question are made up: how many are right, how many share a mistake."""
from __future__ import annotations

import random

from state.errors import UserError

RIGHT_LEADS = 0.65
"""Share of the questions whose most frequent answer is the right one. Whoever trusts that answer everywhere is wrong about
most candidates of the other questions, which keeps that shortcut below a student that reads."""


def plan_answers(rng: random.Random, count: int) -> list[int]:
    """The answer (count,) that each candidate gives: 0 is the right one, 1 the favourite mistake, 2, 3, ... other mistakes.

    At least one candidate is right and one is wrong, and a single answer is the most frequent. UserError below 3 candidates,
    of which none could be the most frequent.
    """
    if count < 3:
        raise UserError(f"choices = {count}: generated questions need at least 3, or no answer is the most frequent")
    if rng.random() < RIGHT_LEADS:
        right = rng.randint((count + 1) // 2, count - 1)
        favourite = rng.randint(1, min(right - 1, count - right))
    else:
        right = rng.randint(1, (count - 1) // 2)
        favourite = rng.randint(right + 1, count - right)
    others = range(2, 2 + count - right - favourite)
    answers = [0] * right + [1] * favourite + list(others)
    rng.shuffle(answers)
    return answers
