"""Commands about tasks and methods, without a run: prepare, eval, baselines, transfer; and what proves the walls and audits."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from commands.common import PROJECT, as_json, only_on_a_terminal, say, walls
from state.errors import UserError
from state.names import is_submission, submission_name
from state.paths import find_run
from swarm import options as flags


def say_and_save(facts: dict, text: str, as_json: bool) -> None:
    from state.files import write_atomic

    write_atomic(facts["table"], text + "\n")
    say(facts, text, as_json)


@click.command()
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


@click.command("eval")
@click.argument("what", metavar="FILE|SUBMISSION")
@click.option("--task", help="Default: reviews.")
@click.option("--run", help="Score a submission of this run again, as it was scored there: same draws, orders and seeds.")
@flags.unisolated
@as_json
def evaluate(what: str, task: str | None, run: str | None, allow_unisolated: bool, as_json: bool) -> None:
    """Score one method file by hand on the public part of a task, or a submission of a run (s0007 --run RUN) again."""
    from view.patience import Patience
    from view.scores import again_text, verdict_text

    if run is not None:
        from eval.client import evaluate_submission

        if task is not None:
            raise UserError("--task and --run: a submission is scored again on the task of its run; leave out --task")
        isolation = walls(allow_unisolated)
        with Patience("scoring", None if as_json else only_on_a_terminal):
            verdict = evaluate_submission(find_run(PROJECT, run), submission_name(what), isolation)
        say(verdict, f"{verdict_text(verdict)}\n{again_text(verdict)}", as_json)
    else:
        from eval.client import evaluate_by_hand

        if not Path(what).is_file():
            known = "; to score a submission again, say of which run: --run RUN" if is_submission(what) else ""
            raise UserError(f"no method file {what}: name one, such as methods/confident.py{known}")
        isolation = walls(allow_unisolated)
        with Patience("scoring", None if as_json else only_on_a_terminal):
            verdict = evaluate_by_hand(Path(what), task or "reviews", isolation)
        say(verdict, verdict_text(verdict), as_json)
    if verdict["status"] != "scored":
        sys.exit(1)


@click.command()
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


@click.command()
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

    if prepare_first and not tasks:
        raise UserError("--prepare: say with --tasks which tasks, such as --tasks news,tweets")
    isolation = walls(allow_unisolated)
    for task in tasks.split(",") if prepare_first else ():
        from eval.prepare import prepare as build

        build(task.strip())
    with ScoringProgress("transfer") as progress:
        facts = score(what, tasks, isolation, progress.update)
    say_and_save(facts, transfer_text(facts), as_json)


@click.command()
@as_json
def doctor(as_json: bool) -> None:
    """Try to escape from every kind of sandbox, start CUDA in one, and say what this machine has."""
    from eval.client import make_slots
    from eval.warm_probe import probe_all
    from sandbox.cuda import gpu_facts
    from swarm.race_probe import race_rows
    from view.doctor import doctor_text
    from view.patience import Patience

    with Patience("doctor", None if as_json else only_on_a_terminal) as patience:
        patience.stage("looking for GPUs")
        gpus = gpu_facts()
        slots = make_slots(",".join(str(gpu["number"]) for gpu in gpus if gpu["cuda"]) or "none")
        patience.stage("trying to escape from sandboxes")
        facts = {**probe_all(), "gpus": gpus, "slots": len(slots)}
        patience.stage("trying to win races against commits")
        facts["attempts"] += race_rows(facts["isolation"])
    say(facts, doctor_text(facts), as_json)
    if not all([facts["baits"], *(attempt["blocked"] for attempt in facts["attempts"]), *(gpu["cuda"] for gpu in gpus)]):
        sys.exit(1)


@click.command()
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
