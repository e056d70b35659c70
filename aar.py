"""AAR: a swarm of Automated Alignment Researchers on one machine.

    python aar.py --agents 9            start nine agents (see --help for the other commands)

This file parses, calls and prints; nothing else lives here.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from state.environment import enter

PROJECT = Path(__file__).resolve().parent

if __name__ == "__main__":
    enter(PROJECT)

import click  # noqa: E402

from state.config import read_config  # noqa: E402
from state.errors import UserError  # noqa: E402
from state.ledger import Ledger  # noqa: E402
from state.paths import NAME, RunPaths, find_run, runs_folder  # noqa: E402
from swarm import options as flags  # noqa: E402

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON: the same facts that the files hold.")


def say(facts: object, text: str, as_json: bool) -> None:
    click.echo(json.dumps(facts, indent=1) if as_json else text)


def say_and_save(facts: dict, text: str, as_json: bool) -> None:
    from state.files import write_atomic

    write_atomic(facts["table"], text + "\n")
    say(facts, text, as_json)


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@flags.of_a_run
@click.pass_context
def main(context: click.Context, agents: int | None, **options) -> None:
    """A swarm of Automated Alignment Researchers on one machine.

    `python aar.py --agents 9` starts nine agents on the task `reviews`, each in its own git worktree, has what they
    commit scored behind walls, and ends with a leaderboard and a sealed verification of the winner.
    """
    given = [name for name in context.params if context.get_parameter_source(name) == click.core.ParameterSource.COMMANDLINE]
    if context.invoked_subcommand is not None:
        if given:
            raise UserError(f"--{given[0].replace('_', '-')} belongs behind the command, or starts a run without one: see --help")
        return
    if agents is None and not options["models"]:
        if given:
            raise UserError("to start a run, say how many agents: --agents 9")
        click.echo(context.get_help())
        return
    start_run(agents, **options)


def start_run(agents: int | None, detach, no_verify, allow_unisolated, yes, keep_open, **options) -> None:
    from swarm.care import go_on_in_background
    from swarm.operation import new_run

    paths = new_run(PROJECT, agents, options, keep_open, lambda: walls(allow_unisolated), lambda text: flags.agree(text, yes), click.echo)
    if detach:
        click.echo(go_on_in_background(paths, PROJECT, None, no_verify, keep_open))
    else:
        operate_here(paths, no_verify=no_verify, keep_open=keep_open)


def walls(allow_unisolated: bool) -> str:
    from swarm.operation import settled_isolation

    return settled_isolation(allow_unisolated, lambda text: click.echo(text, err=True))


def operate_here(paths: RunPaths, seconds: float | None = None, no_verify: bool = False, keep_open: bool = False) -> None:
    """Operate in this process to the end, verify the winner, and print what there is to see."""
    from swarm.operation import run_to_end
    from view.format import tell
    from view.live import LiveView
    from view.scores import ending_words, summary_text

    ended, sealed = run_to_end(paths, LiveView(paths, sys.stdout.isatty()), tell, seconds, no_verify, keep_open)
    tell(summary_text(paths, Ledger(paths.ledger), sealed, read_config(paths)))
    if ended == "stopped":
        tell(ending_words(paths.name, keep_open))


@main.command()
@click.argument("task", default="reviews")
@flags.of_a_task
def prepare(task: str, prompts: bool, **told: str | None) -> None:
    """Build a task once on this machine: packages, models, features, draws and anchors.

    What --data, --strong, --weak and --students say is kept for every later command; `default` takes it back.
    """
    from eval.prepare import prepare as build
    from eval.task import tell

    tell(task, **told)
    build(task, prompts=prompts)


@main.command("eval")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--task", default="reviews", show_default=True)
@flags.unisolated
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
@click.argument("task", default="reviews")
@click.option("--draws", type=int, help="On the first so many search draws only.")
@click.option("--methods", help="Only these files of methods/, such as naive,soft.")
@flags.unisolated
@as_json
def baselines(task: str, draws: int | None, methods: str | None, allow_unisolated: bool, as_json: bool) -> None:
    """Score all of methods/ on equal draws of a task; what was scored before is kept."""
    from eval.client import baselines as score
    from view.baselines import ScoringProgress, baselines_text

    isolation = walls(allow_unisolated)
    with ScoringProgress("baselines") as progress:
        facts = score(task, isolation, draws, methods, progress.update)
    say_and_save(facts, baselines_text(facts), as_json)


@main.command()
@click.argument("what", nargs=-1, required=True, metavar="METHOD...|RUN")
@click.option("--tasks", help="On these tasks, such as news,tweets. Default: all that are prepared.")
@click.option("--prepare", "prepare_first", is_flag=True, help="Prepare those of --tasks that are not.")
@flags.unisolated
@as_json
def transfer(what: tuple[str, ...], tasks: str | None, prepare_first: bool, allow_unisolated: bool, as_json: bool) -> None:
    """Score method files, or the best three of a run, as they are, on tasks that they were not developed on."""
    from eval.client import transfer as score
    from view.baselines import ScoringProgress
    from view.transfer import transfer_text

    isolation = walls(allow_unisolated)
    if prepare_first and not tasks:
        raise UserError("--prepare: say with --tasks which tasks, such as --tasks news,tweets")
    for task in tasks.split(",") if prepare_first else ():
        from eval.prepare import prepare as build

        build(task.strip())
    with ScoringProgress("transfer") as progress:
        facts = score(what, tasks, isolation, progress.update)
    say_and_save(facts, transfer_text(facts), as_json)


@main.command()
@as_json
def doctor(as_json: bool) -> None:
    """Try to escape from every kind of sandbox, start CUDA in one, and say what this machine has."""
    from eval.client import make_slots
    from eval.warm_probe import probe_all
    from sandbox.cuda import gpu_facts
    from swarm.race_probe import race_rows
    from view.doctor import doctor_text

    gpus = gpu_facts()
    slots = make_slots(",".join(str(gpu["number"]) for gpu in gpus if gpu["cuda"]) or "none")
    facts = {**probe_all(), "gpus": gpus, "slots": len(slots)}
    facts["attempts"] += race_rows(facts["isolation"])
    say(facts, doctor_text(facts), as_json)
    if not all([facts["baits"], *(attempt["blocked"] for attempt in facts["attempts"]), *(gpu["cuda"] for gpu in gpus)]):
        sys.exit(1)


@main.command()
@click.option("--only", help="Only attacks whose name begins so, such as h02 or a09.")
@flags.unisolated
@as_json
def redteam(only: str | None, allow_unisolated: bool, as_json: bool) -> None:
    """Play every known hack against a throw-away run, and the library of methods beside it."""
    from swarm.redteam import redteam as play
    from view.redteam import redteam_text, tell_progress

    facts = play(PROJECT, only, walls(allow_unisolated), tell_progress)
    say(facts, redteam_text(facts), as_json)
    sys.exit(1 if facts["through"] or facts["false_positives"] else 0)


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


@main.command("join")
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


@main.command()
@click.argument("run")
def stop(run: str) -> None:
    """End a run that is going on; resume can go on with it."""
    from swarm.care import stop_run

    click.echo(stop_run(find_run(PROJECT, run)))


@main.command()
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


@main.command("verify")
@click.argument("run")
@click.argument("submissions", nargs=-1)
@as_json
def verify_run(run: str, submissions: tuple[str, ...], as_json: bool) -> None:
    """Open the sealed part for the winner of a run and two controls, or for SUBMISSIONS (at most five). This closes the run."""
    from swarm.verification import finalists, verify
    from view.scores import sealed_text

    paths = find_run(PROJECT, run)
    ledger = Ledger(paths.ledger)
    chosen = list(submissions) or finalists(ledger)
    if not chosen:
        raise UserError(f"run {paths.name} has no scored submission to verify")
    sealed = verify(paths, chosen, lambda verdict: None, **({"beside": 0} if submissions else {}))
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


if __name__ == "__main__":
    from view.ending import exit_code

    sys.exit(exit_code(lambda: main(standalone_mode=False)))
