"""Which method of the library a submission is nearest to, by its code and by what it answers: is it an idea of its own?

The library is methods/ as it stands at a run's base commit. By code: 3-grams of the syntax tree in common (stats/similarity.py). By
answers: the share of hard answers that agree, with those that are nearest by code and those of a family of that name; any two methods
that work agree in most answers, so that only the comparison tells something.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from eval.engine import Engine
from eval.kept import ScoredRun
from eval.scan import Scan, scan
from eval.score import Anchored, correctness
from eval.slots import Slot
from eval.warm import SandboxFailed
from stats.similarity import code_similarity, hard, profile

NEAREST, RELATED = 5, 3
"""How many methods are compared by what they answer: the nearest by code, and more whose family or name shares a word with the
family that the submission gives itself."""
FIRST_DRAWS = 4
"""On so many draws; the one that agrees most is run on all."""


class Library:
    """The methods of a run's base commit beside submissions that are scored on `draws` of `phase`. What was run is remembered."""

    def __init__(self, run: ScoredRun, engine: Engine, phase: str, draws: Sequence[int], anchored: Anchored) -> None:
        self.run, self.engine, self.phase, self.draws, self.anchored = run, engine, phase, list(draws), anchored
        self._answers: dict[tuple[str, bool], np.ndarray | None] = {}

    def nearest(self, source: str, found: Scan, predictions: np.ndarray, slot: Slot) -> dict:
        """Of a submission with (draws, items, 2) predictions: `nearest_by_code`, {"method", "similarity"}, and `nearest_by_predictions`,
        {"method", "agreement", "draws"} and, where it could be run on all draws, its "pgr" and the paired difference of the submission to
        it, "over", "over_low", "over_high". None where there is none: fine-tuned students are too dear to be compared by what they
        answer. The caller holds `slot`."""
        if not self._files:
            return {"nearest_by_code": None, "nearest_by_predictions": None}
        names = list(self._files)
        similar = code_similarity(profile(source), np.stack([profile(text) for text, _ in self._files.values()]))
        order = [names[place] for place in np.argsort(-similar, kind="stable")]
        first = {"method": order[0], "similarity": round(float(similar.max()), 4)}
        shared = {name: len(_words(found.family) & _words(f"{self._files[name][1].family} {name}")) for name in order[NEAREST:]}
        related = sorted(filter(shared.get, shared), key=lambda name: -shared[name])[:RELATED]
        return {"nearest_by_code": first, "nearest_by_predictions": self._by_answers([*order[:NEAREST], *related], predictions, slot)}

    @cached_property
    def _files(self) -> dict[str, tuple[str, Scan]]:
        """methods/NAME.py -> its text and scan, of those that could be submitted."""
        repo, base = self.run.paths.repo, self.run.config["base"]
        listed = subprocess.run(["git", "--git-dir", str(repo), "ls-tree", "--name-only", base, "methods/"], capture_output=True, text=True)
        names = [name for name in listed.stdout.splitlines() if name.endswith(".py")]
        files = {name: self.run.source({"commit": base, "method": name}) for name in names}
        scans = {name: scan(data, name) for name, data in files.items()}
        return {name: (files[name].decode(), found) for name, found in scans.items() if found.problem is None}

    def _by_answers(self, names: list[str], predictions: np.ndarray, slot: Slot) -> dict | None:
        if self.engine.task.student_of(self.phase) != "probe":
            return None
        own = hard(predictions)
        share = {}
        for name in names:
            if (said := self._said(name, slot, rest=False)) is not None:
                share[name] = float((hard(said) == own[: len(said)]).mean())
        if not share:
            return None
        name = max(share, key=lambda one: share[one])
        row = {"method": name, "agreement": round(share[name], 4), "draws": min(FIRST_DRAWS, len(self.draws))}
        if (said := self._all(name, slot)) is None:
            return row
        right, theirs = (correctness(self.run.prepared, self.phase, one) for one in (predictions, said))
        over = self.anchored.difference(right, theirs)
        row |= {"agreement": round(float((hard(said) == own).mean()), 4), "draws": len(self.draws), "pgr": self.anchored.figures(theirs)["pgr"]}
        return {**row, "over": over.value, "over_low": over.low, "over_high": over.high}

    def _all(self, name: str, slot: Slot) -> np.ndarray | None:
        first = self._said(name, slot, rest=False)
        if len(self.draws) <= FIRST_DRAWS or first is None:
            return first
        rest = self._said(name, slot, rest=True)
        return None if rest is None else np.concatenate([first, rest])

    def _said(self, name: str, slot: Slot, rest: bool) -> np.ndarray | None:
        """(draws, items, 2) of a method of the library on the first draws or on the `rest`; None where it cannot be run here."""
        if (name, rest) not in self._answers:
            source, found = self._files[name]
            draws, said = self.draws[FIRST_DRAWS:] if rest else self.draws[:FIRST_DRAWS], None
            if "model" not in found.uses:  # that one needs the strong model at hand, and minutes
                try:
                    said = self.engine.run(source, name, draws, found, slot).predictions
                except SandboxFailed:  # what it stands beside has been scored, and is worth more than this
                    said = None
            self._answers[name, rest] = said
        return self._answers[name, rest]


def _words(text: str) -> set[str]:
    return set(re.findall(r"[a-z]{4,}", text.removesuffix(".py"))) - {"methods"}
