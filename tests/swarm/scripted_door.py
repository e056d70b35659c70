"""A small stand-in for the run behind the command `aar`, for tests of the search researcher.

It keeps a ledger and a forum in the folder AAR_TEST_RUN, commits what is submitted to the agent's branch, and scores by
really running the file: students are fitted on the pools of a made-up task and asked about items they have not seen.
numpy is imported only for that, since the command is started often.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import subprocess
import sys
import time
import traceback
from pathlib import Path


def score(source: str, run: Path) -> dict:
    """Status and figures of a method file, as an agent sees them; against a student of the plain weak labels, fitted once a run."""
    import numpy as np

    from swarm.researchers.method_file import write
    from swarm.researchers.recipe import Recipe
    from tests.swarm.made_up import POOL, fit, worlds

    try:
        answers = np.stack([w.correct(fit(source, w).predict_proba(w.batch())) for w in worlds()])
    except Exception:  # noqa: BLE001  a method may do anything; the verdict says what
        return {
            "status": "crashed",
            "pgr": None,
            "lift": None,
            "lift_low": None,
            "error": traceback.format_exc()[-300:],
        }
    if not (kept := run / "plain.npy").exists():
        np.save(kept, np.stack([w.correct(fit(write(Recipe()), w).predict_proba(w.batch())) for w in worlds()]))
    plain = np.load(kept)
    weak = np.mean([w.correct(w.weak[POOL:]).mean() for w in worlds()])
    gap = 0.85 - weak
    lift, error = (answers.mean() - plain.mean()) / gap, (answers * 1.0 - plain).std() / gap / np.sqrt(answers.size)
    pgr = (answers.mean() - weak) / gap
    return {
        "status": "scored",
        "pgr": round(pgr, 2),
        "lift": round(lift, 2),
        "lift_low": round(lift - 2 * error, 2),
        "error": None,
    }


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout.strip()


def submit(run: Path, agent: str, arguments: argparse.Namespace) -> int:
    source = Path(arguments.method).read_text()
    git("add", "-A")
    git(
        "commit",
        "-q",
        "--allow-empty",
        "-m",
        arguments.message + "".join(f"\n\nInspired-by: {c}" for c in arguments.inspired_by),
    )
    if (run / "die-before-scoring").exists():
        (run / "die-before-scoring").unlink()
        return 1
    with open(run / "ledger.jsonl", "a+") as ledger:
        fcntl.flock(ledger, fcntl.LOCK_EX)
        ledger.seek(0)
        number = len(ledger.readlines()) + 1
        verdict = {
            "submission": f"s{number:04d}",
            "agent": agent,
            "commit": git("rev-parse", "HEAD"),
            "method": arguments.method,
            "track": "main",
            "rung": "full",
            "draws": 2,
            "against_parent": "within noise",
            **score(source, run),
        }
        ledger.write(json.dumps(verdict) + "\n")
    if (run / "die-after-scoring").exists():  # as if the agent's sandbox was killed before the answer came
        (run / "die-after-scoring").unlink()
        return 1
    print(json.dumps(verdict))
    return 0


def main() -> int:
    run, agent = Path(os.environ["AAR_TEST_RUN"]), os.environ["AAR_AGENT"]
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="do", required=True)
    command = commands.add_parser("submit")
    command.add_argument("method")
    command.add_argument("-m", dest="message")
    command.add_argument("--inspired-by", action="append", default=[])
    command.add_argument("--predict", type=float, required=True)
    command.add_argument("--wait", action="store_true")
    command.add_argument("--json", action="store_true")
    commands.add_parser("scores").add_argument("--json", action="store_true")
    command = commands.add_parser("post")
    for option in ("--type", "--title", "--submission"):
        command.add_argument(option)
    arguments = parser.parse_args()
    if (run / "refuse").exists():
        print((run / "refuse").read_text(), file=sys.stderr)
        return 2
    if arguments.do == "submit":
        return submit(run, agent, arguments)
    if arguments.do == "post":
        name = f"{time.time_ns()}-{agent}-post.md"
        front = (
            f'agent: {agent}\ntype: {arguments.type}\ntitle: "{arguments.title}"\nsubmission: {arguments.submission}'
        )
        (run / "forum" / name).write_text(f"---\n{front}\n---\n\n{sys.stdin.read()}\n")
        return 0
    ledger = run / "ledger.jsonl"
    print(json.dumps([json.loads(line) for line in ledger.read_text().splitlines()] if ledger.exists() else []))
    return 0


if __name__ == "__main__":
    sys.exit(main())
