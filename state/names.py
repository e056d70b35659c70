"""What people call a submission on a command line.

    submission_name("S3")       "s0003", as the ledger has it
    is_submission("s3")         whether a word can only mean one: no run may be called so
"""

from __future__ import annotations

import re

BEST = "best"
"""The leader of the main track."""
NUMBER = re.compile(r"[sS]?([0-9]{1,9})")


def submission_name(said: str) -> str:
    """s3, S0003 and 3 are s0003. What looks like no submission stays as it is."""
    found = NUMBER.fullmatch(said)
    return f"s{int(found[1]):04d}" if found else said


def is_submission(said: str) -> bool:
    """A number alone is none: a run may be called so."""
    return said == BEST or not said.isdigit() and NUMBER.fullmatch(said) is not None
