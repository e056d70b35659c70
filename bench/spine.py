"""How fast the spine is: first verdict, submissions a minute, overhead of one, and what waiting costs.

    make bench              prints the figures and writes bench/results/spine.json
    python -m bench.spine --json [--seconds 60] [--only smoke|reviews]

Works on a copy of the working tree in a temporary folder, so that no branch of a benchmark ends up here. Needs the tasks
prepared (`make bench` does that). The peer's figure was measured once, on
two cores, with a trivial grader and without isolation.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from eval.client import Slots, make_slots
from state.files import utc_now, write_atomic
from state.ledger import Ledger
from state.paths import RunPaths, aar_home, runs_folder

PROJECT = Path(__file__).resolve().parent.parent
RESULTS = PROJECT / "bench" / "results" / "spine.json"
WAITING_SECONDS = 15.0
GOALS = {
    "reviews.first_verdict_seconds": ("<", 60, "s to the first verdict of `python aar.py --agents 9`"),
    "reviews.scored_a_minute": (">", 15, "scored submissions a minute, nine search agents on reviews"),
    "smoke.scored_a_minute": (">", 145, "scored a minute on smoke, trivial method (closest peer: 77-145, no walls)"),
    "smoke.overhead_seconds_median": ("<", 1, "s around the method's own work in the evaluator, median"),
    "smoke.round_seconds_median_alone": ("<", 1, "s from the agent's command to its verdict, one agent, trivial method"),
    "waiting.core_percent": ("<", 5, "% of one core: operator and nine agents while they wait"),
    "reviews.stop_seconds": ("<", 10, "s until everything has ended after SIGTERM"),
}


def copy_project(folder: Path) -> Path:
    """The working tree, without what git ignores, as a repository of its own with one commit."""
    files = subprocess.run(["git", "ls-files", "-coz", "--exclude-standard"], cwd=PROJECT, capture_output=True, check=True).stdout
    copy = folder / "aar"
    for name in filter(None, files.decode().split("\0")):
        if (PROJECT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, copy / name)
    identity = ["-c", "user.name=bench", "-c", "user.email=bench@localhost"]
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], [*identity, "commit", "-q", "-m", "A copy to measure"]):
        subprocess.run(["git", *command], cwd=copy, check=True)
    return copy


def smoke(copy: Path, seconds: float) -> dict:
    """Nine agents, a trivial method, the task `smoke`: see bench/driver.py."""
    command = [sys.executable, "-m", "bench.driver", "--seconds", str(seconds)]
    return json.loads(subprocess.run(command, cwd=copy, stdout=subprocess.PIPE, check=True, stdin=subprocess.DEVNULL).stdout)


def reviews(copy: Path, seconds: float) -> tuple[dict, dict]:
    """`python aar.py --agents 9` as a person types it: its figures, and those of waiting."""
    paths = RunPaths(runs_folder(copy) / "bench-reviews")
    command = [sys.executable, "aar.py", "--agents", "9", "--task", "reviews", "--run", paths.name, "--minutes", "60", "--allow-dirty"]
    started = time.perf_counter()
    run = subprocess.Popen(command, cwd=copy, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env={**os.environ, "AAR_REEXECUTED": "1"})
    try:
        wait_for(lambda: scored(paths), 300, run)
        first = time.perf_counter() - started
        before, window = len(scored(paths)), time.perf_counter()
        time.sleep(seconds)
        found = scored(paths)
        rate = 60 * (len(found) - before) / (time.perf_counter() - window)
        waiting = while_waiting(paths, run)
    finally:
        stopping = time.perf_counter()
        family = psutil.Process(run.pid).children(recursive=True) if run.poll() is None else []
        run.send_signal(signal.SIGTERM)
        run.wait(60)
        _, alive = psutil.wait_procs(family, timeout=10)
    method = [verdict["method_seconds"] for verdict in found]
    return {
        "first_verdict_seconds": first,
        "scored_a_minute": rate,
        "scored": len(found),
        "full_rung_share": statistics.mean(verdict["rung"] == "full" for verdict in found),
        "method_seconds_median": statistics.median(method),
        "overhead_seconds_median": statistics.median(verdict["overhead_seconds"] for verdict in found),
        "stop_seconds": time.perf_counter() - stopping,
        "processes_left": len(alive),
    }, waiting


def scored(paths: RunPaths) -> list[dict]:
    return [v for v in Ledger(paths.ledger).verdicts.values() if v["status"] == "scored" and not v.get("same_as")]


def wait_for(what, seconds: float, run: subprocess.Popen) -> None:
    deadline = time.perf_counter() + seconds
    while not what():
        if run.poll() is not None or time.perf_counter() > deadline:
            raise SystemExit(f"bench: the run ended or stood still (exit code {run.poll()})")
        time.sleep(0.05)


def while_waiting(paths: RunPaths, run: subprocess.Popen) -> dict:
    """CPU and memory of operator, agents and their waiting sandboxes while this process holds every slot of the machine."""
    machine = make_slots()
    holds = [Slots([slot]).hold() for slot in machine]
    for hold in holds:
        hold.__enter__()
    try:
        idle = lambda: all(agent["state"] in ("queued", "scoring") for agent in state(paths)["agents"].values())  # noqa: E731
        wait_for(idle, 120, run)
        time.sleep(3)
        evaluator = psutil.Process(state(paths)["evaluator_pid"])
        apart = {evaluator.pid, *(child.pid for child in evaluator.children(recursive=True))}
        family = [psutil.Process(run.pid), *psutil.Process(run.pid).children(recursive=True)]
        ours = [process for process in family if process.pid not in apart]
        before, started = [cpu(process) for process in (*ours, evaluator)], time.perf_counter()
        time.sleep(WAITING_SECONDS)
        took = time.perf_counter() - started
        spent = [cpu(process) - was for process, was in zip((*ours, evaluator), before, strict=True)]
        agents = {agent["pid"] for agent in state(paths)["agents"].values()}
        return {
            "core_percent": 100 * sum(spent[:-1]) / took,
            "operator_core_percent": 100 * spent[0] / took,
            "agents_core_percent": 100 * sum(one for one, process in zip(spent, ours) if process.pid in agents) / took,
            "evaluator_core_percent": 100 * spent[-1] / took,
            "processes": len(ours),
            "operator_mib": memory(ours[0]),
            "agents_mib": sum(memory(process) for process in ours if process.pid in agents),
            "operator_and_agents_with_sandboxes_mib": sum(map(memory, ours)),
            "evaluator_mib": memory(evaluator),
        }
    finally:
        for hold in holds:
            hold.__exit__(None, None, None)


def state(paths: RunPaths) -> dict:
    return json.loads(paths.state.read_text())


def cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def memory(process: psutil.Process) -> float:
    """MiB, shared pages divided among those who share them."""
    return process.memory_full_info().pss / 2**20


def table(facts: dict) -> str:
    lines = [f"{facts['cores']} cores, Python {facts['python']}, {facts['time']}"]
    for key, (than, goal, words) in GOALS.items():
        part, name = key.split(".")
        if part in facts:
            value = facts[part][name]
            met = value < goal if than == "<" else value > goal
            lines.append(f"{value:8.2f}  {'ok  ' if met else 'MISS'} goal {than} {goal:<4} {words}")
    for part in ("reviews", "smoke", "waiting"):
        rest = [f"{name} {value:.2f}".removesuffix(".00") for name, value in facts.get(part, {}).items() if f"{part}.{name}" not in GOALS]
        lines += [f"{part}: {', '.join(rest)}"] if rest else []
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.spine")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--seconds", type=float, default=60.0, help="length of each throughput measurement")
    parser.add_argument("--only", choices=["smoke", "reviews"], help="a part; bench/results/ is left as it is")
    arguments = parser.parse_args()
    aar_home()
    cores = len(os.sched_getaffinity(0))
    facts: dict = {"time": utc_now(), "cores": cores, "python": platform.python_version(), "slots": len(make_slots())}
    with tempfile.TemporaryDirectory(prefix="aar-bench-") as folder:
        copy = copy_project(Path(folder))
        if arguments.only != "reviews":
            facts["smoke"] = smoke(copy, arguments.seconds)
        if arguments.only != "smoke":
            facts["reviews"], facts["waiting"] = reviews(copy, arguments.seconds)
    if arguments.only is None:
        RESULTS.parent.mkdir(exist_ok=True)
        write_atomic(RESULTS, json.dumps(facts, indent=1) + "\n")
    print(json.dumps(facts, indent=1) if arguments.json else table(facts))


if __name__ == "__main__":
    main()
