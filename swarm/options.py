"""The flags of a run: what it works on, what it may ask and spend, what agents are told; and of other commands that have many.

aar.py hangs them on its commands.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, fields

import click

from state.errors import UserError

yes = click.option("--yes", is_flag=True, help="Do not ask before a run that costs money.")
keep_open = click.option("--keep-open", is_flag=True, help="Stay open for people (`join`) when the agents have stopped; `stop` ends it.")

minutes = click.option("--minutes", type=float, help="How long the run may take. Default: 10 for search, 8 hours with a model.")
hours = click.option("--hours", type=float)
unverified = click.option("--no-verify", is_flag=True, help="Do not open the sealed part at the end; the run stays open for resume.")
detach = click.option("--detach", is_flag=True, help="Go on in the background, also when this terminal is lost.")
unisolated = click.option("--allow-unisolated", is_flag=True, help="Go on without walls; everything is stamped `isolation: none`.")

name = click.option("--name", help="Who you are there. Default: your login name.")
direction = click.option("--direction", type=click.Path(dir_okay=False), metavar="FILE", help="What you begin with, in your words.")

TASK = (
    click.option("--data", help="The folder of jsonl files of a task that takes its data from one."),
    click.option("--strong", help="Another strong model: an embedded one, a hub name (NAME or NAME@REVISION) or a folder."),
    click.option("--weak", help="Another weak model: the same, or forest or logistic."),
    click.option("--students", type=click.Choice(["probe", "finetune", "default"]), help="What is trained, in search and verification alike."),
    click.option("--prompts", is_flag=True, help="Also what the strong model answers under the task's prompts."),
)
RUN = (
    click.option("--agents", type=int, help="Start a run with this many agents."),
    click.option("--task", default="reviews", show_default=True),
    click.option("--run", help="Name of the run. Default: the time."),
    minutes,
    hours,
    click.option("--researcher", type=click.Choice(["search", "claude", "command"]),
                 help="What decides an agent's next step. Default: search, or claude where a budget or a model is named."),
    click.option("--seed", type=int, help="Seed of the researchers. Who is first still differs, so a run does not repeat exactly."),
    click.option("--gpus", help="Devices to make slots of, such as 0,1; or none. Default: all that CUDA_VISIBLE_DEVICES allows."),
    click.option("--submissions", type=click.IntRange(min=1), help="How many an agent may make. Default: 400."),
    click.option("--fleet-submissions", type=click.IntRange(min=1), help="How many all agents may make. Default: 2,000."),
    click.option("--null", is_flag=True, help="Shuffle all teachers' labels: how high does the swarm climb on nothing?"),
    click.option("--allow-dirty", is_flag=True, help="Start in spite of uncommitted changes; the run is stamped."),
)  # fmt: skip
MODEL = (
    click.option("--model", metavar="NAME", help="The model of all agents: opus, sonnet, haiku, or its full name."),
    click.option("--models", metavar="NAME:N,...", help="Several models, such as opus:6,sonnet:3."),
    click.option("--effort", type=click.Choice(["low", "medium", "high", "xhigh", "max"]), help="How hard the model thinks. Default: high."),
    click.option("--base-url", metavar="URL", help="A server that speaks the Messages API. Default: $ANTHROPIC_BASE_URL, else Anthropic."),
    click.option("--cli", metavar="PRESET", help="For --researcher command: claude, opencode or codex. Others: aar.toml."),
)
BUDGET = (
    click.option("--budget", type=float, metavar="DOLLARS", help="What the run may spend on models, over all its restarts."),
    click.option("--agent-budget", type=float, metavar="DOLLARS", help="What each agent may spend."),
    click.option("--tokens", type=int, help="Tokens, read and written, of all agents."),
    click.option("--agent-tokens", type=int, help="Tokens of each agent."),
    click.option("--turns", type=int, help="Calls of models by all agents."),
    click.option("--agent-turns", type=int, help="Calls of each agent."),
    click.option("--agent-hours", type=float, help="How long each agent may work."),
)
WORDS = (
    click.option("--prompt", type=click.Path(dir_okay=False), metavar="FILE", help="Another text in place of prompts/researcher.md."),
    click.option("--directions", metavar="DIR|none", help="Another folder of directions, or none: all start alike."),
    click.option("--share-after", type=float, metavar="MINUTES",
                 help="When agents see others' work, if not by their first verdict. Default: 20 with a model, else 0 (at once)."),
)  # fmt: skip


@dataclass(frozen=True)
class Said:
    """What was said on the command line; None where nothing was."""

    model: str | None = None
    models: str | None = None
    effort: str | None = None
    base_url: str | None = None
    budget: float | None = None
    agent_budget: float | None = None
    tokens: int | None = None
    agent_tokens: int | None = None
    turns: int | None = None
    agent_turns: int | None = None
    agent_hours: float | None = None
    share_after: float | None = None
    cli: str | None = None

    @property
    def asks_a_model(self) -> bool:
        """Whether something was said that makes sense with a model only."""
        return any(value is not None for name, value in vars(self).items() if name != "share_after")


def _hung_on(command: Callable, options: tuple[Callable, ...]) -> Callable:
    for option in reversed(options):
        command = option(command)
    return command


def of_a_run(command: Callable) -> Callable:
    """Decorator: all flags of a new run."""
    return _hung_on(command, (*RUN, *MODEL, *BUDGET, *WORDS, yes, detach, keep_open, unverified, unisolated))


def of_a_task(command: Callable) -> Callable:
    """Decorator: the flags with which a task is prepared."""
    return _hung_on(command, TASK)


def agree(text: str, yes: bool) -> None:
    """Say what a run will cost and ask whether it should. UserError where nobody can be asked."""
    click.echo(text)
    if yes:
        return
    if not sys.stdin.isatty():
        raise UserError("a run that costs money asks first: say --yes where there is no terminal")
    click.confirm("go ahead?", abort=True)


def said_of_models(options: dict) -> Said:
    """Takes out of `options` what `swarm/settings.py` reads."""
    return Said(**{field.name: options.pop(field.name, None) for field in fields(Said)})
