"""Opens the sealed test: re-runs finalists, each from its commit, on draws and test items that no submission has met.

A process of its own (`python -m eval.sealed RUN_FOLDER SUBMISSION ... [--controls SUBMISSION ...]`); prints one JSON verdict
a line. Every opening is counted, for a task on this machine, before the first prediction is compared to a sealed label.

Controls are submissions that nobody chose for their figures. What they lose or gain from public to sealed is what other
draws and items do; what a finalist loses beyond that is what it owed to having been chosen.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from eval.audits import Audits, Findings
from eval.engine import Engine
from eval.kept import ScoredRun
from eval.nearest import Library
from eval.scan import scan
from eval.score import Anchored, correctness
from eval.slots import Slot, Slots
from eval.tracks import gravest, track_of
from state.errors import UserError
from state.files import append_jsonl, read_jsonl, utc_now
from state.ledger import Ledger
from state.lifeline import end_with_starter
from state.paths import RunPaths, aar_home

MOST_FINALISTS = 5


def openings(task: str) -> int:
    """How often the sealed part of `task` was opened on this machine."""
    return sum(record["task"] == task for record in read_jsonl(aar_home() / "openings.jsonl"))


def verify(paths: RunPaths, finalists: Sequence[str], controls: Sequence[str], say) -> None:
    """Score submissions of a run on all sealed draws; `say(verdict)` as each is done. UserError for unknown ones, or too
    many; SandboxFailed where the machine has no sandbox for one, which is then to be verified again."""
    for names, what in ((finalists, "finalists"), (controls, "controls")):
        if len(names) > MOST_FINALISTS:
            raise UserError(f"{len(names)} {what}: the sealed part is opened for at most {MOST_FINALISTS} at a time")
    submissions = list(dict.fromkeys([*finalists, *controls]))
    ledger = Ledger(paths.ledger)
    for name in submissions:
        if ledger.verdicts.get(name, {}).get("status") != "scored":
            raise UserError(f"{name} is not a scored submission of run {paths.name}: see `python aar.py scores {paths.name}`")
    run = ScoredRun(paths)
    task, slots, draws = run.config["task"], run.slots[:1], run.prepared.sealed_draws
    anchored = run.anchored("sealed", draws)
    engine = run.engine(slots)
    library = Library(run, engine, "sealed", draws, anchored)
    append_jsonl(
        aar_home() / "openings.jsonl",
        {"task": task, "run": paths.name, "submissions": submissions, "time": utc_now()},
        mode=0o600,
    )
    try:
        for name in submissions:
            with Slots(slots).hold() as slot:
                chosen, public = name in finalists, ledger.verdicts[name]
                verdict = _sealed_verdict(run, engine, slot, ledger.submissions[name], draws, anchored, library if chosen else None)
            # Most audits were made on public draws; what those could not show stands beside what they did.
            reasons = {**dict(zip(public["flags"], public.get("reasons") or public["flags"])), **verdict.pop("found")}
            verdict |= {"track": gravest([public["track"], track_of(reasons)]), "flags": list(reasons), "reasons": list(reasons.values())}
            verdict |= {"isolation": run.config["isolation"], "openings": openings(task), "control": not chosen}
            verdict |= {"null": True} if run.null else {}
            append_jsonl(paths.evaluator / "sealed.jsonl", verdict, mode=0o600)
            say(verdict)
    finally:
        engine.close()


def _sealed_verdict(run: ScoredRun, engine: Engine, slot: Slot, submission: dict, draws: list[int], anchored: Anchored,
                    library: Library | None) -> dict:
    """What came of one submission. Of a finalist, which has a `library` to be compared with, also its own ceiling and what it is nearest
    to: as dear as the rest, and a control is not judged by it."""
    source = run.source(submission)
    found = scan(source, submission["method"])
    engine.make_prompts(found, "sealed")
    outcome = engine.run(source.decode(), submission["method"], draws, found, slot)
    verdict = {key: submission[key] for key in ("submission", "commit", "method", "agent")}
    verdict |= {
        "family": found.family, "track": found.track, "status": outcome.status, "error": outcome.error, "rung": "sealed",
        "draws": len(draws), "flags": found.flags, "method_seconds": round(outcome.method_seconds, 3),
        "peak_memory_mib": outcome.peak_memory_mib, "time": utc_now(),
    }  # fmt: skip
    findings = Findings(dict(outcome.traced))
    verdict["found"] = findings.reasons
    if outcome.predictions is None:
        return verdict
    task = engine.prepared.task
    if task.student_of("sealed") != task.student_of("search") and not engine.packs.null:
        # Other students than in the search, with models at hand that were not there then: do these need their teacher?
        Audits(engine, anchored, "sealed").shuffled(source.decode(), submission["method"], draws[:1], found, outcome, slot, findings)
        verdict |= findings.figures
    correct = correctness(engine.prepared, "sealed", outcome.predictions)
    verdict |= anchored.figures(correct)
    if library is None:
        return verdict
    ceiling = engine.run(source.decode(), submission["method"], draws, found, slot, true_labels=True)
    if ceiling.predictions is not None:
        verdict |= anchored.by_own_recipe(correct, correctness(engine.prepared, "sealed", ceiling.predictions))
    return verdict | library.nearest(source.decode(), found, outcome.predictions, slot)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="eval.sealed")
    parser.add_argument("run")
    parser.add_argument("finalists", nargs="+")
    parser.add_argument("--controls", nargs="*", default=[])
    asked = parser.parse_args(arguments)
    end_with_starter()
    try:
        verify(RunPaths(asked.run), asked.finalists, asked.controls, lambda verdict: print(json.dumps(verdict), flush=True))
    except UserError as error:
        print(f"aar: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
