"""Opens the sealed test: re-runs finalists, each from its commit, on draws and test items that no submission has met.

A process of its own (`python -m eval.sealed RUN_FOLDER SUBMISSION ...`); prints one JSON verdict a line. Every opening is
counted, for a task on this machine, before the first prediction is compared to a sealed label.
"""

from __future__ import annotations

import json
import sys

import tomli

from eval.engine import Engine
from eval.evaluator import read_method, run_secret
from eval.prepared import open_prepared
from eval.scan import scan
from eval.score import Anchored, correctness
from eval.slots import Slot, Slots, make_slots
from state.errors import UserError
from state.files import append_jsonl, read_jsonl, utc_now
from state.ledger import Ledger
from state.lifeline import end_with_starter
from state.paths import RunPaths, aar_home

MOST_FINALISTS = 5


def openings(task: str) -> int:
    """How often the sealed part of `task` was opened on this machine."""
    return sum(record["task"] == task for record in read_jsonl(aar_home() / "openings.jsonl"))


def verify(paths: RunPaths, submissions: list[str], say) -> None:
    """Score `submissions` of a run on all sealed draws; `say(verdict)` as each is done. UserError for unknown ones."""
    if len(submissions) > MOST_FINALISTS:
        raise UserError(f"{len(submissions)} submissions: the sealed part is opened for at most {MOST_FINALISTS} finalists at a time")
    config = tomli.loads(paths.toml.read_text())
    ledger = Ledger(paths.ledger)
    for name in submissions:
        if ledger.verdicts.get(name, {}).get("status") != "scored":
            raise UserError(f"{name} is not a scored submission of run {paths.name}: see `python aar.py scores {paths.name}`")
    prepared = open_prepared(config["task"])
    slots = make_slots(config.get("gpus"))
    draws = list(prepared.sealed_draws)
    anchored = Anchored.of(prepared, "sealed", draws)
    engine = Engine(prepared, run_secret(paths.evaluator), config["isolation"], slots[:1])
    append_jsonl(
        aar_home() / "openings.jsonl",
        {"task": config["task"], "run": paths.name, "submissions": submissions, "time": utc_now()},
        mode=0o600,
    )
    try:
        for name in submissions:
            with Slots(slots[:1]).hold() as slot:
                verdict = _sealed_verdict(engine, slot, paths, ledger.submissions[name], draws, anchored)
            verdict["isolation"], verdict["openings"] = config["isolation"], openings(config["task"])
            append_jsonl(paths.evaluator / "sealed.jsonl", verdict, mode=0o600)
            say(verdict)
    finally:
        engine.close()


def _sealed_verdict(engine: Engine, slot: Slot, paths: RunPaths, submission: dict, draws: list[int], anchored: Anchored) -> dict:
    source = read_method(paths.repo, submission["commit"], submission["method"])
    found = scan(source, submission["method"])
    engine.make_prompts(found, "sealed")
    outcome = engine.run(source.decode(), submission["method"], draws, found, slot)
    verdict = {key: submission[key] for key in ("submission", "commit", "method", "agent")}
    verdict |= {
        "family": found.family, "track": found.track, "status": outcome.status, "error": outcome.error, "rung": "sealed",
        "draws": len(draws), "flags": found.flags, "method_seconds": round(outcome.method_seconds, 3),
        "peak_memory_mib": outcome.peak_memory_mib, "time": utc_now(),
    }  # fmt: skip
    if outcome.predictions is None:
        return verdict
    correct = correctness(engine.prepared, "sealed", outcome.predictions)
    verdict |= anchored.figures(correct)
    ceiling = engine.run(source.decode(), submission["method"], draws, found, slot, true_labels=True)
    if ceiling.predictions is not None:
        verdict |= anchored.by_own_recipe(correct, correctness(engine.prepared, "sealed", ceiling.predictions))
    return verdict


def main(arguments: list[str]) -> int:
    end_with_starter()
    try:
        verify(RunPaths(arguments[0]), arguments[1:], lambda verdict: print(json.dumps(verdict), flush=True))
    except UserError as error:
        print(f"aar: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
