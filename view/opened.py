"""What is said of a run that was opened from a bundle: its figures are its sender's, and so is the machine that they are from."""

from __future__ import annotations

GIVEN = "opened from a bundle: figures as its sender gave them"


def machine(opened: bool) -> str:
    """Where the sealed part of a run's task was opened as often as its verdicts say."""
    return "there" if opened else "on this machine"
