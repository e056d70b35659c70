"""What a method is handed: `fit(w2s)` gets a `W2S`, and what it returns is later asked about `Batch`es.

Everything in here is meant for the method's eyes: the pool's texts, the weak labels and the hidden states of the strong
model. No true label and no test text is. Only numpy is imported.

    from eval.w2s import open_kit
    w2s = open_kit("open/kit")        # the open draw of a prepared task, for a method's own experiments
"""
from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eval.student import Student

Views = tuple[str, ...]
SCALE = 8.0  # standardised features are multiplied by SCALE / sqrt(d): norms then do not depend on the width


@dataclass(frozen=True)
class Item:
    """One item: its `fields`, as the task names them (for example text), and its `group`."""

    fields: Mapping[str, Any]
    group: int


def _objects(values: Sequence[Any]) -> np.ndarray:
    array = np.empty(len(values), object)
    array[:] = list(values)
    return array


def _items(fields: Sequence[Mapping[str, Any]], groups: np.ndarray | None) -> np.ndarray:
    groups = np.full(len(fields), -1) if groups is None else groups
    return _objects([Item(dict(f), int(g)) for f, g in zip(fields, groups, strict=True)])


class Batch:
    """Test items of which a method is asked: `texts` (m,), `items` (m,), and `groups` (m,) or None where the method
    did not say NEEDS_GROUPS. Hand it to a student's `predict_proba` or `embed`."""

    def __init__(self, texts: Sequence[str], fields: Sequence[Mapping[str, Any]], groups: np.ndarray | None,
                 features: Mapping[str, np.ndarray]) -> None:
        self.texts, self.groups = _objects(texts), groups
        self.items = _items(fields, groups)
        self.features = dict(features)

    def __len__(self) -> int:
        return len(self.texts)


class Budget:
    """What is left of the time for one draw, and how many student fits were used."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.fits, self._started = seconds, 0, time.monotonic()

    @property
    def seconds_left(self) -> float:
        return max(0.0, self.seconds - (time.monotonic() - self._started))


class Pool:
    """The texts of one draw with their features, and what is computed from them once and shared by its students."""

    def __init__(self, texts: Sequence[str], groups: np.ndarray, features: Mapping[str, np.ndarray],
                 default_view: str) -> None:
        self.texts, self.groups, self.features, self.default_view = texts, groups, dict(features), default_view
        self._row = {str(text): i for i, text in enumerate(texts)}
        self._cache: dict[tuple, Any] = {}

    def views(self, view: str | Sequence[str] | None) -> Views:
        names = (self.default_view,) if view is None else (view,) if isinstance(view, str) else tuple(view)
        for name in names:
            if name not in self.features:
                raise ValueError(f"no feature view {name!r}: this task has {', '.join(self.features)}")
        if not names:
            raise ValueError("view is an empty list: name at least one feature view")
        return names

    def rows(self, texts: Sequence[str]) -> np.ndarray:
        """Positions (m,) of these texts in the pool; ValueError for a text that is not in it."""
        if isinstance(texts, str):
            raise ValueError("texts is one string: pass an array of texts of the pool")
        try:
            return np.fromiter((self._row[text] for text in texts), np.int64, len(texts))
        except (KeyError, TypeError):
            raise ValueError("a text is not in the pool: a probe student has features for w2s.texts and for batches "
                             "only") from None

    def raw(self, source: Any, views: Views) -> np.ndarray:
        """Hidden states (m, d) float32 of a batch or of pool texts, views side by side."""
        blocks = getattr(source, "features", None)
        if blocks is None:
            rows = self.rows(source)
            return np.concatenate([np.asarray(self.features[v][rows], np.float32) for v in views], axis=1)
        return np.concatenate([np.asarray(blocks[v], np.float32) for v in views], axis=1)

    def inputs(self, source: Any, views: Views, components: int | None) -> np.ndarray:
        """What a head sees (m, d or components), float32: standardised on the pool, maybe projected on its axes."""
        if hasattr(source, "features"):
            x = self._standardise(self.raw(source, views), views)
            return x if components is None else x @ self._axes(views)[:, :components]
        x = self._once(("inputs", views, components), lambda: self._pool_inputs(views, components))
        return x[self.rows(source)]

    def width(self, views: Views) -> int:
        return sum(self.features[v].shape[1] for v in views)

    def _once(self, key: tuple, make: Callable[[], Any]) -> Any:
        if key not in self._cache:
            self._cache[key] = make()
        return self._cache[key]

    def _pool_inputs(self, views: Views, components: int | None) -> np.ndarray:
        if components is not None:
            return self._pool_inputs(views, None) @ self._axes(views)[:, :components]
        return self._once(("inputs", views, None), lambda: self._standardise(self.raw(self.texts, views), views))

    def _standardise(self, x: np.ndarray, views: Views) -> np.ndarray:
        mean, deviation = self._once(("moments", views), lambda: self._moments(views))
        return (x - mean) / deviation * np.float32(SCALE / np.sqrt(x.shape[1]))

    def _moments(self, views: Views) -> tuple[np.ndarray, np.ndarray]:
        x = self.raw(self.texts, views)
        return x.mean(0), x.std(0) + np.float32(1e-6)

    def _axes(self, views: Views) -> np.ndarray:
        """Principal axes of the pool, one a column, the longest first."""
        def axes() -> np.ndarray:
            x = self._pool_inputs(views, None)
            return np.ascontiguousarray(np.linalg.eigh(x.T @ x)[1][:, ::-1], np.float32)
        return self._once(("axes", views), axes)

class W2S:
    """One draw, shuffled and anonymous.

    `texts` (n,) rendered strings; `items` (n,) with `.fields` and `.group`; `groups` (n,) ints; `teachers` (T, n, 2)
    soft labels, column 1 the chance of the positive class; `weak` (n, 2) is teachers[0]; `views` the names of the
    feature views, the task's own first; `rng` a numpy generator; `budget`; `log(name, value)`; `student(...)`.
    """

    def __init__(self, texts: Sequence[str], fields: Sequence[Mapping[str, Any]], groups: np.ndarray, weak: np.ndarray,
                 teachers: np.ndarray, features: Mapping[str, np.ndarray], default_view: str, seed: int,
                 seconds: float, template: str = "{text}") -> None:
        self.texts, self.groups = _objects(texts), np.asarray(groups, np.int64)
        self.items = _items(fields, self.groups)
        self.weak, self.teachers = np.asarray(weak, np.float32), np.asarray(teachers, np.float32)
        self.views = [default_view] + [view for view in features if view != default_view]
        self.budget = Budget(seconds)
        self.logged: dict[str, float] = {}
        self.rng = np.random.default_rng([seed, 0])
        self._template, self._seed, self._students = template, seed, 0
        self._pool = Pool(self.texts, self.groups, features, default_view)

    def student(self, size: str = "strong", init: Mapping[str, Any] | None = None, **options: Any) -> Student:
        """A fresh student; `options` and `init` as `Student` says. Each has its own seed, derived from the draw's."""
        if size != "strong":
            raise ValueError(f"size={size!r}: this task has one student, 'strong'")
        self._students += 1
        seed = int(np.random.SeedSequence([self._seed, self._students]).generate_state(1)[0])
        return Student(self._pool, **{"seed": seed, **options}, init=init, on_fit=self._count_fit)

    def render(self, items: Sequence[Item], template: str | None = None, answer: str | None = None) -> np.ndarray:
        """The items as strings (m,), by a `str.format` template over their fields and, where given, `answer`."""
        template = self._template if template is None else template
        return _objects([template.format(**item.fields, **({} if answer is None else {"answer": answer}))
                         for item in items])

    def log(self, name: str, value: float) -> None:
        """Note a number about the fit; the last value under a name is shown beside the verdict."""
        self.logged[str(name)] = float(value)

    def _count_fit(self) -> None:
        self.budget.fits += 1


def open_kit(folder: str | Path, seed: int = 0) -> W2S:
    """The draw of a task's open kit: texts, groups, weak labels and features, as in any other draw."""
    folder = Path(folder)
    about = json.loads((folder / "kit.json").read_text(encoding="utf-8"))
    rows = [json.loads(line) for line in (folder / "items.jsonl").read_text(encoding="utf-8").splitlines()]
    teachers = np.load(folder / "teachers.npy")
    return W2S([row["text"] for row in rows], [row["fields"] for row in rows], np.load(folder / "groups.npy"),
               teachers[0], teachers, {view: np.load(folder / file, mmap_mode="r")
                                       for view, file in about["features"].items()},
               about["default_view"], seed, about["fit_seconds"], about["template"])
