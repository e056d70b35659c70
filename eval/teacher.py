"""Weak teachers, trained on few true labels: small models of which words occur, or a fine-tuned language model.

Their cut is moved so that as much of the pool comes out positive as of the labelled sample: knowledge that the labelled
items give, and without which a teacher from one draw would differ from the next mainly in its bias. scikit-learn and torch are
imported late, since only preparation and teachers that answer questions need them.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from eval.task import Task, TeacherSpec

Fields = Sequence[Mapping[str, str]]


class Teacher:
    """A fitted teacher; call it with the fields of items to get the chance (m,) of the positive class."""

    def __init__(self, logits: Callable[[Fields], np.ndarray], rate: float) -> None:
        self._raw, self._rate, self._cut = logits, rate, 0.0

    def match_prior(self, pool: Fields) -> Teacher:
        """Move the cut so that the positive rate on `pool` is that of the labelled sample; returns self."""
        self._cut = float(np.quantile(self._raw(pool), 1 - self._rate))
        return self

    def __call__(self, fields: Fields) -> np.ndarray:
        return 1 / (1 + np.exp(-(self._raw(fields) - self._cut)))


def train_teacher(task: Task, spec: TeacherSpec, fields: Fields, labels: np.ndarray, seed: int, prefix: str = "",
                  model_folder: Path | None = None) -> Teacher:
    """A teacher of kind `spec` trained on items and their true `labels` (m,). It reads every text with `prefix` before it.
    `model_folder`: of the language model that is fine-tuned."""
    train = _train_language_model if spec.kind == "finetune" else _train_words
    return Teacher(train(task, spec, fields, labels, seed, prefix, model_folder), float(np.mean(labels)))


def _train_words(task: Task, spec: TeacherSpec, fields: Fields, labels: np.ndarray, seed: int, prefix: str,
                 model_folder: Path | None) -> Callable[[Fields], np.ndarray]:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    words = CountVectorizer(binary=True, min_df=2 if spec.kind == "forest" else 1)
    model: Any = LogisticRegression(max_iter=300)
    if spec.kind == "forest":
        model = RandomForestClassifier(n_estimators=spec.trees, max_depth=spec.depth, random_state=seed % 2**32)

    if "first" in fields[0]:  # of two answers, which words only the second one has, and which only the first
        words.fit([prefix + row[side] for row in fields for side in ("first", "second")])

        def inputs(rows: Fields):
            return words.transform([prefix + row["second"] for row in rows]) - words.transform([prefix + row["first"] for row in rows])
    else:
        words.fit([prefix + task.template.format(**row) for row in fields])

        def inputs(rows: Fields):
            return words.transform([prefix + task.template.format(**row) for row in rows])

    model.fit(inputs(fields), labels)

    def logits(rows: Fields) -> np.ndarray:
        positive = model.predict_proba(inputs(rows))[:, 1].clip(1e-4, 1 - 1e-4)
        return np.log(positive / (1 - positive))

    return logits


def _train_language_model(task: Task, spec: TeacherSpec, fields: Fields, labels: np.ndarray, seed: int, prefix: str,
                          model_folder: Path | None) -> Callable[[Fields], np.ndarray]:
    from eval.finetune import FineTuned
    from eval.language import LanguageModel
    settings = spec.finetune
    language = LanguageModel(model_folder, max_tokens=settings.max_tokens)

    def texts(rows: Fields) -> list[str]:
        return [prefix + task.template.format(**row) for row in rows]

    train = texts(fields)
    answers = None if task.prompts is None else task.prompts.answers
    student = FineTuned(language, train, None, settings.model_dump(), answers, seed=seed)
    student.fit(train, labels)
    return lambda rows: student.logits(texts(rows))

