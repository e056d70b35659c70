"""What the `claude` researcher costs besides its model: overhead of a turn, memory, share of the cache, start of nine agents.

    make bench BENCH=researcher            prints the figures and writes bench/results/researcher.json
    python -m bench.researcher --json [--turns 200]

Real runs (proxy, sandbox, broker, transcript with fsync) against the scripted server of the tests, on a copy of the working tree. The
overhead of a turn is the time between two calls less what the server took to answer and less what the tool took in its sandbox; what
the SDK, the proxy, the transcript, the news and the loopback take is left. Needs the task `smoke` prepared (`make bench` does that).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from bench.spine import copy_project, wait_for
from state.files import read_jsonl, utc_now, write_atomic
from state.paths import RunPaths, runs_folder
from state.spend import Spend
from tests.messages_server import Call, MessagesServer, Reply, turn
from tests.scripted_research import agent_of

PROJECT = Path(__file__).resolve().parent.parent
RESULTS = PROJECT / "bench" / "results" / "researcher.json"
AGENTS = 9
GOALS = {
    "turn.overhead_ms_median": (20, "ms of a turn beside the API and the tool, median"),
    "turn.memory_mib": (120, "MiB resident of the agent's process after the last turn"),
    "turn.not_from_cache": (0.1, "share of the input tokens that were not read from cache"),
    "start.nine_agents_seconds": (5, "s from the operator's start to the first call of the last of nine agents"),
}
OUTPUT = "head -c 600 methods/naive.py methods/soft.py; echo turn"
"""What a turn's command prints: about as much as an agent looks at."""


def paid_run(copy: Path, server: MessagesServer, name: str, *more: str) -> tuple[subprocess.Popen, RunPaths]:
    command = [sys.executable, "aar.py", "--task", "smoke", "--researcher", "claude", "--run", name, "--no-verify", "--yes", "--budget", "1000", *more]
    keyed = {**os.environ, "ANTHROPIC_API_KEY": "bench", "ANTHROPIC_BASE_URL": server.url, "AAR_REEXECUTED": "1"}
    run = subprocess.Popen(command, cwd=copy, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=keyed)
    return run, RunPaths(runs_folder(copy) / name)


def stop(run: subprocess.Popen) -> None:
    if run.poll() is None:
        run.send_signal(signal.SIGTERM)
        run.wait(timeout=30)


def long_conversation(copy: Path, turns: int) -> dict:
    """One agent, so many turns with a tool call each, the whole conversation sent every time."""
    enough = threading.Event()

    def script(call: Call) -> Reply:
        if call.number >= turns:
            enough.set()
            return turn("That is all.", tools=[("bash", {"command": "sleep 5"})])
        return turn(f"Looking, {call.number}.", tools=[("bash", {"command": OUTPUT})], thinking="What do the baselines have in common? " * 8)

    with MessagesServer(script) as server:
        run, paths = paid_run(copy, server, "long", "--agents", "1")
        try:
            wait_for(enough.is_set, 300 + turns, run)
            pid = json.loads(paths.state.read_text())["agents"]["agent-1"]["pid"]
            memory = psutil.Process(pid).memory_full_info()
        finally:
            stop(run)
        calls = server.calls[:turns]
    entries = read_jsonl(paths.agent("agent-1") / "transcript.jsonl")
    tools = [entry["seconds"] for entry in entries if entry.get("kind") == "result" and "seconds" in entry]
    own = [
        1000 * (after.began - before.ended - tool) for before, after, tool in zip(calls, calls[1:], tools, strict=False)
    ]
    spent = Spend(paths.spend).of("agent-1")
    return {
        "turns": turns,
        "overhead_ms_median": round(statistics.median(own), 2),
        "overhead_ms_first_tenth": round(statistics.median(own[: max(1, len(own) // 10)]), 2),
        "overhead_ms_last_tenth": round(statistics.median(own[-max(1, len(own) // 10) :]), 2),
        "overhead_ms_95_percent": round(sorted(own)[int(0.95 * len(own))], 2),
        "tool_ms_median": round(1000 * statistics.median(tools), 2),
        "server_ms_median": round(1000 * statistics.median(call.ended - call.began for call in calls), 2),
        "last_request_kib": round(len(json.dumps(calls[-1].body)) / 1024),
        "memory_mib": round(memory.rss / 2**20, 1),
        "memory_unique_mib": round(memory.uss / 2**20, 1),
        "not_from_cache": round(1 - spent.cache_read_tokens / spent.input_tokens, 4),
    }


def nine_agents(copy: Path) -> dict:
    """From the command, and from the operator's start, to the first call of the last of nine agents; and what they hold then."""
    first: dict[str, float] = {}

    def script(call: Call) -> Reply:
        first.setdefault(agent_of(call), time.monotonic())
        return turn("Waiting.", tools=[("bash", {"command": "sleep 20"})])

    with MessagesServer(script) as server:
        began = time.monotonic()
        run, paths = paid_run(copy, server, "nine", "--agents", str(AGENTS))
        try:
            wait_for(paths.state.exists, 60, run)
            operated = time.monotonic()
            wait_for(lambda: len(first) == AGENTS, 120, run)
            pids = [agent["pid"] for agent in json.loads(paths.state.read_text())["agents"].values()]
            held = [psutil.Process(pid).memory_full_info() for pid in pids if pid]
        finally:
            stop(run)
    last = max(first.values())
    return {
        "nine_agents_seconds": round(last - operated, 2),
        "from_the_command_seconds": round(last - began, 2),
        "memory_mib_each": round(statistics.mean(one.rss for one in held) / 2**20, 1),
        "memory_unique_mib_each": round(statistics.mean(one.uss for one in held) / 2**20, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--turns", type=int, default=200)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="aar-bench-") as scratch:
        copy = copy_project(Path(scratch))
        figures = {"time": utc_now(), "machine": f"{os.cpu_count()} cores, {platform.machine()}", "start": nine_agents(copy),
                   "turn": long_conversation(copy, arguments.turns)}  # fmt: skip
    if arguments.json:
        print(json.dumps(figures, indent=1))
        return
    write_atomic(RESULTS, json.dumps(figures, indent=1) + "\n")
    for name, (goal, words) in GOALS.items():
        part, key = name.split(".")
        value = figures[part][key]
        print(f"{'ok    ' if value < goal else 'MISSED'} {value:>8} (goal < {goal}) {words}")


if __name__ == "__main__":
    main()
