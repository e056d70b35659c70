"""What scores a run's submissions, as the operator sees it: hands them to the evaluator, hears of verdicts, and starts it anew.

    started, verdict, diversity, failed, problem, gone      what the evaluator says (eval/evaluator.py)

A submission that takes the evaluator down with it again and again is given up with a verdict that says so; an evaluator
that fails without anybody's fault ends the run (`fatal`). A submission for which no sandbox starts is tried again for long; then it is
given up where others got one meanwhile, else the machine is at fault and the run ends.
"""

from __future__ import annotations

import threading
from collections import Counter

from eval.client import EvaluatorClient
from state.files import append_jsonl, read_jsonl, utc_now
from state.ledger import Ledger
from state.paths import RunPaths
from swarm.post_text import one_line

DIVERSITY = "diversity.jsonl"
"""How many different ideas the run's submissions amounted to, as time went by."""
MOST_ATTEMPTS = 3
"""How often a submission may take the evaluator down with it before it is given up."""

MOST_FAILURES = 2 * MOST_ATTEMPTS
"""How often in a row, without a verdict in between, the evaluator may end by itself: by then it is not a submission's fault."""

MOST_TRIES = 15
"""How often a submission is tried for which no sandbox can be started: with the pauses a quarter of an hour, longer where it takes long
to find out."""
PAUSE_SECONDS, MOST_PAUSE_SECONDS = 5.0, 60.0
"""Before the second try, and at most: each pause is twice the last."""


class Scoring:
    """The ledger of a run and the evaluator that fills it. Thread-safe: `_changed` guards all that is below."""

    def __init__(self, paths: RunPaths, config: dict):
        self.paths, self.config = paths, config
        self.ledger = Ledger(paths.ledger)
        self.stop = threading.Event()
        self.rungs: dict[str, str] = {}
        self.problems: list[str] = []
        self.board_changed = threading.Event()
        self.fatal: str | None = None
        self.diversity = read_jsonl(paths.root / DIVERSITY)
        self._changed = threading.Condition()
        self._attempts: dict[str, int] = {}
        self._tries: Counter[str] = Counter()
        self._served, self._served_before = 0, dict[str, int]()
        self._resting: set[str] = set()
        self._failures: list[set[str]] = []
        self._failed_in: set[str] = set()
        self.evaluator = EvaluatorClient(paths, self._on_event)

    def start(self) -> None:
        """Start the evaluator and hand over what waits in the ledger."""
        with self._changed:  # before it is there: where it ends at once, another one is handed the same
            self.evaluator.start()
            for record in self.ledger.waiting():
                self._hand_over(record)

    def close(self) -> None:
        self.stop.set()
        with self._changed:
            self._changed.notify_all()
        self.evaluator.stop()

    def waiting(self, names: set[str] | None = None) -> int:
        """Submissions without a verdict, of these agents or of all."""
        return sum(names is None or record["agent"] in names for record in self.ledger.waiting())

    def problem(self, text: str) -> None:
        line = f"{utc_now()} {one_line(text, 300)}"
        self.problems = [*self.problems, line][-20:]

    def ledger_event(self, event: str, agent: str | None, detail: str) -> None:
        with self._changed:
            self.ledger.append("event", event=event, agent=agent, detail=detail)

    def _hand_over(self, record: dict) -> None:
        self._resting.discard(record["submission"])
        keys = ("submission", "commit", "method", "agent", "parents")
        self.evaluator.submit({key: record[key] for key in keys})

    def _on_event(self, event: dict) -> None:
        with self._changed:
            kind, name = event["event"], event.get("submission")
            if kind == "started":
                self.rungs[name] = event["rung"]
            elif kind == "verdict":
                self._failures.clear()
                self.ledger.refresh()
                self._served += _had_sandbox(self.ledger.verdicts[name])
                self.rungs.pop(name, None)
                self.board_changed.set()
            elif kind == "diversity":
                level = {**event, "time": utc_now()}
                append_jsonl(self.paths.root / DIVERSITY, level)
                self.diversity.append(level)
            elif kind == "failed":
                self.problem(f"evaluator, {name}: {event['detail']}")
                self._failed_in.add(name)
            elif kind == "problem":
                self.problem(f"evaluator, {name}: {event['detail']}")
                self.rungs.pop(name, None)
                self._try_later(name, event["detail"])
            self._changed.notify_all()
        if kind == "gone":
            self._start_anew(event["returncode"])

    def _try_later(self, name: str, problem: str) -> None:
        """The machine had no sandbox for a submission: hand it over once more, after a pause."""
        self._tries[name] += 1
        before = self._served_before.setdefault(name, self._served)
        if self._tries[name] == MOST_TRIES:
            words = f"tried {MOST_TRIES} times: {one_line(problem, 300)}"
            if self._served > before:
                self._give_up(self.ledger.submissions[name], f"this machine has no sandbox for it, {words}")
            else:
                self.fatal = f"no submission can be scored here, {words}"
            return
        self._resting.add(name)
        pause = min(MOST_PAUSE_SECONDS, PAUSE_SECONDS * 2 ** (self._tries[name] - 1))
        timer = threading.Timer(pause, self._again, [name])
        timer.daemon = True
        timer.start()

    def _again(self, name: str) -> None:
        with self._changed:
            if name in self._resting:  # else a new evaluator has got it meanwhile
                self._hand_over(self.ledger.submissions[name])

    def _given_up(self, record: dict) -> bool:
        name = record["submission"]
        self._attempts[name] = self._attempts.get(name, 0) + 1
        if self._attempts[name] < MOST_ATTEMPTS:
            return False
        self._give_up(record, f"scoring it failed {MOST_ATTEMPTS} times: see evaluator/log in the run's folder")
        return True

    def _give_up(self, record: dict, error: str) -> None:
        fields = {key: record[key] for key in ("submission", "commit", "method", "agent", "family")}
        empty = dict.fromkeys(("pgr", "pgr_low", "pgr_high", "lift", "lift_low", "lift_high", "device"))
        self.ledger.append(
            "verdict", **fields, **empty, track="main", status="crashed", rung="quick", draws=0, flags=[],
            isolation=self.config["isolation"], method_seconds=0.0, overhead_seconds=0.0, error=error, tree=None,
        )  # fmt: skip
        self.board_changed.set()

    def _start_anew(self, code: int) -> None:
        """The evaluator ended by itself: start another, and hand over again what it had not finished."""
        if self.stop.is_set():
            return
        # Where it said whose fault it was, only that one is blamed; else all that were being scored.
        blamed = self._failed_in or set(self.rungs)
        self._failed_in = set()
        self._failures.append(blamed)
        if len(self._failures) > MOST_FAILURES and len(set().union(*self._failures)) != 1:
            self.fatal = f"the evaluator fails again and again: {self._last_words()} (all of it: {self.paths.evaluator / 'log'})"
            return
        self.ledger_event("evaluator-restarted", None, f"exit code {code}")
        self.stop.wait(min(10.0, 0.1 * 2 ** len(self._failures)))
        with self._changed:  # before it is there, or somebody hands over to it what it is handed below
            self.evaluator.start()
            self.ledger.refresh()
            for record in self.ledger.waiting():
                if record["submission"] in blamed and self._given_up(record):
                    continue
                self._hand_over(record)
            self.rungs.clear()
            self._changed.notify_all()

    def _last_words(self) -> str:
        lines = (self.paths.evaluator / "log").read_bytes()[-4000:].decode(errors="replace").strip().splitlines()
        return one_line(lines[-1], 300) if lines else "no reason given"


def _had_sandbox(verdict: dict) -> bool:
    """Whether a sandbox was started for it: not for what was refused before, nor for code that was scored before."""
    return bool(verdict.get("device")) and not verdict.get("same_as") and verdict.get("status") != "rejected"
