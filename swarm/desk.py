"""What the agents' requests do: commits, submissions, verdicts, posts and jobs of one run, kept in order and durable.

Order of a submission: the commit first, then the ledger with fsync, then the evaluator. Killed between any two of them,
a resumed run finds the rest to do.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from eval.client import EvaluatorClient, Slots
from sandbox.box import start
from state.errors import UserError
from state.files import utc_now
from state.ledger import Ledger, agent_view
from state.paths import RunPaths, aar_home
from stats.ranking import ranked
from swarm.board import Board
from swarm.boxes import agent_box
from swarm.forum import one_line, plain, write_post
from swarm.repo import RunRepo
from swarm.worktree import METHOD, is_published, snapshot

MOST_WAITING = 4
"""Submissions of one agent without a verdict; more are refused until one has come back."""
MOST_POSTS_A_MINUTE = 20
UNLIMITED = 10**9
"""Of runs that were created before there were budgets."""
MOST_ATTEMPTS = 3
"""How often a submission may take the evaluator down with it before it is given up."""

MOST_FAILURES = 2 * MOST_ATTEMPTS
"""How often in a row, without a verdict in between, the evaluator may end by itself: by then it is not a submission's fault."""


class Desk:
    """The run as the broker sees it. Thread-safe. `config`: run.toml."""

    def __init__(self, paths: RunPaths, config: dict, repo: RunRepo, board: Board, slots: Slots):
        self.paths, self.config, self.repo, self.board, self.slots = paths, config, repo, board, slots
        self.ledger = Ledger(paths.ledger)
        self.directions = {agent["name"]: agent["direction"] for agent in config["agents"]}
        self.stop = threading.Event()
        self.accepting = True
        self.rungs: dict[str, str] = {}
        self.problems: list[str] = []
        self.board_changed = threading.Event()
        self._changed = threading.Condition()
        self._posts: dict[str, list[float]] = {}
        self._attempts: dict[str, int] = {}
        self._jobs: set[str] = set()
        self._failures: list[set[str]] = []
        self.fatal: str | None = None
        self._failed_in: set[str] = set()
        self.evaluator = EvaluatorClient(paths, self._on_event)

    # -- the evaluator ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the evaluator and hand over what waits in the ledger."""
        self.evaluator.start()
        with self._changed:
            for record in self.ledger.waiting():
                self._hand_over(record)

    def _hand_over(self, record: dict) -> None:
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
                self.rungs.pop(name, None)
                self.board_changed.set()
            elif kind == "failed":
                self.problem(f"evaluator, {name}: {event['detail']}")
                self._failed_in.add(name)
            elif kind == "problem":
                self.problem(f"evaluator, {name}: {event['detail']}")
                threading.Timer(5.0, self._again, [name]).start()
            self._changed.notify_all()
        if kind == "gone":
            self._start_anew(event["returncode"])

    def _again(self, name: str) -> None:
        with self._changed:
            record = self.ledger.submissions[name]
            if name not in self.ledger.verdicts and not self._given_up(record):
                self._hand_over(record)

    def _given_up(self, record: dict) -> bool:
        name = record["submission"]
        self._attempts[name] = self._attempts.get(name, 0) + 1
        if self._attempts[name] < MOST_ATTEMPTS:
            return False
        fields = {key: record[key] for key in ("submission", "commit", "method", "agent", "family")}
        error = f"scoring it failed {MOST_ATTEMPTS} times: see evaluator/log in the run's folder"
        empty = dict.fromkeys(("pgr", "pgr_low", "pgr_high", "lift", "lift_low", "lift_high", "device"))
        self.ledger.append(
            "verdict", **fields, **empty, track="main", status="crashed", rung="quick", draws=0, flags=[],
            isolation=self.config["isolation"], method_seconds=0.0, overhead_seconds=0.0, error=error, tree=None,
        )  # fmt: skip
        return True

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
        self.evaluator.start()
        with self._changed:
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

    # -- what agents ask for ------------------------------------------------------------------------------------------

    def commit(self, agent: str, message: str, inspired_by: list[str]) -> str:
        """Commit the published files of the agent's worktree; the commit's id."""
        return self._commit(agent, snapshot(self.paths.worktree(agent)), message, inspired_by)

    def _commit(self, agent: str, files: dict[str, bytes], message: str, inspired_by: list[str]) -> str:
        trailers = [("Agent", agent), ("Run", self.paths.name), ("Direction", self.directions.get(agent, "none"))]
        trailers += [("Inspired-by", self._source(name)) for name in inspired_by]
        subject, _, rest = plain(message, 4000).strip().partition("\n")
        text = one_line(subject, 100) or "Work in progress"
        # A blank line of its own and indented text: nothing in a message can pass for a trailer.
        body = "\n".join("  " + line for line in rest.strip().splitlines())
        commit = self.repo.commit(agent, files, is_published, f"{text}\n\n{body}" if body else text, trailers)
        self.board_changed.set()
        return commit

    def _source(self, name: str) -> str:
        """A commit of this run or a post of its forum, as a trailer; UserError for anything else."""
        if self.repo.exists(name) or (self.paths.forum / Path(name).name == self.paths.forum / name and (self.paths.forum / name).is_file()):
            return name
        raise UserError(f"--inspired-by {one_line(name)!r} is neither a full commit id of this run nor the file name of a post")

    def submit(self, agent: str, method: str, message: str, inspired_by: list[str], predict: float | None) -> dict:
        """Commit and queue one method. Asking again for what is queued or scored gives the same submission."""
        method = method.removeprefix("./")
        if not METHOD.fullmatch(method):
            raise UserError(f"{one_line(method)!r} is not a method file: submit methods/NAME.py (lower case, digits, _)")
        files = snapshot(self.paths.worktree(agent))
        if method not in files:
            raise UserError(f"{method} is not in your worktree: write it first")
        commit = self._commit(agent, files, message or f"Submit {method}", inspired_by)
        with self._changed:
            for record in self.ledger.submissions.values():
                if (record["agent"], record["commit"], record["method"]) == (agent, commit, method):
                    return self._queued(record)
            if not self.accepting:
                raise UserError("the run takes no more submissions: its time is over")
            self._check_budget(agent)
            waiting = sum(record["agent"] == agent for record in self.ledger.waiting())
            if waiting >= MOST_WAITING:
                raise UserError(f"{waiting} of your submissions wait for their verdicts: `aar wait` for one first")
            record = self.ledger.append(
                "submission", submission=self.ledger.next_submission(), agent=agent, commit=commit, method=method,
                family=None, message=one_line(message), predict=predict, inspired_by=inspired_by,
                parents=self._parents(inspired_by),
            )  # fmt: skip
            self._hand_over(record)
            self._changed.notify_all()
        return self._queued(record)

    def left(self, agent: str) -> dict:
        """Submissions that an agent, and all of them together, may still make. Repeats of earlier code count as well."""
        made = [record["agent"] for record in list(self.ledger.submissions.values())]
        limits = self.config.get("submissions_limit", UNLIMITED), self.config.get("fleet_submissions_limit", UNLIMITED)
        return {"agent": max(0, limits[0] - made.count(agent)), "fleet": max(0, limits[1] - len(made))}

    def _check_budget(self, agent: str) -> None:
        left = self.left(agent)
        if not left["agent"]:
            limit = self.config["submissions_limit"]
            raise UserError(f"you have made all {limit} submissions that an agent may make here: write down what you found")
        if not left["fleet"]:
            limit = self.config["fleet_submissions_limit"]
            raise UserError(f"all {limit} submissions that this run may have were made: write down what you found")

    def _parents(self, inspired_by: list[str]) -> list[str]:
        return [name for name, record in self.ledger.submissions.items() if record["commit"] in inspired_by][-4:]

    def _queued(self, record: dict) -> dict:
        state = "scored" if record["submission"] in self.ledger.verdicts else "queued"
        return {"submission": record["submission"], "commit": record["commit"], "state": state}

    def wait(self, submission: str, seconds: float, gone: Callable[[], bool] = lambda: False) -> dict:
        """The verdict as agents may see it. UserError where there is none in time, or no such submission.

        ConnectionError where nobody waits any more, which `gone()` tells.
        """
        deadline = time.monotonic() + seconds
        with self._changed:
            if submission not in self.ledger.submissions:
                raise UserError(f"there is no submission {one_line(submission)!r} in this run: `aar scores` lists them")
            while submission not in self.ledger.verdicts:
                left = deadline - time.monotonic()
                if self.stop.is_set():
                    raise UserError(f"the run stops; {submission} stays queued and is scored when it is resumed")
                if gone():
                    raise ConnectionError(f"nobody waits for {submission} any more")
                if left <= 0:
                    raise UserError(f"{submission} has no verdict yet: wait longer, or do something else meanwhile")
                self._changed.wait(min(left, 1.0))
            return agent_view(self.ledger.verdicts[submission])

    def scores(self) -> list[dict]:
        with self._changed:
            # Ranked by what they are told: the order of equal figures would tell what was rounded off.
            return ranked([agent_view(verdict) for verdict in self.ledger.verdicts.values()])

    def post(self, author: str, kind: str, title: str, body: str, submission: str | None, replies_to: str | None) -> str:
        """Write a post; its file name. A submission's figures are filled in from its verdict."""
        with self._changed:
            now, recent = time.monotonic(), self._posts.setdefault(author, [])
            recent[:] = [at for at in recent if now - at < 60]
            if len(recent) >= MOST_POSTS_A_MINUTE:
                raise UserError(f"{len(recent)} posts within a minute: others have to read them; wait")
            recent.append(now)
            verdict = self.ledger.verdicts.get(submission) if submission else None
            if submission and verdict is None:
                raise UserError(f"{one_line(submission)!r} has no verdict in this run, so it cannot be posted about yet")
        view = agent_view(verdict) if verdict else None
        name = write_post(self.paths.forum, author, kind, title, body, view, replies_to)
        self.board_changed.set()
        return name

    def job(self, agent: str, command: list[str], seconds: float, on_output: Callable[[bytes], None], gone: Callable[[], bool]) -> dict:
        """Run a heavy command in a slot, one at a time for an agent; output goes to `on_output` as it comes.

        It is ended when nobody waits for it any more, which `gone()` tells, or the run stops.
        """
        with self._changed:
            if agent in self._jobs:
                raise UserError("your last job is still there: one at a time")
            self._jobs.add(agent)
        try:
            with self.slots.hold(self.stop) as slot:
                if gone():
                    raise ConnectionError("nobody waits for the job any more")
                box = agent_box(self.paths, agent, self.config["task"], self.config["isolation"], "job", slot.gpu)
                box = replace(box, limits=replace(box.limits, seconds=min(seconds, box.limits.seconds)))
                handle = start(box, command, on_output=on_output)
                while handle.poll() is None:
                    if gone() or self.stop.wait(0.05):
                        handle.kill()
                result = handle.wait()
        finally:
            with self._changed:
                self._jobs.discard(agent)
        return {"returncode": result.returncode, "ended": result.ended, "seconds": round(result.seconds, 2), "slot": slot.name}

    def task(self, agent: str) -> dict:
        """The task in words, and what is left to do with it."""
        folder = aar_home() / "tasks" / self.config["task"] / "open"
        left = max(0.0, self.config["seconds_limit"] - self.seconds_used())
        return {
            "task": self.config["task"],
            "description": (folder / "description.md").read_text(),
            "agent": agent,
            "direction": self.directions.get(agent, "none"),
            "seconds_left": round(left),
            "submissions": sum(record["agent"] == agent for record in list(self.ledger.submissions.values())),
            "submissions_left": self.left(agent),
            "smallest_difference": self._smallest_difference(),
            "files": "/aar/task (open kit), /aar/forum (posts), git log --all (everybody's work)",
        }

    def _smallest_difference(self) -> float | None:
        """About the least difference in PGR that the full rung can tell from none: half the usual width of a lift's interval."""
        views = map(agent_view, list(self.ledger.verdicts.values()))
        full = [v for v in views if v["rung"] == "full" and v["lift_low"] is not None][-50:]
        return round(statistics.median((v["lift_high"] - v["lift_low"]) / 2 for v in full), 2) if full else None

    # -- for the operator -----------------------------------------------------------------------------------------------

    seconds_used: Callable[[], float] = staticmethod(lambda: 0.0)

    def problem(self, text: str) -> None:
        line = f"{utc_now()} {one_line(text, 300)}"
        self.problems = [*self.problems, line][-20:]

    def ledger_event(self, event: str, agent: str | None, detail: str) -> None:
        with self._changed:
            self.ledger.append("event", event=event, agent=agent, detail=detail)

    def waiting(self) -> int:
        return len(self.ledger.waiting())

    def close(self) -> None:
        self.accepting = False
        self.stop.set()
        with self._changed:
            self._changed.notify_all()
        self.evaluator.stop()
