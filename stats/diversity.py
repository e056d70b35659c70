"""How many different ideas a handful of submissions amounts to, by what they do and not by what they are called.

    vendi(similarity)            effective number of distinct ones: 1 where all are the same, n where no two are alike
    code_diversity(profiles)     by code: 3-grams of the syntax tree (stats/similarity.py)
    answer_diversity(answers)    by what they predict

Vendi score: Friedman and Dieng 2023, arXiv 2210.02410. It is exp(entropy) of the eigenvalues of the similarity matrix over n.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stats.similarity import Answers, code_similarity

SCALE = 0.15
"""Share of answers in which two methods differ that makes them alike by 1/e: about what is usual (.12 is the median of 2,145
pairs of a search on `smoke`, .05 to .26 hold nine in ten). Any two methods that work agree in most answers, so that
agreement itself would call all of them the same."""


def vendi(similarity: np.ndarray) -> float:
    """Of a symmetric (n, n) similarity, positive semidefinite with ones on its diagonal: a number from 1 to n."""
    values = np.linalg.eigvalsh(np.asarray(similarity, float) / len(similarity))
    values = values[values > 1e-12]
    return float(np.exp(-(values * np.log(values)).sum()))


def code_diversity(profiles: Sequence[np.ndarray]) -> float:
    """Effective number of distinct codes among n profiles."""
    stacked = np.stack(profiles)
    return vendi(np.stack([code_similarity(one, stacked) for one in stacked]))


def answer_diversity(answers: Sequence[Answers]) -> float:
    """Effective number of distinct predictors among n submissions, on the draws that all of them have."""
    draws = min(one.draws for one in answers)
    packed = np.stack([one.hard[:draws].reshape(-1) for one in answers])  # (n, bytes)
    differ = np.bitwise_count(packed[:, None] ^ packed).sum(axis=2, dtype=np.int64) / (draws * answers[0].items)
    return vendi(np.exp(-differ / SCALE))
