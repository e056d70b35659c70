"""The story of a run as it happened, one line each: behind `python aar.py log RUN`.

    facts = log_facts(record, agent="agent-1", types="idea,verdict", since="10m", last=20)
    print(log_text(facts))
    follow(paths, ...)                        prints what comes, until the run is over
"""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TextIO

from rich.text import Text

from state.config import is_person, read_config
from state.errors import UserError
from state.files import read_jsonl, read_jsonl_from
from state.ledger import Ledger
from state.paths import RunPaths
from state.posts import Post, read_post, read_posts
from state.record import Record, latest_sealed, parse_time, read_sealed
from stats.selection import leaders
from view.format import clean, count, fold, terminal_width
from view.opened import GIVEN
from view.screen import painted
from view.status import ALIVE, read_state, run_state
from view.story import KINDS, Transcript, entry, ledger_entries, of_post, of_sealed
from view.watch import until_left

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
COLOURS = {"idea": "cyan", "claim": "cyan", "verdict": "green", "post": "magenta", "nudge": "blue", "error": "red", "event": "yellow"}
LATER = {"nudge": 1, "post": 2, "error": 3}
"""What comes behind the ledger's records of the same second, which stand in their order."""
EVERY_SECONDS = 1.0
RUN = "run"
"""What stands for an agent where something is told of the run itself."""
AGENT = "agent-1"
"""As wide as the column of names is at least."""


@dataclass(frozen=True)
class Wanted:
    """What of a story is asked for; None and "" ask for all. `since`: seconds back from its end."""

    agent: str | None = None
    kinds: Sequence[str] = KINDS
    grep: str = ""
    since: float | None = None

    def has(self, one: dict) -> bool:
        return (
            one["kind"] in self.kinds and (self.agent is None or (one["agent"] or RUN) == self.agent)
            and self.grep.lower() in f"{one['agent']} {one['kind']} {one['text']}".lower()
        )  # fmt: skip


def wanted(names: Sequence[str], agent: str | None, types: str | None, grep: str | None, since: str | None) -> Wanted:
    """What was asked for on a command line; `names`: of all who act or write in the run. UserError for an agent or a type that there is
    not, and for a time that is none."""
    if agent is not None and agent not in (*names, RUN):
        raise UserError(f"--agent {agent!r}: there is {', '.join(clean(name, 40) for name in names)}, and `{RUN}` for the run itself")
    kinds = [one.strip() for one in (types or "").split(",") if one.strip()] or list(KINDS)
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise UserError(f"--type {unknown[0]!r}: there is {', '.join(KINDS)}; several with commas between")
    return Wanted(agent, kinds, grep or "", seconds_of(since) if since else None)


def seconds_of(text: str) -> float:
    """"90s", "10m", "2h", "1d" in seconds. UserError for anything else."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text.strip())
    if found is None:
        raise UserError(f"--since {text!r}: say how far back, such as 90s, 10m, 2h or 1d")
    return float(found[1]) * UNITS[found[2]]


def log_facts(
    record: Record, agent: str | None = None, types: str | None = None, grep: str | None = None, since: str | None = None, last: int | None = None
) -> list[dict]:  # fmt: skip
    """What happened, oldest first, as entries of view/story.py. `types`: of KINDS, with commas between; `grep`: a part of a line, in any
    case; `since`: "10m", back from now, or from the end of a run that is over. UserError as `wanted`."""
    asked = wanted(_names(record.config, record.posts), agent, types, grep, since)
    told = [_began(record.config, record.paths), *_ended(record.paths, record.state), *ledger_entries(1, _ledger(record))]
    sealed = [] if record.withheld else read_sealed(record.paths) or []
    best = leaders(record.verdicts)
    told += [*(of_sealed(one, best) for one in latest_sealed(sealed)), *map(of_post, record.posts)]
    for transcript in _transcripts(record.paths, record.config):
        told += transcript.more()
    return _chosen(_sorted(told), asked, last, run_state(record.paths, record.state) in ALIVE)


def _ledger(record: Record) -> Iterator[dict]:
    """The ledger's lines in their order, with verdicts as the record has them: in a public one, as agents may see them."""
    for line in read_jsonl(record.paths.ledger):
        known = record.verdicts.get(line["submission"], line) if line["kind"] == "verdict" else line
        yield {**known, "kind": line["kind"]}


def _names(config: dict, posts: Sequence[Post]) -> list[str]:
    return list(dict.fromkeys([*(one["name"] for one in config["agents"]), *(post.agent for post in posts)]))


def _sorted(told: Iterable[dict]) -> list[dict]:
    return sorted((one for one in told if one["time"]), key=lambda one: (one["time"], LATER.get(one["kind"], 0)))


def _chosen(told: list[dict], asked: Wanted, last: int | None, alive: bool) -> list[dict]:
    """Those of `told` (in order) that are asked for."""
    if asked.since is not None and told:
        end = time.time() if alive else _stamp(told[-1])
        told = [one for one in told if _stamp(one) >= end - asked.since]
    told = [one for one in told if asked.has(one)]
    return told[-last:] if last is not None else told


def _stamp(one: dict) -> float:
    when = parse_time(one["time"])
    return when.timestamp() if when else 0.0


def _began(config: dict, paths: RunPaths) -> dict:
    people = sum(map(is_person, config["agents"]))
    words = f"the run begins: task {config['task']}, {count(len(config['agents']) - people, 'agent')}"
    return entry(config["created"], None, "event", words + f"; {GIVEN}" * paths.opened.exists(), "run.toml")


def _ended(paths: RunPaths, state: dict) -> list[dict]:
    if state.get("state", "") not in ("finished", "stopped"):
        return []
    return [entry(state.get("time"), None, "event", f"the run is {state['state']}", paths.state.name)]


def _transcripts(paths: RunPaths, config: dict) -> list[Transcript]:
    return [Transcript(agent["name"], paths.agent(agent["name"]) / "transcript.jsonl") for agent in config["agents"]]


def log_text(facts: Sequence[dict], width: int | None = None) -> str:
    """The entries, a line each, under the date where that changes; for a terminal as wide as it is (or `width`), with colours."""
    return Lines(width or terminal_width()).text(facts)


def none_words(
    run: str, agent: str | None = None, types: str | None = None, grep: str | None = None, since: str | None = None, **_: object
) -> str:  # fmt: skip
    """What is said where nothing of a run's story is what was asked for."""
    given = {"--agent": agent, "--type": types, "--grep": grep, "--since": since}
    asked = [f"{name} {shlex.quote(clean(value, 60))}" for name, value in given.items() if value]
    return f"no line of run {run} is as asked for: {' '.join(asked)}"


class Lines:
    """Writes entries as lines; remembers the date. `width`: of the terminal, None for a pipe. `names`: of those who will be told of,
    where that is known before: lines of the run itself, which come alone at its beginning and its end, are as wide as theirs."""

    def __init__(self, width: int | None, names: Sequence[str] = ()):
        self.width, self.date, self.wide = width, "", max(map(len, (AGENT, *names)))

    def of(self, facts: Sequence[dict]) -> list[Text]:
        """A line for each entry, more only where a terminal is too narrow for it."""
        found: list[Text] = []
        self.wide = max(self.wide, *(len(one["agent"] or RUN) for one in facts)) if facts else self.wide
        for one in facts:
            if one["time"][:10] != self.date:
                self.date = one["time"][:10]
                found.append(Text(f"-- {self.date} (UTC)", "dim"))
            start = f"{one['time'][11:19]} {(one['agent'] or RUN).ljust(self.wide)}  {one['kind'].ljust(7)}  "
            lines = [Text(line) for line in fold(start + one["text"], self.width, min(len(start), 2 * (self.width or 0) // 5))]
            lines[0].stylize("dim", 0, 8)
            lines[0].stylize(COLOURS[one["kind"]], len(start) - 9, len(start))
            found += lines
        return found

    def text(self, facts: Sequence[dict]) -> str:
        return painted(self.of(facts), self.width)


class Follower:
    """Reads the story of a run as its files grow. `more()`: the entries that came since, in no order."""

    def __init__(self, paths: RunPaths):
        self.paths, self.config = paths, read_config(paths)
        self._offset = self._line = self._sealed = 0
        self._posts: set[str] = set()
        self._files = {one.agent: one for one in _transcripts(paths, self.config)}
        self._begun = self._over = False

    def more(self) -> list[dict]:
        told = [] if self._begun else [_began(self.config, self.paths)]
        self._begun = True
        records, self._offset = read_jsonl_from(self.paths.ledger, self._offset)
        told += ledger_entries(self._line + 1, records)
        self._line += len(records)
        if any(record.get("event") == "joined" for record in records):
            self.config = read_config(self.paths)
            self._files = {one.agent: one for one in _transcripts(self.paths, self.config)} | self._files
        with contextlib.suppress(PermissionError):  # another user's, who alone sees them
            sealed, self._sealed = read_jsonl_from(self.paths.evaluator / "sealed.jsonl", self._sealed)
            best = leaders(Ledger(self.paths.ledger).verdicts) if sealed else ()
            told += [of_sealed(one, best) for one in sealed]
        told += self._new_posts()
        for transcript in self._files.values():
            told += transcript.more()
        return told

    def _new_posts(self) -> list[dict]:
        found = []
        for file in self.paths.forum.glob("*.md"):
            if file.name in self._posts or file.name == "README.md" or file.name.startswith(".") or file.is_symlink():
                continue
            self._posts.add(file.name)
            post = read_post(file.name, file.read_text(encoding="utf-8", errors="replace"))
            found += [of_post(post)] if post is not None else []
        return found

    def over(self) -> list[dict] | None:
        """None while the run goes on, then what is to be said of its end."""
        state = read_state(self.paths)
        return None if run_state(self.paths, state) in ALIVE else _ended(self.paths, state)


def follow(
    paths: RunPaths, agent: str | None = None, types: str | None = None, grep: str | None = None, since: str | None = None, last: int | None = None,
    as_json: bool = False, file: TextIO | None = None, every: float = EVERY_SECONDS,
) -> None:  # fmt: skip
    """Print the story so far as `log_facts` chooses it, then what comes, until the run is over or somebody leaves with Ctrl-C. As JSON
    one entry a line. UserError as `wanted`."""
    file = file or sys.stdout
    story = Follower(paths)
    lines = Lines(terminal_width() if file is sys.stdout else None, [clean(one["name"], 40) for one in story.config["agents"]])
    asked = wanted(_names(story.config, read_posts(paths.forum)), agent, types, grep, since)
    show: Callable[[list[dict]], str] = lines.text if not as_json else lambda told: "\n".join(map(json.dumps, told))
    with until_left(file):
        first = True
        while True:
            ended = story.over()
            told = _sorted([*(ended or []), *story.more()])
            told = _chosen(told, asked, last, ended is None) if first else [one for one in told if asked.has(one)]
            if told:
                print(show(told), file=file, flush=True)
            if ended is not None:
                return
            first = False
            time.sleep(every)
