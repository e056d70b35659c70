"""What commands share: how they print, and what they find behind walls."""

from __future__ import annotations

import json
from pathlib import Path

import click

PROJECT = Path(__file__).resolve().parent.parent

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON: the same facts that the files hold.")


def say(facts: object, text: str, as_json: bool) -> None:
    click.echo(json.dumps(facts, indent=1) if as_json else text)


def shown_on_stderr(text: str) -> None:
    """For what is told beside what a command prints."""
    click.echo(text, err=True)


def only_on_a_terminal(text: str) -> None:
    """For a bar without a line in its place elsewhere: what a command prints there is one line, or what was asked for."""


def walls(allow_unisolated: bool) -> str:
    from swarm.operation import settled_isolation

    return settled_isolation(allow_unisolated, shown_on_stderr)
