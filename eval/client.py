"""The evaluator as the rest of AAR sees it: a process that takes submissions and answers with verdicts in the ledger.

The only module of `eval/` that `swarm/` imports; it loads neither numpy nor torch.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from eval.handed import FOLDER, library_files
from eval.slots import Slots, check_torch, make_slots
from state.errors import UserError
from state.files import utc_now, write_atomic
from state.paths import RunPaths, aar_home, find_run

__all__ = [
    "FOLDER", "EvaluatorClient", "Slots", "baselines", "check_submittable", "check_torch", "evaluate_by_hand", "evaluate_submission",
    "expected_cost", "library_files", "make_slots", "open_sealed", "paired_differences", "transfer",
]  # fmt: skip

PROJECT = Path(__file__).parent.parent


class EvaluatorClient:
    """Starts the evaluator process of a run; `on_event(event)` is called from a thread, at its end with `gone`."""

    def __init__(self, paths: RunPaths, on_event: Callable[[dict], None]):
        self.paths, self.on_event = paths, on_event
        self.pid: int | None = None
        self._lock = threading.Lock()
        self._stopping = False
        self._process: subprocess.Popen | None = None

    def start(self) -> None:
        """Start the process, or start it anew after `gone`."""
        with self._lock, open(self.paths.evaluator / "log", "ab") as log:
            if self._stopping:
                return
            process = subprocess.Popen(
                [sys.executable, "-m", "eval.evaluator", str(self.paths.root)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd=PROJECT, start_new_session=True,
            )  # fmt: skip
            self._process, self.pid = process, process.pid
        threading.Thread(target=self._listen, args=(process,), daemon=True, name="evaluator-events").start()

    def submit(self, request: dict) -> None:
        """Hand over one submission. Lost where the evaluator is just then gone: hand over again after `gone`."""
        with self._lock:
            try:
                self._process.stdin.write(json.dumps(request).encode() + b"\n")
                self._process.stdin.flush()
            except (BrokenPipeError, ValueError):
                pass

    def _listen(self, process: subprocess.Popen) -> None:
        for line in process.stdout:
            self.on_event(json.loads(line))
        code = process.wait()
        if not self._stopping:
            self.on_event({"event": "gone", "returncode": code})

    def stop(self) -> None:
        """End the evaluator and every sandbox it holds."""
        with self._lock:
            self._stopping = True
            process = self._process
            if process is None:
                return
            try:
                process.stdin.close()
            except BrokenPipeError:
                pass
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _last_words(log: str) -> str:
    lines = [line for line in log.strip().splitlines() if line.strip()]
    return lines[-1].removeprefix("aar: ") if lines else "no message"


def _run_lines(module: str, arguments: list[str], on_line: Callable[[dict], None]) -> None:
    """Run an evaluating module in a process of its own; UserError with its last words where it fails."""
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=PROJECT
    ) as process:
        errors: list[str] = []
        reader = threading.Thread(target=lambda: errors.append(process.stderr.read()), daemon=True)
        reader.start()
        try:
            for line in process.stdout:
                on_line(json.loads(line))
        except BaseException:
            process.kill()
            raise
        process.wait()
        reader.join()
    if process.returncode < 0:
        raise UserError(f"the process that scores was ended by signal {-process.returncode}; what it had finished is kept")
    if process.returncode != 0:
        raise UserError(_last_words("".join(errors)))


def _run_table(module: str, arguments: list[str], on_event: Callable[[dict], None]) -> dict:
    """Run an evaluating module that ends with a `table`, and tell its other events; what it says of the table."""
    tables: list[dict] = []
    _run_lines(module, arguments, lambda event: tables.append(event) if event["event"] == "table" else on_event(event))
    return {name: value for name, value in tables[0].items() if name != "event"}


def check_submittable(task: str) -> None:
    """UserError where a task is unknown, or is kept for transfer: methods must not be developed on it."""
    from eval.task import load_task  # pydantic takes a while, and most who import this module need no task

    if load_task(task).transfer_only:
        raise UserError(f"task {task} is only for transfer: nothing is developed on it; `python aar.py transfer` scores finished methods")


def evaluate_by_hand(file: Path, task: str, isolation: str) -> dict:
    """The verdict of one method file on the public part of `task`. UserError for a task that is only for transfer."""
    check_submittable(task)
    verdicts: list[dict] = []
    _run_lines("eval.by_hand", [str(file.absolute()), "--task", task, "--isolation", isolation], verdicts.append)
    return verdicts[0]


def evaluate_submission(paths: RunPaths, submission: str, isolation: str) -> dict:
    """The verdict of a submission of a run that is scored again, from its commit, on the run's own draws and seeds, beside the one in the
    ledger: with `ledger_pgr`, `same` and `not_same` (why not, in words). UserError where it has no verdict."""
    verdicts: list[dict] = []
    _run_lines("eval.by_hand", [submission, "--run", str(paths.root), "--isolation", isolation], verdicts.append)
    return verdicts[0]


def paired_differences(paths: RunPaths, winner: str, others: Sequence[str]) -> list[dict]:
    """PGR of `winner` minus that of each of `others`, paired: {"submission", "difference", "low", "high", "draws"}, as `eval/pairs.py`
    says. Exact figures of the public part, for the operator only."""
    rows: list[dict] = []
    if others:
        _run_lines("eval.pairs", [str(paths.root), winner, *others], rows.append)
    return rows


def expected_cost(task: str) -> dict:
    """What scoring one submission of a prepared task is expected to take: `seconds`, `finetuned_hours`, `device`."""
    facts: list[dict] = []
    _run_lines("eval.expect", [task], facts.append)
    return facts[0]


def open_sealed(paths: RunPaths, submissions: list[str], on_verdict: Callable[[dict], None]) -> None:
    """Verify submissions of a run on the sealed part; `on_verdict(verdict)` as each is done."""
    _run_lines("eval.sealed", [str(paths.root), *submissions], on_verdict)


def baselines(task: str, isolation: str, draws: int | None, methods: str | None, on_event: Callable[[dict], None]) -> dict:
    """The table of the methods in methods/ (or of some: "naive,soft") on `task`, as `eval/baselines.py` says."""
    check_submittable(task)
    arguments = [task, "--isolation", isolation]
    arguments += ["--draws", str(draws)] if draws is not None else []
    arguments += ["--methods", methods] if methods is not None else []
    return _run_table("eval.baselines", arguments, on_event)


def transfer(what: Sequence[str], tasks: str | None, isolation: str, on_event: Callable[[dict], None], project: Path = PROJECT) -> dict:
    """The matrix of `what` (method files, or the name of one run) on `tasks` ("news,tweets"; default all), as `eval/transfer.py`
    says, and where to save it. That of a run is also kept in its folder, transfer.json, for those who look at the run; the latest
    stands. UserError for a file or a run that is not there."""
    files = [Path(one) for one in what]
    missing, paths = [str(file) for file in files if not file.is_file()], None
    if not missing:
        name, chosen = "-".join(dict.fromkeys(file.stem for file in files))[:60], [str(file.absolute()) for file in dict.fromkeys(files)]
    elif len(what) == 1 and not missing[0].endswith(".py"):
        paths = find_run(project, what[0])
        name, chosen = paths.name, ["--run", str(paths.root)]
    else:
        raise UserError(f"no method file {missing[0]}: name method files, such as methods/confident.py, or one run")
    arguments = [*chosen, "--isolation", isolation, *(["--tasks", tasks] if tasks is not None else [])]
    facts = _run_table("eval.transfer", arguments, on_event)
    folder = aar_home() / "transfer"
    folder.mkdir(exist_ok=True)
    if paths is not None:
        write_atomic(paths.root / "transfer.json", json.dumps({**facts, "time": utc_now()}, indent=1) + "\n")
    return {**facts, "table": str(folder / f"{name}.md")}
