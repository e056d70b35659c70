"""What each component of the winner is worth: ablations that stand in the ledger, with the difference in PGR.

Exact paired intervals come from RUN/pairs.json, which `python aar.py report` has the evaluator make; where it is missing, or the
record is public and the run open, the interval is put together from those of the two lifts, and is wider.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections import Counter, defaultdict
from dataclasses import dataclass, replace

from state.files import write_atomic
from state.record import Record
from stats.ablation import KINDS, Difference, difference, steps
from stats.selection import Z, own_noise

MOST_PARTS = 16
PAIRS = "pairs.json"


@dataclass(frozen=True)
class Part:
    """An ablation: what `other` lacks or has, in `words`; `worth`: PGR of the winner less that of the other, with its 95 %
    interval; `exact`: whether that is the paired one, on `draws` that both have."""

    other: str
    kind: str
    words: str
    worth: float
    low: float
    high: float
    exact: bool
    draws: int | None = None


def candidates(record: Record, winner: str) -> list[tuple[str, Difference]]:
    """The submissions that differ from `winner` in one statement, or only lack something; what lacks something comes first. Of several
    with the same code there is one, whose words name the others; other code that the same words fit is numbered."""
    source = record.source(winner)
    mine = steps(source) if source else None
    if mine is None:
        return []
    alike: dict[tuple, list[tuple[str, Difference]]] = defaultdict(list)
    for name, verdict in record.verdicts.items():
        if name == winner or verdict["status"] != "scored" or verdict.get("same_as") or verdict.get("pgr") is None:
            continue
        other = steps(record.source(name) or "")
        apart = difference(mine, other) if other else None
        if apart is not None and (apart.size == 1 or apart.kind == "without"):
            alike[other.fit, frozenset(other.helpers.items())].append((name, apart))
    found = sorted((_one_of(record, same) for same in alike.values()), key=lambda one: (KINDS.index(one[1].kind), one[1].size, one[0]))
    several, seen = Counter(apart.words for _, apart in found), Counter()
    for at, (name, apart) in enumerate(found):
        seen[apart.words] += 1
        if several[apart.words] > 1:
            found[at] = name, replace(apart, words=f"{apart.words} (code {seen[apart.words]} of {several[apart.words]} that do)")
    return found


def _one_of(record: Record, same: list[tuple[str, Difference]]) -> tuple[str, Difference]:
    """Of submissions with the same code the first that was measured on most draws, with the names of the others in its words."""
    name, apart = max(same, key=lambda one: record.verdicts[one[0]].get("draws") or 0)
    others = ", ".join(other for other, _ in same if other != name)
    return name, replace(apart, words=f"{apart.words} (the same code: {others})") if others else apart


def components(record: Record, winner: str) -> list[Part]:
    """The ablations of `winner`, those that lack something first, then by what they are worth."""
    known, best = _pairs(record, winner), record.verdicts[winner]
    parts = []
    for name, apart in candidates(record, winner):
        verdict = record.verdicts[name]
        if name in known:
            pair = known[name]
            parts.append(Part(name, apart.kind, apart.words, pair["difference"], pair["low"], pair["high"], True, pair.get("draws")))
            continue
        mine, theirs = own_noise(best), own_noise(verdict)
        if verdict["rung"] != best["rung"] or best.get("pgr") is None or mine is None or theirs is None:
            continue
        worth, half = best["pgr"] - verdict["pgr"], Z * math.hypot(mine, theirs)
        parts.append(Part(name, apart.kind, apart.words, worth, worth - half, worth + half, False))
    return sorted(parts, key=lambda part: (KINDS.index(part.kind), -part.worth))[:MOST_PARTS]


def keep_pairs(record: Record, winner: str, pairs: list[dict]) -> None:
    """Write what the evaluator found for `components`. Where the folder takes no file, as another user's does not, there is none."""
    with contextlib.suppress(OSError):
        write_atomic(record.paths.root / PAIRS, json.dumps({"winner": winner, "pairs": pairs}), mode=0o600)


def _pairs(record: Record, winner: str) -> dict[str, dict]:
    if record.withheld:
        return {}
    try:
        kept = json.loads((record.paths.root / PAIRS).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # also another user's
        return {}
    pairs = kept.get("pairs", []) if kept.get("winner") == winner else []
    return {pair["submission"]: pair for pair in pairs if pair.get("difference") is not None and pair.get("low") is not None}
