"""How a run is doing, and which runs there are. Behind `python aar.py status [RUN]` and `python aar.py runs`.

The facts are read from a run's files, so that they can be had at any time from any terminal, and after a crash.
"""

from __future__ import annotations

import fcntl
import json
from dataclasses import asdict
from pathlib import Path

from state.config import is_person, read_config
from state.errors import UserError
from state.ledger import NULL_STAMP, Ledger
from state.paths import RunPaths, all_runs
from stats.exposure import Exposure, exposure_words, luck_words
from stats.rejections import Rejections, rejections_words, wrong_rejections
from view.format import NONE_STAMP, age_seconds, clean, columns, count, duration, figure, interval, lift_of, pgr_of
from view.scores import exposure_of, leaderboard, on_track

ALIVE = ("starting", "running", "open", "stopping")
"""What an operator says of a run while it lives; `open`: for people only, its agents have stopped."""
RATES = {"dollars_an_hour": "an hour", "dollars_a_verdict": "a verdict", "dollars_a_point": "a point of PGR"}
UNKNOWN = {"state": "starting", "since": None, "pid": None, "restarts": 0, "submissions": 0, "last_pgr": None, "note": ""}
AGENT_HEADER = ("agent", "direction", "state", "for", "submissions", "last PGR", "best PGR", "turns", "spent", "note")
PAID = ("turns", "spent")
"""Columns that only a run has which asks models."""
MONEY = ("spend_dollars", "spend_limit", "spend_tokens", "turns", "dollars_an_hour", "dollars_a_verdict", "dollars_a_point")


def operator_lives(paths: RunPaths) -> bool:
    """Whether a process holds the operator's lock. It is tried for reading only, and let go at once."""
    try:
        with open(paths.lock, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def run_state(paths: RunPaths, state: dict) -> str:
    """The state of a run: what state.json says, unless its operator is gone without having said so: "crashed"."""
    said = state.get("state", "starting")
    return "crashed" if said in ALIVE and not operator_lives(paths) else said


def read_state(paths: RunPaths) -> dict:
    """state.json; {} before the operator first wrote it. UserError where it is no JSON."""
    try:
        return json.loads(paths.state.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise UserError(f"{paths.state} is not JSON ({error}): remove it, `python aar.py resume {paths.name}` writes a new one") from None


def status_facts(paths: RunPaths) -> dict:
    """What `status --json` prints: DESIGN section 7, and what the text needs besides. Seconds and UTC times as in the files."""
    config, state, ledger = read_config(paths), read_state(paths), Ledger(paths.ledger)
    now = run_state(paths, state)
    main = on_track(leaderboard(ledger))
    agents = agent_facts(config, state, main)
    if now not in ALIVE:
        agents = [{**agent, "state": "away" if agent["person"] else "stopped", "pid": None} for agent in agents]
    return {
        "run": paths.name,
        "state": now,
        "task": config["task"],
        "created": config["created"],
        "isolation": config["isolation"],
        "pid": state.get("pid") if now in ALIVE else None,
        "seconds_used": state.get("seconds_used", 0.0),
        "seconds_limit": state.get("seconds_limit", config["seconds_limit"]),
        "agents": agents,
        "submissions": len(ledger.submissions),
        "scored": sum(verdict["status"] == "scored" for verdict in ledger.verdicts.values()),
        "best": main[0]["submission"] if main else None,
        "best_verdict": main[0] if main else None,
        "null": bool(config.get("null")),
        "submissions_limit": config.get("submissions_limit"),
        "fleet_submissions_limit": config.get("fleet_submissions_limit"),
        "exposure": asdict(exposure_of(list(ledger.verdicts.values()))),
        "wrong_rejections": asdict(wrong_rejections(ledger.verdicts)),
        "queue": len(ledger.waiting()),
        **dict.fromkeys(MONEY),
        "spend_dollars": 0.0,
        **{name: state[name] for name in MONEY if name in state},
        "models": sorted({agent["model"] for agent in config["agents"] if agent.get("model")}),
        "people": sum(agent["state"] == "present" for agent in agents),
        "problems": _problems(paths, state, now, config),
        "time": state.get("time"),
    }


def _problems(paths: RunPaths, state: dict, now: str, config: dict) -> list[str]:
    problems = [clean(problem, 300) for problem in state.get("problems", [])]
    if now == "crashed":
        problems.append(f"the operator is gone: `python aar.py resume {paths.name}` goes on, nothing that was scored is lost")
    late = age_seconds(state.get("time"))
    if now in ("running", "open") and late is not None and late > 30:
        problems.append(f"the operator lives but has not written its state for {duration(late)}: see {paths.log}")
    problems += [NONE_STAMP] * (config["isolation"] == "none") + [NULL_STAMP] * bool(config.get("null"))
    return problems


def status_text(facts: dict) -> str:
    """The facts of `status_facts` as plain text."""
    told = Exposure(**facts["exposure"])
    limit = f" of {facts['fleet_submissions_limit']}" if facts["fleet_submissions_limit"] else ""
    lines = [
        f"run {facts['run']}: {facts['state']}, task {facts['task']}, {time_words(facts)}",
        f"{count(facts['submissions'], 'submission')}{limit}, {facts['scored']} scored, {facts['queue']} in the queue; best: "
        + best_words(facts["best_verdict"]),
        *([f"{money_words(facts)} ({', '.join(facts['models'])})"] if facts["models"] else []),
        exposure_words(told),
        *([words] if (words := luck_words(told)) else []),
        rejections_words(Rejections(**facts["wrong_rejections"])),
        "",
    ]
    left_out = () if facts["models"] else PAID
    header = [name for name in AGENT_HEADER if name not in left_out]
    rows = [[cell for name, cell in zip(AGENT_HEADER, agent_row(agent), strict=True) if name in header] for agent in facts["agents"]]
    lines.append(columns(header, rows, right=("for", "submissions", "last PGR", "turns", "spent")))
    lines += [f"problem: {problem}" for problem in facts["problems"]]
    return "\n".join(lines)


def time_words(state: dict) -> str:
    """`4m10s of 10m00s used`, from `status_facts`; of a run that is open for people, who is there."""
    if state["state"] == "open":
        return f"{duration(state['seconds_used'])} used, {present_words(state['people'])}"
    return f"{duration(state['seconds_used'])} of {duration(state['seconds_limit'])} used"


def present_words(number: int) -> str:
    """How many people there are, in words."""
    return "1 person is there" if number == 1 else f"{number or 'no'} people are there"


def money_words(state: dict) -> str:
    """`spent $3.10 of $200.00, $13.20 an hour, $0.04 a verdict, $0.05 a point of PGR`, from state.json or `status_facts`."""
    limit = f" of ${state['spend_limit']:.2f}" if state.get("spend_limit") else ""
    rates = [f"${state[name]:.2f} {words}" for name, words in RATES.items() if state.get(name) is not None]
    return ", ".join([f"spent ${state.get('spend_dollars') or 0.0:.2f}{limit}", *rates])


def agent_facts(config: dict, state: dict, main: list[dict]) -> list[dict]:
    """One dict an agent: name and direction from run.toml, what state.json says of it, and its best of `main` (ranked)."""
    known = state.get("agents", {})
    directions = {agent["name"]: agent.get("direction") for agent in config["agents"]}
    people = {agent["name"] for agent in config["agents"] if is_person(agent)}
    best: dict[str, dict] = {}
    for verdict in main:
        best.setdefault(verdict["agent"], verdict)
    facts = []
    for name in {**directions, **known}:
        own = best.get(name, {})
        agent = {"name": name, "direction": directions.get(name), "person": name in people, **UNKNOWN, **known.get(name, {})}
        agent |= {"best": own.get("submission")} | {f"best_{key}": own.get(f"pgr_{key}") for key in ("low", "high")}
        facts.append(agent | {"best_pgr": own.get("pgr")})
    return facts


def agent_row(agent: dict) -> tuple[str, ...]:
    """One of `agent_facts` under AGENT_HEADER, cleaned; `for` is how long it has been in its state."""
    restarts = agent.get("restarts") or 0
    best = interval(agent["best_pgr"], agent["best_low"], agent["best_high"])
    return (
        clean(agent["name"], 40),
        clean(agent["direction"] or "-", 28),
        clean(agent["state"], 12),
        duration(age_seconds(agent["since"])),
        str(agent["submissions"]),
        "-" if agent["last_pgr"] is None else figure(agent["last_pgr"]),
        "-" if agent["best_pgr"] is None else best,
        str(agent.get("turns", 0)),
        f"${agent.get('dollars', 0.0):.2f}",
        (f"{count(restarts, 'restart')}; " if restarts else "") + clean(agent["note"] or "", 48),
    )


def best_words(verdict: dict | None) -> str:
    """`s0007 methods/x.py by agent-3, PGR 0.67 [0.61, 0.72], lift ...`, or "none yet"."""
    if verdict is None:
        return "none yet"
    who = f"{clean(verdict['submission'], 12)} {clean(verdict['method'], 48)} by {clean(verdict['agent'], 40)}"
    return f"{who}, PGR {pgr_of(verdict)}, lift {lift_of(verdict)} ({clean(verdict['rung'], 8)} rung)"


def runs_facts(repository: Path | str) -> list[dict]:
    """The runs of a repository, oldest first: what `runs --json` prints. A run that cannot be read says so in `problems`."""
    facts = []
    for paths in all_runs(repository):
        try:
            one = status_facts(paths)
        except UserError as error:
            facts.append({"run": paths.name, "state": "unreadable", "problems": [str(error)]})
            continue
        keys = ("run", "state", "task", "created", "submissions", "scored", "best", "isolation", "problems")
        best = one["best_verdict"] or {}
        figures = {key: best.get(key) for key in ("pgr", "pgr_low", "pgr_high")}
        facts.append({key: one[key] for key in keys} | {"agents": len(one["agents"])} | figures)
    return facts


def runs_text(facts: list[dict]) -> str:
    """The facts of `runs_facts` as plain text."""
    if not facts:
        return "no runs here yet: start one with `python aar.py --agents 9`"
    header = ("run", "state", "task", "created", "agents", "submissions", "scored", "best", "PGR")
    rows = []
    for run in facts:
        cells = [run.get(key) for key in header[:-1]]
        cells = ["-" if cell is None else clean(cell, 40) for cell in cells]
        rows.append([*cells, "-" if run.get("pgr") is None else interval(run["pgr"], run["pgr_low"], run["pgr_high"])])
    problems = [f"problem: {run['run']}: {clean(problem, 300)}" for run in facts for problem in run["problems"]]
    return "\n".join([columns(header, rows, right=("agents", "submissions", "scored")), *problems])
