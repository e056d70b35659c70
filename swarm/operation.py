"""A run from its first minute to its verified end, in this process; and what has to be settled before it may start."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from sandbox.walls import require_walls
from state.errors import UserError
from state.ledger import Ledger
from state.paths import RunPaths
from swarm.access import open_for_submissions
from swarm.run import operate
from swarm.verification import finalists, verify

LONGEST_SECONDS = 366 * 24 * 3600


def seconds_of(minutes: float | None, hours: float | None) -> float | None:
    """How long a run may take, from what was said on the command line; None where nothing was."""
    if minutes is not None and hours is not None:
        raise UserError("--minutes and --hours: give one of them")
    seconds = minutes * 60 if minutes is not None else hours * 3600 if hours is not None else None
    if seconds is not None and not 1 <= seconds <= LONGEST_SECONDS:  # also what is no number
        raise UserError("a run may take from a second to a year: check --minutes and --hours")
    return seconds


def settled_isolation(allow_unisolated: bool, warn: Callable[[str], None]) -> str:
    """The isolation to run with: bubblewrap, after its walls held against real escape attempts, or none if allowed."""
    try:
        require_walls()
    except UserError as error:
        if not allow_unisolated:
            raise
        warn(f"aar: WITHOUT WALLS: {error}\naar: every verdict is stamped `isolation: none`")
        return "none"
    return "bubblewrap"


def run_to_end(
    paths: RunPaths, live: AbstractContextManager, tell: Callable[[str], None], seconds: float | None = None, no_verify: bool = False
) -> tuple[str, list[dict]]:
    """Operate a run and, where its time is over, verify the winner. What it ended as, and the sealed verdicts.

    `live`: its `update(state)` is called about twice a second; it is left before anything else is told.
    """
    open_for_submissions(paths)
    tell(f"run {paths.name}: state in {paths.root}, branches aar/{paths.name}/*; Ctrl-C stops it, resume goes on")
    with live as view:
        ended = operate(paths, view.update, seconds)
    best = finalists(Ledger(paths.ledger)) if ended == "finished" and not no_verify else []
    if not best:
        return ended, []
    tell(f"the time is over; verifying {best[0]} once on the sealed part ...")
    return ended, verify(paths, best, lambda verdict: None)
