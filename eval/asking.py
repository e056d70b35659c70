"""What a method may ask its teacher while it fits, answered on this side of the wall: soft labels go out, nothing else.

Metered, so that a teacher cannot be probed without end: a draw may have some times its pool's size labelled, and may have its
teacher trained anew three times with another prefix before the texts. Whatever goes wrong with a question is told to who asked,
in words that hold no label; the evaluator goes on.
"""
from __future__ import annotations

import gc
import sys
import weakref
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from eval.draws import trained_teachers
from eval.prepared import Draw, Prepared
from eval.shuffle import ShuffledTeacher
from eval.teacher import Teacher

MOST_BYTES = 4 << 20
"""Of one message from a method sandbox that is fitting."""
MOST_LABELS = 4
"""How many times its pool's size a draw may have labelled."""
MOST_REFITS = 3
MOST_PREFIX = 2000
"""Characters of a prefix."""


class _Question(BaseModel):
    model_config = ConfigDict(extra="forbid")
    ask: str
    number: int = Field(ge=0)
    fields: list[dict[str, str]] = []
    prefix: str = ""


class _Refused(Exception):
    """Why a question is not answered, in words for who asked it."""


class Questions:
    """The questions of one submission. `order(number, count)`: in which order it sees the pool of a draw. `shuffle(draw)`: whose
    labels the items of its pool get, (n,) positions, where teachers are shuffled."""

    def __init__(self, prepared: Prepared, order: Callable[[int, int], np.ndarray], refuse: bool = False,
                 shuffle: Callable[[Draw], np.ndarray] | None = None) -> None:
        self._prepared, self._order, self._refuse, self._shuffle = prepared, order, refuse, shuffle
        self._secret = prepared.folder.secret.read_bytes()
        self._labelled, self._refits = Counter(), Counter()
        self._teachers: dict[int, Callable] = {}
        self._draws: dict[int, Draw] = {}
        weakref.finalize(self, _release, self._teachers)

    def answer(self, question: Any, draws: Sequence[int]) -> tuple[dict, dict[str, np.ndarray]]:
        """Header and arrays of the reply: `labels` (m, 2), or "refused" with the reason."""
        try:
            asked = _Question.model_validate(question)
            number = draws[asked.number]
            answer = {"label": self._label, "refit": self._refit}[asked.ask]
        except (ValidationError, IndexError, KeyError):
            return {"refused": "that is no question for a teacher"}, {}
        try:
            if self._refuse:
                raise _Refused("the teacher cannot be asked while the ceiling by this recipe is made")
            positive = answer(number, asked)
        except _Refused as refusal:
            return {"refused": str(refusal)}, {}
        except Exception as error:  # a question must not end the evaluator; the error's own words could hold labels or paths
            refused = f"the teacher could not be trained or asked here ({type(error).__name__}{_hint(error)})"
        else:
            return {}, {"labels": np.stack([1 - positive, positive], 1).astype(np.float32)}
        _release(self._teachers)  # only now: the error held what was being trained
        return {"refused": refused}, {}

    def _draw(self, number: int) -> Draw:
        if number not in self._draws:
            self._draws[number] = self._prepared.draw(number, features=False)
        return self._draws[number]

    def _label(self, number: int, asked: _Question) -> np.ndarray:
        draw = self._draw(number)
        self._labelled[number] += len(asked.fields)
        if self._labelled[number] > MOST_LABELS * len(draw.texts):
            raise _Refused(f"the teacher labels at most {MOST_LABELS * len(draw.texts)} items a draw")
        if not asked.fields:
            raise _Refused("there is nothing to label")
        needed = set(draw.fields[0])
        if any(set(fields) != needed for fields in asked.fields):
            raise _Refused(f"the teacher reads items with {', '.join(sorted(needed))}: pass items of the task")
        if number not in self._teachers:
            self._teachers[number] = (self._trained(number, "").match_prior(draw.fields) if self._shuffle is None
                                      else ShuffledTeacher(draw.fields, draw.weak[:, 1], self._shuffle(draw)))
        return self._teachers[number](asked.fields)

    def _refit(self, number: int, asked: _Question) -> np.ndarray:
        if len(asked.prefix) > MOST_PREFIX:
            raise _Refused(f"a prefix has at most {MOST_PREFIX} characters, not {len(asked.prefix):,}")
        self._refits[number] += 1
        if self._refits[number] > MOST_REFITS:
            raise _Refused(f"the teacher is trained anew at most {MOST_REFITS} times a draw")
        draw, teacher = self._draw(number), {number: self._trained(number, asked.prefix)}
        positive = teacher[number].match_prior(draw.fields)(draw.fields)
        _release(teacher)
        if self._shuffle is not None:
            positive = positive[self._shuffle(draw)]
        return positive[self._order(number, len(draw.fields))]

    def _trained(self, number: int, prefix: str) -> Teacher:
        return trained_teachers(self._prepared, number, self._secret, self._prepared.labelled_rows(number), prefix, True)[0]


def _release(teachers: dict[int, Callable]) -> None:
    """Let go of teachers, and of the memory that a fine-tuned one holds, on a GPU too."""
    teachers.clear()
    if torch := sys.modules.get("torch"):
        gc.collect()
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()


def _hint(error: Exception) -> str:
    return ": there is not enough memory for it" if isinstance(error, MemoryError) or "OutOfMemory" in type(error).__name__ else ""
