"""Who took part: a card for each agent and person of a run."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import PurePosixPath

from state.config import is_person
from state.record import Record
from stats.ranking import contenders
from view.format import clean, count, lift_of, pgr_of


def agent_cards(record: Record) -> list[dict]:
    """{"name", "direction", "researcher", "model", "facts": [[label, value]], "best": None | {"submission", "method", "pgr", "lift"}}."""
    made, scored, posts, spent = Counter(), Counter(), Counter(), defaultdict(float)
    for one in record.submissions.values():
        made[one["agent"]] += 1
    for verdict in record.verdicts.values():
        scored[verdict["agent"]] += verdict["status"] == "scored"
    for post in record.posts:
        posts[post.agent] += 1
    for call in record.calls:
        spent[call["agent"]] += call["dollars"]
    best: dict[str, dict] = {}
    for verdict in contenders(list(record.verdicts.values())):
        best.setdefault(verdict["agent"], verdict)
    cards = []
    for agent in record.config["agents"]:
        name = agent["name"]
        all_scored = scored[name] == made[name]
        rows = [["submissions", f"{made[name]:,}" + ("" if all_scored else f", {scored[name]:,} scored")], ["posts", f"{posts[name]:,}"]]
        rows += [["spent", f"${spent[name]:.2f}"]] if record.calls else []
        cards.append({
            "name": clean(name, 40), "direction": clean(agent.get("direction") or "none", 60), "facts": rows, "best": _best(best.get(name)),
            "researcher": "a person" if is_person(agent) else clean(agent.get("researcher") or record.config.get("researcher") or "?", 20),
            "model": clean(agent.get("model") or "", 60),
        })  # fmt: skip
    return cards


def _best(verdict: dict | None) -> dict | None:
    if verdict is None:
        return None
    draws = count(verdict["draws"], "draw") if verdict.get("draws") else ""
    method = clean(PurePosixPath(verdict["method"]).name, 80)
    return {"submission": verdict["submission"], "pgr": pgr_of(verdict), "lift": lift_of(verdict), "draws": draws, "method": method}
