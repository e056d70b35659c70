"""Nine agents that submit a trivial method as fast as they can, each through its own sandbox, door and branch.

    python -m bench.driver --seconds 60 [--task smoke] [--agents 9]     prints JSON

Run it in a copy of the repository (bench/spine.py does): it makes a real run with its branches. What is measured is the
way of a submission: a sandbox for the agent's command, the broker, a commit, the ledger with fsync, the scan, a fresh method
sandbox, all test items, the verdict, the board. Only the researcher is replaced, by a loop without a thought.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import tomli

from state.ledger import Ledger
from state.paths import RunPaths

METHOD = '''"""Says the same of every text: the cheapest method there is, to measure what surrounds a method."""
import numpy as np

FAMILY = "trivial"


class Constant:
    def predict_proba(self, batch):
        return np.full((len(batch.texts), 2), [{low!r}, {high!r}])


def fit(w2s):
    return Constant()
'''


def submit_until(paths: RunPaths, name: str, number: int, deadline: float, most: int) -> list[float]:
    """What one agent does: write, submit, wait, again. Returns the seconds each round took."""
    from swarm.boxes import agent_box
    from swarm.hands import Hands

    config = tomli.loads(paths.toml.read_text())
    hands, rounds = Hands(agent_box(paths, name, config["task"], config["isolation"])), []
    while time.time() < deadline and len(rounds) < most:
        # Another constant each time: the same code would get the earlier verdict back.
        low = 0.25 + (number * 10_000 + len(rounds)) * 1e-8
        started = time.perf_counter()
        done = hands.sh("cat > methods/trivial.py && aar submit methods/trivial.py --wait --json", METHOD.format(low=low, high=1 - low), 120)
        if done.code != 0 or json.loads(done.output)["status"] != "scored":
            raise SystemExit(f"{name}: {done.output[-500:]}")
        rounds.append(time.perf_counter() - started)
    return rounds


def start_drivers(paths: RunPaths, names: list[str], first: int, deadline: float, most: int) -> list[subprocess.Popen]:
    """One process an agent, as in a run. `first` numbers them: no two drivers of a run write the same method."""
    command = [sys.executable, "-m", "bench.driver", "--as-agent", str(paths.root), "--deadline", str(deadline), "--most", str(most)]
    return [
        subprocess.Popen([*command, "--name", name, "--number", str(number)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        for number, name in enumerate(names, first)
    ]


def collect(drivers: list[subprocess.Popen]) -> list[float]:
    rounds: list[float] = []
    for driver in drivers:
        output, _ = driver.communicate()
        if driver.returncode:
            raise SystemExit("a driver failed: its words are above")
        rounds += json.loads(output)
    return rounds


def drive(task: str, agents: int, seconds: float) -> dict:
    from swarm.create import Options, create_run
    from swarm.run import Operator
    from swarm.supervisor import Supervisor

    class NoResearchers(Supervisor):
        """The drivers are the agents."""

        def look(self) -> list:
            return []

    paths = create_run(Options(agents=agents, task=task, run=f"bench-{task}", seconds=1e6, allow_dirty=True))
    operator = Operator(paths)
    operator.supervisor = NoResearchers(paths, operator.names)
    thread = threading.Thread(target=operator.run)
    thread.start()
    try:
        while operator.phase != "running":
            time.sleep(0.01)
        collect(start_drivers(paths, operator.names, 100, time.time() + 600, 1))  # the evaluator loads, pools are packed
        alone = collect(start_drivers(paths, operator.names[:1], 200, time.time() + 600, 20))
        before, started = len(Ledger(paths.ledger).verdicts), time.perf_counter()
        rounds = collect(start_drivers(paths, operator.names, 300, time.time() + seconds, 10**6))
        took, ledger = time.perf_counter() - started, Ledger(paths.ledger)
    finally:
        operator.asked_to_stop.set()
        thread.join()
    verdicts = list(ledger.verdicts.values())[before:]
    assert all(verdict["status"] == "scored" and not verdict.get("same_as") for verdict in verdicts)
    return {
        "scored": len(verdicts),
        "scored_a_minute": 60 * len(verdicts) / took,
        "draws_a_submission": statistics.mean(verdict["draws"] for verdict in verdicts),
        "method_seconds_median": statistics.median(verdict["method_seconds"] for verdict in verdicts),
        "overhead_seconds_median": statistics.median(verdict["overhead_seconds"] for verdict in verdicts),
        "round_seconds_median_nine_agents": statistics.median(rounds),
        "round_seconds_median_alone": statistics.median(alone),
        "round_seconds_most_alone": max(alone),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.driver")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--task", default="smoke")
    parser.add_argument("--agents", type=int, default=9)
    parser.add_argument("--as-agent", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--name", help=argparse.SUPPRESS)
    parser.add_argument("--number", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--deadline", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--most", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.as_agent:
        paths = RunPaths(arguments.as_agent)
        print(json.dumps(submit_until(paths, arguments.name, arguments.number, arguments.deadline, arguments.most)))
    else:
        print(json.dumps(drive(arguments.task, arguments.agents, arguments.seconds)))


if __name__ == "__main__":
    main()
