"""Operates a run: evaluator, broker and agents, until its time is over or somebody stops it; then the winner is verified.

    operate(paths)      also what `resume` does: what the ledger and the branches say is where it goes on
"""

from __future__ import annotations

import contextlib
import json
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator

from eval.client import Slots, make_slots
from sandbox.honeypot import Honeypot
from state.config import is_person
from state.errors import UserError
from state.files import write_atomic
from state.ledger import Ledger
from state.paths import RunPaths
from swarm.access import current_budget, hold_run, load_config, open_for_submissions, open_repo
from swarm.board import Board
from swarm.boxes import agent_honeypot, prepare_agent_folder, touched_baits
from swarm.broker import Door
from swarm.control import Control
from swarm.create import task_views
from swarm.desk import Desk
from swarm.key import Key, take_key
from swarm.people import People, make_person
from swarm.proxy_client import ProxyClient
from swarm.purse import Purse
from swarm.standing import Standing
from swarm.supervisor import Supervisor

TICK_SECONDS = 0.25
BOARD_SECONDS = 2.0
"""How often, at most, the board is committed and the refs are mirrored."""
DRAIN_TICKS = 240
"""For so many TICK_SECONDS, after the end of the time, submissions that are queued may still get their verdicts."""
LAST_WORDS_TICKS = 12
"""For so many, after the last verdict, agents may still write their last posts and notes."""


class Operator:
    """One run while it is operated. `show(state)` is called about twice a second. `keep_open`: when its agents' time is over it
    goes on for people, until somebody stops it."""

    def __init__(self, paths: RunPaths, show: Callable[[dict], None] | None = None, key: Key | None = None, keep_open: bool = False):
        self.paths, self.config, self._key = paths, load_config(paths), key
        self.show, self.keep_open = show or (lambda state: None), keep_open
        self.repo = open_repo(paths, self.config)
        self.board = Board(paths, self.repo)
        slots = make_slots(self.config.get("gpus"))
        self.desk = Desk(paths, self.config, self.repo, self.board, Slots(slots))
        self.desk.seconds_used = self.seconds_used
        self.names = [agent["name"] for agent in self.config["agents"]]
        state = self._state_before()
        researchers = {agent["name"]: agent["researcher"] for agent in self.config["agents"] if not is_person(agent)}
        before = {name: about.get("seconds", 0.0) for name, about in state.get("agents", {}).items()}
        self.supervisor = Supervisor(paths, researchers, before, self.config.get("budget", {}).get("agent_hours"))
        self.people = People(paths, self.config, self.repo, self.desk, self._open_place)
        self.standing = Standing(self)
        self.purse: Purse | None = None
        self.proxy: ProxyClient | None = None
        self.phase = "starting"
        self.asked_to_stop = threading.Event()
        self._before = float(state.get("seconds_used", 0.0))
        self.config["seconds_limit"] = max(self.config["seconds_limit"], state.get("seconds_limit", 0.0))  # may have been extended
        self._started = time.monotonic()
        self._doors: list[Door] = []
        self._baits: dict[str, Honeypot] = {}
        self._failure: OSError | None = None
        self._keeper_stop = threading.Event()

    def seconds_used(self) -> float:
        """Of the run's time, over all its operators so far."""
        return self._before + time.monotonic() - self._started

    def _state_before(self) -> dict:
        """What the last operator of this run wrote; {} at the start."""
        try:
            return json.loads(self.paths.state.read_text())
        except (FileNotFoundError, ValueError):
            return {}

    def run(self) -> str:
        """Operate until the end. Returns the state it ended in: finished (time over) or stopped (asked to)."""
        if not self._agents_are_over():
            self.supervisor.prepare()
        self._put_in_order()
        self._write_state()
        for name in self.names:
            self._doors.append(Door(self.desk, name, self.paths.door(name)))
        self._open_models()
        self.desk.start()
        control = Control(self.paths, self.people, lambda: self.phase)
        keeper = threading.Thread(target=self._keep_board, daemon=True, name="board")
        keeper.start()
        self.phase, why = "running", "it failed"
        try:
            self._loop()
            ended = "stopped" if self.asked_to_stop.is_set() else "finished"
            self.phase, why = "stopping", "it was stopped" if ended == "stopped" else "it came to its end"
            self.desk.accepting = False
            if ended == "finished":
                self._drain(set(self.names))
            self.supervisor.stop()
        finally:
            self.supervisor.stop()
            control.close(why)
            self.desk.close()
            for opened in (*([self.proxy] if self.proxy else []), *self._doors, *self._baits.values()):
                opened.close()
            self._look_at_baits()  # what was touched until the very end
            self._keeper_stop.set()
            self.desk.board_changed.set()
            keeper.join()  # who verifies next commits to the board as well
        if self._failure is not None:
            raise self._failure
        self.phase = "stopped" if self.asked_to_stop.is_set() else ended
        self._write_state()
        return self.phase

    def _put_in_order(self) -> None:
        """After a crash: sockets and files that the sandboxes mount are made anew; stale git locks go."""
        self.board.clear_locks()
        for name in self.people.names:
            make_person(self.paths, self.config, self.repo, name)
        for name in self.names:
            prepare_agent_folder(self.paths, name)
            self._baits[name] = agent_honeypot(self.paths, name, self.config["isolation"])

    def _open_models(self) -> None:
        """Where the run asks models: start their proxy, and look after the money."""
        if "budget" not in self.config:
            return
        budget = current_budget(self.paths, self.config)
        self.purse = self.desk.purse = Purse(self.paths, budget)
        models = {agent["name"]: [agent["model"]] for agent in self.config["agents"] if agent.get("model")}
        url = self.config["model"]["base_url"]
        self.proxy = ProxyClient(self.paths, models, self._key, url, budget, self.config.get("prices", {}), self._hear_proxy)

    def _hear_proxy(self, event: dict) -> None:
        match event["event"]:
            case "refused":
                self.desk.ledger_event("refused-by-proxy", event["agent"], event["detail"])
                self.desk.problem(f"{event['agent']}: the model proxy refused {event['detail']}")
            case "upstream" if event["ok"]:
                self.desk.problem(f"the model's API is back: {event['detail']}")
            case "upstream":
                self.desk.problem(f"the model's API fails: {event['detail']}; agents wait")
            case "gone":
                self.desk.ledger_event("proxy-restarted", None, event["detail"])
                self.desk.problem(event["detail"])
            case "problem":
                self.desk.problem(event["detail"])

    def _open_place(self, name: str) -> None:
        """What `_put_in_order` and `run` make for all, for somebody who has just joined."""
        self._baits[name] = agent_honeypot(self.paths, name, self.config["isolation"])
        self._doors.append(Door(self.desk, name, self.paths.door(name)))
        self.names.append(name)

    def _loop(self) -> None:
        shown = 0.0
        while not self.asked_to_stop.is_set():
            if self.phase == "running" and self._agents_are_over():
                if not self.keep_open:
                    break
                self._open()
            if self.phase == "running":
                self._look_at_agents()
            self._look_at_baits()
            if time.monotonic() - shown >= 2 * TICK_SECONDS:
                shown = time.monotonic()
                self._write_state()
            if self.desk.fatal:
                raise UserError(self.desk.fatal)
            self.asked_to_stop.wait(TICK_SECONDS)

    def _look_at_baits(self) -> None:
        for agent, bait in touched_baits(dict(self._baits)):  # somebody may join meanwhile
            self.desk.ledger_event("honeypot", agent, f"touched {bait}")
            self.desk.problem(f"{agent} touched {bait}, which pretends to hold labels")

    def _look_at_agents(self) -> None:
        for worker in self.supervisor.look():
            self.desk.ledger_event("agent-fell", worker.name, worker.reason)
            if worker.state == "parked":
                falls = f" after {worker.falls} falls in a row" if worker.falls > 1 else ""
                self.desk.problem(f"{worker.name} is parked{falls}: {worker.reason}")

    def _agents_are_over(self) -> bool:
        """Whether the time is over, or all agents have ended and nobody is there for whom the run would go on."""
        if self.seconds_used() >= self.config["seconds_limit"]:
            return True
        ended = all(worker.state in ("done", "parked") for worker in self.supervisor.workers.values())
        return ended and (self.keep_open or not self.people.present)

    def _open(self) -> None:
        """From now on the run is there for people only: agents get their last verdicts and stop."""
        workers = self.supervisor.workers
        self.phase, self.desk.kept_open = "open", True
        self.desk.out_of_time |= set(workers)
        if any(worker.state == "running" for worker in workers.values()):
            self._drain(set(workers))
            self.supervisor.stop()
        for worker in workers.values():
            if worker.state == "running":
                worker.before, worker.pid, worker.state, worker.reason = worker.seconds(), None, "done", ""

    def _drain(self, names: set[str]) -> None:
        """Let what these have queued get its verdict, and let them read it and write down what they learned."""
        for _ in range(DRAIN_TICKS):  # counted: a process that is suspended meanwhile does not lose what was queued
            if not self.desk.waiting(names) or self.asked_to_stop.is_set():
                break
            self._write_state()
            self.asked_to_stop.wait(TICK_SECONDS)
        self._write_state()
        for _ in range(LAST_WORDS_TICKS):
            self.asked_to_stop.wait(TICK_SECONDS)

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
        state = self.standing.state()
        write_atomic(self.paths.state, json.dumps(state, indent=1), durable=False)
        self.show(state)


@contextlib.contextmanager
def stopped_by_signals(asked_to_stop: threading.Event) -> Iterator[None]:
    """SIGTERM, SIGINT and SIGHUP set the event. A handler runs in the middle of whatever the main thread does, such as with the event's own
    lock in its hand, for which it would then wait: so it only tells a thread."""
    heard: queue.SimpleQueue[int | None] = queue.SimpleQueue()

    def listen() -> None:
        while heard.get() is not None:
            asked_to_stop.set()

    listener = threading.Thread(target=listen, daemon=True, name="signals")
    listener.start()
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    for number in before:
        signal.signal(number, lambda received, _: heard.put(received))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        heard.put(None)
        listener.join()


def operate(
    paths: RunPaths, show: Callable[[dict], None] | None = None, seconds: float | None = None, keep_open: bool = False
) -> str:
    """Operate a run to its end; the state it ended in. `seconds`: a new limit for a run that goes on.

    SIGTERM, SIGINT and SIGHUP end it cleanly. A run whose time is over is only brought to its end: what waits is scored; with
    `keep_open` it goes on for people, without its agents. UserError where another process operates it.
    """
    lock = hold_run(paths)
    try:
        open_for_submissions(paths, held=True)
        task_views(load_config(paths)["task"])  # prepared on this machine?
        operator = Operator(paths, show, take_key(), keep_open)
        if paths.state.exists():
            operator.desk.ledger_event("resumed", None, "")
        if not operator.supervisor.workers and not keep_open:
            raise UserError(f"run {paths.name} is for people only: `resume {paths.name} --keep-open` opens it, `verify {paths.name}` closes it")
        if seconds is not None:
            operator.config["seconds_limit"] = operator.seconds_used() + seconds
        with stopped_by_signals(operator.asked_to_stop):
            return operator.run()
    finally:
        lock.release()
