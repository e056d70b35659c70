"""How a command ends: bad input is one line on stderr and exit code 2, whatever else goes wrong is not hidden."""

from __future__ import annotations

import errno
import functools
import os
import pwd
from collections.abc import Callable
from pathlib import Path

import click

from state.errors import UserError
from state.paths import RunPaths


def exit_code(command: Callable[[], object]) -> int:
    """Run `command`; 0 where it returned, 1 where a person broke it off, 2 for bad input a full disk, or what belongs to another user."""
    try:
        command()
    except UserError as error:
        click.echo(f"aar: {error}", err=True)
        return 2
    except (KeyboardInterrupt, click.exceptions.Abort):
        click.echo("aar: not done", err=True)
        return 1
    except click.ClickException as error:
        click.echo(f"aar: {error.format_message()}", err=True)
        return 2
    except OSError as error:
        words = full_words(error) or foreign_words(error)
        if words is None:
            raise
        click.echo(f"aar: {words}", err=True)
        return 2
    return 0


def full_words(error: OSError) -> str | None:
    """What is said of a full disk; None where it is not full."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return None
    return f"the disk is full ({error.filename or 'while writing'}): free some space"


def foreign_words(error: OSError) -> str | None:
    """What is said of a file that may not be read or written; None where that is not what went wrong."""
    if not isinstance(error, PermissionError) or error.filename is None:
        return None
    file = Path(os.fsdecode(error.filename)).absolute()
    place = next(one for one in (file, *file.parents) if os.access(one, os.F_OK))  # a file in a closed folder is not even seen
    owner = place.stat().st_uid
    if owner == os.geteuid():
        return f"{file} may not be read or written ({error.strerror}): see its permissions, and those of its folder"
    name = next((user.pw_name for user in pwd.getpwall() if user.pw_uid == owner), str(owner))
    return f"{place} belongs to another user ({error.strerror}): ask them, or do this as {name}"


def resumable(operate: Callable) -> Callable:
    """For what operates the run whose paths it is given first: where the disk is full, what was found is on it, and the run can go on."""

    @functools.wraps(operate)
    def operated(paths: RunPaths, *arguments: object, **options: object) -> object:
        try:
            return operate(paths, *arguments, **options)
        except OSError as error:
            if (words := full_words(error)) is None:
                raise
            raise UserError(f"{words}; nothing was lost, `python aar.py resume {paths.name}` goes on") from None

    return operated
