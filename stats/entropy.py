"""How many families of methods a stretch of a run amounts to, by the names that authors gave them. No numpy: pages load it.

    effective(counts)                 exp(entropy): 1 where all is one family, k where k families have equal shares
    family_diversity(names, window)   the same for the last `window` names, after each of them

exp(entropy) is the Hill number of order 1 (Hill 1973, doi 10.2307/1934352). The Vendi score of stats/diversity.py is the same of a
similarity matrix; this is it where methods of one family are all alike and others have nothing in common.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable, Sequence


def effective(counts: Iterable[int]) -> float:
    """Effective number of kinds among things counted by kind; 0 of none."""
    counts = [count for count in counts if count > 0]
    total = sum(counts)
    return math.exp(-sum(count / total * math.log(count / total) for count in counts)) if total else 0.0


def family_diversity(families: Sequence[str], window: int) -> list[float]:
    """For each of `families`, the effective number of them among the last `window` up to it. ValueError for a window below 1."""
    if window < 1:
        raise ValueError(f"a window of {window} holds nothing")
    counts: Counter[str] = Counter()
    within: deque[str] = deque()
    found = []
    for family in families:
        within.append(family)
        counts[family] += 1
        if len(within) > window:
            gone = within.popleft()
            counts[gone] -= 1
            if not counts[gone]:
                del counts[gone]
        found.append(effective(counts.values()))
    return found
