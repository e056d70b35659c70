"""Commands that start a run, take part in it, or end it."""

from __future__ import annotations

import sys
from collections.abc import Callable

import click

from commands.common import PROJECT, as_json, only_on_a_terminal, say, walls
from commands.reporting import report_line
from state.config import read_config
from state.errors import UserError
from state.ledger import Ledger
from state.paths import NAME, RunPaths, find_run, runs_folder
from swarm import options as flags
from view.ending import resumable


def start_run(agents: int | None, detach, no_verify, allow_unisolated, yes, keep_open, **options) -> None:
    from swarm.care import go_on_in_background
    from swarm.operation import new_run

    paths = new_run(PROJECT, agents, options, keep_open, lambda: walls(allow_unisolated), lambda text: flags.agree(text, yes), click.echo)
    if detach:
        click.echo(go_on_in_background(paths, PROJECT, None, no_verify, keep_open))
    else:
        operate_here(paths, no_verify=no_verify, keep_open=keep_open)


@resumable
def operate_here(paths: RunPaths, seconds: float | None = None, no_verify: bool = False, keep_open: bool = False) -> None:
    """Operate in this process to the end, verify the winner, and print what there is to see."""
    from swarm.operation import run_to_end
    from view.format import tell
    from view.keeper import ReportKeeper
    from view.live import LiveView
    from view.summary import ending_words, summary_text

    live = ReportKeeper(paths, LiveView(paths, sys.stdout.isatty()))
    ended, best = run_to_end(paths, live, tell, seconds, no_verify, keep_open)
    sealed = opened_sealed(paths, best, only_on_a_terminal) if best else []
    tell(summary_text(paths, Ledger(paths.ledger), sealed, read_config(paths)))
    if ended == "stopped":  # who stops a run wants it to end now
        tell(f"{ending_words(paths.name, keep_open)}; `python aar.py report {paths.name}` writes its report")
    else:
        tell(f"\n{report_line(paths)}")


def opened_sealed(paths: RunPaths, chosen: list[str], tell: Callable[[str], None] | None, **beside: int) -> list[dict]:
    """Open the sealed part, with a bar where that takes long; the verdicts."""
    from swarm.verification import verify
    from view.patience import Patience

    with Patience("scoring on the sealed part", tell) as patience:
        return verify(paths, chosen, patience.of, **beside)


@click.command("say")
@click.argument("run")
@click.argument("text")
@click.option("--title", help="Default: the first words of TEXT.")
@click.option("--type", "kind", default="insight", show_default=True)
@click.option("--name", default="person", show_default=True, help="Who speaks.")
def say_to(run: str, text: str, title: str | None, kind: str, name: str) -> None:
    """Post to the forum of a run; its agents read it."""
    from swarm.care import say_in_forum, who_reads

    if not text.strip():
        raise UserError("there is nothing to say: the text is empty")
    paths = find_run(PROJECT, run)
    click.echo(f"posted as {say_in_forum(paths, name, kind, title or text[:60], text)}")
    if words := who_reads(paths):
        click.echo(words)


@click.command("join")
@click.argument("run")
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="[-- CMD ...]")
@flags.name
@flags.direction
def join_run(run: str, command: tuple[str, ...], name: str | None, direction: str | None) -> None:
    """Take part in a run as one more agent: a shell in a worktree and sandbox of your own, or one command.

    Come back under the same name and your files and your branch are as you left them. `resume RUN --keep-open` opens a
    run whose time is over for people.
    """
    from swarm.join import join

    sys.exit(join(find_run(PROJECT, run), name, direction, list(command)))


@click.command()
@click.argument("run")
def stop(run: str) -> None:
    """End a run that is going on; resume can go on with it."""
    from swarm.care import stop_run

    click.echo(stop_run(find_run(PROJECT, run)))


@click.command()
@click.argument("run")
@flags.minutes
@flags.hours
@flags.detach
@flags.unverified
@flags.keep_open
@click.option("--budget", type=float, metavar="DOLLARS", help="What the run may spend in all, from its start on.")
@flags.yes
def resume(run: str, minutes, hours, detach: bool, no_verify: bool, keep_open: bool, budget: float | None, yes: bool) -> None:
    """Go on with a run that was stopped or killed.

    --minutes or --hours gives it more time, --budget more money. A run whose winner was verified on the sealed part is closed for good.
    """
    from swarm.care import go_on_in_background
    from swarm.operation import paid_again, seconds_of

    paths = find_run(PROJECT, run)
    if read_config(paths)["isolation"] != "none":
        walls(False)
    seconds = seconds_of(minutes, hours)
    paid_again(paths, budget, keep_open and seconds is None, lambda text: flags.agree(text, yes))
    if detach:
        click.echo(go_on_in_background(paths, PROJECT, seconds, no_verify, keep_open))
    else:
        operate_here(paths, seconds, no_verify, keep_open)


@click.command("verify")
@click.argument("run")
@click.argument("submissions", nargs=-1)
@as_json
def verify_run(run: str, submissions: tuple[str, ...], as_json: bool) -> None:
    """Open the sealed part for the winner of a run and two controls, or for SUBMISSIONS (at most five). This closes the run."""
    from state.record import is_closed
    from swarm.access import check_own
    from swarm.verification import finalists
    from view.scores import sealed_text

    paths = find_run(PROJECT, run)
    check_own(paths)
    ledger = Ledger(paths.ledger)
    chosen = list(submissions) or finalists(ledger)
    if not chosen:
        raise UserError(f"run {paths.name} has no scored submission to verify")
    if not submissions and is_closed(paths, ledger.events):  # each opening widens what later comparisons may say
        raise UserError(f"run {paths.name} is verified already, see `python aar.py scores {paths.name}`; "
                        f"`python aar.py verify {paths.name} {chosen[0]}` opens the sealed part once more, which counts")
    sealed = opened_sealed(paths, chosen, None if as_json else only_on_a_terminal, **({"beside": 0} if submissions else {}))
    say(sealed, sealed_text(sealed, ledger.verdicts), as_json)
    line = report_line(paths, quiet=as_json)
    if not as_json:
        click.echo(line)


@click.command()
@click.argument("run")
@click.option("--force", is_flag=True, help="Also delete branches that are merged nowhere.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def clean(run: str, force: bool, yes: bool) -> None:
    """Remove a run's folder and its merged branches (with --force all of them)."""
    from swarm.care import clean_plan, clean_run

    # A run that was cleaned before may have left branches behind, and no folder to find it by.
    paths = RunPaths(runs_folder(PROJECT) / run) if NAME.fullmatch(run) else find_run(PROJECT, run)
    plan = clean_plan(paths, force, PROJECT)
    click.echo(plan["text"])
    if not yes:
        if not sys.stdin.isatty():
            raise UserError("clean asks first: say --yes where there is no terminal")
        click.confirm("go ahead?", abort=True)
    clean_run(paths, plan, PROJECT)
    click.echo(f"removed run {paths.name}" + (", but for the branches that are merged nowhere" if plan["keep"] else ""))
