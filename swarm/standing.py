"""What the operator tells of a run while it goes on: the contents of state.json, which `status` and the live table show."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from state.files import utc_now
from state.operated import born
from stats.ranking import contenders
from swarm.forum import one_line

if TYPE_CHECKING:
    from swarm.run import Operator

SAYS = ("thinking", "acting", "working", "waiting", "finished")
"""What an agent may say of itself in activity.json; `waiting` is for an API that does not answer."""


class Standing:
    """Builds the state of a run from its operator, a few times a second."""

    def __init__(self, operator: Operator):
        self.operator = operator
        self._since: dict[str, tuple[str, str]] = {}
        self._known: dict = {}

    def state(self) -> dict:
        """What state.json holds."""
        operator = self.operator
        names = tuple(operator.names)  # somebody may join meanwhile
        desk, facts = operator.desk, self._facts(names)
        money = operator.purse.facts(facts["scored"], facts["best_pgr"]) if operator.purse is not None else {}
        return {
            "pid": os.getpid(),
            "born": born(os.getpid()),
            "evaluator_pid": desk.evaluator.pid,
            "proxy_pid": operator.proxy.pid if operator.proxy is not None else None,
            "state": operator.phase,
            "seconds_used": round(operator.seconds_used(), 1),
            "seconds_limit": operator.config["seconds_limit"],
            "time": utc_now(),
            "queue": desk.waiting(),
            "slots_used": len(desk.rungs) + self._jobs(),
            "agents": {name: self._agent(name, facts) for name in names},
            "best": facts["best"],
            "problems": desk.problems,
            **money,
        }

    def _jobs(self) -> int:
        """Jobs that run in a slot; an agent has one at a time."""
        jobs = self.operator.desk.jobs
        return sum(any(job["state"] == "running" for job in jobs.listed(agent)) for agent in jobs.busy)

    def _facts(self, names: tuple[str, ...]) -> dict:
        """What the ledger says of each agent and of the run; worked out again only where the ledger has grown."""
        ledger = self.operator.desk.ledger
        size = (len(ledger.submissions), len(ledger.verdicts), len(names))
        if self._known.get("size") != size:
            mine: dict[str, dict] = {}
            for name in names:
                mine[name] = {"submissions": 0, "waiting": [], "last": {}, "scored": []}
            for name, record in list(ledger.submissions.items()):
                about = mine.get(record["agent"])
                if about is None:  # of somebody who joined just now
                    continue
                about["submissions"] += 1
                verdict = ledger.verdicts.get(name)
                if verdict is None:
                    about["waiting"].append(name)
                else:
                    about["last"] = verdict
                    about["scored"].append(verdict)
            for about in mine.values():
                about["best"] = (contenders(about.pop("scored")) or [{}])[0]
            verdicts = list(ledger.verdicts.values())
            best = (contenders(verdicts) or [{}])[0]
            scored = sum(verdict["status"] == "scored" for verdict in verdicts)
            self._known = {"size": size, "agents": mine, "best": best.get("submission"), "best_pgr": best.get("pgr"), "scored": scored}
        return self._known

    def _agent(self, name: str, facts: dict) -> dict:
        mine = facts["agents"][name]
        best, last, waiting = mine["best"], mine["last"], mine["waiting"]
        about = self._person(name, waiting) if name in self.operator.people.names else self._process(name, waiting)
        if self._since.get(name, ("", ""))[0] != about["state"]:
            self._since[name] = (about["state"], utc_now())
        return {
            "since": self._since[name][1],
            "submissions": mine["submissions"],
            "last_pgr": last.get("pgr"),
            "best_pgr": best.get("pgr"),
            "best_low": best.get("pgr_low"),
            "best_high": best.get("pgr_high"),
            **about,
        }

    def _person(self, name: str, waiting: list[str]) -> dict:
        """What is known of a person only; others have `_process`."""
        scoring = [one for one in waiting if one in self.operator.desk.rungs]
        note = f"scoring {scoring[0]}" if scoring else f"{waiting[0]} is queued" if waiting else ""
        return {"state": "present" if name in self.operator.people.present else "away", "pid": None, "restarts": 0, "note": note}

    def _process(self, name: str, waiting: list[str]) -> dict:
        worker = self.operator.supervisor.workers[name]
        said = self._said(name)
        now = self._activity(worker.state, waiting, said.get("doing", "") if worker.state == "running" else "")
        # What one that was stopped did last it does no more; what one said that ended by itself is why.
        told = one_line(str(said.get("note", "")), 120) if now != "stopped" or said.get("doing") == "finished" else ""
        note = f"scoring {waiting[0]}" if now == "scoring" else told
        purse = self.operator.purse
        return {
            "state": now,
            "pid": worker.pid,
            "restarts": worker.restarts,
            "note": worker.reason if worker.state in ("resting", "parked") or worker.state == "done" and worker.reason else note,
            "seconds": round(worker.seconds(), 1),
            **(purse.of(name) if purse is not None else {}),
        }

    def _said(self, name: str) -> dict:
        """What the agent's process last said of itself; {} where it said nothing yet."""
        try:
            said = json.loads((self.operator.paths.agent(name) / "activity.json").read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return said if said.get("doing") in SAYS else {}

    def _activity(self, worker: str, waiting: list[str], doing: str) -> str:
        if worker == "parked":
            return "parked"
        if worker == "done" or (self.operator.phase in ("open", "stopping", "stopped", "finished") and not waiting):
            return "stopped"
        if any(name in self.operator.desk.rungs for name in waiting):
            return "scoring"
        if waiting:
            return "queued"
        return "starting" if worker == "resting" else doing or "working"
