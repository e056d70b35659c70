"""What a method is handed: `fit(w2s)` gets a `W2S`, and what it returns is later asked about `Batch`es.

Everything in here is meant for the method's eyes: the pool's texts, the weak labels and the hidden states of the strong
model. No true label and no test text is. Only numpy is imported.

    from eval.w2s import open_kit
    w2s = open_kit("open/kit")        # the open draw of a prepared task, for a method's own experiments
"""
from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from eval.pool import Blocks, Pool, objects
from eval.student import Student

ZERO_SHOT, CONTRAST = "zero-shot", ("contrast-0", "contrast-1")
Ask = Callable[[dict[str, Any]], np.ndarray]
"""Sends a question about the draw's teacher to the trusted side and waits for its answer."""
MOST_ASKED = 2 << 20
"""Bytes of items in one question; the other side takes messages of twice that."""


@dataclass(frozen=True)
class Item:
    """One item: its `fields`, as the task names them (for example text), and its `group`."""

    fields: Mapping[str, Any]
    group: int


@dataclass(frozen=True)
class Students:
    """How a task's students are made. `models`: size -> folder, only of those that are handed out."""

    kind: str = "probe"
    settings: Mapping[str, Any] = field(default_factory=dict)
    answers: Sequence[str] | None = None
    zero_shot: str | None = None
    contrast: str | None = None
    max_tokens: int = 1024
    models: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, task: Any, kind: str, models: Mapping[str, str]) -> Students:
        """Those of an `eval.task.Task`."""
        settings, prompts = task.finetune.model_dump(), task.prompts
        if prompts is None:
            return cls(kind, settings, max_tokens=task.max_tokens, models=models)
        return cls(kind, settings, prompts.answers, prompts.zero_shot, prompts.contrast, task.max_tokens, models)

    def written(self, fields: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
        """The items under the contrast prompts: name -> strings."""
        if self.contrast is None or self.answers is None:
            return {}
        return {name: [self.contrast.format(**row, answer=answer) for row in fields] for name, answer in zip(CONTRAST, self.answers)}


def _items(fields: Sequence[Mapping[str, Any]], groups: np.ndarray | None) -> np.ndarray:
    groups = np.full(len(fields), -1) if groups is None else groups
    return objects([Item(dict(f), int(g)) for f, g in zip(fields, groups, strict=True)])


class Batch:
    """Test items of which a method is asked: `texts` (m,), `items` (m,), and `groups` (m,) or None where the method
    did not say NEEDS_GROUPS. Hand it to a student's `predict_proba`, `embed` or `zero_shot`."""

    def __init__(self, texts: Sequence[str], fields: Sequence[Mapping[str, Any]], groups: np.ndarray | None,
                 features: Blocks, prompted: Mapping[str, Blocks] | None = None) -> None:
        self.texts, self.groups = objects(texts), groups
        self.items = _items(fields, groups)
        self.features, self.prompted = dict(features), dict(prompted or {})

    def __len__(self) -> int:
        return len(self.texts)


class Budget:
    """What is left of the time for one draw, and how many student fits were used."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.fits, self._started = seconds, 0, time.monotonic()

    @property
    def seconds_left(self) -> float:
        return max(0.0, self.seconds - (time.monotonic() - self._started))


class Teacher:
    """The weak teacher of this draw, which answers from the other side of the wall and is metered there."""

    def __init__(self, ask: Ask | None) -> None:
        self._ask = ask

    def label(self, source: Sequence[Item] | Sequence[str]) -> np.ndarray:
        """Its soft labels (m, 2) of items, or of texts where the task's items are one text. ValueError where that was asked
        too often, or where nobody is there to answer (open kit)."""
        fields = [dict(one.fields) if isinstance(one, Item) else {"text": str(one)} for one in source]
        return np.concatenate([self._asked({"ask": "label", "fields": some}) for some in _chunks(fields)])

    def refit(self, prefix: str) -> np.ndarray:
        """Soft labels (n, 2) of the pool by a teacher that was trained anew, on the same labelled items, with `prefix` before
        every text that it reads. At most three times a draw."""
        return self._asked({"ask": "refit", "prefix": str(prefix)})

    def _asked(self, question: dict[str, Any]) -> np.ndarray:
        if self._ask is None:
            raise ValueError("the teacher cannot be asked here: only while a submission is being fitted")
        return self._ask(question)


def _chunks(fields: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """The items in their order, as many at a time as one message holds. ValueError for one that none holds."""
    some: list[dict[str, Any]] = []
    room = MOST_ASKED
    for position, one in enumerate(fields):
        size = len(json.dumps(one)) + 2
        if size > MOST_ASKED:
            raise ValueError(f"item {position} has {size:,} bytes: the teacher is asked about items of at most {MOST_ASKED:,}")
        if size > room:
            yield some
            some, room = [], MOST_ASKED
        some.append(one)
        room -= size
    yield some


class W2S:
    """One draw, shuffled and anonymous.

    `texts` (n,) rendered strings; `items` (n,) with `.fields` and `.group`; `groups` (n,) ints; `teachers` (T, n, 2)
    soft labels, column 1 the chance of the positive class; `weak` (n, 2) is teachers[0]; `teacher` answers questions; `views`
    the names of the feature views, the task's own first; `answers` how the strong model writes the two classes (None where
    the task has no prompts); `losses` the ready ones; `rng` a numpy generator; `budget`; `log(name, value)`; `student(...)`.
    """

    def __init__(self, texts: Sequence[str], fields: Sequence[Mapping[str, Any]], groups: np.ndarray, teachers: np.ndarray,
                 features: Blocks, default_view: str, seed: int, seconds: float, template: str = "{text}",
                 students: Students | None = None, prompted: Mapping[str, Blocks] | None = None, ask: Ask | None = None,
                 languages: Mapping[str, Any] | None = None) -> None:
        self.texts, self.groups = objects(texts), np.asarray(groups, np.int64)
        self.items = _items(fields, self.groups)
        self.teachers = np.asarray(teachers, np.float32)
        self.weak, self.teacher = self.teachers[0], Teacher(ask)
        self.views = [default_view] + [view for view in features if view != default_view]
        self.budget = Budget(seconds)
        self.logged: dict[str, float] = {}
        self.rng = np.random.default_rng([seed, 0])
        self._template, self._seed, self._made = template, seed, 0
        self._students = students or Students()
        self.answers = None if self._students.answers is None else tuple(self._students.answers)
        self._languages = dict(languages or {})
        self._pool = Pool(self.texts, self.groups, features, default_view)
        self._prompted = dict(prompted or {})
        for name, strings in self._students.written(fields).items():
            if name in self._prompted:
                self._pool.remember(strings, self._prompted[name])

    def student(self, size: str = "strong", init: Mapping[str, Any] | None = None, **options: Any) -> Student:
        """A fresh student; `options` and `init` as `Student` or, on a task that fine-tunes, `FineTuned` says. Each has its own
        seed, derived from the draw's. `size`: "strong", or "weak" where the weak model is a language model too."""
        self._made += 1
        seed = int(np.random.SeedSequence([self._seed, self._made]).generate_state(1)[0])
        chosen = {"seed": seed, **options}
        if self._students.kind == "finetune":
            from eval.finetune import FineTuned
            return FineTuned(self._language(size), self.texts, self.groups, self._students.settings, self.answers, init=init,
                             on_fit=self._count_fit, prompts=self._asked_texts, **chosen)
        if size != "strong":
            raise ValueError(f"size={size!r}: this task has one student, 'strong'")
        return Student(self._pool, **chosen, init=init, on_fit=self._count_fit, asked=self)

    def render(self, items: Sequence[Item], template: str | None = None, answer: str | None = None) -> np.ndarray:
        """The items as strings (m,), by a `str.format` template over their fields and, where given, `answer`. With an answer
        and no template the task's contrast prompt is used."""
        if template is None:
            template = self._template if answer is None else self._students.contrast
        if template is None:
            raise ValueError("this task has no contrast prompt: pass a template with {answer} in it")
        return objects([template.format(**item.fields, **({} if answer is None else {"answer": answer}))
                         for item in items])

    def log(self, name: str, value: float) -> None:
        """Note a number about the fit; the last value under a name is shown beside the verdict."""
        self.logged[str(name)] = float(value)

    @property
    def losses(self) -> Any:
        """The module eval/losses.py: `w2s.losses.gce(q=0.7)` is a loss for `fit(loss=...)`."""
        import eval.losses
        return eval.losses

    def meet(self, batch: Batch) -> None:
        """Called by the runner before a batch is answered: its texts, written under the prompts too, have known features."""
        fields = [item.fields for item in batch.items]
        written = self._students.written(fields)
        self._pool.meet([(batch.texts, batch.features)] + [(written[name], batch.prompted[name]) for name in written
                                                            if name in batch.prompted])

    @property
    def has_language(self) -> bool:
        return "strong" in self._students.models

    def _language(self, size: str = "strong") -> Any:
        """The language model of this size, loaded when it is first needed. ValueError where it was not handed out. For students only:
        what a method asks of the model itself goes by names that the scan knows."""
        if size not in self._languages:
            if size not in self._students.models:
                known = ", ".join(self._students.models)
                raise ValueError(f"size={size!r}: there is {known}" if known else
                                 "the strong model itself is not handed to this file: a file that plainly names zero_shot, generate, "
                                 "answers, model or tokenizer gets it, on the elicitation track")
            from eval.language import LanguageModel
            self._languages[size] = LanguageModel(Path(self._students.models[size]), max_tokens=self._students.max_tokens)
        return self._languages[size]

    def zero_shot(self, source: Any) -> np.ndarray:
        """What the untrained strong model answers (m, 2): chances of class 0 and 1, of a batch, of pool texts, or of prompts of
        one's own. ValueError where the task has no prompts."""
        if self.answers is None:
            raise ValueError("this task has no prompts: the strong model cannot be asked")
        logits = self._known_answers(source)
        if logits is None:
            logits = self._language().answer_logits(self._asked_texts(source), self.answers)
        odds = 1 / (1 + np.exp(-(np.asarray(logits[:, 1], np.float32) - np.asarray(logits[:, 0], np.float32)).clip(-30, 30)))
        return np.stack([1 - odds, odds], axis=1)

    def _known_answers(self, source: Any) -> np.ndarray | None:
        if hasattr(source, "prompted"):
            return source.prompted[ZERO_SHOT]["answers"] if ZERO_SHOT in source.prompted else None
        if ZERO_SHOT not in self._prompted:
            return None
        try:
            return self._prompted[ZERO_SHOT]["answers"][self._pool.rows(source)]
        except ValueError:
            return None

    def _asked_texts(self, source: Any) -> list[str]:
        """The strings to ask about: items of the task under its zero-shot prompt, other strings as they are."""
        if hasattr(source, "items") and hasattr(source, "texts"):
            return [self._students.zero_shot.format(**item.fields) for item in source.items]
        try:
            return [self._students.zero_shot.format(**self.items[row].fields) for row in self._pool.rows(source)]
        except ValueError:
            return [str(text) for text in source]

    def _count_fit(self) -> None:
        self.budget.fits += 1


def open_kit(folder: str | Path, seed: int = 0) -> W2S:
    """The draw of a task's open kit: texts, groups, weak labels and features, as in any other draw. Where the kit is that of
    a practice task, `labels.npy` and `test/` beside it hold true labels."""
    folder = Path(folder)
    about = json.loads((folder / "kit.json").read_text(encoding="utf-8"))
    rows = read_items(folder)
    teachers = np.load(folder / "teachers.npy")
    features = {view: np.load(folder / file, mmap_mode="r") for view, file in about["features"].items()}
    if "AAR_MODELS" in os.environ:  # in a job the strong model is there too
        about["students"]["models"] = {"strong": f"{os.environ['AAR_MODELS']}/strong"}
    return W2S([row["text"] for row in rows], [row["fields"] for row in rows], np.load(folder / "groups.npy"), teachers, features,
               about["default_view"], seed, about["fit_seconds"], about["template"], Students(**about["students"]))


def practice_test(folder: str | Path) -> tuple[Batch, np.ndarray]:
    """The test items of a practice kit as one batch, and their true labels (m,)."""
    folder = Path(folder)
    about, test = json.loads((folder / "kit.json").read_text(encoding="utf-8")), folder / "test"
    rows = read_items(test)
    features = {view: np.load(test / file, mmap_mode="r") for view, file in about["features"].items()}
    return Batch([row["text"] for row in rows], [row["fields"] for row in rows], None, features), np.load(test / "labels.npy")


def read_items(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "items.jsonl").read_text(encoding="utf-8").splitlines()]
