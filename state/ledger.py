"""The ledger: the append-only file of a run's submissions, verdicts and events.

Records are JSON objects, one a line, told apart by `kind`. The broker appends submissions and events, the evaluator
appends verdicts; both fsync before anything is done with what they wrote. What is true of a run is what its ledger says.
"""

from __future__ import annotations

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
    "lift", "lift_low", "lift_high", "best", "against_best", "parent", "against_parent", "flags", "isolation", "method_seconds", "error",
    "same_as", "time",
)  # fmt: skip


def agent_view(verdict: dict) -> dict:
    """What agents and the board may see of a verdict: figures rounded to two digits, no test-side diagnostics.

    Exact accuracies would let an agent read single labels off small changes of its predictions.
    """
    view = {name: verdict.get(name) for name in AGENT_FIELDS}
    view = {name: round(value, 2) if isinstance(value, float) else value for name, value in view.items()}
    if view["method_seconds"]:  # one digit: what a method takes, it could also say something with
        view["method_seconds"] = float(f"{verdict['method_seconds']:.1g}")
    return view
