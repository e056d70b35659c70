"""What the search researcher says: posts for the forum and lines for its notebook, in plain words.

Figures of a result are filled in by the broker from the verdict; here stand the mechanism, the prediction, and what
follows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from swarm.researchers import AgentConfig
from swarm.researchers.archive import Found
from swarm.researchers.evolve import Plan
from swarm.researchers.forecast import Forecast
from swarm.researchers.recipe import describe, title


@dataclass(frozen=True)
class Post:
    """One forum post; `submission` is the one it is about, or None."""

    type: str
    title: str
    body: str
    submission: str | None = None
    replies_to: str | None = None
    """A submission whose first post this answers, where there is one."""


def number(value: float | None, sign: bool = False) -> str:
    return "n/a" if value is None else f"{value:+.2f}" if sign else f"{value:.2f}"


def first_note(config: AgentConfig) -> str:
    return (
        f"# Notebook of {config.name}\n\nDirection: {config.direction_name}. One line for each submission: what was "
        "tried, why, what was predicted and what came out.\n\n"
    )


def note(plan: Plan, verdict: dict[str, Any]) -> str:
    """One line for the notebook."""
    if verdict["status"] != "scored":
        found = f"{verdict['status']}: {' '.join(str(verdict.get('error') or '').split())[-160:]}"
    else:
        pgr, low, high = (number(verdict.get(key)) for key in ("pgr", "pgr_low", "pgr_high"))
        draws = f"{verdict.get('draws')} draw{'s' * (verdict.get('draws') != 1)}"
        lift = number(verdict.get("lift"), sign=True)
        found = f"PGR {pgr} [{low}, {high}] on {draws}, lift {lift}, predicted {plan.predict:.2f}"
    return f"- {verdict['submission']} {title(plan.recipe)} ({plan.move}: {plan.why}) -> {found}"


def post_about(plan: Plan, verdict: dict[str, Any], parent: Found | None, is_best: bool, first: bool) -> Post | None:
    """A post where the others can learn from this verdict, else None."""
    name, sentence = title(plan.recipe), describe(plan.recipe) + "."
    if verdict["status"] != "scored":
        body = f"{sentence}\n\nIt did not get a score. Reason: {verdict.get('error') or verdict['status']}"
        return Post("error", f"{verdict['status'].capitalize()}: {name}", body, verdict["submission"])
    if plan.move == "drop" and parent is not None and verdict.get("pgr") is not None and parent.pgr is not None:
        return _ablation(plan, verdict, parent)
    if not (is_best or first):
        return None
    missed = (verdict.get("pgr") or 0) - plan.predict
    surprise = (
        "about as predicted" if abs(missed) < 0.05 else "more than predicted" if missed > 0 else "less than predicted"
    )
    standing = "My best so far." if is_best else "My first try, to have something to compare with."
    words = verdict.get("against_parent")
    compared = f" Against its parent: {words}." if words and plan.parents else ""
    body = f"{sentence}\n\n{origin(plan)} Predicted PGR {plan.predict:.2f}: {surprise}.{compared} {standing}"
    return Post(
        "result", name[0].upper() + name[1:], body, verdict["submission"], plan.parents[-1] if plan.parents else None
    )


def origin(plan: Plan) -> str:
    """Where a recipe came from, as a sentence."""
    of = " and ".join(plan.parents)
    return {
        "start": "This is where my direction points.",
        "fresh": "A new combination, tilted by what parts were worth so far.",
        "cross": f"A cross of {of}.",
        "adopt": f"I took up {of}: {plan.why}.",
    }.get(plan.move, f"From my {of}: {plan.why}.")


def _ablation(plan: Plan, verdict: dict[str, Any], parent: Found) -> Post:
    words, left = verdict.get("against_parent"), f"What was left: {describe(plan.recipe)}."
    tried = f"I took {parent.submission} (PGR {number(parent.pgr)} on all draws) and left out one part: {plan.why}."
    if verdict.get("rung") != "full":  # figures of one draw do not compare with those of all
        found = f"On the quick rung's draw that was {words or 'not enough to go on'}"
        compared = ", compared with the parent on the same draw" if words else ""
        body = f"{tried} {found}{compared}; it went no further.\n\n{left}"
        return Post(
            "insight",
            f"{parent.submission} {plan.why}: {words or 'rejected early'}".replace("`", ""),
            body,
            verdict["submission"],
            parent.submission,
        )
    worth = round((parent.pgr or 0) - verdict["pgr"], 2) + 0.0
    follows = (
        "The simpler one will do." if worth <= 0.005 else "It stays in." if words == "worse" else "It hardly matters."
    )
    body = (
        f"{tried} What is left gets PGR {number(verdict['pgr'])} on the same draws, so that part was worth "
        f"{worth:+.2f} (the paired comparison says: {words or 'nothing'}). {follows}\n\n{left}"
    )
    return Post(
        "insight",
        f"{parent.submission} {plan.why}: {0.0 - worth:+.2f}".replace("`", ""),
        body,
        verdict["submission"],
        parent.submission,
    )


def learned(archive: Sequence[Found]) -> Post | None:
    """What parts were worth in all readable recipes of the run so far; None while there are few."""
    told = Forecast(archive)
    known = sorted(((worth, part) for part, worth in told.credit.items() if told.count[part] >= 2), reverse=True)
    if len(known) < 4:
        return None
    good, bad = [(w, p) for w, p in known[:3] if w > 0], [(w, p) for w, p in known[-3:] if w < 0]
    holds = {part: sum(part in recipe.parts for recipe, *_ in told.seen) for _, part in known}
    lines = [f"- {part}: {worth:+.2f} in {holds[part]} recipes" for worth, part in [*good, *reversed(bad)]]
    body = (
        f"Over {len(told.seen)} recipes that I could read (mean lift {told.mean:+.2f}), recipes "
        "that hold a part lift more or less than the mean by (shrunk; parts occur together: a hint, not a cause):\n\n"
        + "\n".join(lines)
    )
    return Post("insight", f"What parts seem to be worth after {len(archive)} verdicts", body)
