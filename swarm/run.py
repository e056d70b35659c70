"""Operates a run: evaluator, broker and agents, until its time is over or somebody stops it; then the winner is verified.

    operate(paths)      also what `resume` does: what the ledger and the branches say is where it goes on
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import tomli
from filelock import FileLock, Timeout

from eval.client import Slots, make_slots, open_sealed
from state.errors import UserError
from state.files import append_jsonl, read_jsonl, utc_now, write_atomic
from state.ledger import Ledger
from state.paths import RunPaths
from stats.ranking import ranked
from swarm.board import Board
from swarm.boxes import prepare_agent_folder
from swarm.broker import Door
from swarm.desk import Desk
from swarm.repo import RunRepo
from swarm.supervisor import Supervisor

TICK_SECONDS = 0.25
BOARD_SECONDS = 2.0
"""How often, at most, the board is committed and the refs are mirrored."""
DRAIN_SECONDS = 60.0
"""How long, after the end of the time, submissions that are queued may still get their verdicts."""

LAST_WORDS_SECONDS = 3.0
"""How long, after the last verdict, agents have for their last posts and notes."""


def load_config(paths: RunPaths) -> dict:
    return tomli.loads(paths.toml.read_text())


def open_repo(paths: RunPaths, config: dict) -> RunRepo:
    return RunRepo(paths.repo, paths.name, Path(config["user_git"]))


def hold_run(paths: RunPaths) -> FileLock:
    """The lock that makes one process the operator of a run. UserError where another one is."""
    lock = FileLock(paths.lock)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(f"run {paths.name} is being operated already: `python aar.py status {paths.name}`") from None
    return lock


class Operator:
    """One run while it is operated. `show(state)` is called about twice a second."""

    def __init__(self, paths: RunPaths, show: Callable[[dict], None] | None = None):
        self.paths, self.config = paths, load_config(paths)
        self.show = show or (lambda state: None)
        self.repo = open_repo(paths, self.config)
        self.board = Board(paths, self.repo)
        slots = make_slots(self.config.get("gpus"))
        self.desk = Desk(paths, self.config, self.repo, self.board, Slots(slots))
        self.desk.seconds_used = self.seconds_used
        self.names = [agent["name"] for agent in self.config["agents"]]
        self.supervisor = Supervisor(paths, self.names)
        self.phase = "starting"
        self.asked_to_stop = threading.Event()
        self._before = self._seconds_before()
        self._started = time.monotonic()
        self._since: dict[str, tuple[str, str]] = {}
        self._doors: list[Door] = []
        self._known: dict = {}
        self._failure: OSError | None = None
        self._keeper_stop = threading.Event()

    def seconds_used(self) -> float:
        """Of the run's time, over all its operators so far."""
        return self._before + time.monotonic() - self._started

    def _seconds_before(self) -> float:
        try:
            return float(json.loads(self.paths.state.read_text())["seconds_used"])
        except (FileNotFoundError, KeyError, ValueError):
            return 0.0

    def run(self) -> str:
        """Operate until the end. Returns the state it ended in: finished (time over) or stopped (asked to)."""
        self._put_in_order()
        self._write_state()
        for name in self.names:
            self._doors.append(Door(self.desk, name, self.paths.door(name)))
        self.desk.start()
        keeper = threading.Thread(target=self._keep_board, daemon=True, name="board")
        keeper.start()
        self.phase = "running"
        try:
            self._loop()
            ended = "stopped" if self.asked_to_stop.is_set() else "finished"
            self.phase = "stopping"
            self.desk.accepting = False
            if ended == "finished":
                self._drain()
            self.supervisor.stop()
        finally:
            self.supervisor.stop()
            self.desk.close()
            for door in self._doors:
                door.close()
            self._keeper_stop.set()
            self.desk.board_changed.set()
            keeper.join(timeout=10)
        if self._failure is not None:
            raise self._failure
        self.phase = "stopped" if self.asked_to_stop.is_set() else ended
        self._write_state()
        return self.phase

    def _put_in_order(self) -> None:
        """After a crash: sockets and files that the sandboxes mount are made anew; stale git locks go."""
        for lock in self.paths.repo.rglob("*.lock"):
            lock.unlink()  # we hold the run: whoever made it is dead
        for name in self.names:
            prepare_agent_folder(self.paths, name)

    def _loop(self) -> None:
        shown = 0.0
        while not self.asked_to_stop.is_set() and self.seconds_used() < self.config["seconds_limit"]:
            for worker in self.supervisor.look():
                self.desk.ledger_event("agent-fell", worker.name, worker.reason)
                if worker.state == "parked":
                    self.desk.problem(f"{worker.name} is parked after {worker.falls} falls in a row: {worker.reason}")
            if time.monotonic() - shown >= 2 * TICK_SECONDS:
                shown = time.monotonic()
                self._write_state()
            if self.desk.fatal:
                raise UserError(self.desk.fatal)
            if all(worker.state in ("done", "parked") for worker in self.supervisor.workers.values()):
                break
            self.asked_to_stop.wait(TICK_SECONDS)

    def _drain(self) -> None:
        """Let what is queued get its verdict, and its agents read it and write down what they learned."""
        deadline = time.monotonic() + DRAIN_SECONDS
        while self.desk.waiting() and time.monotonic() < deadline and not self.asked_to_stop.is_set():
            self._write_state()
            self.asked_to_stop.wait(TICK_SECONDS)
        self._write_state()
        self.asked_to_stop.wait(LAST_WORDS_SECONDS)

    def _keep_board(self) -> None:
        """Commits the board and mirrors the refs whenever something changed, at most every BOARD_SECONDS."""
        while True:
            self.desk.board_changed.wait(BOARD_SECONDS * 5)
            last = self._keeper_stop.is_set()
            self.desk.board_changed.clear()
            try:
                self.save_board()
            except OSError as error:  # a full disk, most likely: the main thread ends the run and says so
                self._failure = error
                self.asked_to_stop.set()
                return
            if last:
                return
            self._keeper_stop.wait(BOARD_SECONDS)

    def save_board(self) -> None:
        ledger = Ledger(self.paths.ledger)
        self.board.write_results(ledger)
        scored = len(ledger.verdicts)
        self.board.commit(f"Board of {self.paths.name}: {scored} verdicts, {len(list(self.paths.forum.glob('2*.md')))} posts")
        problem = self.repo.mirror()
        if problem:
            self.desk.problem(problem)

    # -- what is shown ---------------------------------------------------------------------------------------------------

    def _write_state(self) -> None:
        state = self.state()
        write_atomic(self.paths.state, json.dumps(state, indent=1), durable=False)
        self.show(state)

    def state(self) -> dict:
        """What state.json holds."""
        facts = self._facts()
        agents = {name: self._agent_state(name, facts) for name in self.names}
        return {
            "pid": os.getpid(),
            "evaluator_pid": self.desk.evaluator.pid,
            "state": self.phase,
            "seconds_used": round(self.seconds_used(), 1),
            "seconds_limit": self.config["seconds_limit"],
            "time": utc_now(),
            "queue": self.desk.waiting(),
            "agents": agents,
            "best": facts["best"],
            "problems": self.desk.problems,
        }

    def _facts(self) -> dict:
        """What the ledger says of each agent and of the run; worked out again only where the ledger has grown."""
        ledger = self.desk.ledger
        size = (len(ledger.submissions), len(ledger.verdicts))
        if self._known.get("size") != size:
            mine: dict[str, dict] = {name: {"submissions": 0, "waiting": [], "last": {}, "scored": []} for name in self.names}
            for name, record in list(ledger.submissions.items()):
                about = mine[record["agent"]]
                about["submissions"] += 1
                verdict = ledger.verdicts.get(name)
                if verdict is None:
                    about["waiting"].append(name)
                else:
                    about["last"] = verdict
                    about["scored"].append(verdict)
            for about in mine.values():
                about["best"] = (_best_first(about.pop("scored")) or [{}])[0]
            best = _best_first(list(ledger.verdicts.values()))
            self._known = {"size": size, "agents": mine, "best": best[0]["submission"] if best else None}
        return self._known

    def _agent_state(self, name: str, facts: dict) -> dict:
        worker, mine = self.supervisor.workers[name], facts["agents"][name]
        best, last, waiting = mine["best"], mine["last"], mine["waiting"]
        now = self._activity(worker.state, waiting)
        if self._since.get(name, ("", ""))[0] != now:
            self._since[name] = (now, utc_now())
        return {
            "state": now,
            "since": self._since[name][1],
            "pid": worker.process.pid if worker.process else None,
            "restarts": worker.restarts,
            "submissions": mine["submissions"],
            "last_pgr": last.get("pgr"),
            "best_pgr": best.get("pgr"),
            "best_low": best.get("pgr_low"),
            "best_high": best.get("pgr_high"),
            "note": f"scoring {waiting[0]}" if now == "scoring" else worker.reason if worker.state in ("resting", "parked") else "",
        }

    def _activity(self, worker: str, waiting: list[str]) -> str:
        if worker == "parked":
            return "parked"
        if worker == "done" or (self.phase in ("stopping", "stopped", "finished") and not waiting):
            return "stopped"
        if any(name in self.desk.rungs for name in waiting):
            return "scoring"
        if waiting:
            return "queued"
        return "starting" if worker == "resting" else "working"


def open_for_submissions(paths: RunPaths) -> None:
    """UserError where the run's sealed figures are known: they must reach no agent that can still submit."""
    if (paths.board / "verification.md").exists():
        raise UserError(f"run {paths.name} was verified on the sealed part and takes no more submissions: start a new run")


def operate(paths: RunPaths, show: Callable[[dict], None] | None = None, seconds: float | None = None) -> str:
    """Operate a run to its end; the state it ended in. `seconds`: a new limit for a run that goes on.

    SIGTERM, SIGINT and SIGHUP end it cleanly. UserError where another process operates it, or its time is over.
    """
    lock = hold_run(paths)
    try:
        open_for_submissions(paths)
        operator = Operator(paths, show)
        if seconds is not None:
            operator.config["seconds_limit"] = operator.seconds_used() + seconds
        if operator.seconds_used() >= operator.config["seconds_limit"]:
            raise UserError(f"run {paths.name} has used its time: give it more with --minutes M or --hours H")
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: operator.asked_to_stop.set())
        return operator.run()
    finally:
        lock.release()


def _best_first(verdicts: list[dict]) -> list[dict]:
    """Scored submissions of the main track, by lower bound; full rung before quick, copies of earlier code left out."""
    return ranked([v for v in verdicts if v["status"] == "scored" and v["track"] == "main" and not v.get("same_as")])


def finalists(ledger: Ledger, count: int = 1) -> list[str]:
    """The best submissions of a run."""
    return [verdict["submission"] for verdict in _best_first(list(ledger.verdicts.values()))[:count]]


def verify(paths: RunPaths, submissions: list[str], on_verdict: Callable[[dict], None]) -> list[dict]:
    """Open the sealed part for `submissions`; the verdicts. The run is closed with it: the board shows them from then on."""
    lock = hold_run(paths)
    try:
        config = load_config(paths)
        verdicts: list[dict] = []

        def note(verdict: dict) -> None:
            verdicts.append(verdict)
            on_verdict(verdict)

        open_sealed(paths, submissions, note)
        append_jsonl(paths.ledger, {"kind": "event", "event": "sealed-opened", "agent": None, "detail": ", ".join(submissions), "time": utc_now()})
        write_atomic(paths.board / "verification.md", verification_text(read_jsonl(paths.evaluator / "sealed.jsonl"), Ledger(paths.ledger)))
        repo = open_repo(paths, config)
        Board(paths, repo).commit(f"Sealed verification of {', '.join(submissions)}")
        repo.mirror()
        return verdicts
    finally:
        lock.release()


def verification_text(sealed: list[dict], ledger: Ledger) -> str:
    """verification.md: each sealed verdict beside the public one."""
    lines = [
        "# Sealed verification",
        "",
        "Re-run from the commit, on draws and test items that no submission has met. PGR and lift over tuned naive with 95 %",
        f"intervals. The public figures are those of the best among {len(ledger.verdicts)} submissions and therefore look better",
        "than they are; the sealed ones were not chosen. `openings` counts those of this task's sealed part on this machine.",
        "",
        "| submission | commit | agent | method | public PGR | sealed PGR | public lift | sealed lift | draws | openings | isolation | time |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for verdict in sealed:
        public = ledger.verdicts.get(verdict["submission"], {})
        lines.append(
            f"| {verdict['submission']} | {verdict['commit'][:12]} | {verdict['agent']} | {verdict['method']} "
            f"| {_figure(public, 'pgr')} | {_figure(verdict, 'pgr')} | {_figure(public, 'lift')} | {_figure(verdict, 'lift')} "
            f"| {verdict['draws']} | {verdict['openings']} | {verdict['isolation']} | {verdict['time']} |"
        )
    return "\n".join(lines) + "\n"


def _figure(verdict: dict, name: str) -> str:
    if verdict.get(name) is None:
        return verdict.get("status", "n/a") if verdict.get("status") != "scored" else "n/a"
    return f"{verdict[name]:.2f} [{verdict[name + '_low']:.2f}, {verdict[name + '_high']:.2f}]"
