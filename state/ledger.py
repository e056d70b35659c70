"""The ledger: the append-only file of a run's submissions, verdicts and events.

Records are JSON objects, one a line, told apart by `kind`. The broker appends submissions and events, the evaluator
appends verdicts; both fsync before anything is done with what they wrote. What is true of a run is what its ledger says.
"""

from __future__ import annotations

import math
from pathlib import Path

from state.files import append_jsonl, read_jsonl_from, utc_now


class Ledger:
    """A view of `ledger.jsonl` that follows what other processes append. One thread at a time may use it."""

    def __init__(self, path: Path | str):
        self.path = Path(path)
        self.submissions: dict[str, dict] = {}
        self.verdicts: dict[str, dict] = {}
        self.events: list[dict] = []
        self._offset = 0
        self.refresh()

    def refresh(self) -> list[dict]:
        """Read what was appended since the last time and return it."""
        records, self._offset = read_jsonl_from(self.path, self._offset)
        for record in records:
            if record["kind"] == "submission":
                self.submissions[record["submission"]] = record
            elif record["kind"] == "verdict":
                # The first verdict stands: a submission is never scored twice.
                self.verdicts.setdefault(record["submission"], record)
            else:
                self.events.append(record)
        return records

    def append(self, kind: str, **fields: object) -> dict:
        """Append one record, durable when this returns."""
        record = {"kind": kind, **fields, "time": utc_now()}
        append_jsonl(self.path, record)
        self.refresh()
        return record

    def next_submission(self) -> str:
        return f"s{len(self.submissions) + 1:04d}"

    def waiting(self) -> list[dict]:
        """Submissions without a verdict, oldest first."""
        return [record for name, record in list(self.submissions.items()) if name not in self.verdicts]


AGENT_FIELDS = (
    "submission", "commit", "method", "agent", "family", "track", "status", "rung", "draws", "pgr", "pgr_low", "pgr_high",
    "lift", "lift_low", "lift_high", "best", "against_best", "parent", "against_parent", "flags", "reasons", "isolation",
    "method_seconds", "error", "same_as", "time",
)  # fmt: skip


FIGURES = ("pgr", "pgr_low", "pgr_high", "lift", "lift_low", "lift_high", "against_best", "against_parent")
PGR_TOLD = (-1.0, 1.5)
"""Beyond these agents are told no more than that."""
WIDTHS_TOLD = (0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.12, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1.0)
"""Half-widths of intervals that agents are told; the next wider one stands for the true one."""
NULL_STAMP = "NULL RUN: the teachers' labels are shuffled; whatever looks good here is luck"
JUDGED_BY_LABELS = ("needs-no-teacher", "needs-no-student", "group-majority", "executes-data")
"""Flags that depend on test labels, so that even being told of them tells something."""


def agent_view(verdict: dict) -> dict:
    """What agents and the board may see of a verdict: figures rounded to two digits, no test-side diagnostics.

    Exact accuracies would let an agent read single labels off small changes of its predictions; and six figures that are
    each rounded in another place tell nearly as much as an exact one. So PGR is told to .01, the lift follows from it (they
    differ by the PGR of tuned naive, which is the same for all on a rung), and an interval by a half-width out of a few. It
    costs that intervals look symmetric, and up to a third wider than they are. Of what was disqualified no figure is told, and
    of a near-duplicate those of the earlier submission stand for it, which the reason of the flag names: whoever probes the
    scorer with ever the same method learns nothing more from it.
    """
    view = {name: verdict.get(name) for name in AGENT_FIELDS}
    view = {name: round(value, 2) if isinstance(value, float) else value for name, value in view.items()}
    named = zip(verdict.get("flags") or (), verdict.get("reasons") or ())
    view["reasons"] = [words for flag, words in named if flag not in JUDGED_BY_LABELS]  # there the words have test figures
    if _has_no_figures(verdict):
        view |= dict.fromkeys(FIGURES)
    elif verdict.get("pgr") is not None and verdict.get("lift") is not None:
        pgr = round(min(max(verdict["pgr"], PGR_TOLD[0]), PGR_TOLD[1]), 2)
        told = {"pgr": pgr, "lift": round(pgr - round(verdict["pgr"] - verdict["lift"], 2), 2)}
        for name, value in told.items():
            half = _width_told(max(verdict[name] - verdict[f"{name}_low"], verdict[f"{name}_high"] - verdict[name]))
            view |= {name: value, f"{name}_low": round(value - half, 2), f"{name}_high": round(value + half, 2)}
    if view["method_seconds"]:  # one digit: what a method takes, it could also say something with
        view["method_seconds"] = float(f"{verdict['method_seconds']:.1g}")
    return view


def _has_no_figures(verdict: dict) -> bool:
    return verdict.get("track") == "disqualified" or "near-duplicate" in (verdict.get("flags") or ())


def _width_told(half: float) -> float:
    return next((width for width in WIDTHS_TOLD if width >= half - 1e-9), WIDTHS_TOLD[-1])


def bits_told(verdict: dict) -> float:
    """Upper bound on what the agents' view of a verdict tells about test labels: log2 of how many views there could have
    been.

    A figure: its steps of .01, two half-widths, each comparison (better, within noise, worse, none), whether it reached the
    full rung, whether it is the best now, of the run and of its agent, and the flags that labels decide. Code that was scored before is told nothing new;
    a failure tells only whether it reached the full rung; what was disqualified, or nearly the same as before, that, who is the best, and its flags.
    """
    if verdict.get("same_as"):
        return 0.0
    if verdict.get("status") != "scored":
        return 1.0 if verdict.get("promotion") else 0.0
    if _has_no_figures(verdict):
        return 3.0 + len(JUDGED_BY_LABELS)
    steps = round((PGR_TOLD[1] - PGR_TOLD[0]) / 0.01) + 1
    return math.log2(steps * len(WIDTHS_TOLD) ** 2 * 4 * 4 * 2 * 2 * 2 * 2 ** len(JUDGED_BY_LABELS))
