"""What a run's files say of each of its agents: what it tries, how well it does, and when it last gave a sign of life.

    about = told(config, submissions, verdicts, events)     what the ledger says; worked out again only where it has grown
    agent_facts(config, about, known, now, signs)           one dict an agent, in the order of run.toml

The ledger is what counts: state.json (`known`) adds what only the operator knows, such as what an agent does at this moment.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from state.config import is_person
from state.ledger import bits_told
from state.paths import RunPaths
from state.record import parse_time
from stats.exposure import exposure
from stats.rejections import wrong_rejections
from view.format import age_seconds
from view.scores import on_track, standings

CLAIM_SECONDS = 2 * 3600.0
"""A claim ends after so long by itself (swarm/claims.py)."""
UNKNOWN = {"state": "starting", "since": None, "pid": None, "restarts": 0, "note": ""}


@dataclass
class Mine:
    """What the ledger says of one agent. `waiting`: its submissions without a verdict; `last`: its latest verdict; `message`,
    `submission`: of its latest submission; `claim`: (words, time) of what it claims; `time`: of its last record."""

    submissions: int = 0
    waiting: list[str] = field(default_factory=list)
    last: dict = field(default_factory=dict)
    best: dict = field(default_factory=dict)
    message: str = ""
    submission: str | None = None
    claim: tuple[str, str] | None = None
    time: str | None = None


@dataclass(frozen=True)
class Told:
    """What the ledger says of a run. `main`: the leaderboard of the main track; `exposure`, `rejections`: as dicts."""

    agents: dict[str, Mine]
    main: list[dict]
    submissions: int
    scored: int
    waiting: int
    exposure: dict
    rejections: dict


def told(config: dict, submissions: Mapping[str, dict], verdicts: Mapping[str, dict], events: Sequence[dict]) -> Told:
    """Read the ledger of a run, or of its beginning. Agents that run.toml does not know are left out."""
    mine = {agent["name"]: Mine() for agent in config["agents"]}
    for name, record in submissions.items():
        if (one := mine.get(record["agent"])) is None:
            continue
        one.submissions += 1
        one.submission, one.message, one.time = name, record.get("message") or "", record.get("time")
        if name not in verdicts:
            one.waiting.append(name)
    for verdict in verdicts.values():
        if (one := mine.get(verdict["agent"])) is not None:
            one.last, one.time = verdict, max(one.time or "", verdict.get("time") or "")
    for event in events:
        if (one := mine.get(event.get("agent") or "")) is None:
            continue
        if event["event"] in ("claim", "claim-done"):
            one.claim = (event.get("detail") or "", event["time"]) if event["event"] == "claim" else None
        if event["event"] in ("claim", "claim-done", "joined", "left"):  # others tell what was done to it
            one.time = max(one.time or "", event["time"])
    main = on_track(standings(verdicts.values(), bool(config.get("null"))))
    for verdict in main:
        if (one := mine.get(verdict["agent"])) is not None and not one.best:
            one.best = verdict
    scored, some = sum(verdict["status"] == "scored" for verdict in verdicts.values()), list(verdicts.values())
    waiting = sum(name not in verdicts for name in submissions)
    told_bits = asdict(exposure(some, [bits_told(verdict) for verdict in some]))
    return Told(mine, main, len(submissions), scored, waiting, told_bits, asdict(wrong_rejections(verdicts)))


def agent_facts(config: dict, about: Told, known: Mapping[str, dict], now: datetime.datetime | None, signs: Mapping[str, str]) -> list[dict]:
    """One dict an agent. `known`: agent -> what state.json says of it; `signs`: agent -> UTC time of the last sign of life that its
    files give; `now`: what ages are counted from, None for a run that is over."""
    facts = []
    for agent in config["agents"]:
        name, person = agent["name"], is_person(agent)
        mine = about.agents.get(name) or Mine()
        state = {**UNKNOWN, **known.get(name, {})}
        if now is None:
            state |= {"state": "away" if person else "stopped", "pid": None}
        sign = max(filter(None, (mine.time, signs.get(name))), default=None)
        facts.append({
            "name": name, "direction": agent.get("direction"), "person": person, "model": agent.get("model"), **state, **idea(mine, now),
            "submissions": mine.submissions, "waiting": len(mine.waiting), "last_pgr": mine.last.get("pgr"),
            "last_status": mine.last.get("status"), "best": mine.best.get("submission"),
            **{f"best_{key}": mine.best.get(f"pgr_{key}") for key in ("low", "high")}, "best_pgr": mine.best.get("pgr"),
            "best_accuracy": mine.best.get("accuracy"), "last_sign": sign,
            "sign_seconds": None if now is None else age_seconds(sign, now),
            "state_seconds": None if now is None else age_seconds(state["since"], now),
        })  # fmt: skip
    return facts


def idea(mine: Mine, now: datetime.datetime | None) -> dict:
    """What an agent tries: what it claims, while that lasts, else what it said of its latest submission. `idea_of`: "claim", a
    submission, or None."""
    now = now or parse_time(mine.time)
    if mine.claim is not None and now is not None:
        began = parse_time(mine.claim[1])
        if began is not None and (now - began).total_seconds() < CLAIM_SECONDS:
            return {"idea": mine.claim[0], "idea_of": "claim"}
    return {"idea": mine.message, "idea_of": mine.submission}


def signs_of_life(paths: RunPaths, names: Sequence[str]) -> dict[str, str]:
    """Agent -> UTC time at which a file of it was last written to: its transcript, what it said of itself, what its CLI printed."""
    found = {}
    for name in names:
        folder = paths.agent(name)
        files = [folder / "transcript.jsonl", folder / "activity.json", *(folder / "output").glob("*.log")]
        times = []
        for file in files:
            try:
                times.append(file.stat().st_mtime)
            except FileNotFoundError:  # not there, or given up for a newer one meanwhile
                continue
        if times:
            found[name] = datetime.datetime.fromtimestamp(max(times), datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    return found
