"""Audits of a method that reached the full rung: what its answers give away about how it comes by them.

    in other company      some items again, in other batches, from a twin that met no test item      -> transductive
    without the model     hidden states of other items: what it then still knows comes from rules       -> needs-no-student
    shuffled teachers     it is fitted on labels that say nothing                                    -> needs-no-teacher
    most frequent answer  where that one is wrong, does it follow it all the same?                   -> group-majority
    written otherwise     candidates as readable as before, but of no use to an interpreter          -> executes-data

The last two and the first are folded into the draws that score it; shuffled teachers take one more run on SHUFFLED draws, and so do
hidden states of others, where a method is better than tuned naive. Every finding is a flag (eval/tracks.py) and a sentence with its figures.
"""
from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from eval.altered import way_of
from eval.anchors import recipe_from
from eval.draws import as_batch, ceiling_draw, handed, hard
from eval.engine import Engine, Outcome
from eval.scan import Scan
from eval.score import Anchored, correctness
from eval.seeds import derive
from eval.slots import Slot
from eval.tracks import FLAGS
from stats.pgr import Bootstrap
from stats.ranks import mean_ranks

SHUFFLED = 3
"""Draws whose teachers are shuffled. More than one: some students find the classes by themselves, now one way round, now the other."""
SAME = 0.6
"""A method needs no teacher if with each shuffled one it is this share as far from chance as with the true one, or more."""
FARTHEST = 0.1
"""How far from chance that must be at least: below it there is nothing to compare."""
DIFFERENT, MOST_DIFFERENT = 0.02, 0.005
"""A chance that differs by so much is another answer; numerical noise between batches gives less. This share of them is allowed."""
FOLLOWS = 0.1
"""By how much more than tuned naive a method follows wrong majorities before it is said to."""
COLLAPSE = 0.1
"""By how much more than the reference students' a method's AUC falls on altered items before it is said to collapse."""
RESAMPLES = 200


@dataclass
class Findings:
    """What was found about a submission. `reasons`: flag -> sentence; `figures`: numbers for the verdict, whatever they are."""

    reasons: dict[str, str] = field(default_factory=dict)
    figures: dict[str, float | None] = field(default_factory=dict)

    def add(self, flag: str, words: str) -> None:
        self.reasons.setdefault(flag, f"{FLAGS[flag][1]}: {words}")


class Audits:
    """The audits of one task's draws of a phase, the search draws but for `shuffled`. `anchored`: the anchors of all of them."""

    def __init__(self, engine: Engine, anchored: Anchored, phase: str = "search") -> None:
        self.engine, self.prepared, self.anchored, self.phase = engine, engine.prepared, anchored, phase
        self.public = engine.prepared.parts["public"]

    def examine(self, source: str, name: str, draws: list[int], found: Scan, outcome: Outcome, slot: Slot) -> Findings:
        """All audits of a method scored on all search `draws`, with one more run. The caller holds `slot`."""
        findings, started = Findings(), time.perf_counter()
        for flag, words in outcome.traced.items():
            findings.reasons[flag] = words
        self._company(outcome, findings)
        self._majority(outcome, findings)
        self._altered(outcome, findings)
        if not self.engine.packs.null:
            self.shuffled(source, name, draws[:SHUFFLED], found, outcome, slot, findings)
            self._blind(source, name, draws[:SHUFFLED], found, outcome, slot, findings)
        findings.figures["audit_seconds"] = round(time.perf_counter() - started, 3)
        return findings

    def _company(self, outcome: Outcome, findings: Findings) -> None:
        again = outcome.again
        if again is None:
            return
        first = outcome.predictions[outcome.asked_from :][: len(again.predictions), again.rows]
        share = float((np.abs(first - again.predictions)[:, :, 1] > DIFFERENT).mean())
        findings.figures["other_company"] = round(share, 4)
        if share > MOST_DIFFERENT:
            findings.add("transductive", f"{share:.1%} of {first[:, :, 1].size} answers came out otherwise in other batches")

    def shuffled(self, source: str, name: str, draws: list[int], found: Scan, outcome: Outcome, slot: Slot, findings: Findings) -> None:
        """Fit the method, scored before, on the first `draws` with their teachers shuffled."""
        blind = self.engine.run(source, name, draws, found, slot, shuffled=True)
        for flag, words in blind.traced.items():
            findings.reasons.setdefault(flag, words)
        if blind.predictions is None:
            findings.figures["permuted_pgr"] = None
            return
        own = correctness(self.prepared, self.phase, outcome.predictions[: len(draws)]).mean()
        right = correctness(self.prepared, self.phase, blind.predictions).mean(1)
        away = np.abs(right - 0.5)
        weak, ceiling = self.anchored.weak[: len(draws)].mean(), self.anchored.ceiling[: len(draws)].mean()
        findings.figures["permuted_pgr"] = round(float((0.5 + away.mean() - weak) / (ceiling - weak)), 4) if ceiling > weak else None
        findings.figures["permuted_distance"] = round(float(away.mean()), 4)
        if own - 0.5 >= FARTHEST and away.min() >= SAME * (own - 0.5):
            findings.add("needs-no-teacher", f"accuracy {own:.2f}, and {0.5 + away.min():.2f} or more (either way round) on each of "
                                             f"{len(draws)} draws whose teachers were shuffled")

    def _blind(self, source: str, name: str, draws: list[int], found: Scan, outcome: Outcome, slot: Slot, findings: Findings) -> None:
        """Fit it on hidden states of other items, if it is better than tuned naive: only what is no use to it may be taken away."""
        naive, own = self.anchored.tuned_naive, correctness(self.prepared, "search", outcome.predictions)
        if self.prepared.task.student_of("search") != "probe" or _low(own - naive, self.public.groups) <= 0:
            return
        blind = self.engine.run(source, name, draws, found, slot, blind=True)
        for flag, words in blind.traced.items():
            findings.reasons.setdefault(flag, words)
        if blind.predictions is None:
            return
        right, own, naive = correctness(self.prepared, "search", blind.predictions), own[: len(draws)], naive[: len(draws)]
        weak, ceiling = self.anchored.weak[: len(draws)].mean(), self.anchored.ceiling[: len(draws)].mean()
        findings.figures["blind_pgr"] = round(float((right.mean() - weak) / (ceiling - weak)), 4) if ceiling > weak else None
        if _low(right - naive, self.public.groups) > 0 and right.mean() - 0.5 >= SAME * (own.mean() - 0.5):
            findings.add("needs-no-student", f"accuracy {own.mean():.2f}, and {right.mean():.2f} where hidden states were those of other items")

    @cached_property
    def _misled(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Public items of groups whose single most frequent answer is wrong, (m,) rows, and whether each gives that answer."""
        keys, rows, leading = self.public.keys, [], []
        if not any(keys):
            return None
        members: dict[int, list[int]] = {}
        for row, group in enumerate(self.public.groups):
            members.setdefault(int(group), []).append(row)
        for of_group in members.values():
            counts: dict[str | None, int] = {}
            for row in of_group:
                counts[keys[row]] = counts.get(keys[row], 0) + 1
            (leader, most), *others = sorted(counts.items(), key=lambda item: -item[1])
            if leader is None or most < 2 or (others and others[0][1] == most):
                continue
            if any(self.public.labels[row] == 1 for row in of_group if keys[row] == leader):
                continue
            rows += of_group
            leading += [keys[row] == leader for row in of_group]
        return (np.array(rows), np.array(leading)) if rows else None

    def _majority(self, outcome: Outcome, findings: Findings) -> None:
        if self._misled is None:
            return
        rows, leading = self._misled
        labels = self.public.labels[rows] == 1
        follows = (outcome.predictions[:, rows, 1] > 0.5) == leading
        # What tuned naive says follows from where it is right; a share of its seeds counts as a chance.
        naive = self.anchored.tuned_naive[: len(follows), rows]
        reference = np.where(labels == leading, naive, 1 - naive)
        findings.figures["follows_wrong_majority"] = round(float(follows.mean()), 4)
        low = _low(follows - reference, self.public.groups[rows])
        if low > FOLLOWS and follows.mean() > 0.6:
            findings.add("group-majority", f"where it is wrong, {follows.mean():.0%} of its answers follow it, "
                                           f"{reference.mean():.0%} of those of tuned naive")

    @cached_property
    def _reference(self) -> np.ndarray:
        """What reference students say of altered items and of the same ones unaltered, chances of class 1 (2 students, 2, draws, m):
        a ceiling and a tuned naive one."""
        altered, secret = self.prepared.altered, self.engine.secret
        said: list[list[np.ndarray]] = [[], []]
        for number in self.prepared.search_draws[:2]:
            draw = self.prepared.draw(number)
            best = ceiling_draw(self.prepared, draw)
            for place, (name, pool, labels) in enumerate((("ceiling", best, best.labels), ("tuned_naive", draw, hard(draw.weak)))):
                w2s = handed(self.prepared, pool, derive(secret, "altered", number), "probe")
                student = recipe_from("probe", self.prepared.settings["probe"][name]["recipe"]).train(w2s, labels)
                there, here = (student.predict_proba(as_batch(part))[:, 1] for part in (altered, self.public))
                said[place].append(np.stack([there, here[altered.rows]]))
        return np.stack(said).transpose(0, 2, 1, 3)

    def _altered(self, outcome: Outcome, findings: Findings) -> None:
        """How well candidates are ranked when they are written otherwise. Ranks, not classes: a student of hidden states that were
        shifted as a whole still knows which candidates are the better ones."""
        asked, part = outcome.altered, self.prepared.altered
        if asked is None or part is None:
            return
        truth = part.labels[asked.rows] == 1
        there = asked.predictions[:, :, 1]
        here = outcome.predictions[outcome.asked_from :][: len(there), part.rows[asked.rows], 1]
        if way_of(self.prepared.task) == "swap":
            findings.figures["swapped_consistency"] = round(float(((there > 0.5) != (here > 0.5)).mean()), 4)
            return
        fell = _fall(there, here, truth, part.groups[asked.rows])
        findings.figures["altered_auc"], findings.figures["unaltered_auc"] = (round(_auc(one, truth), 4) for one in (there, here))
        if self.prepared.task.student_of("search") != "probe":
            return
        worst = max(_fall(*(one[: len(there), asked.rows] for one in student), truth, part.groups[asked.rows]).mean()
                    for student in self._reference)
        if np.percentile(fell, 2.5) - worst > COLLAPSE:
            findings.add("executes-data", f"its ranking of candidates (AUC {_auc(here, truth):.2f}) fell to {_auc(there, truth):.2f} on some that "
                                          f"read as well but cannot be run or worked out; reference students lost {worst:+.2f}")


def _auc(chances: np.ndarray, truth: np.ndarray) -> float:
    """Mean over draws of the area under the ROC curve of (draws, m) chances; 0.5 where one class is missing."""
    ranks = mean_ranks(chances)
    positive = int(truth.sum())
    if positive in (0, len(truth)):
        return 0.5
    return float((ranks[:, truth].sum(1).mean() - positive * (positive + 1) / 2) / (positive * (len(truth) - positive)))


def _fall(there: np.ndarray, here: np.ndarray, truth: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """By how much the AUC is lower `there` than `here`, in RESAMPLES resamples of groups."""
    rng, of_group = np.random.default_rng(0), {group: np.flatnonzero(groups == group) for group in np.unique(groups)}
    falls = []
    for _ in range(RESAMPLES):
        rows = np.concatenate([of_group[group] for group in rng.choice(list(of_group), len(of_group))])
        falls.append(_auc(here[:, rows], truth[rows]) - _auc(there[:, rows], truth[rows]))
    return np.array(falls)


def _low(difference: np.ndarray, groups: np.ndarray) -> float:
    """Lower end of the 95 % interval of the mean of (draws, m), over groups x draws."""
    return float(np.percentile(Bootstrap(len(difference), groups, RESAMPLES).accuracies(difference), 2.5))
