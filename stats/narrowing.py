"""Whether a swarm's ideas have become clearly more alike than they were. Without numpy: the operator asks it."""

from __future__ import annotations

from collections.abc import Sequence

FEWEST = 8
"""Over fewer submissions diversity says little."""
CLEARLY = 0.6
"""Of the highest level that was seen over as many submissions."""


def narrowing(levels: Sequence[dict]) -> str | None:
    """One line when the latest of `levels` ({"code", "predictions", "over"}, oldest first) is clearly below an earlier one in
    both; else None. Told in whole numbers, so that the line changes only where the level does."""
    if not levels or levels[-1]["over"] < FEWEST:
        return None
    last = levels[-1]
    same = [level for level in levels if level["over"] == last["over"]]
    code, answers = (max(level[name] for level in same) for name in ("code", "predictions"))
    if last["code"] >= CLEARLY * code or last["predictions"] >= CLEARLY * answers:
        return None
    return (
        f"the swarm's ideas narrow: its last {last['over']} scored submissions amount to about {last['code']:.0f} different methods by "
        f"their code and {last['predictions']:.0f} by their answers; it has been {code:.0f} and {answers:.0f}"
    )
