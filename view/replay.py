"""A run shown again as it went, from its files alone: behind `python aar.py replay RUN`.

    replay(read_record(paths), speed=60)       sixty times as fast as it was; without `speed` the whole takes about a minute

What `status` would have shown at each moment is worked out anew from ledger, spend file and forum (`Past`). What no file dates, such as
what an agent was doing between two submissions, is not made up: it is "working". No process is asked and nothing is written, so a run
that was opened from elsewhere replays the same.
"""

from __future__ import annotations

import bisect
import datetime
import math
import sys
import time
from typing import TextIO

from rich.text import Text

from state.config import is_person
from state.errors import UserError
from state.record import Record, parse_time
from view.agents import Told, agent_facts, told
from view.format import duration
from view.live import Terminal
from view.log import Lines, log_facts
from view.screen import painted, screen
from view.status import ALIVE, stamps, summary
from view.watch import is_screen, redrawn, until_left

WHOLE_SECONDS = 60.0
"""How long a replay takes where no speed is given."""
FRAME_SECONDS = 0.1
RATE_SECONDS = 900.0
"""Over which a rate of spending is taken, as while a run goes on (swarm/purse.py)."""
LEAST_LINES, MOST_LINES = 3, 12
"""Of the story, under the picture; it gets what that leaves free."""
BLOCKS = 10
"""Pictures in a pipe."""


class Past:
    """What was known of a run at a moment of it. `seconds`: how long it took, breaks included."""

    def __init__(self, record: Record):
        self.record, self.config = record, record.config
        self.start = parse_time(self.config["created"])
        if self.start is None:
            raise UserError(f"{record.paths.toml} does not say when the run began (created), so it cannot be replayed")
        self._submissions = self._dated(record.submissions.values())
        self._verdicts = self._dated(record.verdicts.values())
        self._events = self._dated(record.events)
        self._posts = sorted(record.seconds(post.time) for post in record.posts)
        self._calls: dict[str | None, tuple[list[float], list[float]]] = {}
        """Agent (None: all) -> when calls of models were settled, and what they had cost by then."""
        for call in sorted(record.calls, key=lambda call: call["time"]):
            for whose in (None, call["agent"]):
                times, sums = self._calls.setdefault(whose, ([], []))
                times.append(record.seconds(call["time"]))
                sums.append(call["dollars"] + (sums[-1] if sums else 0.0))
        moments = [self._submissions[0], self._verdicts[0], self._events[0], self._posts, self._calls.get(None, ([], []))[0]]
        self.seconds = max((times[-1] for times in moments if times), default=0.0)
        self._limit = record.state.get("seconds_limit") or record.config.get("seconds_limit") or self.seconds
        self._told: tuple[tuple, Told] | None = None

    def _dated(self, items) -> tuple[list[float], list[dict]]:
        known = sorted(((self.record.seconds(one["time"]), number, one) for number, one in enumerate(items)), key=lambda one: one[:2])
        return [at for at, _, _ in known], [one for _, _, one in known]

    def at(self, seconds: float) -> dict:
        """The facts of `status`, `seconds` after the run began."""
        dated = (self._submissions, self._verdicts, self._events)
        submissions, verdicts, events = (some[: bisect.bisect_right(times, seconds)] for times, some in dated)
        size = (len(submissions), len(verdicts), len(events))
        if self._told is None or self._told[0] != size:
            by_name = ({one["submission"]: one for one in some} for some in (submissions, verdicts))
            self._told = size, told(self.config, *by_name, events)
        about, over = self._told[1], seconds >= self.seconds
        now = self.start + datetime.timedelta(seconds=seconds)
        known = self._agents(about, events, seconds)
        ended = self.record.state.get("state")
        word = "running" if not over or ended in ALIVE else ended or "finished"
        state = {"seconds_used": seconds, "seconds_limit": self._limit, "slots_used": self._scoring(about), **self._money(about, seconds)}
        agents = agent_facts(self.config, about, known, now if word == "running" else None, {})
        posts = bisect.bisect_right(self._posts, seconds)
        facts = summary(self.config, self.record.name, about, state, word, agents, posts, stamps(self.config))
        sealed = [verdict for verdict in self.record.sealed if not verdict.get("control")] if over else []
        return facts | {"verified": over and self.record.closed, "sealed": sealed}

    def _scoring(self, about: Told) -> int:
        return min(about.waiting, self.config.get("slots") or about.waiting)

    def _agents(self, about: Told, events: list[dict], seconds: float) -> dict[str, dict]:
        """What state.json would have said of each. The oldest submissions that wait, as many as there are slots, are being scored."""
        waiting = sorted((name for mine in about.agents.values() for name in mine.waiting), key=lambda name: (len(name), name))
        scoring = set(waiting[: self._scoring(about)])
        there = {event["agent"]: event["event"] == "joined" for event in events if event["event"] in ("joined", "left")}
        falls = [event["agent"] for event in events if event["event"] == "agent-fell"]
        found = {}
        for agent in self.config["agents"]:
            name = agent["name"]
            mine = about.agents[name]
            now = [one for one in mine.waiting if one in scoring]
            state = "scoring" if now else "queued" if mine.waiting else "working"
            if is_person(agent):
                state = "present" if there.get(name) else "away"
            note = f"scoring {now[0]}" if now else ""
            dollars, turns = self._spent(name, seconds)
            found[name] = {"state": state, "note": note, "restarts": falls.count(name), "dollars": dollars, "turns": turns}
        return found

    def _spent(self, whose: str | None, seconds: float) -> tuple[float, int]:
        """Dollars and calls of an agent, or of all (None), by then."""
        times, sums = self._calls.get(whose, ([], []))
        number = bisect.bisect_right(times, seconds)
        return sums[number - 1] if number else 0.0, number

    def _money(self, about: Told, seconds: float) -> dict:
        """What the purse would have said; {} of a run that asked no model."""
        if not self._calls:
            return {}
        (spent, turns), (before, _) = self._spent(None, seconds), self._spent(None, seconds - RATE_SECONDS)
        best = (about.main[0].get("pgr") or 0.0) if about.main else 0.0
        limit = self.record.state.get("spend_limit") or self.config.get("budget", {}).get("dollars")
        return {
            "spend_dollars": spent, "spend_limit": limit, "turns": turns,
            "dollars_an_hour": 3600 * (spent - before) / max(60.0, min(RATE_SECONDS, seconds)),
            "dollars_a_verdict": spent / about.scored if about.scored else None, "dollars_a_point": spent / (100 * best) if best > 0 else None,
        }  # fmt: skip


def replay(record: Record, speed: float | None = None, file: TextIO | None = None) -> None:
    """Show a run again, `speed` times as fast as it was, until its end or Ctrl-C. On a terminal a picture that is redrawn, with the
    latest lines of the story under it; in a pipe the lines at their pace, and a picture after each tenth. UserError where there is
    nothing to show or no such speed."""
    past = Past(record)
    if not past.seconds:
        raise UserError(f"nothing has happened in run {record.name} yet, so there is nothing to replay")
    if speed is not None and not (speed > 0 and math.isfinite(speed)):
        raise UserError(f"--speed {speed:g}: how many times as fast as it was, such as 60")
    speed = speed or max(1.0, past.seconds / WHOLE_SECONDS)
    file = file or sys.stdout
    console = Terminal(file=file, highlight=False, markup=False)
    story = [(record.seconds(one["time"]), one) for one in log_facts(record)]
    with until_left(file):
        if is_screen(console):
            _on_screen(past, speed, story, console)
        else:
            _in_pipe(past, speed, story, file)


def _on_screen(past: Past, speed: float, story: list[tuple[float, dict]], console: Terminal) -> None:
    began, times = None, [at for at, _ in story]
    with redrawn(console) as draw:
        while True:
            seconds = min(past.seconds, (time.monotonic() - began) * speed) if began else 0.0
            title = Text(f"replay, {duration(seconds)} of {duration(past.seconds)}, {_times(speed)} as fast", "bold reverse")
            title.truncate(width := console.width)
            facts = past.at(seconds)
            picture = screen(facts, width, console.height - 2 - LEAST_LINES)
            told = story[: bisect.bisect_right(times, seconds) if seconds < past.seconds else None]
            room = min(MOST_LINES, console.height - 2 - len(picture))
            below = [line for _, one in told[-room:] for line in Lines(None).of([one])[-1:]] if room > 0 else []
            for line in below:
                line.truncate(width, overflow="ellipsis")
            draw(facts, [title, *picture, *below])
            began = began or time.monotonic()  # the beginning is seen, however long its picture takes
            if seconds >= past.seconds:
                return
            time.sleep(FRAME_SECONDS)


def _times(speed: float) -> str:
    return f"{speed:,.0f} times" if speed >= 10 else f"{speed:.2g} times"


def _in_pipe(past: Past, speed: float, story: list[tuple[float, dict]], file: TextIO) -> None:
    began, lines = time.monotonic(), Lines(None)
    happened = [(min(at, past.seconds), 0, one) for at, one in story] + [(past.seconds * k / BLOCKS, 1, None) for k in range(1, BLOCKS + 1)]
    for at, _, one in sorted(happened, key=lambda item: item[:2]):
        time.sleep(max(0.0, began + at / speed - time.monotonic()))
        if one is not None:
            print(lines.text([one]), file=file, flush=True)
        else:
            print(f"\n{painted(screen(past.at(at)), None)}\n", file=file, flush=True)
