"""What the agents' requests do: commits, submissions, verdicts and posts of one run, kept in order and durable.

Order of a submission: the commit first, then the ledger with fsync, then the evaluator. Killed between any two of them,
a resumed run finds the rest to do.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from eval.client import Slots
from state.errors import UserError
from state.files import utc_now
from state.ledger import agent_view
from state.paths import RunPaths, aar_home
from stats.narrowing import narrowing
from stats.ranking import ranked
from swarm.board import Board
from swarm.claims import Claim, alike, claim_words, live, seconds_between, tried
from swarm.forum import one_line, plain, write_post
from swarm.jobs import Jobs
from swarm.repo import RunRepo
from swarm.scoring import Scoring
from swarm.sharing import Sharing
from swarm.worktree import METHOD, is_published, snapshot

if TYPE_CHECKING:
    from swarm.purse import Purse

MOST_WAITING = 4
"""Submissions of one agent without a verdict; more are refused until one has come back."""
MOST_POSTS_A_MINUTE = 20
MOST_CLAIMS = 30
"""Of one agent within an hour."""
MOST_MESSAGE = 4000
"""Characters that the door takes (swarm/broker.py). All of them are kept."""
MOST_SUBJECT = 100
UNLIMITED = 10**9
"""Of runs that were created before there were budgets."""


class Desk(Scoring):
    """The run as the broker sees it. Thread-safe. `config`: run.toml."""

    def __init__(self, paths: RunPaths, config: dict, repo: RunRepo, board: Board, slots: Slots):
        super().__init__(paths, config)
        self.repo, self.board = repo, board
        self.jobs = Jobs(paths, config, slots, self.stop)
        self.directions = {agent["name"]: agent["direction"] for agent in config["agents"]}
        self.sharing = Sharing(paths, config, self.directions, self._has_verdict, lambda: self.seconds_used())
        self.accepting, self.kept_open = True, False
        self.out_of_time: set[str] = set()
        """Agents whose time is over while the run is kept open for people (`kept_open`)."""
        self.waited_for: set[str] = set()
        """Submissions whose verdict was asked for and told."""
        self.purse: Purse | None = None
        """What is left of the money, where the run asks models."""
        self._posts: dict[str, list[float]] = {}

    def start(self) -> None:
        self.sharing.start(self.stop, self.problem)
        super().start()

    def commit(self, agent: str, message: str, inspired_by: list[str]) -> str:
        """Commit the published files of the agent's worktree; the commit's id."""
        return self._commit(agent, snapshot(self.paths.worktree(agent)), message, inspired_by)

    def _commit(self, agent: str, files: dict[str, bytes], message: str, inspired_by: list[str]) -> str:
        trailers = [("Agent", agent), ("Run", self.paths.name), ("Direction", self.directions.get(agent, "none"))]
        trailers += [("Inspired-by", self._source(agent, name)) for name in inspired_by]
        said = plain(message, MOST_MESSAGE).strip()
        subject, _, rest = said.partition("\n")
        text = one_line(subject, MOST_SUBJECT) or "Work in progress"
        if len(one_line(subject, MOST_MESSAGE)) > MOST_SUBJECT:
            rest = said
        # A blank line of its own and indented text: nothing in a message can pass for a trailer.
        body = "\n".join("  " + line for line in rest.strip().splitlines())
        commit = self.repo.commit(agent, files, is_published, f"{text}\n\n{body}" if body else text, trailers)
        self.sharing.changed(agent)
        self.board_changed.set()
        return commit

    def _source(self, agent: str, name: str) -> str:
        """A commit of this run or a post of its forum, as a trailer; UserError for anything else."""
        post = self.paths.forum / Path(name).name
        if self.repo.exists(name) or (post == self.paths.forum / name and post.is_file() and self.sharing.sees_post(agent, name)):
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
            if not self.accepting or agent in self.out_of_time:
                raise UserError("the run takes no more submissions: its time is over")
            self._check_budget(agent)
            waiting = sum(record["agent"] == agent for record in self.ledger.waiting())
            if waiting >= MOST_WAITING:
                raise UserError(f"{waiting} of your submissions wait for their verdicts: `aar wait` for one first")
            record = self.ledger.append(
                "submission", submission=self.ledger.next_submission(), agent=agent, commit=commit, method=method,
                family=None, message=one_line(message, MOST_MESSAGE), predict=predict, inspired_by=inspired_by,
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

    def wait(self, submission: str, seconds: float, gone: Callable[[], bool] = lambda: False, agent: str | None = None) -> dict:
        """The verdict as agents may see it. UserError where there is none in time, or no such submission that `agent` sees.

        ConnectionError where nobody waits any more, which `gone()` tells.
        """
        deadline = time.monotonic() + seconds
        with self._changed:
            self._check_visible(agent, submission)
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
            self.waited_for.add(submission)
            self.sees_all(self.ledger.submissions[submission]["agent"])  # before it hears of its verdict: it looks around next
            return self._with_prediction(agent_view(self.ledger.verdicts[submission]), agent)

    def _check_visible(self, agent: str | None, submission: str) -> None:
        """UserError where `submission` is not the agent's and others' work is not visible to it yet."""
        record = self.ledger.submissions.get(submission)
        if agent is not None and (record is None or record["agent"] != agent) and not self.sees_all(agent):
            raise UserError(f"{one_line(submission)!r} is no submission of yours: {self.sharing.words(agent)}")

    def scores(self, agent: str | None = None) -> list[dict]:
        """All verdicts that `agent` may see, as it may see them, best lower bound first."""
        with self._changed:
            seen = [v for v in self.ledger.verdicts.values() if agent is None or self.sharing.sees(agent, v["agent"])]
            # Ranked by what they are told: the order of equal figures would tell what was rounded off.
            return [self._with_prediction(view, agent) for view in ranked([agent_view(verdict) for verdict in seen])]

    def _with_prediction(self, view: dict, agent: str | None) -> dict:
        """A verdict as agents may see it, with what the agent foretold where it is its own."""
        own = view["agent"] == agent
        return {**view, "predict": self.ledger.submissions[view["submission"]]["predict"]} if own else view

    def post(self, author: str, kind: str, title: str, body: str, submission: str | None, replies_to: str | None) -> str:
        """Write a post; its file name. A submission's figures are filled in from its verdict."""
        with self._changed:
            now, recent = time.monotonic(), self._posts.setdefault(author, [])
            recent[:] = [at for at in recent if now - at < 60]
            if len(recent) >= MOST_POSTS_A_MINUTE:
                raise UserError(f"{len(recent)} posts within a minute: others have to read them; wait")
            recent.append(now)
            if submission:
                self._check_visible(author, submission)
            if replies_to and not self.sharing.sees_post(author, Path(replies_to).name):
                raise UserError(f"no post {one_line(replies_to)!r} that you see: {self.sharing.words(author)}")
            verdict = self.ledger.verdicts.get(submission) if submission else None
            if submission and verdict is None:
                raise UserError(f"{one_line(submission)!r} has no verdict in this run, so it cannot be posted about yet")
        view = agent_view(verdict) if verdict else None
        name = write_post(self.paths.forum, author, kind, title, body, view, replies_to)
        self.sharing.changed(author)
        self.board_changed.set()
        return name

    def claim(self, agent: str, text: str) -> dict:
        """Note what the agent tries until it claims something else; who tries the like, and what came of it before."""
        text = one_line(text, 300)
        if not text:
            raise UserError('say what you try: aar claim "what I try"')
        with self._changed:
            now = utc_now()
            mine = [event for event in self.ledger.events if event["event"] == "claim" and event["agent"] == agent]
            if len(mine) >= MOST_CLAIMS and seconds_between(mine[-MOST_CLAIMS]["time"], now) < 3600:
                raise UserError(f"{MOST_CLAIMS} claims within an hour: claim what you will work on for a while")
            others = [claim for claim in self._claims(agent, now) if claim.agent != agent]
            self.ledger.append("event", event="claim", agent=agent, detail=text)
            views = [agent_view(v) for v in self.ledger.verdicts.values() if self.sharing.sees(agent, v["agent"])]
            earlier = tried(text, self.ledger.submissions, views, self.sharing.posts(agent))
        likewise = [claim_words(others[number], now) for number in alike(text, [claim.text for claim in others])]
        return {"claim": text, "alike": likewise, "tried": earlier}

    def end_claim(self, agent: str) -> dict:
        with self._changed:
            if any(claim.agent == agent for claim in live(self.ledger.events, utc_now())):
                self.ledger.append("event", event="claim-done", agent=agent, detail="")
        return {"claim": "none"}

    def claims(self, agent: str) -> list[dict]:
        """The live claims that the agent may see."""
        with self._changed:
            now = utc_now()
            return [{**asdict(claim), "words": claim_words(claim, now)} for claim in self._claims(agent, now)]

    def _claims(self, agent: str, now: str) -> list[Claim]:
        return [claim for claim in live(self.ledger.events, now) if self.sharing.sees(agent, claim.agent)]

    def task(self, agent: str) -> dict:
        """The task in words, and what is left to do with it."""
        folder = aar_home() / "tasks" / self.config["task"] / "open"
        left = max(0.0, self.config["seconds_limit"] - self.seconds_used())
        return {
            "task": self.config["task"],
            "description": (folder / "description.md").read_text(),
            "agent": agent,
            "direction": self.directions.get(agent, "none"),
            "seconds_left": None if self.kept_open else round(left),
            "submissions": sum(record["agent"] == agent for record in list(self.ledger.submissions.values())),
            "submissions_left": self.left(agent),
            "smallest_difference": self._smallest_difference(None if self.sees_all(agent) else agent),
            "sees_all": self.sees_all(agent),
            "files": "/aar/task (open kit), /aar/forum (posts), git log --all (everybody's work)"
            + ("" if self.sees_all(agent) else f"; {self.sharing.words(agent)}"),
        }

    def _smallest_difference(self, of: str | None) -> float | None:
        """About the least difference in PGR that the full rung can tell from none: half the usual width of a lift's interval, by the
        verdicts of one agent or (None) of all."""
        views = [agent_view(verdict) for verdict in list(self.ledger.verdicts.values()) if of in (None, verdict["agent"])]
        full = [v for v in views if v["rung"] == "full" and v["lift_low"] is not None][-50:]
        return round(statistics.median((v["lift_high"] - v["lift_low"]) / 2 for v in full), 2) if full else None

    # -- for the operator -----------------------------------------------------------------------------------------------

    seconds_used: Callable[[], float] = staticmethod(lambda: 0.0)

    def sees_all(self, agent: str) -> bool:
        """Whether others' work is visible to the agent (swarm/sharing.py)."""
        return self.sharing.sees_all(agent)

    def _has_verdict(self, agent: str) -> bool:
        return any(v["agent"] == agent and v["status"] == "scored" for v in list(self.ledger.verdicts.values()))

    def narrowing(self) -> str | None:
        """A line when the swarm's ideas have become clearly more alike; None while they have not."""
        return narrowing(self.diversity)

    def close(self) -> None:
        self.accepting = False
        super().close()
