"""Money as the operator tells it: what was spent, how fast, and what is left, read from the file that the model proxy writes.

The proxy alone decides what may be spent (swarm/money.py); this only looks.
"""

from __future__ import annotations

import datetime
import threading

from state.paths import RunPaths
from state.spend import Spend

RATE_SECONDS = 900.0
"""The rate is that of the last quarter of an hour, or of the run where it is younger."""
KINDS = {"dollars": "${:.2f} of ${:.2f}", "tokens": "{:,.0f} of {:,.0f} tokens", "turns": "{:.0f} of {:.0f} turns"}


class Purse:
    """What a run has spent. Thread-safe. `budget`: the limits, as in run.toml."""

    def __init__(self, paths: RunPaths, budget: dict):
        self.budget = budget
        self._spend = Spend(paths.spend)
        self._lock = threading.Lock()

    def facts(self, scored: int, best_pgr: float | None) -> dict:
        """For state.json. A point of PGR is .01 of the best public figure of the main track, counted from 0."""
        with self._lock:
            self._spend.refresh()
            spent = self._spend.dollars
            recent, seconds = self._recent()
            return {
                "spend_dollars": round(spent, 4),
                "spend_limit": self.budget.get("dollars"),
                "spend_tokens": self._spend.tokens,
                "turns": self._spend.turns,
                "dollars_an_hour": round(3600 * recent / seconds, 4) if seconds else None,
                "dollars_a_verdict": round(spent / scored, 4) if scored else None,
                "dollars_a_point": round(spent / (100 * best_pgr), 4) if best_pgr and best_pgr > 0 else None,
            }

    def _recent(self) -> tuple[float, float]:
        """Dollars of late, and over how many seconds."""
        calls = self._spend.calls
        if not calls:
            return 0.0, 0.0
        now = datetime.datetime.now(datetime.timezone.utc)
        ages = [((now - _time(call["time"])).total_seconds(), call["dollars"]) for call in calls]
        recent = [(age, dollars) for age, dollars in ages if age <= RATE_SECONDS]
        oldest = max((age for age, _ in ages), default=0.0)
        return sum(dollars for _, dollars in recent), max(60.0, min(RATE_SECONDS, oldest))

    def of(self, agent: str) -> dict:
        """For the agent's row in state.json."""
        with self._lock:
            total = self._spend.of(agent)
            return {"dollars": round(total.dollars, 4), "tokens": total.tokens, "turns": total.turns}

    def left(self, agent: str) -> dict[str, tuple[float, float, str]]:
        """What an agent, and all together, have left: name -> (rest, limit, both in words). Only what has a limit."""
        found = {}
        with self._lock:
            self._spend.refresh()
            for whose, total in (("agent", self._spend.of(agent)), ("fleet", self._spend)):
                for kind, words in KINDS.items():
                    limit = self.budget.get(f"agent_{kind}" if whose == "agent" else kind)
                    if limit:
                        rest = max(0, limit - getattr(total, kind))
                        owner = "of yours" if whose == "agent" else "for all agents"
                        found[f"{whose} {kind}"] = (rest, limit, f"{words.format(rest, limit)} {owner}")
        return found


def _time(text: str) -> datetime.datetime:
    return datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc)
