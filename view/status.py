"""How a run is doing, and which runs there are. Behind `python aar.py status [RUN]` and `python aar.py runs`.

The facts are read from a run's files, so that they can be had at any time from any terminal, and after a crash. How they look:
view/screen.py.
"""

from __future__ import annotations

import datetime
import json
import time
from pathlib import Path

from state.config import read_config
from state.errors import UserError
from state.ledger import NULL_STAMP, Ledger
from state.operated import is_operated
from state.paths import RunPaths, all_runs
from state.record import cut_off_words, is_closed, last_opening, latest_sealed, read_sealed
from state.spend import Spend
from view.agents import Told, agent_facts, signs_of_life, told
from view.format import NONE_STAMP, age_seconds, clean, columns, interval, terminal_width
from view.screen import painted, screen, state_words

ALIVE = ("starting", "running", "open", "stopping")
"""What an operator says of a run while it lives; `open`: for people only, its agents have stopped."""
MONEY = ("spend_dollars", "spend_limit", "spend_tokens", "turns", "dollars_an_hour", "dollars_a_verdict", "dollars_a_point")
UNREAD = "evaluator/sealed.jsonl is another user's: sealed verdicts are not shown here, board/verification.md has their figures"
"""What is said of a run that was verified by somebody else on this machine."""
SILENT_SECONDS = 30.0
"""An operator writes twice a second."""
SHARE, CHEAP_SECONDS = 0.05, 0.05
"""Of a core, for what takes longer than this."""


def run_state(paths: RunPaths, state: dict) -> str:
    """The state of a run: what state.json says, unless its operator is gone without having said so: "crashed"."""
    said = state.get("state", "starting")
    if said not in ALIVE or is_operated(paths):
        return said
    said = read_state(paths).get("state", "starting")  # it may have come to its end since `state` was read
    return "crashed" if said in ALIVE else said


def being_verified(paths: RunPaths, events: list[dict]) -> bool:
    """Whether somebody is at opening the sealed part for this run just now."""
    return last_opening(events) is not None and not is_closed(paths, events) and is_operated(paths)


def cut_off(paths: RunPaths, events: list[dict]) -> dict | None:
    """The event of an opening of the sealed part that nobody is at any more, and that did not come to its end; None where there is none,
    or the run was opened from a bundle: there it cannot be completed."""
    opening = last_opening(events)
    if opening is None or paths.opened.exists() or is_operated(paths):
        return None
    return None if is_closed(paths, events) else opening


def read_state(paths: RunPaths) -> dict:
    """state.json; {} before the operator first wrote it. UserError where it is no JSON."""
    try:
        return json.loads(paths.state.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        new = "what it says is told by other files too" if paths.opened.exists() else f"`python aar.py resume {paths.name}` writes a new one"
        raise UserError(f"{paths.state} is not JSON ({error}): remove it, {new}") from None


class Follower:
    """Reads a run's files again and again; what has not changed is not worked out anew. It writes nothing and holds nothing."""

    def __init__(self, paths: RunPaths):
        self.paths, self.config, self.ledger = paths, read_config(paths), Ledger(paths.ledger)
        self._told: tuple[tuple, Told] | None = None
        self._again = 0.0
        self._spend: Spend | None = None

    def facts(self, state: dict | None = None) -> dict:
        """What `status --json` prints: DESIGN section 7, and what the text needs besides. Seconds and UTC times as in the files.

        `state`: what the operator is about to write to state.json, where it is the operator that asks.
        """
        self.ledger.refresh()
        if state is None:
            state = read_state(self.paths)
            now = run_state(self.paths, state)
            if now not in ("crashed", state.get("state")):
                state = read_state(self.paths)
            if now in ALIVE and last_opening(self.ledger.events) is not None:  # who holds the run verifies it; its operator fell before
                now = "finished"
        else:
            now = state["state"]
        if len(state.get("agents", {})) > len(self.config["agents"]):  # somebody joined
            self.config = read_config(self.paths)
        verified = now not in ALIVE and is_closed(self.paths, self.ledger.events)
        opened = self.paths.opened.exists()
        cut = None if verified else cut_off(self.paths, self.ledger.events)
        if now == "crashed" and (verified or cut or opened):  # whatever its operator was doing, nothing is left to go on with
            now = "finished" if verified or cut else "stopped"
        state = self._with_money(state)
        names = [agent["name"] for agent in self.config["agents"]]
        clock = datetime.datetime.now(datetime.timezone.utc) if now in ALIVE else None
        about = self.told(at_once=clock is None)
        agents = agent_facts(self.config, about, state.get("agents", {}), clock, signs_of_life(self.paths, names) if clock else {})
        posts = sum(file.name != "README.md" and not file.name.startswith(".") for file in self.paths.forum.glob("*.md"))
        found = read_sealed(self.paths) if verified else []
        sealed = [verdict for verdict in latest_sealed(found or []) if not verdict.get("control")]
        wrong = [cut_off_words(self.paths.name, cut)] if cut else [UNREAD] if found is None else []
        problems = _problems(self.paths, state, now, self.config, wrong)
        verifying = None if verified or now in ALIVE else self._verifying()
        return summary(self.config, self.paths.name, about, state, now, agents, posts, problems) | {
            "verified": verified, "verifying": verifying, "sealed": sealed, "opened": opened,
        }  # fmt: skip

    def _verifying(self) -> dict | None:
        """{"done", "of"}: how many submissions were scored on the sealed part so far, where somebody is at it; `done` is None where that
        is another user."""
        last = last_opening(self.ledger.events)
        if last is None or not is_operated(self.paths):
            return None
        found = read_sealed(self.paths)
        done = None if found is None else sum(verdict.get("time", "") >= last["time"] for verdict in found)
        return {"done": done, "of": len(last["detail"].split(", "))}

    def told(self, at_once: bool = True) -> Told:
        """What the ledger says so far. Of a run of thousands it is worked out at most every few seconds, so that whoever shows a run
        while it goes on takes no more than a small share of a core; `at_once`: now."""
        size = (len(self.ledger.submissions), len(self.ledger.verdicts), len(self.ledger.events), len(self.config["agents"]))
        if self._told is None or self._told[0] != size and (at_once or time.monotonic() >= self._again):
            began = time.thread_time()  # of a core: while others have it, or the machine stands still, this costs nothing
            self._told = size, told(self.config, self.ledger.submissions, self.ledger.verdicts, self.ledger.events)
            took = time.thread_time() - began
            self._again = time.monotonic() + (took / SHARE if took > CHEAP_SECONDS else 0.0)
        return self._told[1]

    def _with_money(self, state: dict) -> dict:
        """The state, with what was spent where the operator has not said it, as after a crash in its first moments."""
        if "spend_dollars" in state or not self.paths.spend.exists():
            return state
        self._spend = self._spend or Spend(self.paths.spend)
        self._spend.refresh()
        whose = {agent["name"]: self._spend.of(agent["name"]) for agent in self.config["agents"]}
        agents = {name: {"dollars": total.dollars, "turns": total.turns, **state.get("agents", {}).get(name, {})} for name, total in whose.items()}
        limit = self.config.get("budget", {}).get("dollars")
        money = {"spend_dollars": self._spend.dollars, "spend_limit": limit, "spend_tokens": self._spend.tokens, "turns": self._spend.turns}
        return {**state, **money, "agents": agents}


def summary(config: dict, run: str, about: Told, state: dict, now: str, agents: list[dict], posts: int, problems: list[str]) -> dict:
    """The facts of a run that `now` is in this state, from what was read of it. `state`: as in state.json."""
    return {
        "run": run,
        "state": now,
        "verified": False,
        "verifying": None,
        "sealed": [],
        "opened": False,
        "task": config["task"],
        "created": config["created"],
        "isolation": config["isolation"],
        "pid": state.get("pid") if now in ALIVE else None,
        "seconds_used": state.get("seconds_used", 0.0),
        "seconds_limit": state.get("seconds_limit", config["seconds_limit"]),
        "agents": agents,
        "submissions": about.submissions,
        "scored": about.scored,
        "posts": posts,
        "best": about.main[0]["submission"] if about.main else None,
        "best_verdict": about.main[0] if about.main else None,
        "null": bool(config.get("null")),
        "submissions_limit": config.get("submissions_limit"),
        "fleet_submissions_limit": config.get("fleet_submissions_limit"),
        "exposure": about.exposure,
        "wrong_rejections": about.rejections,
        "slots": config.get("slots"),
        "slots_used": state.get("slots_used") if now in ALIVE else 0,
        "queue": about.waiting,
        **dict.fromkeys(MONEY),
        "spend_dollars": 0.0,
        **{name: state[name] for name in MONEY if name in state},
        "models": sorted({agent["model"] for agent in config["agents"] if agent.get("model")}),
        "people": sum(agent["state"] == "present" for agent in agents),
        "alive": now in ALIVE,
        "problems": problems,
        "time": state.get("time"),
    }


def stamps(config: dict) -> list[str]:
    """What makes all figures of a run worthless, in words."""
    return [NONE_STAMP] * (config["isolation"] == "none") + [NULL_STAMP] * bool(config.get("null"))


def _problems(paths: RunPaths, state: dict, now: str, config: dict, sealed: list[str]) -> list[str]:
    """What a person should know first, the gravest first and of what happened the latest. `sealed`: what is wrong with its verification."""
    problems = stamps(config) + sealed
    if now == "crashed":
        problems.append(f"the operator is gone: `python aar.py resume {paths.name}` goes on, nothing that was scored is lost")
    late = age_seconds(state.get("time"))
    if now in ("running", "open") and late is not None and late > SILENT_SECONDS:
        problems.append(f"the operator lives but has written no state since {clean(state['time'], 20)}: see {paths.log}")
    return problems + [clean(problem, 300) for problem in reversed(state.get("problems", []))]


def status_facts(paths: RunPaths) -> dict:
    """How a run is doing at this moment, as `Follower.facts`."""
    return Follower(paths).facts()


def status_text(facts: dict, width: int | None = None) -> str:
    """The facts of `status_facts`, problems first. In a pipe plain text with one agent a line, never cut; for a terminal as wide as it
    is (or `width`), with colours. What has no room there is said."""
    width = width or terminal_width()
    return painted(screen(facts, width), width)


def runs_facts(repository: Path | str) -> list[dict]:
    """The runs of a repository, oldest first: what `runs --json` prints. A run that cannot be read says so in `problems`."""
    facts = []
    for paths in all_runs(repository):
        try:
            one = status_facts(paths)
        except UserError as error:
            facts.append({"run": paths.name, "state": "unreadable", "problems": [str(error)]})
            continue
        keys = ("run", "state", "verified", "task", "created", "submissions", "scored", "best", "isolation", "problems")
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
        cells = [state_words(run) if key == "state" else run.get(key) for key in header[:-1]]
        cells = ["-" if cell is None else clean(cell, 40) for cell in cells]
        rows.append([*cells, "-" if run.get("pgr") is None else interval(run["pgr"], run["pgr_low"], run["pgr_high"])])
    problems = [f"problem: {run['run']}: {clean(problem, 300)}" for run in facts for problem in run["problems"]]
    spare = ("created", "scored", "agents", "task")
    return "\n".join([columns(header, rows, right=("agents", "submissions", "scored"), spare=spare, gives="run"), *problems])
