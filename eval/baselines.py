"""Scores many method files on the same draws of a task, once each: what `python aar.py baselines TASK` and `transfer` run.

A process of its own, like every evaluator (`eval/client.py` starts it and holds its standard input open). It prints one JSON
object a line: events while it works (`begin`, `started`, `done`), and at its end what the table is made of.

Every row is appended to AAR_HOME/tasks/TASK/baselines.jsonl, durably, as soon as it is known, under what it follows from: the
task's build key and secret, the draws, the isolation, and the hash of what the file does. A later call runs what is missing, so
that a `kill -9` costs no more than the methods that were running. Failed ones are tried again: the cause may lie outside.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from eval.blocks import CONTRAST, ZERO_SHOT
from eval.engine import Engine
from eval.prepared import TEST_PART, Prepared, build_key, open_prepared
from eval.scan import Scan, scan
from eval.score import Anchored, correctness
from eval.seeds import derive
from eval.slots import Slots, make_slots
from eval.warm import SandboxFailed
from state.errors import UserError
from state.files import append_jsonl, read_jsonl, utc_now
from state.lifeline import end_with_starter
from stats.power import resolvable

METHODS = Path(__file__).parent.parent / "methods"
ANCHOR = "tuned naive (anchor)"
PROMPTS = {"zero_shot": (ZERO_SHOT,), "contrast": CONTRAST}
"""What a file uses of the strong model -> the prompts that a task needs for it."""
Say = Callable[[dict], None]


@dataclass(frozen=True)
class Candidate:
    """A method file to score: the name it is shown under, and its bytes."""

    name: str
    source: bytes
    found: Scan = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "found", scan(self.source, self.name))


def library(names: Sequence[str] | None = None, folder: Path = METHODS) -> list[Candidate]:
    """The files of methods/, or those of the given names (with or without .py). UserError for one that is not there."""
    files = {path.stem: path for path in sorted(folder.glob("*.py")) if path.stem != "__init__"}
    wanted = [name.strip().removesuffix(".py") for name in names] if names else list(files)
    for name in wanted:
        if name not in files:
            raise UserError(f"no method {name!r} in {folder.name}/: there is {', '.join(files)}")
    return [Candidate(files[name].name, files[name].read_bytes()) for name in dict.fromkeys(wanted)]


def first_draws(prepared: Prepared, count: int | None) -> list[int]:
    """All search draws, or the first `count`. UserError where there are fewer."""
    draws = list(prepared.search_draws)
    if count is not None and not 1 <= count <= len(draws):
        raise UserError(f"--draws {count}: task {prepared.task.name} has {len(draws)} search draws")
    return draws[:count]


class Scorer:
    """Scores candidates on some search draws of one task, several at a time, and keeps what it finds."""

    def __init__(self, prepared: Prepared, isolation: str, draws: list[int], say: Say) -> None:
        self.prepared, self.isolation, self.draws, self.say = prepared, isolation, draws, say
        self.file = prepared.folder.root / "baselines.jsonl"
        # Orders and student seeds come from the task: every row of every call has met the same ones.
        self.secret = derive(prepared.folder.secret.read_bytes(), "baselines").to_bytes(8, "big")
        self.key = {"task_key": build_key(prepared.task), "secret": f"{derive(self.secret, 'name'):016x}", "draws": draws,
                    "isolation": isolation}
        self.anchored = Anchored.of(prepared, "search", draws)

    def rows(self, candidates: Sequence[Candidate]) -> list[dict]:
        """A row for each candidate, in their order: figures of a verdict, or `status` and `error`."""
        known = self._known()
        found = {one.found.tree: known[one.found.tree] for one in candidates if one.found.tree in known}
        hindered = {one.name: words for one in candidates if (words := self._hindrance(one.found))}
        missing = {one.found.tree: one for one in candidates if one.name not in hindered and one.found.tree not in found}
        self.say({"event": "begin", "task": self.prepared.task.name, "known": len(found), "missing": len(missing)})
        if missing:
            found |= self._run(list(missing.values()))
        return [self._row(one, hindered.get(one.name) or found[one.found.tree]) for one in candidates]

    def anchor_row(self) -> dict:
        """Tuned naive as preparation tuned and trained it: what every lift is measured against."""
        return {"task": self.prepared.task.name, "method": ANCHOR, "family": "naive", "track": "anchor", "flags": [], "error": None,
                "status": "scored", "draws": len(self.draws), **self.anchored.figures(self.anchored.tuned_naive)}

    def facts(self) -> dict:
        """What stands below a table."""
        anchored, task = self.anchored, self.prepared.task
        figures = anchored.figures(anchored.tuned_naive)
        trained = [draw for draw in self.prepared.anchored_draws("search") if draw in self.draws]
        own = anchored if trained in ([], self.draws) else Anchored.of(self.prepared, "search", trained)
        return {
            "task": task.name, "draws": len(self.draws), "items": anchored.weak.shape[1], "isolation": self.isolation,
            "student": task.student_of("search"), "origin": anchored.origin,
            **{name: figures[name] for name in ("weak_accuracy", "ceiling_accuracy", "tuned_naive_accuracy")},
            "resolvable": resolvable(own.weak, own.ceiling, own.tuned_naive, own.bootstrap), "file": str(self.file),
        }  # fmt: skip

    def _known(self) -> dict[str, dict]:
        """Rows that were scored before under the same conditions, by the hash of what the file does."""
        rows = [row for row in read_jsonl(self.file) if all(row.get(name) == value for name, value in self.key.items())]
        return {row["tree"]: row for row in rows if row["status"] == "scored"}

    def _hindrance(self, found: Scan) -> dict | None:
        """Why a candidate cannot run here at all, as a row: a file that is refused, or one that needs what the task lacks."""
        if found.problem is not None:
            return {"status": "rejected", "error": found.problem}
        needed = {prompt for use in found.uses for prompt in PROMPTS.get(use, ())}
        if needed - set(self.prepared.prompts):
            lacks = "prompts" if self.prepared.task.prompts is None else "contrast prompt"
            return {"status": "n/a", "error": f"the task has no {lacks} to ask the strong model with"}
        if needed - self._read_under:
            return {"status": "n/a", "error": f"needs what `python aar.py prepare {self.prepared.task.name} --prompts` makes"}
        return None

    @cached_property
    def _read_under(self) -> set[str]:
        """The prompts under which the strong model has read what a method meets."""
        parts = (self.prepared.region, self.prepared.parts[TEST_PART["search"]])
        return {prompt for prompt in self.prepared.prompts if all(part.has(prompt) for part in parts)}

    def _run(self, candidates: list[Candidate]) -> dict[str, dict]:
        """Run candidates in all slots of the machine; tree -> row. UserError where sandboxes cannot be had."""
        slots, stop = make_slots(), threading.Event()
        engine = Engine(self.prepared, self.secret, self.isolation, slots)
        workers = ThreadPoolExecutor(len(slots))
        try:
            held = Slots(slots)
            running = [workers.submit(self._score, engine, held, stop, one) for one in candidates]
            rows = [future.result() for future in as_completed(running)]
        except SandboxFailed as error:
            raise UserError(f"a sandbox could not be started: {error}") from None
        finally:
            stop.set()
            workers.shutdown(cancel_futures=True)
            engine.close()
        return {row["tree"]: row for row in rows}

    def _score(self, engine: Engine, slots: Slots, stop: threading.Event, one: Candidate) -> dict:
        with slots.hold(stop) as slot:
            self.say({"event": "started", "method": one.name})
            outcome = engine.run(one.source.decode(), one.name, self.draws, one.found, slot)
        row = {**self.key, "tree": one.found.tree, "method": one.name, "status": outcome.status, "error": outcome.error,
               "device": slot.name, "method_seconds": round(outcome.method_seconds, 3),
               "overhead_seconds": round(outcome.total_seconds - outcome.method_seconds, 3),
               "peak_memory_mib": outcome.peak_memory_mib, "time": utc_now()}
        if outcome.predictions is not None:
            row |= self.anchored.figures(correctness(self.prepared, "search", outcome.predictions))
        append_jsonl(self.file, row, mode=0o600)
        self.say({"event": "done", **self._row(one, row)})
        return row

    def _row(self, one: Candidate, found: dict) -> dict:
        """What is shown: the kept figures under the name, family and track that the file has now."""
        private = {"task_key", "secret", "draws"}
        return {**{name: value for name, value in found.items() if name not in private}, "task": self.prepared.task.name,
                "method": one.name, "family": one.found.family, "track": one.found.track, "flags": one.found.flags,
                "draws": len(self.draws), "isolation": self.isolation}


def best_first(rows: Sequence[dict]) -> list[dict]:
    """Rows by the lower bound of PGR (by accuracy where PGR is n/a), then what was not scored, by name."""
    def key(row: dict) -> tuple:
        if row["status"] != "scored":
            return 2, row["status"], row["method"]
        return (1, -row["accuracy"], row["method"]) if row["pgr_low"] is None else (0, -row["pgr_low"], row["method"])
    return sorted(rows, key=key)


def baselines(task: str, isolation: str, draws: int | None, names: Sequence[str] | None, say: Say, folder: Path = METHODS) -> dict:
    """The table of a task: its facts with `rows`, best lower bound first."""
    prepared = open_prepared(task)
    candidates = library(names, folder)
    scorer = Scorer(prepared, isolation, first_draws(prepared, draws), say)
    rows = [scorer.anchor_row(), *scorer.rows(candidates)]
    table = scorer.file.with_name("baselines.md" if names is None and draws is None else "baselines-of-some.md")
    return {**scorer.facts(), "table": str(table), "rows": best_first(rows)}


def say_in_lines() -> Say:
    """Prints events as JSON lines; safe between threads."""
    lock = threading.Lock()

    def say(event: dict) -> None:
        with lock:
            print(json.dumps(event), flush=True)
    return say


def main() -> int:
    parser = argparse.ArgumentParser(prog="eval.baselines")
    parser.add_argument("task")
    parser.add_argument("--isolation", default="bubblewrap")
    parser.add_argument("--draws", type=int)
    parser.add_argument("--methods")
    parser.add_argument("--folder", type=Path, default=METHODS)
    asked = parser.parse_args()
    end_with_starter()
    say = say_in_lines()
    try:
        names = asked.methods.split(",") if asked.methods else None
        say({"event": "table", **baselines(asked.task, asked.isolation, asked.draws, names, say, asked.folder)})
    except UserError as error:
        print(f"aar: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
