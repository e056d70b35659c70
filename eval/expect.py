"""What scoring one submission will take on a prepared task, before a run begins. Printed as one JSON line.

    python -m eval.expect TASK        {"seconds": ..., "finetuned_hours": ... | null, "device": "..."}

`seconds` of one submission in one slot: for probes what the library's methods took when they were scored here (`baselines`), else an
assumption; for fine-tuned students by `eval/forecast.py`. `finetuned_hours`: of one finalist whose students are fine-tuned.
"""

from __future__ import annotations

import json
import statistics
import sys

from eval.forecast import fine_tuning, forecast_device, machine_speed
from eval.prepared import open_prepared
from state.files import read_jsonl

AROUND = 0.3
"""Seconds that the evaluator needs around a method."""
PROBE_SECONDS = 0.25
"""Seconds a draw that a probe method is assumed to take where none was scored here: the median of the library on `reviews`."""


def expected(name: str) -> dict:
    """See the module. UserError where the task is not prepared."""
    prepared = open_prepared(name)
    task = prepared.task
    gpu, cores = forecast_device()
    hours = None
    if any(task.student_of(phase) == "finetune" for phase in ("search", "sealed")):
        hours = fine_tuning(prepared).finalist / machine_speed()
        hours = round(hours / 3600, 3)
    if task.student_of("search") == "finetune":
        seconds = 3600 * hours
    else:
        rows = [row.get("method_seconds") for row in read_jsonl(prepared.folder.root / "baselines.jsonl")]
        known = [row for row in rows if row]
        seconds = AROUND + (statistics.median(known) if known else PROBE_SECONDS * len(task.draws("search")))
    return {"seconds": round(seconds, 2), "finetuned_hours": hours, "device": gpu or f"{cores} CPU cores"}


if __name__ == "__main__":
    print(json.dumps({"event": "expected", **expected(sys.argv[1])}))
