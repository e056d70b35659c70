"""Scores one method file by hand on the public part: what `python aar.py eval FILE --task TASK` runs.

A process of its own, like every evaluator (`eval/client.py` starts it and holds its standard input open); prints one JSON object:
a verdict.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
from pathlib import Path

from eval.audits import Audits, Findings
from eval.engine import Engine
from eval.prepared import open_prepared
from eval.scan import knowledge_of, scan
from eval.score import Anchored, correctness
from eval.slots import Slots, make_slots
from eval.tracks import gravest, track_of
from state.errors import UserError
from state.files import utc_now
from state.lifeline import end_with_starter


def evaluate(file: Path, task: str, isolation: str, draws: int | None = None) -> dict:
    """A verdict on all search draws (or the first `draws`) of `task`. Student seeds are fresh every time."""
    source = file.read_bytes()
    prepared = open_prepared(task)
    found = scan(source, file.name, knowledge_of(prepared))
    verdict = {"method": str(file), "task": task, "family": found.family, "isolation": isolation, "rung": "full", "time": utc_now()}
    if found.problem is not None:
        return {**verdict, "track": found.track, "flags": found.flags, "status": "rejected", "error": found.problem}
    slots = make_slots()
    engine = Engine(prepared, secrets.token_bytes(32), isolation, slots[:1])
    numbers = list(prepared.search_draws)[:draws]
    try:
        with Slots(slots[:1]).hold() as slot:
            outcome = engine.run(source.decode(), file.name, numbers, found, slot, audited=True)
            findings = Findings(dict(outcome.traced))
            anchored = Anchored.of(prepared, "search", numbers)
            if outcome.predictions is not None:
                findings = Audits(engine, anchored).examine(source.decode(), file.name, numbers, found, outcome, slot)
    finally:
        engine.close()
    verdict |= {"status": outcome.status, "error": outcome.error, "draws": len(numbers), "device": slot.name}
    verdict |= {
        "method_seconds": round(outcome.method_seconds, 3),
        "overhead_seconds": round(outcome.total_seconds - outcome.method_seconds, 3),
        "peak_memory_mib": outcome.peak_memory_mib,
    }
    if outcome.predictions is not None:
        verdict |= anchored.figures(correctness(prepared, "search", outcome.predictions))
    reasons = {**dict(zip(found.flags, found.reasons)), **findings.reasons}
    return {**verdict, **findings.figures, "track": gravest([found.track, track_of(reasons)]), "flags": list(reasons), "reasons": list(reasons.values())}


def main() -> int:
    parser = argparse.ArgumentParser(prog="eval.by_hand")
    parser.add_argument("file", type=Path)
    parser.add_argument("--task", required=True)
    parser.add_argument("--isolation", default="bubblewrap")
    arguments = parser.parse_args()
    end_with_starter()
    try:
        print(json.dumps(evaluate(arguments.file, arguments.task, arguments.isolation)))
    except UserError as error:
        print(f"aar: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
