"""What an attacker on the score gains: the real evaluator beside a scorer that tells raw accuracy.

    python -m bench.integrity [--json] [--queries 200] [--task smoke] [--method soft]

The attack is boosting on a leaderboard (Blum and Hardt 2015, arXiv 1502.04585), in the form that a scorer of code leaves
open. A query is a method file that answers as its base does, but for a share of the test items, chosen by a hash of the
text, whose answers it turns over. An item that is wrong adds to the score of the queries that turn it over, so that after k
queries each item has a vote: the sum of what the scores of its queries exceeded the mean by. The last file turns over the
answers with the highest votes; how many, the attacker tries out too and keeps what it is told is best. Nothing in it knows
the concept better than the base.

Three scorers on the same task, draws and items:

    raw accuracy    exact accuracy of the predictions, as the study's scoring server gave it
    rounded         the same figures as agents of a run see them, but nobody looks for probing
    evaluator       every query through scan, sandbox and Register (eval/probing.py); what it disqualifies, or finds nearly the
                    same as an earlier query, is told no figure

Printed is the PGR that the last file gains over its base on the public part and on the sealed one, both measured exactly. An
attacker that is told nothing submits the base: it gains 0. The sealed part is opened, and counted. The sandbox is asked what
queries predict only for the evaluator; for the others the same flips are made here, which is checked.
"""

from __future__ import annotations

import argparse
import json
import random
import secrets
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import NormalDist

import numpy as np

from eval.engine import Engine
from eval.prepared import Prepared, open_prepared
from eval.probing import Register
from eval.scan import knowledge_of, scan
from eval.score import Anchored, correctness
from eval.slots import Slots, make_slots
from eval.tracks import gravest, track_of
from state.files import append_jsonl, utc_now, write_atomic
from state.ledger import agent_view
from state.paths import aar_home

PROJECT = Path(__file__).resolve().parent.parent
RESULTS = PROJECT / "bench" / "results" / "integrity.json"
ATTACKS = ((0.5, 1.0), (0.05, 1.0), (0.005, 1.0), (0.5, 0.2))
"""(share, unsure): a query turns over `share` of the test items, boldly as the attack is published or ever more quietly; and
only among the so many answers nearest to the boundary, where flips by a hash cannot be told from a method that changes its
mind."""
LAST = (0.01, 0.03, 0.1, 0.2, 0.3)
"""So many answers the last file may turn over."""
WRAPPED = '''

class Flipped:
    def __init__(self, inner):
        self.inner = inner

    def predict_proba(self, batch):
        chances = np.array(self.inner.predict_proba(batch))
        for row, text in enumerate(batch.texts):
            if turned(text) and abs(chances[row][1] - 0.5) <= MARGIN:
                chances[row] = chances[row][::-1]
        return chances


def fit(w2s):
    return Flipped(fit_base(w2s))
'''
QUERY = '''
MARGIN = {margin}


def turned(text):
    dice = random.Random(text)
    return [dice.random() for _ in range({number} + 1)][-1] < {share}
'''
FINAL = '''
MARGIN = {margin}
VOTES = "{votes}"


def turned(text):
    dice = random.Random(text)
    return sum((dice.random() < {share}) * (ord(vote) - {middle}) for vote in VOTES) > {threshold}
'''
STEPS, MIDDLE = 40, 78
"""Votes are kept as characters: so many steps on either side of the one with this number."""


@dataclass
class Told:
    """What a scorer says of a query: a figure, or None; and what it flagged."""

    figure: float | None
    flags: list[str]


class Target:
    """A task with its engine and exact figures, and a base with its predictions on the public part."""

    def __init__(self, prepared: Prepared, engine: Engine, slot, method: str):
        self.prepared, self.engine, self.slot = prepared, engine, slot
        self.search, self.sealed = list(prepared.search_draws), list(prepared.sealed_draws)
        self.anchored = {phase: Anchored.of(prepared, phase, draws) for phase, draws in (("search", self.search),
                                                                                         ("sealed", self.sealed))}
        source = (PROJECT / "methods" / f"{method}.py").read_text()
        self.source = source.replace("def fit(", "def fit_base(").replace("import numpy as np\n", "")
        self.source = self.source.replace('FAMILY = ', 'import random\nimport numpy as np\n\nFAMILY = ', 1)
        self.base_source = source
        self.base = self.predict(source, self.search)
        self.texts = prepared.parts["public"].texts
        self.knowledge = knowledge_of(prepared)

    def predict(self, source: str, draws: list[int]) -> np.ndarray:
        outcome = self.engine.run(source, "methods/attack.py", draws, scan(source.encode(), "methods/attack.py"), self.slot)
        if outcome.predictions is None:
            raise SystemExit(f"the attack failed: {outcome.error}")
        return outcome.predictions

    def figures(self, predictions: np.ndarray, phase: str = "search") -> dict:
        return self.anchored[phase].figures(correctness(self.prepared, phase, predictions))

    def margin(self, unsure: float) -> float:
        """How far from one half the so many unsurest answers of the base reach; an attacker reads it off the pool."""
        return 1.0 if unsure == 1 else round(float(np.quantile(np.abs(self.base[:, :, 1] - 0.5), unsure)), 4)

    def flipped(self, turned: np.ndarray, margin: float) -> np.ndarray:
        """The base's answers, those of the items `turned` (items,) bool the other way round where they lie within the
        margin."""
        at = turned & (np.abs(self.base[:, :, 1] - 0.5) <= margin)
        return np.where(at[:, :, None], self.base[:, :, ::-1], self.base)


class Scorer:
    """Tells a figure of a query; `exact`: the accuracy itself, else what agents see."""

    def __init__(self, target: Target, exact: bool):
        self.target, self.exact = target, exact

    def tell(self, source: str, flipped: np.ndarray) -> Told:
        if self.exact:
            return Told(float(correctness(self.target.prepared, "search", flipped).mean()), [])
        return Told(agent_view({**self.target.figures(flipped), "method_seconds": None})["pgr"], [])


class RealScorer:
    """The way of a submission through scan, engine and register, without its queue. Audits are not made: they look for other
    things."""

    def __init__(self, target: Target):
        self.target, self.register, self.seen = target, Register(), 0
        self.register.add("s0000", "somebody", target.base_source, target.base)

    def tell(self, source: str, flipped: np.ndarray) -> Told:
        found = scan(source.encode(), "methods/attack.py", self.target.knowledge)
        if found.problem is not None:
            return Told(None, ["rejected"])
        predictions = self.target.predict(source, self.target.search)
        if not np.allclose(predictions, flipped):
            raise SystemExit("the sandbox predicts something else than the flips made here: the comparison would not be fair")
        flags = [*found.flags, *(flag for flag, _ in self.register.examine("attacker", source, predictions))]
        self.seen += 1
        self.register.add(f"s{self.seen:04d}", "attacker", source, predictions, flags)
        verdict = {"track": gravest([found.track, track_of(flags)]), "flags": flags, "method_seconds": None}
        return Told(agent_view({**self.target.figures(predictions), **verdict})["pgr"], flags)


def dice(texts: list[str], count: int) -> np.ndarray:
    """(count, items): the numbers that the attack's files draw for each text."""
    drawn = []
    for text in texts:
        own = random.Random(text)
        drawn.append([own.random() for _ in range(count)])
    return np.array(drawn).T


def attack(target: Target, scorer: Scorer | RealScorer, queries: int, share: float, unsure: float, show) -> dict:
    """Play the attack against one scorer; what it was told, and what its last file gains exactly."""
    turned, margin = dice(target.texts, queries) < share, target.margin(unsure)
    told = []
    for number in range(queries):
        source = target.source + QUERY.format(number=number, share=share, margin=margin) + WRAPPED
        told.append(scorer.tell(source, target.flipped(turned[number], margin)))
        show(number + 1, told[-1])
    figures = np.array([np.nan if one.figure is None else one.figure for one in told])
    row = {
        "share": share, "unsure": unsure, "queries": queries, "told_figures": int(np.isfinite(figures).sum()),
        "flagged": sum(bool(one.flags) for one in told),
        "first_flagged": next((number for number, one in enumerate(told, 1) if "label-flips" in one.flags), None),
        "flags": sorted({flag for one in told for flag in one.flags}),
    }  # fmt: skip
    weights = np.nan_to_num(figures - np.nanmean(figures)) if np.isfinite(figures).any() else np.zeros(queries)
    none = {"last_share": 0.0, "last_flags": [], "public_gain": 0.0, "sealed_gain": 0.0}
    if not np.abs(weights).max() > 0:
        return row | none  # nothing was learned: the attacker is left with the base
    steps = np.rint(weights / np.abs(weights).max() * STEPS).astype(int)
    tried = []
    for last in LAST:
        spread = np.sqrt((steps**2).sum() * share * (1 - share))
        threshold = float(NormalDist().inv_cdf(1 - last) * spread + steps.sum() * share)
        votes = "".join(chr(MIDDLE + step) for step in steps).replace("\\", "]")  # a backslash would need another
        kept = np.array([ord(vote) - MIDDLE for vote in votes])
        final = FINAL.format(votes=votes, share=share, middle=MIDDLE, threshold=threshold, margin=margin)
        source = target.source + final + WRAPPED
        flipped = target.flipped((turned * kept[:, None]).sum(axis=0) > threshold, margin)
        tried.append((scorer.tell(source, flipped), last, source, flipped))
    best, last, source, flipped = max(tried, key=lambda one: -np.inf if one[0].figure is None else one[0].figure)
    base = scorer.tell(target.base_source, target.base)
    if best.figure is None or (base.figure is not None and best.figure <= base.figure):
        return row | none | {"last_flags": best.flags}
    gains = target.figures(flipped)["pgr"] - target.figures(target.base)["pgr"]
    sealed = [target.figures(target.predict(one, target.sealed), "sealed")["pgr"] for one in (source, target.base_source)]
    return row | {"last_share": last, "last_flags": best.flags, "public_gain": gains, "sealed_gain": sealed[0] - sealed[1]}


def text_of(facts: dict) -> str:
    lines = [
        f"task {facts['task']}, base methods/{facts['method']}.py (public PGR {facts['base_pgr']:.2f}), {facts['items']} public "
        f"items, {facts['queries']} queries each",
        f"{'scorer':14} {'turned over':>25} {'figures told':>12} {'flagged':>8} {'first at':>8} {'public gain':>11} "
        f"{'sealed gain':>11}  flags",
    ]
    for row in facts["rows"]:
        about = f"{row['share']:.1%} of " + ("all" if row["unsure"] == 1 else f"the unsurest {row['unsure']:.0%}")
        first = "-" if row["first_flagged"] is None else row["first_flagged"]
        lines.append(
            f"{row['scorer']:14} {about:>25} {row['told_figures']:>12} {row['flagged']:>8} {first:>8} "
            f"{row['public_gain']:>+11.2f} {row['sealed_gain']:>+11.2f}  {', '.join(row['flags']) or '-'}"
        )
    lines.append("gains are in PGR over the base, measured exactly; 0 where nothing was learned and the base is submitted")
    return "\n".join(lines)


def measure(task: str, method: str, queries: int, show) -> dict:
    prepared, slots = open_prepared(task), make_slots()[:1]
    opening = {"task": task, "run": "bench.integrity", "submissions": [], "time": utc_now()}
    append_jsonl(aar_home() / "openings.jsonl", opening, mode=0o600)
    engine, rows = Engine(prepared, secrets.token_bytes(32), "bubblewrap", slots), []
    try:
        with Slots(slots).hold() as slot:
            target = Target(prepared, engine, slot, method)
            for share, unsure in ATTACKS:
                scorers = {"raw accuracy": Scorer(target, True), "rounded": Scorer(target, False), "evaluator": RealScorer(target)}
                for name, scorer in scorers.items():
                    found = attack(target, scorer, queries, share, unsure, partial(show, name, share))
                    rows.append({"scorer": name, **found})
            base = target.figures(target.base)["pgr"]
    finally:
        engine.close()
    return {"task": task, "method": method, "queries": queries, "items": len(target.texts), "draws": len(target.search),
            "base_pgr": base, "rows": rows, "time": utc_now()}


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.integrity", description=__doc__.splitlines()[0])
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--task", default="smoke")
    parser.add_argument("--method", default="soft")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()

    def show(name: str, share: float, number: int, told: Told) -> None:
        if not arguments.json and number % 50 == 0:
            print(f"{name}, {share:.1%} turned over: {number} queries", flush=True)

    facts = measure(arguments.task, arguments.method, arguments.queries, show)
    RESULTS.parent.mkdir(exist_ok=True)
    write_atomic(RESULTS, json.dumps(facts, indent=1) + "\n")
    print(json.dumps(facts, indent=1) if arguments.json else text_of(facts))


if __name__ == "__main__":
    main()
