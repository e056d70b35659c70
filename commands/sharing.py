"""Commands that carry a run's work on: into a clean branch, or to another person in one file."""

from __future__ import annotations

from pathlib import Path

import click

from commands.common import PROJECT, as_json, only_on_a_terminal, say
from state.names import is_submission
from state.paths import find_run


@click.command("bundle")
@click.argument("run")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Default: RUN.aar.tar.gz here.")
@click.option("--transcripts", is_flag=True, help="Also what agents thought and typed.")
@click.option("--without", multiple=True, metavar="AGENT", help="Leave out an agent's branch.")
@as_json
def bundle(run: str, out: Path | None, transcripts: bool, without: tuple[str, ...], as_json: bool) -> None:
    """Pack a run into one file that another person can open: branches, ledger, posts, prompts; secrets are taken out."""
    from swarm.bundle import bundle_run, bundle_text
    from view.patience import Patience

    with Patience("bundle", None if as_json else only_on_a_terminal) as patience:
        facts = bundle_run(find_run(PROJECT, run), out, transcripts, without, patience.stage)
    say(facts, bundle_text(facts), as_json)


@click.command("open")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--as", "name", metavar="NAME", help="Another name for the run here.")
def open_bundle(file: Path, name: str | None) -> None:
    """Open a file that `bundle` made: the run can then be looked at like any other, not continued."""
    from swarm.opened import open_bundle as opened
    from view.patience import Patience

    told: list[str] = []
    with Patience("open", only_on_a_terminal):
        paths = opened(PROJECT, file, name, told.append)
    for text in told:
        click.echo(text)
    click.echo(f"look at it: python aar.py status {paths.name}, then report, log, show, compare, replay")


@click.command("finalize")
@click.argument("run")
@click.argument("method", default="best")
@click.option("--branch", metavar="NAME", help="Default: final/RUN-SUBMISSION.")
@click.option("--as", "as_name", metavar="FILE", help="Another name for the method file.")
@as_json
def finalize(run: str, method: str, branch: str | None, as_name: str | None, as_json: bool) -> None:
    """A clean branch for a method (a submission, a method file, or best): one commit an accepted idea, ready to merge."""
    from swarm.finalize import finalize as make
    from swarm.finalize import finalize_text

    if is_submission(run) and not is_submission(method):
        run, method = method, run  # either order is meant alike
    facts = make(find_run(PROJECT, run), PROJECT, method, branch, as_name)
    say(facts, finalize_text(facts), as_json)
