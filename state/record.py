"""All that a run's files say, read once: what `report`, `compare`, `log`, `show` and `replay` begin with.

    record = read_record(paths)                  for the person at the machine
    record = read_record(paths, public=True)     with figures as agents may see them, fit for the board of a run that goes on

Nothing is asked of a process: a run that was killed, copied or opened from a bundle reads the same.
"""

from __future__ import annotations

import datetime
import json
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path

from state.config import read_config
from state.errors import UserError
from state.files import read_jsonl
from state.ledger import Ledger, agent_view
from state.objects import list_files, read_files, read_trailers
from state.paths import RunPaths
from state.posts import Post, read_posts

SCALE = ("independent_items", "weak_accuracy", "ceiling_accuracy")
"""What the exposure of a run is measured by: the same in every verdict of a rung, and not for agents."""
CONTROL = " (control)"
"""Behind the name of a submission that the sealed part was opened for beside those that were chosen (swarm/verification.py)."""


@dataclass
class Record:
    """One run. Verdicts, sealed verdicts, submissions and events are dicts as in the files; times as in the ledger.

    `lines`: (kind, submission) -> number of its line in ledger.jsonl, from 1. `sealed`: [] until the run is closed: what a verification
    that goes on or was cut off has found so far is no result. `sealed_unread`: it is closed, but they are another user's. `calls`:
    settled calls of models. `closed`: the sealed part was opened and the run takes no more submissions. `transfer`, `isolation`: {}
    where there is nothing. `scale`: submission -> SCALE of its verdict, for `exposure` alone: also a public record has it.
    """

    paths: RunPaths
    public: bool
    closed: bool
    config: dict
    state: dict
    submissions: dict[str, dict]
    verdicts: dict[str, dict]
    events: list[dict]
    sealed: list[dict]
    posts: list[Post]
    calls: list[dict]
    diversity: list[dict]
    transfer: dict
    isolation: dict
    lines: dict[tuple[str, str], int] = field(default_factory=dict)
    scale: dict[str, dict] = field(default_factory=dict)
    sealed_unread: bool = False
    _sources: dict[tuple[str, str], str] | None = None
    _trailers: dict[str, dict[str, list[str]]] | None = None
    _spent: tuple[list[float], list[float]] | None = None

    @property
    def name(self) -> str:
        return self.paths.name

    @property
    def withheld(self) -> bool:
        """Whether agents that can still submit may read what is made of this record: nothing exact, and nothing beside counted verdicts."""
        return self.public and not self.closed

    def seconds(self, time: str | None) -> float:
        """Seconds from the run's start to a time as in the ledger, 0 where that is none. Breaks of a run count."""
        start, then = parse_time(self.config.get("created")), parse_time(time)
        return max(0.0, (then - start).total_seconds()) if start and then else 0.0

    def dollars(self) -> Callable[[float], float]:
        """Seconds since the start -> what models had cost by then."""
        if self._spent is None:
            calls = sorted((self.seconds(call.get("time")), call["dollars"]) for call in self.calls)
            self._spent = [at for at, _ in calls], [0.0, *accumulate(cost for _, cost in calls)]
        times, totals = self._spent
        return lambda at: totals[bisect_right(times, at)]

    def source(self, submission: str) -> str | None:
        """The method file of a submission, from its commit; None where the repository lacks it."""
        about = self.submissions.get(submission) or self.verdicts.get(submission)
        return self.sources().get((about["commit"], about["method"])) if about else None

    def sources(self) -> dict[tuple[str, str], str]:
        """(commit, method) -> text of all submissions; read with one git process, at the first call."""
        if self._sources is None:
            self._sources = read_files(self.paths.repo, ((s["commit"], s["method"]) for s in self.submissions.values()))
        return self._sources

    def base_methods(self) -> dict[str, str]:
        """methods/*.py of the run's base commit: path -> text."""
        base = self.config.get("base", "")
        names = [name for name in list_files(self.paths.repo, base, "methods") if name.endswith(".py") and not name.endswith("__init__.py")]
        return {path: text for (_, path), text in read_files(self.paths.repo, ((base, name) for name in names)).items()}

    def trailers(self) -> dict[str, dict[str, list[str]]]:
        """commit -> its trailers."""
        if self._trailers is None:
            self._trailers = read_trailers(self.paths.repo, self.config.get("name", self.name))
        return self._trailers


def parse_time(text: str | None) -> datetime.datetime | None:
    """A time as in the ledger ("2026-11-23T14:00:00Z"); None where it is none."""
    if not text or len(text) != 20 or text[10] != "T" or text[-1] != "Z":
        return None
    try:  # several times as fast as strptime, and a run has tens of thousands
        return datetime.datetime.fromisoformat(text[:-1]).replace(tzinfo=datetime.timezone.utc)
    except ValueError:
        return None


def _json(path: Path) -> dict:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise UserError(f"{path} is not JSON ({error}): remove it, what it says is told by other files too") from None


def last_opening(events: list[dict]) -> dict | None:
    """The event that says that the sealed part was opened for this run, and for which submissions: the last one, None where it was not."""
    return next((event for event in reversed(events) if event["event"] == "sealed-opening"), None)


def is_closed(paths: RunPaths, events: list[dict]) -> bool:
    """Whether the sealed part was opened for this run, and the verification came to its end: it takes no more submissions then."""
    return last_opening(events) is not None and (paths.board / "verification.md").exists()


def completing(run: str, opening: dict) -> str:
    """The command that completes a verification of these submissions: without controls where they were asked for by name."""
    names = opening["detail"].split(", ")
    asked = [] if any(name.endswith(CONTROL) for name in names) else names
    return " ".join(["python aar.py verify", run, *asked])


def cut_off_words(run: str, opening: dict) -> str:
    """What is said of a run whose verification was cut off."""
    return f"the verification of run {run} was cut off: `{completing(run, opening)}` completes it"


def read_sealed(paths: RunPaths) -> list[dict] | None:
    """The sealed verdicts in the order in which they were found; None where they are another user's, who alone may read them."""
    try:
        return read_jsonl(paths.evaluator / "sealed.jsonl")
    except PermissionError:
        return None


def latest_sealed(verdicts: list[dict]) -> list[dict]:
    """Sealed verdicts, finalists first; of a submission that was verified twice the last one."""
    latest = {verdict["submission"]: verdict for verdict in verdicts}
    return sorted(latest.values(), key=lambda verdict: bool(verdict.get("control")))


def public_verdict(verdict: dict) -> dict:
    """A verdict as agents may see it."""
    return {**agent_view(verdict), **({"null": True} if verdict.get("null") else {})}


def read_record(paths: RunPaths, public: bool = False) -> Record:
    """Read a run. `public`: nothing that agents of a run that goes on must not see; of a closed run all is fit to publish."""
    config, ledger = read_config(paths), Ledger(paths.ledger)
    closed = is_closed(paths, ledger.events)
    hide = public and not closed
    sealed = read_sealed(paths) if closed else []
    verdicts = {name: public_verdict(v) if hide else v for name, v in ledger.verdicts.items()}
    calls: dict[str, dict] = {}
    for call in read_jsonl(paths.spend):
        if call["kind"] == "settled":
            calls.setdefault(call["call"], call)
    return Record(
        paths=paths, public=public, closed=closed, config=config, state=_json(paths.state), submissions=ledger.submissions,
        verdicts=verdicts, events=ledger.events, sealed=latest_sealed(sealed or []), posts=read_posts(paths.forum), calls=list(calls.values()),
        diversity=read_jsonl(paths.root / "diversity.jsonl"), transfer={} if hide else _json(paths.root / "transfer.json"),
        isolation=_json(paths.root / "isolation.json"), lines=_lines(paths.ledger),
        scale={name: {key: v.get(key) for key in SCALE} for name, v in ledger.verdicts.items()},
        sealed_unread=sealed is None,
    )  # fmt: skip


def _lines(path: Path) -> dict[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    for number, record in enumerate(read_jsonl(path), 1):
        if record["kind"] in ("submission", "verdict"):
            found.setdefault((record["kind"], record["submission"]), number)
    return found
