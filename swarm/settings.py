"""What is said of a run that asks models: flags of the command line over `aar.toml` over the defaults here.

    settings = read_settings(project, Said(models="opus:6,sonnet:3", budget=200.0))

The outcome is frozen into run.toml, word for word; a run never reads aar.toml again.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

import tomli
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from state.errors import UserError
from swarm.options import Said

FILE = "aar.toml"
ANTHROPIC = "https://api.anthropic.com"
ALIASES = {"opus": "claude-opus-5-5", "sonnet": "claude-sonnet-5-5", "haiku": "claude-haiku-4-5"}
"""Short names of models. aar.toml adds to them."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Model(_Part):
    """How the Messages API is asked. `model` and `models` (opus:6,sonnet:3) say which; tokens are counted as the API does."""

    model: str = "opus"
    models: str = ""
    effort: Literal["", "low", "medium", "high", "xhigh", "max"] = "high"
    thinking: Literal["adaptive", "none"] = "adaptive"
    max_tokens: int = Field(16_000, ge=512, le=128_000)
    context_tokens: int = Field(160_000, ge=8_000, le=2_000_000)
    handoff_share: float = Field(0.8, gt=0.1, lt=1)
    cache_ttl: Literal["5m", "1h"] = "5m"
    outage_hours: float = Field(12.0, ge=0)
    base_url: str = ""


class Budget(_Part):
    """What may be spent, by all agents and by each. None: no limit."""

    model_config = ConfigDict(allow_inf_nan=False)

    dollars: float | None = Field(None, gt=0)
    agent_dollars: float | None = Field(None, gt=0)
    tokens: int | None = Field(None, gt=0)
    agent_tokens: int | None = Field(None, gt=0)
    turns: int | None = Field(None, gt=0)
    agent_turns: int | None = Field(None, gt=0)
    agent_hours: float | None = Field(None, gt=0)


class News(_Part):
    """What agents hear between turns. `stuck`: after so many verdicts without a gain; 0 never."""

    posts: bool = True
    best: bool = True
    budget: bool = True
    people: bool = True
    stuck: int = Field(8, ge=0)
    narrow: bool = True


class Price(_Part):
    """Dollars per million tokens."""

    model_config = ConfigDict(allow_inf_nan=False)

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cache_read: float | None = Field(None, ge=0)
    cache_write: float | None = Field(None, ge=0)


class Command(_Part):
    """The agent CLI of the researcher `command`: a preset, or argv templates of one's own."""

    preset: str = ""
    argv: list[str] = []
    resume: list[str] = []
    env: dict[str, str] = {}
    binds: list[str] = []


class Swarm(_Part):
    """How agents live beside each other. `share_after_minutes`: None leaves it to the researcher (20 with a model, else 0)."""

    share_after_minutes: float | None = Field(None, ge=0)


class Settings(_Part):
    """All of aar.toml."""

    model: Model = Model()
    budget: Budget = Budget()
    news: News = News()
    command: Command = Command()
    swarm: Swarm = Swarm()
    aliases: dict[str, str] = {}
    prices: dict[str, Price] = {}


WHERE = {
    "model": ("model", "model"), "models": ("model", "models"), "effort": ("model", "effort"), "base_url": ("model", "base_url"),
    "budget": ("budget", "dollars"), "agent_budget": ("budget", "agent_dollars"), "tokens": ("budget", "tokens"),
    "agent_tokens": ("budget", "agent_tokens"), "turns": ("budget", "turns"), "agent_turns": ("budget", "agent_turns"),
    "agent_hours": ("budget", "agent_hours"), "share_after": ("swarm", "share_after_minutes"), "cli": ("command", "preset"),
}  # fmt: skip
"""Flag -> where aar.toml says the same."""


def read_settings(project: Path, said: Said, environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings of a new run. UserError with the place of what is wrong."""
    table: dict[str, Any] = {}
    file = project / FILE
    if file.exists():
        try:
            table = tomli.loads(file.read_text(encoding="utf-8"))
        except (ValueError, OSError) as error:
            raise UserError(f"{FILE} cannot be read: {error}") from None
    flags = {name: value for name, value in vars(said).items() if value is not None}
    if "model" in flags and "models" in flags:
        raise UserError("--model and --models: give one of them")
    for name, value in flags.items():
        part, key = WHERE[name]
        inner = table.setdefault(part, {})
        if not isinstance(inner, dict):
            raise UserError(f"{FILE}: {part} is a table: write [{part}] and below it {key} = ...")
        inner[key] = value
        if name in ("model", "models"):  # the later word counts: one of them stands for the other
            inner.pop("models" if name == "model" else "model", None)
    try:
        settings = Settings.model_validate(table)
    except ValidationError as error:
        raise UserError(_first_error(error, flags)) from None
    if not settings.model.base_url:
        settings.model.base_url = environment.get("ANTHROPIC_BASE_URL") or ANTHROPIC
    if re.search("[@?#]", settings.model.base_url):  # not shown: it may hold a password
        raise UserError("the base URL is published with the run: leave out of it users, passwords and queries (what has an @, ? or #)")
    if not re.fullmatch(r"https?://([\w.-]+|\[[\da-fA-F:]+\])(:\d{1,5})?(/[!-~]*)?", settings.model.base_url):
        raise UserError(f"the base URL {settings.model.base_url!r} is none: write it like http://127.0.0.1:8000")
    settings.model.base_url = settings.model.base_url.rstrip("/")
    return settings


def _first_error(error: ValidationError, flags: Mapping[str, Any]) -> str:
    first = error.errors(include_url=False)[0]
    place = tuple(map(str, first["loc"]))
    flag = next((name for name in flags if WHERE[name] == place[:2]), None)
    where = f"--{flag.replace('_', '-')}" if flag else f"{FILE}: {'.'.join(place)}"
    given = first.get("input")
    shown = f" (given: {given!r})" if isinstance(given, (str, int, float)) else ""
    if first["type"] == "extra_forbidden":
        return f"{where}: there is no such setting{_did_you_mean(place)}"
    return f"{where}: {first['msg'][0].lower()}{first['msg'][1:]}{shown}"


def _did_you_mean(place: tuple[str, ...]) -> str:
    """What there is where aar.toml says something that there is not."""
    part: Any = Settings
    for name in place[:-1]:
        field = getattr(part, "model_fields", {}).get(name)
        part = field.annotation if field else None
    known = list(getattr(part, "model_fields", {}))
    near = get_close_matches(place[-1], known, 1)
    return f", did you mean {near[0]}?" if near else f"; there is {', '.join(known)}" if known else ""


def models_of(settings: Settings, agents: int | None) -> list[str]:
    """The model of each agent, by the names that the API knows. `agents`: how many were asked for, None where the models say."""
    names = {**ALIASES, **settings.aliases}
    if not settings.model.models:
        return [_full_name(settings.model.model, names, settings)] * (1 if agents is None else agents)
    found: list[str] = []
    for part in settings.model.models.split(","):
        name, _, number = part.strip().rpartition(":")
        if not name or not number.isdigit() or not 1 <= int(number) <= 64:
            raise UserError(f"--models {settings.model.models!r}: write how many agents each has, such as opus:6,sonnet:3")
        found += [_full_name(name, names, settings)] * int(number)
    if agents is not None and len(found) != agents:
        raise UserError(f"--models {settings.model.models} are {len(found)} agents, --agents says {agents}: make them agree")
    return found


def _full_name(name: str, names: Mapping[str, str], settings: Settings) -> str:
    """UserError for what can be no model where it is asked for."""
    full = names.get(name, name)
    known = name in settings.aliases or full in settings.prices
    if settings.model.base_url == ANTHROPIC and not known and not full.startswith("claude-"):
        raise UserError(f"there is no model {name!r} at {ANTHROPIC}: {', '.join(names)}, or a full name such as {ALIASES['opus']}")
    return full


def own_prices(settings: Settings) -> dict[str, dict[str, float]]:
    """The prices of aar.toml, as run.toml holds them."""
    return {name: price.model_dump(exclude_none=True) for name, price in settings.prices.items()}


def costs_nothing(prices: Mapping[str, Mapping[str, float]], model: str) -> bool:
    """Whether `prices`, as in aar.toml, say that a model costs nothing at all."""
    return model in prices and not any(prices[model].values())


def frozen(settings: Settings) -> dict[str, Any]:
    """The parts of run.toml that come from here."""
    table = settings.model_dump(exclude_none=True, exclude={"aliases", "swarm"})
    for name in ("model", "models"):  # which agent has which model stands with the agents
        table["model"].pop(name)
    return table
