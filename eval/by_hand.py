"""Scores one method by hand on the public part: what `python aar.py eval FILE --task TASK` runs, or `eval s0007 --run RUN`.

A process of its own, like every evaluator (`eval/client.py` starts it and holds its standard input open); prints one JSON object:
a verdict. A submission of a run is scored again as it was then: from its commit, with the run's secret and so with its draws, orders
and student seeds, on the rung that it had reached. Nothing is written to the run.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
from pathlib import Path

from eval.audits import Audits, Findings
from eval.engine import Engine
from eval.kept import ScoredRun
from eval.prepared import open_prepared
from eval.scan import knowledge_of, scan
from eval.score import Anchored, correctness
from eval.slots import Slot, Slots, make_slots
from eval.tracks import gravest, track_of
from state.errors import UserError, ended
from state.files import utc_now
from state.ledger import Ledger
from state.lifeline import end_with_starter
from state.paths import RunPaths

SAME = 1e-9
"""Accuracies that differ by less are the same: each counts whole answers."""
SAME_ANCHORS = 1e-6


def evaluate(file: Path, task: str, isolation: str, draws: int | None = None) -> dict:
    """A verdict on all search draws (or the first `draws`) of `task`. Student seeds are fresh every time."""
    prepared, slots = open_prepared(task), make_slots()[:1]
    numbers = list(prepared.search_draws)[:draws]
    engine = Engine(prepared, secrets.token_bytes(32), isolation, slots)
    about = {"method": str(file), "task": task, "isolation": isolation, "rung": "full", "time": utc_now()}
    return {**about, **_scored(engine, slots, Anchored.of(prepared, "search", numbers), file.read_bytes(), file.name, numbers)}


def evaluate_again(paths: RunPaths, submission: str, isolation: str) -> dict:
    """A submission of a run once more: the verdict with `ledger_pgr`, the PGR that the ledger has; `same`, whether it came to the same
    (status and accuracy); and `not_same`, why it may not have, in words. What the run's other submissions have to do with it
    (near-duplicates, flips of answers) is not looked into. UserError where there is no verdict to compare with, or the run has no secret
    here, as one that was opened from a bundle."""
    before = Ledger(paths.ledger).verdicts.get(submission)
    if before is None:
        raise UserError(f"{submission} has no verdict in run {paths.name}: see `python aar.py scores {paths.name}`")
    run = ScoredRun(paths)
    full = before["rung"] == "full"
    numbers = run.prepared.search_draws if full else run.prepared.search_draws[:1]
    slots = run.slots[:1]
    about = {key: before[key] for key in ("submission", "commit", "method", "agent", "rung")}
    about |= {"run": paths.name, "task": run.config["task"], "isolation": isolation, "time": utc_now(), **({"null": True} if run.null else {})}
    engine = run.engine(slots, isolation)
    verdict = about | _scored(engine, slots, run.anchored("search", numbers), run.source(before), before["method"], numbers, audited=full)
    why = _not_same(before, verdict)
    return {**verdict, "ledger_pgr": before.get("pgr"), "same": why is None, "not_same": why}


def _scored(engine: Engine, slots: list[Slot], anchored: Anchored, source: bytes, name: str, draws: list[int], audited: bool = True) -> dict:
    """What comes of one method file on some search draws. Closes the engine."""
    found = scan(source, name, knowledge_of(engine.prepared))
    try:
        if found.problem is not None:
            return {"family": found.family, "track": found.track, "flags": found.flags, "status": "rejected", "error": found.problem}
        with Slots(slots).hold() as slot:
            outcome = engine.run(source.decode(), name, draws, found, slot, audited=audited)
            findings = Findings(dict(outcome.traced))
            if outcome.predictions is not None and audited:
                findings = Audits(engine, anchored).examine(source.decode(), name, draws, found, outcome, slot)
    finally:
        engine.close()
    verdict = {
        "family": found.family, "status": outcome.status, "error": outcome.error, "draws": len(draws), "device": slot.name,
        "method_seconds": round(outcome.method_seconds, 3),
        "overhead_seconds": round(outcome.total_seconds - outcome.method_seconds, 3),
        "peak_memory_mib": outcome.peak_memory_mib,
    }  # fmt: skip
    if outcome.predictions is not None:
        verdict |= anchored.figures(correctness(engine.prepared, "search", outcome.predictions))
    reasons = {**dict(zip(found.flags, found.reasons, strict=True)), **findings.reasons}
    told = {"track": gravest([found.track, track_of(reasons)]), "flags": list(reasons), "reasons": list(reasons.values())}
    return {**verdict, **findings.figures, **told}


def _not_same(before: dict, now: dict) -> str | None:
    """Why a verdict is not what the ledger has, None where it is: the same status and, where both were scored, the same accuracy."""
    scored = before["status"] == now["status"] == "scored"
    if before["status"] == now["status"] and (not scored or abs(before["accuracy"] - now["accuracy"]) < SAME):
        return None
    if scored and any(abs(before[name] - now[name]) > SAME_ANCHORS for name in ("weak_accuracy", "ceiling_accuracy")):
        return f"task {now['task']} was prepared anew since, so its draws and items are others"
    if before.get("device") != now.get("device"):
        return f"it was scored on {before.get('device')} then and on {now.get('device')} now, which may compute otherwise"
    return f"the method does not do the same twice: {before['status']} then, {now['status']} now" + (", with other answers" if scored else "")


def main() -> int:
    parser = argparse.ArgumentParser(prog="eval.by_hand")
    parser.add_argument("what", help="a method file, or a submission of --run")
    parser.add_argument("--task")
    parser.add_argument("--run", type=Path)
    parser.add_argument("--isolation", default="bubblewrap")
    asked = parser.parse_args()
    end_with_starter()
    return ended(lambda: print(json.dumps(
        evaluate_again(RunPaths(asked.run), asked.what, asked.isolation) if asked.run is not None
        else evaluate(Path(asked.what), asked.task, asked.isolation)
    )))  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
