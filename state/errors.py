"""The one exception that a person sees as a line instead of a traceback."""

from __future__ import annotations

import sys
from collections.abc import Callable

from state.disk import disk_words


class UserError(Exception):
    """Bad input or a bad environment: one line that says what was found, where, and what to do.

    `aar.py` prints it as `aar: <message>` and exits with code 2. Nothing has been lost when it is raised.
    """


def ended(work: Callable[[], object]) -> int:
    """Do the work of a module that is run as a process; its exit code: 0, or 2 with the line of a UserError, or of what the disk refused,
    on stderr."""
    try:
        work()
    except UserError as error:
        print(f"aar: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        if (words := disk_words(error)) is None:
            raise
        print(f"aar: {words}", file=sys.stderr)
        return 2
    return 0
