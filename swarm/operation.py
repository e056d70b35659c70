"""A run from its first minute to its verified end, in this process; and what has to be settled before it may start."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from eval.client import make_slots
from sandbox.walls import NotTried, check_report, probe
from state.errors import UserError
from state.files import utc_now, write_atomic
from state.ledger import Ledger
from state.operated import is_operated
from state.paths import RunPaths
from swarm.access import current_budget, hold_run, load_config, open_for_submissions
from swarm.agent import ASK_MODELS
from swarm.create import Options, check_run, create_run
from swarm.key import find_key
from swarm.options import said_of_models
from swarm.run import operate
from swarm.settings import ANTHROPIC, Settings, costs_nothing, models_of, own_prices, read_settings
from swarm.verification import finalists

FREE_SECONDS, PAID_SECONDS = 600.0, 8 * 3600.0
"""How long a run takes where nothing is said: with the search researcher, and with one that asks a model."""
LONGEST_SECONDS = 366 * 24 * 3600


def seconds_of(minutes: float | None, hours: float | None) -> float | None:
    """How long a run may take, from what was said on the command line; None where nothing was."""
    if minutes is not None and hours is not None:
        raise UserError("--minutes and --hours: give one of them")
    seconds = minutes * 60 if minutes is not None else hours * 3600 if hours is not None else None
    if seconds is not None and not 1 <= seconds <= LONGEST_SECONDS:  # also what is no number
        raise UserError("a run may take from a second to a year: check --minutes and --hours")
    return seconds


class Isolation(str):
    """What a run is started with, "bubblewrap" or "none", and what said so: `attempts`, the rows of `sandbox.walls.probe`."""

    attempts: Sequence[dict] = ()


def settled_isolation(allow_unisolated: bool, warn: Callable[[str], None]) -> Isolation:
    """The isolation to run with: bubblewrap, after its walls held against real escape attempts, or none if allowed.

    Where they could not be tried, allowed or not, there is none to run with: NotTried."""
    attempts: list[dict] = []
    try:
        report = probe()
        attempts = report["attempts"]
        check_report(report)
        found = Isolation("bubblewrap")
    except NotTried:
        raise
    except UserError as error:
        if not allow_unisolated:
            raise
        warn(f"aar: WITHOUT WALLS: {error}\naar: every verdict is stamped `isolation: none`")
        found = Isolation("none")
    found.attempts = attempts
    return found


def _note_isolation(paths: RunPaths, isolation: str) -> None:
    """isolation.json: what was tried against the walls when the run was made, and what came of it."""
    facts = {"isolation": isolation, "attempts": getattr(isolation, "attempts", []), "time": utc_now()}
    write_atomic(paths.root / "isolation.json", json.dumps(facts) + "\n")


def new_run(
    project: Path, agents: int | None, options: dict, keep_open: bool, walls: Callable[[], str], agree: Callable[[str], None],
    tell: Callable[[str], None],
) -> RunPaths:  # fmt: skip
    """Make the run that a command line asks for. `walls()` says with which isolation, and by which attempts that was found, or raises;
    `agree(text)` is told what it will cost, where it costs money, and raises where nobody agrees. UserError, with nothing left behind,
    for what is wrong with the command line; that is told first."""
    said, prompt = said_of_models(options), options.pop("prompt")
    researcher = options.pop("researcher") or ("claude" if said.asks_a_model else "search")
    asks = researcher in ASK_MODELS
    if said.cli is not None and researcher != "command":
        raise UserError(f"--cli {said.cli} is for --researcher command: say that too, or leave it out")
    settings = read_settings(project, said, os.environ if asks else {})
    if said.asks_a_model and not asks:
        raise UserError(f"--researcher {researcher} asks no model: leave out --budget, --model and their like, or say --researcher claude")
    minutes, hours = options.pop("minutes"), options.pop("hours")
    seconds = seconds_of(minutes, hours) or (PAID_SECONDS if asks else FREE_SECONDS)
    models = models_of(settings, agents) if asks else []
    given = {name: value for name, value in options.items() if value is not None}
    made = Options(len(models) if asks else agents or 0, researcher=researcher, seconds=seconds, settings=settings, keep_open=keep_open,
                   prompt=Path(prompt) if prompt else None, **given)  # fmt: skip
    check_run(made)
    free = all(costs_nothing(own_prices(settings), model) for model in models)
    if not free:
        check_paid(settings)
    isolation = walls()
    made = replace(made, isolation=str(isolation))
    if asks:
        from swarm.costs import forecast, forecast_text  # a run that asks no model needs no prices

        facts = forecast(project, settings, models, made.task, len(make_slots(made.gpus)), seconds)
        made = replace(made, evaluations_an_hour=facts["evaluations_an_hour"])
        (tell if free else agree)(forecast_text(facts))
    paths = create_run(made)
    _note_isolation(paths, isolation)
    return paths


def time_is_over(paths: RunPaths, config: dict) -> bool:
    """Whether a run has used all its time, so that its agents do not start again."""
    try:
        state = json.loads(paths.state.read_text())
    except (FileNotFoundError, ValueError):
        return False
    return state.get("seconds_used", 0.0) >= max(config["seconds_limit"], state.get("seconds_limit", 0.0))


def _may_go_on(paths: RunPaths) -> bool:
    """Whether a run that asks a model ended before its time."""
    config = load_config(paths)
    return "budget" in config and not time_is_over(paths, config)


def check_paid(settings: Settings) -> None:
    """UserError where a run that asks a model has no key, or nothing that ends it."""
    if find_key() is None and settings.model.base_url == ANTHROPIC:
        raise UserError("no API key: set ANTHROPIC_API_KEY, or --base-url of a server that needs none")
    if settings.budget.dollars is None and settings.budget.agent_dollars is None:
        raise UserError("say what the run may cost at most: --budget DOLLARS (or its prices in aar.toml, where a server costs nothing)")


def paid_again(paths: RunPaths, budget: float | None, for_people: bool, agree: Callable[[str], None]) -> None:
    """Before a run that asks a model goes on: the key is there, what is left is told, `agree` as in `new_run`. `budget`: a new
    limit in dollars, for the run as a whole. `for_people`: it is opened without more time; over that, no agent starts."""
    config = load_config(paths)
    open_for_submissions(paths)
    if for_people and budget is None and time_is_over(paths, config):
        return
    if budget is not None and "budget" not in config:
        raise UserError(f"run {paths.name} asks no model: leave out --budget")
    if budget is not None and is_operated(paths):
        raise UserError(f"run {paths.name} is going on, under the budget that it has: `python aar.py stop {paths.name}` first")
    if "budget" not in config:
        return
    from state.spend import Spend

    spent = Spend(paths.spend).dollars
    limit = budget if budget is not None else current_budget(paths, config).get("dollars")
    if budget is not None and not spent < budget < math.inf:  # also what is no number
        raise UserError(f"--budget {budget:g}: run {paths.name} has spent ${spent:.2f} already; name the sum for the whole run")
    if not all(costs_nothing(config["prices"], agent["model"]) for agent in config["agents"] if agent.get("model")):
        check_paid(Settings(model=config["model"], budget=config["budget"]))
        words = f"${spent:.2f} spent" + (f" of ${limit:.2f}" if limit is not None else "")
        agree(f"run {paths.name} asks a model at {config['model']['base_url']} and costs money: {words}")
    if budget is not None:
        write_atomic(paths.root / "budget.json", json.dumps({"dollars": budget}))


def run_to_end(
    paths: RunPaths,
    live: AbstractContextManager,
    tell: Callable[[str], None],
    seconds: float | None = None,
    no_verify: bool = False,
    keep_open: bool = False,
) -> tuple[str, list[str]]:
    """Operate a run. What it ended as and, where its time is over, whom to verify.

    `live`: its `update(state)` is called about twice a second; it is left before anything else is told.
    """
    open_for_submissions(paths)
    hold_run(paths).release()  # where somebody else has it, nothing else is told
    tell(f"run {paths.name}: state in {paths.root}, branches aar/{paths.name}/*; Ctrl-C stops it, resume goes on")
    with live as view:
        ended = operate(paths, view.update, seconds, keep_open)
    if ended == "finished" and not no_verify and _may_go_on(paths):
        # To verify closes a run, and whoever gave it too little money may want to give it more.
        tell(f"its agents have ended with time left: `python aar.py resume {paths.name} --budget DOLLARS` goes on, "
             f"`python aar.py verify {paths.name}` opens the sealed part and closes it")  # fmt: skip
        return ended, []
    best = finalists(Ledger(paths.ledger)) if ended == "finished" and not no_verify else []
    if best:
        tell(f"the run is over; verifying {best[0]} once on the sealed part ...")
    return ended, best
