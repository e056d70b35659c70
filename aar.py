"""AAR: a swarm of Automated Alignment Researchers on one machine.

    python aar.py --agents 9            start nine agents (see --help for the other commands)

This file parses, calls and prints; nothing else lives here.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent


def _enter_environment() -> None:
    """Run again in .venv where that is not where we are; say what to type where there is none."""
    python = PROJECT / ".venv" / "bin" / "python"
    if Path(sys.prefix).resolve() == (PROJECT / ".venv").resolve():
        return
    if python.exists() and os.environ.get("AAR_REEXECUTED") != "1":
        os.environ["AAR_REEXECUTED"] = "1"
        os.execv(python, [str(python), str(PROJECT / "aar.py"), *sys.argv[1:]])
    try:
        import click  # noqa: F401
        import git  # noqa: F401
        import pydantic  # noqa: F401
    except ImportError as error:
        sys.exit(f"aar: {error.name} is not installed for {sys.executable}: type `make setup` in {PROJECT} first")


if __name__ == "__main__":
    _enter_environment()

import click  # noqa: E402
import tomli  # noqa: E402
from click.core import ParameterSource  # noqa: E402

from state.errors import UserError  # noqa: E402
from state.ledger import Ledger  # noqa: E402
from state.paths import NAME, RunPaths, find_run, runs_folder  # noqa: E402

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON: the same facts that the files hold.")
unisolated = click.option("--allow-unisolated", is_flag=True, help="Go on without walls; everything is stamped `isolation: none`.")
minutes = click.option("--minutes", type=float, help="How long the run may take. Default: 10 for search.")
hours = click.option("--hours", type=float)
unverified = click.option("--no-verify", is_flag=True, help="Do not open the sealed part at the end; the run stays open for resume.")


def say(facts: object, text: str, as_json: bool) -> None:
    click.echo(json.dumps(facts, indent=1) if as_json else text)


def seconds_of(minutes: float | None, hours: float | None) -> float | None:
    if minutes is not None and hours is not None:
        raise UserError("--minutes and --hours: give one of them")
    seconds = minutes * 60 if minutes is not None else hours * 3600 if hours is not None else None
    if seconds is not None and not 1 <= seconds <= 366 * 24 * 3600:  # also what is no number
        raise UserError("a run may take from a second to a year: check --minutes and --hours")
    return seconds


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--agents", type=int, help="Start a run with this many agents.")
@click.option("--task", default="reviews", show_default=True)
@click.option("--run", "name", help="Name of the run. Default: the time.")
@minutes
@hours
@click.option("--researcher", default="search", show_default=True, help="What decides an agent's next step.")
@click.option("--seed", type=int, help="Seed of the researchers. Who is first still differs, so a run does not repeat exactly.")
@click.option("--gpus", help="Devices to make slots of, such as 0,1; or none. Default: all that CUDA_VISIBLE_DEVICES allows.")
@click.option("--detach", is_flag=True, help="Go on in the background, also when this terminal is lost.")
@unverified
@click.option("--allow-dirty", is_flag=True, help="Start in spite of uncommitted changes; the run is stamped.")
@unisolated
@click.pass_context
def main(context: click.Context, agents: int | None, **options) -> None:
    """A swarm of Automated Alignment Researchers on one machine.

    `python aar.py --agents 9` starts nine agents on the task `reviews`, each in its own git worktree, has what they
    commit scored behind walls, and ends with a leaderboard and a sealed verification of the winner.
    """
    given = [name for name in context.params if context.get_parameter_source(name) == ParameterSource.COMMANDLINE]
    if context.invoked_subcommand is not None:
        if given:
            raise UserError(f"--{given[0].replace('_', '-')} belongs behind the command, or starts a run without one: see --help")
        return
    if agents is None:
        if given:
            raise UserError("to start a run, say how many agents: --agents 9")
        click.echo(context.get_help())
        return
    start_run(agents, **options)


def start_run(agents, task, name, minutes, hours, researcher, seed, gpus, detach, no_verify, allow_dirty, allow_unisolated) -> None:
    from swarm.create import Options, create_run

    seconds = seconds_of(minutes, hours) or 600.0
    isolation = walls(allow_unisolated)
    paths = create_run(
        Options(agents, task, name, seconds, researcher, seed, allow_dirty, isolation, gpus)
    )
    if detach:
        go_on_in_background(paths, [], no_verify)
    else:
        operate_here(paths, no_verify=no_verify)


def walls(allow_unisolated: bool) -> str:
    """The isolation to run with: bubblewrap, after its walls held against real escape attempts, or none if allowed."""
    from sandbox.walls import require_walls

    try:
        require_walls()
    except UserError as error:
        if not allow_unisolated:
            raise
        click.echo(f"aar: WITHOUT WALLS: {error}\naar: every verdict is stamped `isolation: none`", err=True)
        return "none"
    return "bubblewrap"


def go_on_in_background(paths: RunPaths, arguments: list[str], no_verify: bool) -> None:
    from swarm.care import detach

    detach(paths, PROJECT, [*arguments, "--no-verify"] if no_verify else arguments)
    click.echo(f"run {paths.name} goes on in the background; its output is in {paths.log}")
    click.echo(f"    python aar.py status {paths.name}\n    python aar.py stop {paths.name}")


def tell(text: str) -> None:
    """Print, also where the terminal is gone by now: a run's end must not depend on who watches."""
    try:
        click.echo(text)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def operate_here(paths: RunPaths, seconds: float | None = None, no_verify: bool = False) -> None:
    """Operate in this process to the end, then verify the winner and print what there is to see."""
    from swarm.access import open_for_submissions
    from swarm.run import operate
    from swarm.verification import finalists, verify
    from view.live import LiveView
    from view.scores import summary_text

    open_for_submissions(paths)
    tell(f"run {paths.name}: state in {paths.root}, branches aar/{paths.name}/*; Ctrl-C stops it, resume goes on")
    with LiveView(paths, sys.stdout.isatty()) as view:
        ended = operate(paths, view.update, seconds)
    sealed: list[dict] = []
    best = finalists(Ledger(paths.ledger)) if ended == "finished" and not no_verify else []
    if best:
        tell(f"the time is over; verifying {best[0]} once on the sealed part ...")
        sealed = verify(paths, best, lambda verdict: None)
    tell(summary_text(paths, Ledger(paths.ledger), sealed, tomli.loads(paths.toml.read_text())))
    if ended == "stopped":
        tell(f"stopped before its time was over: `python aar.py resume {paths.name}` goes on")


@main.command()
@click.argument("task", default="reviews")
def prepare(task: str) -> None:
    """Build a task once on this machine: packages, models, features, draws and anchors."""
    from eval.prepare import prepare as build

    build(task)


@main.command("eval")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--task", default="reviews", show_default=True)
@unisolated
@as_json
def evaluate(file: Path, task: str, allow_unisolated: bool, as_json: bool) -> None:
    """Score one method file by hand on the public part of a task."""
    from eval.client import evaluate_by_hand
    from view.scores import verdict_text

    if not file.is_file():
        raise UserError(f"no method file {file}: name one, such as methods/confident.py")
    verdict = evaluate_by_hand(file, task, walls(allow_unisolated))
    say(verdict, verdict_text(verdict), as_json)
    if verdict["status"] != "scored":
        sys.exit(1)


@main.command()
@as_json
def doctor(as_json: bool) -> None:
    """Try to escape from every kind of sandbox, and say what this machine has."""
    from eval.client import make_slots
    from sandbox.walls import probe
    from view.doctor import doctor_text

    slots = make_slots()
    facts = {**probe(quick=False), "gpus": [slot.gpu for slot in slots if slot.gpu is not None], "slots": len(slots)}
    say(facts, doctor_text(facts), as_json)
    if not all(attempt["blocked"] for attempt in facts["attempts"]):
        sys.exit(1)


@main.command()
@click.argument("run", required=False)
@as_json
def status(run: str | None, as_json: bool) -> None:
    """What a run (the newest, if none is named) is doing."""
    from view.status import status_facts, status_text

    facts = status_facts(find_run(PROJECT, run))
    say(facts, status_text(facts), as_json)


@main.command()
@click.argument("run", required=False)
@as_json
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True)
def scores(run: str | None, as_json: bool, limit: int) -> None:
    """The verdicts of a run, best lower bound first."""
    from view.scores import leaderboard, scores_text

    verdicts = leaderboard(Ledger(find_run(PROJECT, run).ledger))
    say(verdicts, scores_text(verdicts, limit), as_json)


@main.command()
@as_json
def runs(as_json: bool) -> None:
    """All runs of this repository."""
    from view.status import runs_facts, runs_text

    facts = runs_facts(PROJECT)
    say(facts, runs_text(facts), as_json)


@main.command("say")
@click.argument("run")
@click.argument("text")
@click.option("--title", help="Default: the first words of TEXT.")
@click.option("--type", "kind", default="insight", show_default=True)
@click.option("--name", default="person", show_default=True, help="Who speaks.")
def say_to(run: str, text: str, title: str | None, kind: str, name: str) -> None:
    """Post to the forum of a run; its agents read it."""
    from swarm.care import say_in_forum

    if not text.strip():
        raise UserError("there is nothing to say: the text is empty")
    click.echo(f"posted as {say_in_forum(find_run(PROJECT, run), name, kind, title or text[:60], text)}")


@main.command()
@click.argument("run")
def stop(run: str) -> None:
    """End a run that is going on; resume can go on with it."""
    from swarm.care import stop_run

    click.echo(stop_run(find_run(PROJECT, run)))


@main.command()
@click.argument("run")
@minutes
@hours
@click.option("--detach", is_flag=True)
@unverified
def resume(run: str, minutes: float | None, hours: float | None, detach: bool, no_verify: bool) -> None:
    """Go on with a run that was stopped or killed.

    --minutes or --hours gives it more time. A run whose winner was verified on the sealed part is closed for good.
    """
    paths = find_run(PROJECT, run)
    isolation = tomli.loads(paths.toml.read_text())["isolation"]
    if isolation != "none":
        walls(False)
    seconds = seconds_of(minutes, hours)
    if detach:
        amount = [] if seconds is None else ["--minutes", str(seconds / 60)]
        go_on_in_background(paths, amount, no_verify)
    else:
        operate_here(paths, seconds, no_verify)


@main.command("verify")
@click.argument("run")
@click.argument("submissions", nargs=-1)
@as_json
def verify_run(run: str, submissions: tuple[str, ...], as_json: bool) -> None:
    """Open the sealed part for the winner of a run, or for SUBMISSIONS (at most five). This closes the run."""
    from swarm.verification import finalists, verify
    from view.scores import sealed_text

    paths = find_run(PROJECT, run)
    ledger = Ledger(paths.ledger)
    chosen = list(submissions) or finalists(ledger)
    if not chosen:
        raise UserError(f"run {paths.name} has no scored submission to verify")
    sealed = verify(paths, chosen, lambda verdict: None)
    say(sealed, sealed_text(sealed, ledger.verdicts), as_json)


@main.command()
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


def command_line() -> int:
    """Run the command; bad input is one line on stderr and exit code 2."""
    try:
        main(standalone_mode=False)
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
        if error.errno not in (28, 122):  # no space, over quota
            raise
        click.echo(f"aar: the disk is full ({error.filename or 'while writing'}): free some space; nothing was lost, resume goes on", err=True)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(command_line())
