"""How a command ends: bad input is one line on stderr and exit code 2, whatever else goes wrong is not hidden."""

from __future__ import annotations

import errno
from collections.abc import Callable

import click

from state.errors import UserError


def exit_code(command: Callable[[], object]) -> int:
    """Run `command`; 0 where it returned, 1 where a person broke it off, 2 for bad input or a full disk."""
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
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        click.echo(f"aar: the disk is full ({error.filename or 'while writing'}): free some space; nothing was lost, resume goes on", err=True)
        return 2
    return 0
