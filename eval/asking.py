"""What a method may ask its teacher while it fits, answered on this side of the wall: soft labels go out, nothing else.

Metered, so that a teacher cannot be probed without end: a draw may have some times its pool's size labelled, and may have its
teacher trained anew three times with another prefix before the texts.
"""
from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from eval.draws import trained_teachers
from eval.prepared import Prepared
from eval.teacher import Teacher

MOST_BYTES = 4 << 20
"""Of one message from a method sandbox that is fitting."""
MOST_LABELS = 4
"""How many times its pool's size a draw may have labelled."""
MOST_REFITS = 3


class _Question(BaseModel):
    model_config = ConfigDict(extra="forbid")
    ask: str
    number: int = Field(ge=0)
    fields: list[dict[str, str]] = []
    prefix: str = Field(default="", max_length=2000)


class Questions:
    """The questions of one submission. `order(number, count)`: in which order it sees the pool of a draw."""

    def __init__(self, prepared: Prepared, order: Callable[[int, int], np.ndarray], refuse: bool = False) -> None:
        self._prepared, self._order, self._refuse = prepared, order, refuse
        self._secret = prepared.folder.secret.read_bytes()
        self._labelled, self._refits = Counter(), Counter()
        self._teachers: dict[int, Teacher] = {}

    def answer(self, question: Any, draws: Sequence[int]) -> tuple[dict, dict[str, np.ndarray]]:
        """Header and arrays of the reply: `labels` (m, 2), or "refused" with the reason."""
        try:
            asked = _Question.model_validate(question)
            number = draws[asked.number]
            if self._refuse:
                raise ValueError("the teacher cannot be asked while the ceiling by this recipe is made")
            positive = {"label": self._label, "refit": self._refit}[asked.ask](number, asked)
        except (ValidationError, IndexError, KeyError):
            return {"refused": "that is no question for a teacher"}, {}
        except ValueError as error:
            return {"refused": str(error)}, {}
        return {}, {"labels": np.stack([1 - positive, positive], 1).astype(np.float32)}

    def _label(self, number: int, asked: _Question) -> np.ndarray:
        draw = self._prepared.draw(number)
        self._labelled[number] += len(asked.fields)
        if self._labelled[number] > MOST_LABELS * len(draw.texts):
            raise ValueError(f"the teacher labels at most {MOST_LABELS * len(draw.texts)} items a draw")
        if not asked.fields:
            raise ValueError("there is nothing to label")
        needed = set(draw.fields[0])
        if any(set(fields) != needed for fields in asked.fields):
            raise ValueError(f"the teacher reads items with {', '.join(sorted(needed))}: pass items of the task")
        if number not in self._teachers:
            self._teachers[number] = self._trained(number, "").match_prior(draw.fields)
        return self._teachers[number](asked.fields)

    def _refit(self, number: int, asked: _Question) -> np.ndarray:
        self._refits[number] += 1
        if self._refits[number] > MOST_REFITS:
            raise ValueError(f"the teacher is trained anew at most {MOST_REFITS} times a draw")
        fields = self._prepared.draw(number).fields
        positive = self._trained(number, asked.prefix).match_prior(fields)(fields)
        return positive[self._order(number, len(fields))]

    def _trained(self, number: int, prefix: str) -> Teacher:
        return trained_teachers(self._prepared, number, self._secret, self._prepared.labelled_rows(number), prefix, True)[0]
