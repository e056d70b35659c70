"""What happened in a run, as entries: one for each submission, verdict, post, word to an agent, trouble and event.

    entries = ledger_entries(1, records) + [of_post(post)] + agent_entries("agent-1", folder, ...)

An entry is {"time", "agent" (None: the run itself), "kind" (of KINDS), "text" (one clean line), "ref": where it stands}. Transcripts are
written by agents' processes of any version: kinds that are not known here, and lines that are not whole, are passed over.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from state.posts import Post
from state.record import parse_time
from stats.selection import role
from view.format import clean, figure
from view.scores import verdict_line

KINDS = ("idea", "claim", "verdict", "post", "nudge", "error", "event")
"""What is told: ideas are submissions; nudges are words that an agent heard from the run, from people and of others' posts."""
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
WORDS = 600
FIRST_WORDS = 160
BEGINS = ("Your work begins now.", "You are in the middle of your work.")
"""How the first message to a model starts (swarm/researchers/claude.py)."""
NEWS = "What happened in the run"
"""What stands over the news that an agent CLI hears (swarm/researchers/command.py)."""
CUT = "Your last run was cut off"
OVER = "takes no more submissions: its time is over"
"""How the run answers at its end (swarm/desk.py): no trouble, though researchers that ask call it so."""
TIME_IS_OVER = "can submit no more: the time of the run is over"
SKIPPED = re.compile(rb'"kind":"(?:assistant|result|begin|plan|outcome|read|taken|running|session|session-end)"')
"""What a transcript is mostly made of, and tells nothing here; looked for in the first bytes of a line."""
EVENTS = {
    "agent-fell": ("error", "its process fell and is started again: {}"),
    "evaluator-restarted": ("error", "the evaluator fell and was started again: {}"),
    "proxy-restarted": ("error", "{}"), "refused-by-proxy": ("error", "the model proxy refused: {}"), "honeypot": ("error", "bait: {}"),
    "claim": ("claim", "{}"), "claim-done": ("claim", "is done with its claim"), "joined": ("event", "joined {}"), "left": ("event", "left"),
    "sealed-opening": ("event", "the sealed part is opened for {}"),
}  # fmt: skip


def entry(time: object, agent: str | None, kind: str, text: str, ref: str) -> dict:
    """`time`: as a file has it; what is no time becomes "", since it ends in a terminal as it stands."""
    known = isinstance(time, str) and TIME.fullmatch(time) and parse_time(time) is not None
    return {"time": time if known else "", "agent": clean(agent, 40) if agent else None, "kind": kind, "text": clean(text, WORDS), "ref": ref}


def of_submission(record: dict) -> dict:
    predicts = f", predicts PGR {figure(record['predict'])}" if record.get("predict") is not None else ""
    parents = f", from {', '.join(record['parents'])}" if record.get("parents") else ""
    text = f"{record['submission']} {record['method']}{parents}{predicts}: {clean(record.get('message') or 'without a word', FIRST_WORDS)}"
    return entry(record["time"], record["agent"], "idea", text, record["submission"])


def of_verdict(verdict: dict) -> dict:
    parent, against = verdict.get("parent"), verdict.get("against_parent")
    words = f", {against} than its parent {parent}" if parent and against in ("better", "worse") else ""
    return entry(verdict["time"], verdict["agent"], "verdict", verdict_line({**verdict, "agent": None}) + words, verdict["submission"])


def of_sealed(verdict: dict, best: Collection[str]) -> dict:
    """`best`: submissions that were chosen by their figures."""
    return entry(verdict["time"], None, "event", f"sealed, {role(verdict, best)}: {verdict_line(verdict)}", verdict["submission"])


def of_event(record: dict, ref: str) -> dict:
    kind, words = EVENTS.get(record["event"], ("event", f"{record['event']} {{}}"))
    return entry(record["time"], record.get("agent"), kind, words.replace("{}", str(record.get("detail") or "")).strip(), ref)


def of_post(post: Post) -> dict:
    about = f" on {post.submission}" if post.submission else ""
    reply = f", replies to {post.replies_to}" if post.replies_to else ""
    text = f'{post.type or "post"}{about} "{post.title}"{reply}: {clean(post.words, FIRST_WORDS)}'
    return entry(post.time, post.agent, "post", text, post.name)


def ledger_entries(first: int, records: Iterable[dict]) -> Iterator[dict]:
    """Of ledger lines as they stand there, the first of which has the number `first`."""
    for number, record in enumerate(records, first):
        if record["kind"] == "submission":
            yield of_submission(record)
        elif record["kind"] == "verdict":
            yield of_verdict(record)
        elif record["kind"] == "event":
            yield of_event(record, f"ledger.jsonl:{number}")


class Transcript:
    """Follows the transcript of one agent; `more()` gives the entries of what was appended since."""

    def __init__(self, agent: str, file: Path):
        self.agent, self.file = agent, file
        self._offset = self._line = 0
        self._over: set = set()
        """Cycles of a researcher in which it heard that the run is over: it asks again before it ends."""

    def more(self) -> Iterator[dict]:
        try:
            with open(self.file, "rb") as file:
                file.seek(self._offset)
                for line in file:
                    if not line.endswith(b"\n"):  # it is being written
                        return
                    self._offset += len(line)
                    self._line += 1
                    if not SKIPPED.search(line, 0, 120):
                        yield from self._entries(line)
        except FileNotFoundError:
            return

    def _entries(self, line: bytes) -> list[dict]:
        try:
            record = json.loads(line)
            found = list(_of_transcript(record))
            if ("event", TIME_IS_OVER) in found:
                if record.get("cycle") in self._over:
                    return []
                self._over.add(record.get("cycle"))
        except (ValueError, TypeError, KeyError, AttributeError):  # of another version, or by somebody's hand
            return []
        ref = f"{self.agent}/{self.file.name}:{self._line}"
        return [entry(record.get("time"), self.agent, kind, text, ref) for kind, text in found]


def _of_transcript(record: dict) -> Iterator[tuple[str, str]]:
    """(kind, text) of what one line of a transcript tells."""
    match record.get("kind"):
        case "trouble":
            what = str(record.get("what") or record.get("reason") or record.get("said") or "")
            if what == "over":
                yield "event", f"the API answers again, after {record.get('tries')} tries and {record.get('seconds')} s"
            elif OVER in what:
                yield "event", TIME_IS_OVER
            else:
                yield "error", f"trouble: {clean(what, WORDS) or 'no reason given'}"
        case "finished":
            yield "event", f"ends its work: {record['reason']}"
        case "handoff":
            yield "event", f"its conversation was too long and goes on from its note: {clean(record['note'], FIRST_WORDS)}"
        case "trimmed":
            yield "event", f"its conversation was shortened: {record['what']}"
        case "user":
            for block in record["content"]:
                yield from _heard(str(block.get("text") or ""))
        case "start":
            yield "event", f"its CLI starts, run {record['number']}" + (", where it had left off" if record["resumed"] else "")
            yield from _told(str(record["told"]))
        case "end":
            fell = bool(record["exit"] or record["ended"])
            turns = "" if record.get("turns") is None else f" and {record['turns']} turns"
            how = f", ended: {record['ended']}" if record["ended"] else f", exit code {record['exit']}" if record["exit"] else ""
            yield "error" if fell else "event", f"its CLI ends, run {record['number']}, after {record['seconds']} s{turns}{how}: {record['words']}"
        case "lost":
            yield "error", "the session of its CLI is lost: a new one begins"


def _heard(text: str) -> Iterator[tuple[str, str]]:
    """A message to a model: news stand in quoted lines, other words are the run's own."""
    if text.startswith(BEGINS):
        yield "event", "begins its work" if text.startswith(BEGINS[0]) else "goes on from its note"
        return
    quoted = [line[2:] for line in text.splitlines() if line.startswith("> ")]
    yield from (("nudge", line) for line in quoted or [text.strip().partition("\n")[0]] if line.strip())


def _told(text: str) -> Iterator[tuple[str, str]]:
    """What an agent CLI was told: the news, a list behind their heading, and that its last run was cut off."""
    news = False
    for line in text.splitlines():
        news = (news or line.startswith(NEWS)) and bool(line.strip())
        if (news and line.startswith("- ")) or line.startswith(CUT):
            yield "nudge", line.removeprefix("- ")
