"""The budget: no call goes out whose worst case does not fit into what is left, so that a limit is never passed, by no cent.

    money = Money(path, {"dollars": 50.0, "agent_turns": 200}, Prices({}), models)
    ticket = money.reserve("alpha", asked, bound, gone)     waits while others hold what is short; Refused where nothing is left
    money.settle(ticket, usage, status=200, complete=True, seconds=3.2)

Limits hold for an agent (agent_dollars, agent_tokens, agent_turns) and for all together (dollars, tokens, turns). What a proxy that
was killed had reserved is settled at its worst case by the next one.
"""

from __future__ import annotations

import math
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from state.files import append_jsonl, utc_now
from state.spend import Spend, Totals
from swarm.asked import Asked, Refused
from swarm.prices import Prices
from swarm.usage import Usage

DECENT = 8192
"""A call may be shrunk to this length at once; below it, it waits until others have given back what they do not need."""
LEAST = 512
"""No call goes out that may say less than this, unless it asked for less."""
LOOK_SECONDS = 0.5
"""How often one who waits looks whether it is still wanted."""


@dataclass(frozen=True)
class Ticket:
    """A call that may go out, with `max_tokens`."""

    call: str
    agent: str
    model: str
    max_tokens: int
    dollars: float
    tokens: int


class Gone(Exception):
    """Whoever waited for money has hung up."""


class Money:
    """Thread-safe. `limits`: settings["budget"]; `models`: agent -> the models it may ask."""

    def __init__(self, path: Path, limits: Mapping[str, Any], prices: Prices, models: Mapping[str, Sequence[str]]):
        self._path, self._limits, self._prices, self._models = path, limits, prices, models
        self._room = threading.Condition()
        self._stopped: dict[str, str] = {}
        self._spend = Spend(path)
        for record in list(self._spend.open.values()):
            self._append_settled(record, record["dollars"], Usage(input_tokens=record["tokens"]), 0, False, 0.0)

    def reserve(self, agent: str, asked: Asked, bound: int, gone: Callable[[], bool]) -> Ticket:
        """Set aside the most that a call with `bound` input tokens can cost. Raises Gone where `gone()` is true, also while it waits."""
        least = min(LEAST, asked.max_tokens)
        with self._room:
            while True:
                if gone():
                    raise Gone
                fits = self._fitting(agent, asked, bound, self._spend.total)
                if fits >= min(DECENT, asked.max_tokens):
                    break
                at_best = self._fitting(agent, asked, bound, self._spend.settled)
                if at_best < least:
                    self._stopped[agent] = self._why(agent, asked, bound)
                    raise Refused(self._stopped[agent], 402, "billing_error", "budget")
                if fits == at_best:
                    break
                self._room.wait(LOOK_SECONDS)
            self._stopped.pop(agent, None)
            dollars = self._prices.worst(asked.model, bound, fits, asked.ttl)
            ticket = Ticket(secrets.token_hex(8), agent, asked.model, fits, dollars, bound + fits)
            append_jsonl(self._path, {
                "kind": "reserved", "call": ticket.call, "agent": agent, "model": asked.model,
                "dollars": dollars, "tokens": ticket.tokens, "time": utc_now(),
            })  # fmt: skip
            self._spend.refresh()
            return ticket

    def settle(self, ticket: Ticket, usage: Usage | None, status: int, complete: bool, seconds: float) -> float:
        """What the call cost. `usage` None: nothing is known, so all that was set aside. Returns dollars above what was set aside."""
        record = {"call": ticket.call, "agent": ticket.agent, "model": ticket.model}
        if usage is None:
            dollars, usage = ticket.dollars, Usage(input_tokens=ticket.tokens - ticket.max_tokens, output_tokens=ticket.max_tokens)
        else:
            dollars = self._prices.dollars(ticket.model, **{name: getattr(usage, name) for name in Usage.__dataclass_fields__})
        with self._room:
            self._append_settled(record, dollars, usage, status, complete, seconds)
            self._room.notify_all()
        return max(0.0, dollars - ticket.dollars)

    def facts(self, agent: str) -> dict[str, Any]:
        """For GET /aar/budget."""
        with self._room:
            stopped = self._stopped.get(agent) or self._nothing_left(agent)
            return {"stopped": stopped, "agent": self._facts(agent), "fleet": self._facts(None)}

    def open_calls(self) -> int:
        with self._room:
            return len(self._spend.open)

    def _append_settled(self, record: dict, dollars: float, usage: Usage, status: int, complete: bool, seconds: float) -> None:
        append_jsonl(self._path, {
            "kind": "settled", "call": record["call"], "agent": record["agent"], "model": record["model"], "dollars": dollars,
            "input_tokens": usage.input_tokens, "cache_read_tokens": usage.cache_read_tokens,
            "cache_write_tokens": usage.cache_write_tokens, "output_tokens": usage.output_tokens, "complete": complete,
            "status": status, "price": self._prices.source(record["model"]), "seconds": round(seconds, 3), "time": utc_now(),
        })  # fmt: skip
        self._spend.refresh()

    def _limit(self, whose: str | None, kind: str) -> float | None:
        return self._limits.get(kind if whose is None else f"agent_{kind}")

    def _fitting(self, agent: str, asked: Asked, bound: int, spent: Callable[[str | None], Totals]) -> int:
        """The most output tokens, up to what was asked for, with which a call stays within every limit."""
        return min(self._fits(whose, kind, asked, bound, spent(whose)) for whose in (None, agent) for kind in ("dollars", "tokens", "turns"))

    def _fits(self, whose: str | None, kind: str, asked: Asked, bound: int, spent: Totals) -> int:
        limit = self._limit(whose, kind)
        if limit is None:
            return asked.max_tokens
        left = limit - getattr(spent, kind)
        match kind:
            case "turns":
                return asked.max_tokens if left >= 1 else 0
            case "tokens":
                return max(0, min(asked.max_tokens, int(left) - bound))
        most = asked.max_tokens
        whole = self._prices.worst(asked.model, bound, most, asked.ttl)
        if whole <= left:
            return most
        bare = self._prices.worst(asked.model, bound, 0, asked.ttl)
        if bare > left or whole == bare:
            return 0
        fits = min(most - 1, math.floor(most * (left - bare) / (whole - bare)))
        while fits > 0 and self._prices.worst(asked.model, bound, fits, asked.ttl) > left:
            fits -= 1
        return fits

    def _why(self, agent: str, asked: Asked, bound: int) -> str:
        """The limit that is in the way of a call, in words."""
        least = min(LEAST, asked.max_tokens)
        for whose in (None, agent):
            for kind in ("turns", "tokens", "dollars"):
                if self._fits(whose, kind, asked, bound, self._spend.settled(whose)) < least:
                    needs = {
                        "turns": "", "tokens": f", and this call may take {bound + least:,}",
                        "dollars": f", and this call may cost {_money(self._prices.worst(asked.model, bound, least, asked.ttl))}",
                    }[kind]  # fmt: skip
                    return self._words(whose, kind) + needs
        raise AssertionError("no limit is in the way")

    def _nothing_left(self, agent: str) -> str | None:
        """Why not even the shortest call would go out any more, or None."""
        cheapest = min((self._prices.worst(model, 1, LEAST, "") for model in self._models.get(agent, ())), default=0.0)
        for whose in (None, agent):
            spent = self._spend.settled(whose)
            for kind, needs in (("turns", 1), ("tokens", LEAST + 1), ("dollars", cheapest)):
                limit = self._limit(whose, kind)
                if limit is not None and limit - getattr(spent, kind) < needs:
                    return self._words(whose, kind)
        return None

    def _words(self, whose: str | None, kind: str) -> str:
        limit, spent = self._limit(whose, kind), getattr(self._spend.settled(whose), kind)
        owner = "all agents" if whose is None else f"agent {whose}"
        match kind:
            case "dollars":
                return f"the budget of {_money(limit)} for {owner} does not reach further: {_money(spent)} spent"
            case "tokens":
                return f"the limit of {int(limit):,} tokens for {owner} does not reach further: {spent:,} used"
        return f"the limit of {int(limit):,} turns for {owner} is reached"

    def _facts(self, whose: str | None) -> dict[str, Any]:
        total, facts = self._spend.total(whose), {}
        for kind in ("dollars", "tokens", "turns"):
            spent, limit = getattr(total, kind), self._limit(whose, kind)
            facts[kind] = round(spent, 6) if kind == "dollars" else spent
            facts[f"{kind}_left"] = None if limit is None else max(0, round(limit - spent, 6))
        return facts


def _money(dollars: float) -> str:
    return f"${dollars:.2f}" if dollars >= 0.1 or dollars == 0 else f"${dollars:.4f}"
