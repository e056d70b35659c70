"""The order of a leaderboard: by what is known for certain, not by the luckiest figure; by accuracy where PGR is not available."""

from __future__ import annotations

RUNGS = {"sealed": 2, "full": 1, "quick": 0}


def sort_key(verdict: dict) -> tuple:
    """Best first under `sorted`: scored before failed, more draws before fewer, then the higher lower bound of PGR, or the higher
    accuracy where the task's gap is not established."""
    scored, low = verdict.get("status") == "scored", verdict.get("pgr_low")
    return (
        not scored,
        -RUNGS.get(verdict.get("rung"), -1) if scored else 0,
        low is None,
        -(low if low is not None else verdict.get("accuracy") or 0.0) if scored else 0.0,
        verdict.get("submission") or "",
    )


def ranked(verdicts: list[dict]) -> list[dict]:
    """Verdicts, best first."""
    return sorted(verdicts, key=sort_key)


def contends(verdict: dict) -> bool:
    """Whether a verdict is scored, of the main track, and no copy of earlier code, exact or nearly."""
    return (verdict["status"] == "scored" and verdict["track"] == "main" and not verdict.get("same_as")
            and "near-duplicate" not in (verdict.get("flags") or ()))  # fmt: skip


def contenders(verdicts: list[dict]) -> list[dict]:
    """Scored submissions of the main track, best first; copies of earlier code, exact or nearly, are left out."""
    return ranked([verdict for verdict in verdicts if contends(verdict)])
