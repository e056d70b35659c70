"""What the winner of a run is worth over others of it: paired differences in PGR on the public part, for an ablation.

    python -m eval.pairs RUN_FOLDER WINNER OTHER ...        one JSON object a line

From the predictions that the run's evaluator has kept, so nothing is run again. Exact figures, for the operator only.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence

from eval.kept import Predictions, ScoredRun
from eval.score import Anchored
from state.errors import UserError
from state.ledger import Ledger
from state.lifeline import end_with_starter
from state.paths import RunPaths

SAME_ACCURACY = 0.002
"""Predictions are kept in single precision, so that a chance of a half may fall to the other side; no more than that."""


def pairs(paths: RunPaths, winner: str, others: Sequence[str]) -> Iterator[dict]:
    """{"submission", "difference", "low", "high", "draws"} of each of `others`: PGR of `winner` minus its own, paired on items and on the
    draws that both have, with a 95 % interval; None where the gap is not established. Those without predictions are left out.
    UserError where the winner has none, or the task is not the one that it was scored on."""
    verdicts = Ledger(paths.ledger).verdicts
    if verdicts.get(winner, {}).get("status") != "scored":
        raise UserError(f"{winner} is not a scored submission of run {paths.name}: see `python aar.py scores {paths.name}`")
    run = ScoredRun(paths)
    kept, scales = Predictions(run), {}

    def correct(name: str):
        return kept.correct(verdicts.get(name, {}).get("same_as") or name)  # code that was scored before has that one's

    own = correct(winner)
    if own is None:
        raise UserError(f"run {paths.name} keeps no predictions of {winner} (evaluator/predictions in its folder)")
    if abs(float(own.mean()) - verdicts[winner]["accuracy"]) > SAME_ACCURACY:
        raise UserError(f"task {run.config['task']} was prepared anew since run {paths.name}: its items are not those that {winner} answered")
    for name in others:
        if (theirs := correct(name)) is None:
            continue
        draws = min(len(own), len(theirs))
        if draws not in scales:
            scales[draws] = run.anchored("search", run.prepared.search_draws[:draws])
        yield _row(name, scales[draws], own[:draws], theirs[:draws])


def _row(name: str, scale: Anchored, own, theirs) -> dict:
    found = scale.difference(own, theirs)
    return {"submission": name, "difference": found.value, "low": found.low, "high": found.high, "draws": len(own)}


def main(arguments: list[str]) -> int:
    end_with_starter()
    try:
        for row in pairs(RunPaths(arguments[0]), arguments[1], arguments[2:]):
            print(json.dumps(row), flush=True)
    except UserError as error:
        print(f"aar: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
