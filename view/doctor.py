"""The table of `python aar.py doctor`: what was tried against the walls, and whether the attempt works without them."""

from __future__ import annotations

from view.format import clean, columns


def doctor_text(facts: dict) -> str:
    """The facts of `doctor --json` as plain text."""
    rows = [
        (
            clean(attempt["sandbox"], 10),
            clean(attempt["name"], 60),
            "blocked" if attempt["blocked"] else "ESCAPED",
            "works outside" if attempt["control"] else "NO CONTROL",
            clean(attempt["detail"], 60),
        )
        for attempt in facts["attempts"]
    ]
    blocked = sum(attempt["blocked"] for attempt in facts["attempts"])
    controlled = sum(bool(attempt["control"]) for attempt in facts["attempts"])
    gpus = ", ".join(map(str, facts["gpus"])) or "none"
    return "\n".join(
        [
            columns(("sandbox", "attempt", "inside", "control", "detail"), rows),
            "",
            f"isolation {facts['isolation']}: {blocked} of {len(rows)} attempts blocked, {controlled} of them work outside the walls",
            f"gpus {gpus}; slots {facts['slots']}",
        ]
    )
