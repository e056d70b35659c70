"""The evaluator process: takes submissions, runs them in slots, and appends verdicts to the ledger.

The operator starts it (`eval/client.py`) and talks to it in JSON lines on its standard input and output:

    in   {"submission", "commit", "method", "agent", "parents": [submission, ...]}
    out  {"event": "ready"} / {"event": "started", "submission", "rung"} / {"event": "verdict", "submission"}
         {"event": "diversity", "code", "predictions", "over"}: of the run's latest scored submissions, after a full rung

When its input ends, it ends, and every sandbox with it. It is the only process of a run that opens labels.
"""

from __future__ import annotations

import json
import os
import queue
import statistics
import sys
import threading
import time
import traceback

import numpy as np

from eval.audits import Audits, Findings
from eval.engine import Outcome
from eval.kept import Predictions, ScoredRun
from eval.probing import Register
from eval.scan import Scan, knowledge_of, scan
from eval.score import correctness
from eval.seeds import derive
from eval.slots import Slot, Slots
from eval.tracks import gravest, track_of
from eval.warm import SandboxFailed, leave
from state.files import append_jsonl, utc_now
from state.ledger import Ledger
from state.paths import RunPaths
from stats.pgr import in_words
from stats.ranking import ranked

RANDOM_PROMOTIONS = 0.05
"""Share of submissions that reach the full rung though the quick one says no: counts wrong rejections."""

SANDBOX_SECONDS = 0.2
"""About what one more sandbox costs a machine, most of it spent importing numpy."""


class Evaluator:
    """Scores submissions of one run. Thread-safe: one worker for each slot calls `score`."""

    def __init__(self, paths: RunPaths):
        self.paths, self.run = paths, ScoredRun(paths)
        self.prepared, self.secret, self.isolation = self.run.prepared, self.run.secret, self.run.config["isolation"]
        self.slots = Slots(self.run.slots)
        self.engine = self.run.engine(self.run.slots)
        self.search = list(self.prepared.search_draws)
        self.quick = self.run.anchored("search", self.search[:1])
        self.full = self.run.anchored("search", self.search)
        self.audits = Audits(self.engine, self.full)
        self.knowledge = knowledge_of(self.prepared)
        self.stop = threading.Event()
        self._lock = threading.Lock()
        self._ledger = Ledger(paths.ledger)
        self._predictions = Predictions(self.run)
        self._running: dict[str, threading.Event] = {}
        self._register = Register()

    # -- what is known so far -------------------------------------------------------------------------------------

    def _best(self, agent: str | None = None) -> str | None:
        """The best submission on the full rung and the main track, of `agent` or of the run."""
        verdicts = [
            verdict
            for verdict in self._ledger.verdicts.values()
            if verdict["status"] == "scored"
            and verdict["rung"] == "full"
            and verdict["track"] == "main"
            and "near-duplicate" not in verdict["flags"]
            and agent in (None, verdict["agent"])
        ]
        top = ranked(verdicts)[:1]
        return top[0].get("same_as") or top[0]["submission"] if top else None

    # -- the life of a submission -----------------------------------------------------------------------------------

    def score(self, request: dict, slot: Slot, say) -> None:
        """Score one submission and append its verdict. `say(event)` tells the operator."""
        started = time.perf_counter()
        source = self.run.source(request)
        found = scan(source, request["method"], self.knowledge)
        if found.problem is not None:
            self._finish(request, found, Outcome("rejected", found.problem), {}, started, say)
            return
        earlier = self._claim(found.tree)
        if earlier is not None:
            self._repeat(request, found, earlier, say)
            return
        try:
            self._rungs(request, found, source.decode(), slot, started, say)
        finally:
            with self._lock:
                self._running.pop(found.tree).set()

    def _claim(self, tree: str) -> dict | None:
        """The verdict of the same code, waiting for it while it is being scored; else None, and the code is claimed."""
        while True:
            with self._lock:
                self._ledger.refresh()
                for verdict in self._ledger.verdicts.values():
                    if verdict.get("tree") == tree and not verdict.get("same_as"):
                        return verdict
                if tree not in self._running:
                    self._running[tree] = threading.Event()
                    return None
                other = self._running[tree]
            other.wait()

    def _repeat(self, request: dict, found: Scan, earlier: dict, say) -> None:
        """Code that was scored before gets the same verdict back: there is no second lottery ticket."""
        verdict = {**earlier, **_identity(request), "same_as": earlier["submission"], "family": found.family}
        self._append(verdict, say)

    def _rungs(self, request: dict, found: Scan, source: str, slot: Slot, started: float, say) -> None:
        draws = self.search if self._quick_saves_nothing() else self.search[:1]
        extra: dict = {"rung": "full", "draws": len(draws), "promotion": "cheap"}
        if len(draws) < len(self.search):
            extra |= {"rung": "quick", "promotion": None}
        say({"event": "started", "submission": request["submission"], "rung": extra["rung"]})
        outcome = self.engine.run(source, request["method"], draws, found, slot, audited=extra["rung"] == "full")
        if outcome.status != "scored":
            self._finish(request, found, outcome, extra, started, say, slot)
            return
        predictions = outcome.predictions
        if extra["rung"] == "quick":
            extra["promotion"] = self._promotion(request, found, correctness(self.prepared, "search", predictions))
            if extra["promotion"] is not None:
                say({"event": "started", "submission": request["submission"], "rung": "full"})
                extra |= {"rung": "full", "draws": len(self.search)}
                rest = self.engine.run(source, request["method"], self.search[1:], found, slot, audited=True)
                _add_up(outcome, rest)
                if rest.status != "scored":
                    self._finish(request, found, outcome, extra, started, say, slot)
                    return
                outcome.predictions = np.concatenate([predictions, rest.predictions])
        findings = Findings(dict(outcome.traced))
        if extra["rung"] == "full":
            say({"event": "started", "submission": request["submission"], "rung": "audits"})
            findings = self.audits.examine(source, request["method"], self.search, found, outcome, slot)
        self._scored(request, found, source, outcome, findings, extra, started, say, slot)

    def _quick_saves_nothing(self) -> bool:
        """Whether all draws cost less than a second sandbox would, by the cost of the run's latest submissions."""
        with self._lock:
            latest = [v for v in self._ledger.verdicts.values() if v["status"] == "scored" and not v.get("same_as")][-20:]
        a_draw = statistics.median(v["method_seconds"] / v["draws"] for v in latest) if latest else float("inf")
        return a_draw * (len(self.search) - 1) < SANDBOX_SECONDS

    def _promotion(self, request: dict, found: Scan, correct: np.ndarray) -> str | None:
        """Why a submission goes on to the full rung, or None. `correct`: (1, items)."""
        with self._lock:
            self._ledger.refresh()
            rivals = {self._best(request["agent"]), self._best()}
        if None in rivals:
            return "first"
        for rival in rivals:
            known = self._predictions.correct(rival)
            if known is None or (self.quick.difference(correct, known[:1]).high or 0.0) >= 0:
                return "upper bound"
        share = derive(self.secret, "promotion", found.tree) / 2**64
        return "random" if share < RANDOM_PROMOTIONS else None

    def _scored(self, request, found: Scan, source: str, outcome: Outcome, findings: Findings, extra, started, say, slot) -> None:
        predictions, anchored = outcome.predictions, self.full if extra["rung"] == "full" else self.quick
        with self._lock:
            self._ledger.refresh()
            best, own = self._best(), self._best(request["agent"])
            self._probing(request, found, source, predictions, findings)
        parent = next((p for p in request.get("parents", ()) if self._predictions.correct(p) is not None), own)
        correct = self._predictions.keep(request["submission"], predictions)
        figures = anchored.figures(correct)
        for what, other in (("best", best), ("parent", parent)):
            over = anchored.over(correct, self._predictions.correct(other))
            figures |= {what: other, f"against_{what}": in_words(over)}
            figures |= {f"over_{what}": over.value, f"over_{what}_low": over.low, f"over_{what}_high": over.high}
        self._finish(request, found, outcome, {**extra, **figures, **findings.figures}, started, say, slot, findings)
        if extra["rung"] == "full":
            with self._lock:
                diversity = self._register.diversity()
            say({"event": "diversity", **diversity})

    def _probing(self, request: dict, found: Scan, source: str, predictions: np.ndarray, findings: Findings) -> None:
        """Compare with what the run has seen before, and remember it. Called with the lock held."""
        for verdict in self._ledger.verdicts.values():
            name = verdict["submission"]
            if name in self._register or verdict.get("same_as") or (known := self._predictions.of(name)) is None:
                continue
            self._register.add(name, verdict["agent"], self.run.source(verdict).decode(), known, verdict["flags"])
        for flag, words in self._register.examine(request["agent"], source, predictions):
            findings.add(flag, words)
        self._register.add(request["submission"], request["agent"], source, predictions, [*found.flags, *findings.reasons])

    def _finish(self, request, found: Scan, outcome: Outcome, extra: dict, started: float, say, slot: Slot | None = None,
                findings: Findings | None = None) -> None:
        total = time.perf_counter() - started
        reasons = {**dict(zip(found.flags, found.reasons)), **(findings.reasons if findings else outcome.traced)}
        verdict = {
            **_identity(request),
            "family": found.family, "track": gravest([found.track, track_of(reasons)]), "status": outcome.status,
            "rung": "quick", "draws": 0,
            "pgr": None, "pgr_low": None, "pgr_high": None, "lift": None, "lift_low": None, "lift_high": None,
            "accuracy": None, "weak_accuracy": None, "ceiling_accuracy": None, "permuted_pgr": None,
            "flags": list(reasons), "reasons": list(reasons.values()), "isolation": self.isolation,
            "device": slot.name if slot else None,
            "method_seconds": round(outcome.method_seconds, 4),
            "overhead_seconds": round(max(0.0, total - outcome.method_seconds - (extra.get("audit_seconds") or 0.0)), 4),
            "peak_memory_mib": outcome.peak_memory_mib, "error": outcome.error, "tree": found.tree,
            "against_best": None, "against_parent": None, **({"null": True} if self.engine.packs.null else {}),
            **extra,
        }  # fmt: skip
        if "honeypot" in reasons:
            with self._lock:
                append_jsonl(self.paths.ledger, {"kind": "event", "event": "honeypot", "agent": request["agent"],
                                                 "detail": f"{request['submission']}: {reasons['honeypot']}", "time": utc_now()})
        self._append(verdict, say)

    def _append(self, verdict: dict, say) -> None:
        verdict = {"kind": "verdict", **verdict, "time": utc_now()}
        with self._lock:
            append_jsonl(self.paths.ledger, verdict)
            self._ledger.refresh()
        say({"event": "verdict", "submission": verdict["submission"]})

    # -- the process --------------------------------------------------------------------------------------------------

    def serve(self, lines, say) -> None:
        """Score what arrives on `lines` until they end, with one worker a slot."""
        waiting: queue.SimpleQueue[dict | None] = queue.SimpleQueue()
        workers = [threading.Thread(target=self._work, args=(waiting, say), daemon=True) for _ in self.slots.slots]
        for worker in workers:
            worker.start()
        say({"event": "ready"})
        for line in lines:
            waiting.put(json.loads(line))
        self.stop.set()

    def _work(self, waiting: queue.SimpleQueue, say) -> None:
        while True:
            request = waiting.get()
            try:
                with self.slots.hold(self.stop) as slot:
                    self.score(request, slot, say)
            except InterruptedError:
                return
            except SandboxFailed as error:
                # Not the method's fault: it stays in the queue of the ledger, and the operator decides.
                say({"event": "problem", "submission": request["submission"], "detail": str(error)})
            except Exception as error:
                # A worker that died silently would leave the queue standing; the process ends and is started anew.
                say({"event": "failed", "submission": request["submission"], "detail": f"{type(error).__name__}: {error}"})
                traceback.print_exc()
                leave(70)


def _identity(request: dict) -> dict:
    return {key: request[key] for key in ("submission", "commit", "method", "agent")}


def _add_up(outcome: Outcome, rest: Outcome) -> None:
    outcome.status, outcome.error = rest.status, rest.error
    outcome.method_seconds += rest.method_seconds
    outcome.peak_memory_mib = max(outcome.peak_memory_mib, rest.peak_memory_mib)
    outcome.traced = {**rest.traced, **outcome.traced}
    outcome.again, outcome.altered, outcome.asked_from = rest.again, rest.altered, 1


def main(arguments: list[str]) -> None:
    output, lock = os.fdopen(os.dup(1), "w", buffering=1), threading.Lock()
    os.dup2(2, 1)  # whatever a library prints goes to the log, not between our lines

    def say(event: dict) -> None:
        with lock:
            try:
                output.write(json.dumps(event) + "\n")
            except BrokenPipeError:
                leave(0)  # the operator is gone, and with it everybody who waits

    evaluator = Evaluator(RunPaths(arguments[0]))
    evaluator.serve(sys.stdin, say)
    # Workers may be in the middle of a method; its sandbox dies with this process. Nothing is closed before: a worker would send a
    # descriptor that is another file by now.
    leave(0)


if __name__ == "__main__":
    main(sys.argv[1:])
