"""What a run that asks models will cost, told before it starts: dollars an agent-hour, verdicts an hour, GPU-hours.

    facts = forecast(project, settings, models, "reviews", slots=1, seconds=28800)
    print(forecast_text(facts))

Dollars come from earlier runs of the same model in this repository where there are any; else from the published study, whose agents
cost $22 an hour each, scaled by the prices of the model.
"""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tomli

from eval.client import expected_cost
from state.ledger import Ledger
from state.paths import RunPaths, all_runs
from state.spend import Spend
from swarm.prices import Prices
from swarm.prompts import time_words
from swarm.settings import Settings, costs_nothing, own_prices

STUDY_DOLLARS_AN_HOUR, STUDY_MODEL = 22.0, "claude-opus-4-6"
"""Of an agent of the published study (Anthropic, April 2026: $18,000 for 800 agent-hours)."""
TURN = {"cache_read_tokens": 80_000, "cache_write_tokens": 2_500, "input_tokens": 82_500, "output_tokens": 1_200}
"""A turn whose price scales the study's hour to another model: a long conversation read from cache, a little new, a short answer."""
LEAST_HOURS = 0.25
"""Agent-hours of an earlier run before its cost is believed."""
LEAST_VERDICTS = 10


def forecast(project: Path, settings: Settings, models: Sequence[str], task: str, slots: int, seconds: float) -> dict[str, Any]:
    """Facts for `forecast_text`, and `evaluations_an_hour`. UserError where the task is not prepared."""
    own = own_prices(settings)
    prices = Prices(own)
    runs = all_runs(project)
    rows = []
    for model, agents in Counter(models).items():
        measured = _measured(runs, model)
        hour = measured[0] if measured else STUDY_DOLLARS_AN_HOUR * prices.dollars(model, **TURN) / Prices({}).dollars(STUDY_MODEL, **TURN)
        rows.append({"model": model, "agents": agents, "dollars_an_agent_hour": hour, "from_run": measured[1] if measured else None,
                     "price": prices.in_words(model)})  # fmt: skip
    work = expected_cost(task)
    scored = _scoring_seconds(runs, task)
    each = scored or work["seconds"]
    return {
        "base_url": settings.model.base_url,
        "models": rows,
        "hours": seconds / 3600,
        "dollars_an_hour": sum(row["agents"] * row["dollars_an_agent_hour"] for row in rows),
        "free": all(costs_nothing(own, model) for model in models),
        "budget": settings.budget.dollars,
        "limits": settings.budget.model_dump(exclude_none=True),
        "seconds_a_submission": each,
        "measured": scored is not None,
        "slots": slots,
        "device": work["device"],
        "finetuned_hours": work["finetuned_hours"],
        "evaluations_an_hour": two_digits(3600 * slots / each),
    }


def two_digits(value: float) -> int:
    """Rounded to two digits, as an estimate deserves."""
    return int(float(f"{value:.2g}"))


def _measured(runs: Sequence[RunPaths], model: str) -> tuple[float, str] | None:
    """Dollars an agent-hour of the last run here whose agents asked this model long enough, and its name."""
    for paths in reversed(runs):
        try:
            agents = [agent["name"] for agent in tomli.loads(paths.toml.read_text())["agents"] if agent.get("model") == model]
            worked = json.loads(paths.state.read_text()).get("agents", {})
        except (OSError, ValueError):
            continue
        hours = sum(worked.get(name, {}).get("seconds", 0.0) for name in agents) / 3600
        spend = Spend(paths.spend)
        dollars = sum(spend.of(name).dollars for name in agents)
        if hours >= LEAST_HOURS and dollars:  # of one whose API never answered nothing is learned
            return dollars / hours, paths.name
    return None


def _scoring_seconds(runs: Sequence[RunPaths], task: str) -> float | None:
    """What a submission took in the last run on this task here, as a median."""
    for paths in reversed(runs):
        try:
            if tomli.loads(paths.toml.read_text())["task"] != task:
                continue
        except (OSError, ValueError):
            continue
        verdicts = [v for v in Ledger(paths.ledger).verdicts.values() if v["status"] == "scored" and not v.get("same_as")]
        if len(verdicts) >= LEAST_VERDICTS:
            return statistics.median(v["method_seconds"] + v["overhead_seconds"] for v in verdicts)
    return None


def forecast_text(facts: dict[str, Any]) -> str:
    """What a person reads before saying yes."""
    lines = [f"this run asks a model at {facts['base_url']}" + (", at no cost:" if facts["free"] else " and costs money:")]
    for row in facts["models"]:
        source = f"measured in run {row['from_run']}" if row["from_run"] else "as in the published study, scaled by price"
        lines.append(f"  {row['agents']} x {row['model']}: about ${row['dollars_an_agent_hour']:.2f} an agent-hour ({source}; {row['price']})")
    total = facts["dollars_an_hour"] * facts["hours"]
    words = f"  all agents: about ${facts['dollars_an_hour']:.2f} an hour, ${total:.2f} in {time_words(3600 * facts['hours'])}"
    if facts["budget"] is not None and facts["budget"] < total:
        words += f"; the budget of ${facts['budget']:.2f} ends it after about {time_words(3600 * facts['budget'] / facts['dollars_an_hour'])}"
    elif facts["budget"] is not None:
        words += f"; the budget is ${facts['budget']:.2f}"
    lines.append(words)
    per = "as measured here" if facts["measured"] else "expected"
    lines.append(f"  verdicts: at most about {facts['evaluations_an_hour']:,} an hour ({facts['seconds_a_submission']:.1f} s each, {per}, in "
                 f"{facts['slots']} slot{'s' if facts['slots'] != 1 else ''} of {facts['device']})")  # fmt: skip
    if facts["finetuned_hours"]:
        lines.append(f"  fine-tuning: about {facts['finetuned_hours']:.2g} h of {facts['device']} for each finalist")
    return "\n".join(lines)
