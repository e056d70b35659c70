"""The texts of one draw with what the strong model makes of them, shared by all students of the draw. Only numpy is imported.

A probe never runs the strong model: hidden states come as blocks, one a *view*, made by the trusted side. Texts are recognised
by what they say: those of the pool, those of the batch that is being answered, and both written under the task's prompts.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

Views = tuple[str, ...]
Blocks = Mapping[str, np.ndarray]
SCALE = 8.0  # standardised features are multiplied by SCALE / sqrt(d): norms then do not depend on the width


def objects(values: Sequence[Any]) -> np.ndarray:
    """An array (n,) of Python objects."""
    array = np.empty(len(values), object)
    array[:] = list(values)
    return array


class Pool:
    """The texts of one draw with their features, and what is computed from them once and shared by its students."""

    def __init__(self, texts: Sequence[str], groups: np.ndarray, features: Blocks, default_view: str) -> None:
        self.texts, self.groups, self.features, self.default_view = texts, groups, dict(features), default_view
        self._row = {str(text): i for i, text in enumerate(texts)}
        self._written: dict[str, tuple[Blocks, int]] = {}
        self._in_batch: dict[str, tuple[Blocks, int]] = {}
        self._cache: dict[tuple, Any] = {}

    def remember(self, texts: Sequence[str], blocks: Blocks) -> None:
        """These strings have these blocks for good: pool items written under a prompt."""
        self._written |= {str(text): (blocks, row) for row, text in enumerate(texts)}

    def meet(self, batch: Sequence[tuple[Sequence[str], Blocks]]) -> None:
        """The strings of the batch that is asked about now, plain and under prompts; those of the last one are forgotten."""
        self._in_batch = {str(text): (blocks, row) for texts, blocks in batch for row, text in enumerate(texts)}

    def known(self, texts: Sequence[str], views: Views) -> np.ndarray | None:
        """Hidden states (m, d) float32 of strings from blocks, views side by side; None if one of them has none."""
        found = [self._find(text, views) for text in texts]
        if any(one is None for one in found):
            return None
        return np.stack([np.concatenate([np.asarray(blocks[view][row], np.float32) for view in views]) for blocks, row in found])

    def _find(self, text: str, views: Views) -> tuple[Blocks, int] | None:
        places = [(self.features, self._row[text])] if text in self._row else []
        places += [place for place in (self._written.get(text), self._in_batch.get(text)) if place is not None]
        return next((place for place in places if all(view in place[0] for view in views)), None)

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
