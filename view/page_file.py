"""Writes a page to where a person asked for it, and to nothing else that may lie there.

    check_page(out)          before the page is made: UserError where it cannot go there
    write_page(out, data)
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from state.errors import UserError
from state.files import write_atomic

GENERATOR = b'<meta name="generator" content="AAR">'
"""What all pages have near their top (view/report/templates), by which they are known again."""
TOP = 2000
STREAMS = (stat.S_ISCHR, stat.S_ISFIFO)
"""Written straight through: /dev/null, a terminal, /dev/stdout in a pipe."""


def check_page(out: Path) -> Path | None:
    """The file that a page for `out` is to replace, links followed; None where `out` is a stream to write into. UserError where something
    else than a page of AAR lies there, or there is no folder for it."""
    try:
        mode = out.stat().st_mode
    except FileNotFoundError:
        file = Path(os.path.realpath(out))  # of a link that leads nowhere yet
        if not file.parent.is_dir():
            raise UserError(f"{out} cannot be written to: there is no folder {file.parent}") from None
        return file
    except OSError as error:
        raise _refused(out, error) from None
    if any(is_stream(mode) for is_stream in STREAMS):
        return None
    if not stat.S_ISREG(mode):
        raise UserError(f"{out} is no file that a page could be written to: name another file")
    if not _is_ours(out):
        raise UserError(f"{out} exists and is no page that AAR wrote: remove it, or name another file")
    return Path(os.path.realpath(out))


def _is_ours(file: Path) -> bool:
    """Whether nothing is lost with a file: it is a page of ours, or empty."""
    try:
        with open(file, "rb") as open_file:
            top = open_file.read(TOP)
    except OSError as error:
        raise _refused(file, error) from None
    return not top or GENERATOR in top


def write_page(out: Path, data: bytes) -> None:
    """Write a page to `out`: a file in one step, where a link leads to, or into a stream. UserError as `check_page`, and where it cannot be
    written."""
    file = check_page(out)
    try:
        if file is not None:
            write_atomic(file, data)
        else:
            with open(out, "wb") as stream:
                stream.write(data)
    except OSError as error:
        raise _refused(out, error) from None


def _refused(out: Path, error: OSError) -> UserError:
    return UserError(f"{out} cannot be written to ({error.strerror}): name another file")
