"""How a command ends: bad input is one line on stderr and exit code 2, whatever else goes wrong is not hidden."""

from __future__ import annotations

import functools
from collections.abc import Callable

import click

from state.disk import disk_words, full_words
from state.errors import UserError
from state.paths import RunPaths


def exit_code(command: Callable[[], object]) -> int:
    """Run `command`; 0 where it returned, 1 where a person broke it off, 2 for bad input, a disk that
    takes nothing, or what belongs to another user."""
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
        if (words := disk_words(error)) is None:
            raise
        click.echo(f"aar: {words}", err=True)
        return 2
    return 0


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
