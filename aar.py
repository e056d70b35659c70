"""AAR: a swarm of Automated Alignment Researchers on one machine.

    python aar.py --agents 9            start nine agents (see --help for the other commands)

This file says which commands there are; what each of them does is in commands/.
"""

from __future__ import annotations

import sys
from pathlib import Path

from state.environment import enter

if __name__ == "__main__":
    enter(Path(__file__).resolve().parent)

import click  # noqa: E402

from commands import review, runs, sharing, tasks  # noqa: E402
from state.errors import UserError  # noqa: E402
from swarm import options as flags  # noqa: E402

SECTIONS = {
    "Look at runs (the newest one, if none is named)": (
        review.runs, review.status, review.log, review.scores, review.show, review.report, review.compare, review.replay,
    ),
    "Take part in a run, or end it": (runs.say_to, runs.join_run, runs.stop, runs.resume, runs.verify_run, runs.clean),
    "Carry on": (sharing.finalize, sharing.bundle, sharing.open_bundle),
    "Tasks and methods": (tasks.prepare, tasks.evaluate, tasks.baselines, tasks.transfer),
    "Can it be believed": (tasks.doctor, tasks.redteam),
}  # fmt: skip


class Commands(click.Group):
    """A group that lists its commands by what they are for, before the many options of a new run."""

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        self.format_commands(context, formatter)
        click.Command.format_options(self, context, formatter)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(command.name, command.get_short_help_str(200)) for command in commands])


@click.group(cls=Commands, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
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
    runs.start_run(agents, **options)


for of_a_kind in SECTIONS.values():
    for command in of_a_kind:
        main.add_command(command)


if __name__ == "__main__":
    from view.ending import exit_code

    sys.exit(exit_code(lambda: main(standalone_mode=False)))
