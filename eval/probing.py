"""Finds submissions that probe the scorer: near-duplicates of earlier ones, and flips of answers that no method would make.

To learn test labels from scores one submits a base again and again with other answers turned over, chosen by a hash of the
text, and keeps those that score better (Blum and Hardt 2015, arXiv 1502.04585). What comes of it differs from its base in
answers that are near the boundary and in answers that are not, alike; a change of a method moves those near the boundary.

    far         of the answers that differ, the share of which one of the two submissions was surer than of half its answers
    elsewhere   where the two answer alike, the share of answers of which both are that sure, or neither
    repeated    in what share of the draws an item differs that differs in one

Flips by a hash have `far` at 50 % or above, and leave all else as it was: `elsewhere` above 97 %. Between the methods of
methods/, and between recipes of the search researcher with changed constants, `far` reaches 18 % where at most NEAR of all
answers differ; where more differ, `elsewhere` reaches 84 % (6,330 pairs, on smoke, reviews and snippets: none is flagged).
So two submissions are held to differ by flips if at most NEAR of their answers differ or `elsewhere` reaches COPIED, and
`far` lies above MOST_FAR with 99 % confidence, counting items, not cells: an item flipped in eight draws is one piece of
evidence. Where flips are few, all earlier ones of the same code count together. Or if they differ in the same items in every
draw, though their answers vary: `repeated` is 100 % for a hash of the text and reaches 54 % between honest ones; it needs no
sureties.

Of near-duplicates agents are told no figures of their own (`agent_view` in state/ledger.py), so that nothing is learned from
flips near the boundary either, where a method may well have changed its mind, as long as they come from the same code.

Not found: flips near the boundary from code that is disguised anew each time, and flips of more than NEAR of all answers that are others in every
draw and hide what the method is sure of. What is left against these: the submissions that a run allows, and the sealed part.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from stats.diversity import answer_diversity, code_diversity
from stats.rejections import wilson
from stats.similarity import Answers, Flips, answers, code_similarity, flips, profile

SAME_CODE = 0.9
"""Similarity of code from which two files are the same but for constants and names."""
SAME_ANSWERS = 0.002
"""Share of answers that may differ between near-duplicates: fewer than a changed constant changes, unless it does
nothing."""
UNTOUCHED = 0.5
"""Or they are an agent's own and the same but for the answers that one turns over: honest changes alter the sureties of about
as many answers (.94 times or more, in all pairs) as they turn over, mere flips of nearly none."""
NEAR = 0.12
MOST_FAR = 0.30
ONE_SIDED_99 = 2.326
WITNESSES = 2
"""An agent's own earlier submission is enough to show that it flips answers; of others' it takes so many, or whoever submits
flips of a method first would have the method itself flagged."""
COPIED = 0.92
"""Submissions as alike as this in what they are sure of, where they answer alike, come from the same base."""
REPEATED, VARIED, FEWEST, DRAWS = 0.85, 0.1, 20, 3
"""Flips of at least FEWEST items that recur in so many of at least DRAWS draws, of answers that else vary from draw to
draw."""
STAND_IN = 0.3
"""A submission without sureties of its own borrows those of the nearest that has some, if no more of their answers
differ."""


LATEST = 12
"""Submissions over which the diversity of ideas is told."""


@dataclass(frozen=True)
class _Known:
    submission: str
    agent: str
    profile: np.ndarray
    answers: Answers
    flagged: bool
    copy: bool


class Register:
    """What a run's submissions looked like: some kilobytes each. One thread at a time may use it."""

    def __init__(self) -> None:
        self._known: list[_Known] = []
        self._names: set[str] = set()

    def __len__(self) -> int:
        return len(self._known)

    def __contains__(self, submission: str) -> bool:
        return submission in self._names

    def add(self, submission: str, agent: str, source: str, predictions: np.ndarray, flags: Collection[str] = ()) -> None:
        """Remember a scored submission: its code, (draws, items, 2) predictions, and the flags that it got. A method that is
        itself flagged for its flips bears witness against its own agent only."""
        looks = self._with_sureties(answers(predictions))
        self._names.add(submission)
        flagged, copy = "label-flips" in flags, "near-duplicate" in flags
        self._known.append(_Known(submission, agent, profile(source), looks, flagged, copy))

    def diversity(self) -> dict:
        """How many different ideas the latest submissions amount to: by `code`, by `predictions`, and `over` how many."""
        latest = self._known[-LATEST:]
        code, answered = code_diversity([one.profile for one in latest]), answer_diversity([one.answers for one in latest])
        return {"code": round(code, 2), "predictions": round(answered, 2), "over": len(latest)}

    def examine(self, agent: str, source: str, predictions: np.ndarray) -> list[tuple[str, str]]:
        """(flag, reason) of a submission that is not in the register yet; [] where nothing is to be said."""
        if not self._known:
            return []
        mine = self._with_sureties(answers(predictions))
        similar = code_similarity(profile(source), np.stack([known.profile for known in self._known]))
        found, near, evidence = [], [], []
        for draws in sorted({known.answers.draws for known in self._known}):
            at = [i for i, known in enumerate(self._known) if known.answers.draws == draws]
            seen = flips(mine, [self._known[i].answers for i in at])
            for row, i in enumerate(at):
                known, share = self._known[i], float(seen.share[row])
                sure = mine.own and known.answers.own
                only_turned = agent == known.agent and sure and _only_turned(seen, row)
                if similar[i] >= SAME_CODE and (share <= SAME_ANSWERS or only_turned):
                    near.append((known.copy, share, known.submission))
                if not seen.cells[row]:
                    continue
                alike = float(seen.elsewhere[row]) if sure else 0.0
                enough = min(draws, mine.draws) >= DRAWS and seen.varied[row] >= VARIED
                in_all = bool(enough and seen.repeated[row] >= REPEATED)
                if share <= NEAR or alike >= COPIED or in_all:
                    same, cells, far = bool(similar[i] >= SAME_CODE), int(seen.cells[row]), int(seen.far[row])
                    evidence.append(_Evidence(known, same, share, cells, far, seen.items[row], in_all))
        if near:
            _, share, name = min(near)
            words = f"the code of {name} but for names and constants, and {1 - share:.2%} of its answers; its figures stand for this"
            found.append(("near-duplicate", words))
        if reason := _flipped(agent, evidence):
            found.append(("label-flips", reason))
        return found

    def _with_sureties(self, mine: Answers) -> Answers:
        if mine.own:
            return mine
        honest = [known.answers for known in self._known if known.answers.own and not known.flagged]
        honest = [other for other in honest if other.draws >= mine.draws]
        if not honest:
            return mine
        cells = mine.draws * mine.items
        differ = [np.bitwise_count(other.hard[: mine.draws] ^ mine.hard).sum() / cells for other in honest]
        nearest = int(np.argmin(differ))
        return replace(mine, far=honest[nearest].far[: mine.draws]) if differ[nearest] <= STAND_IN else mine


def _only_turned(seen: Flips, row: int) -> bool:
    """Whether a submission leaves all as it was but for the answers that it turns over."""
    return bool(np.bitwise_count(seen.items[row]).sum() >= FEWEST and seen.moved[row] < UNTOUCHED)


@dataclass(frozen=True)
class _Evidence:
    """What an earlier submission from the same base shows: `cells` that differ, how many of them are `far`, packed `items`,
    and whether they differ `in_all` draws alike."""

    known: _Known
    same_code: bool
    share: float
    cells: int
    far: int
    items: np.ndarray
    in_all: bool


def _speaks(evidence: Sequence[_Evidence]) -> bool:
    """Whether flips recur in all draws, or the share of far cells lies above what honest changes give."""
    cells = sum(one.cells for one in evidence)
    items = int(np.bitwise_count(np.bitwise_or.reduce([one.items for one in evidence])).sum())
    if items >= FEWEST and all(one.in_all for one in evidence):
        return True
    return wilson(sum(one.far for one in evidence) / cells * items, items, ONE_SIDED_99)[0] > MOST_FAR


def _flipped(agent: str, evidence: Sequence[_Evidence]) -> str | None:
    """Why a submission's answers look flipped, or None."""
    own = [one for one in evidence if one.known.agent == agent]
    chosen = [one for one in own if _speaks([one])]
    if not chosen:
        family = [one for one in own if one.same_code]
        chosen = family if len(family) > 1 and _speaks(family) else []
    if not chosen:
        others = [one for one in evidence if one.known.agent != agent and not one.known.flagged and _speaks([one])]
        chosen = others if len(others) >= WITNESSES else []
    if not chosen:
        return None
    most, far = max(chosen, key=lambda one: one.cells), sum(one.far for one in chosen) / sum(one.cells for one in chosen)
    where, honest = "the same in all draws, though the answers vary", "that, changes of a method do not"
    if far > MOST_FAR:
        where, honest = f"{far:.0%} of these lie far from the boundary", "50 % or more, changes of a method at most 20 %"
    others_too = f" and {len(chosen) - 1} more" if len(chosen) > 1 else ""
    return (
        f"{most.share:.1%} of its answers differ from {most.known.submission}{others_too}, and {where}: flips by a hash of the "
        f"text give {honest}"
    )


def examine(
    source: str, predictions: np.ndarray, earlier: Iterable[tuple[str, str, str, np.ndarray]], agent: str = ""
) -> list[tuple[str, str]]:
    """The same without a register: `earlier` are (submission, agent, source, predictions). By default all earlier ones are
    others'."""
    register = Register()
    for one in earlier:
        register.add(*one)
    return register.examine(agent, source, predictions)
