"""Weak teachers: small models of which words occur, trained on few true labels.

Their cut is moved so that as much of the pool comes out positive as of the labelled sample: knowledge that the labelled
items give, and without which a teacher from one draw would differ from the next mainly in its bias. scikit-learn is imported
late, since only a preparation needs it.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np


class Teacher:
    """A fitted teacher; call it with texts to get the chance (m,) of the positive class."""

    def __init__(self, kind: Literal["forest", "logistic"], texts: Sequence[str], labels: np.ndarray, seed: int) -> None:
        from sklearn.ensemble import RandomForestClassifier
        from sklearn.feature_extraction.text import CountVectorizer
        from sklearn.linear_model import LogisticRegression
        if kind == "forest":
            self._words = CountVectorizer(binary=True, min_df=2)
            self._model = RandomForestClassifier(n_estimators=60, max_depth=4, random_state=seed % 2**32)
        else:
            self._words = CountVectorizer(binary=True)
            self._model = LogisticRegression(max_iter=300)
        self._model.fit(self._words.fit_transform(texts), labels)
        self._rate, self._cut = float(np.mean(labels)), 0.0

    def match_prior(self, pool: Sequence[str]) -> Teacher:
        """Move the cut so that the positive rate on `pool` is that of the labelled sample; returns self."""
        self._cut = 0.0
        self._cut = float(np.quantile(self._logits(pool), 1 - self._rate))
        return self

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        return 1 / (1 + np.exp(-self._logits(texts)))

    def _logits(self, texts: Sequence[str]) -> np.ndarray:
        positive = self._model.predict_proba(self._words.transform(texts))[:, 1].clip(1e-4, 1 - 1e-4)
        return np.log(positive / (1 - positive)) - self._cut
