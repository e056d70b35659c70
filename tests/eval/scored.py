"""A small real run on `smoke`: methods in a bare repository, and a real evaluator that scores what is submitted."""

import json
import queue
import subprocess
from pathlib import Path

from eval.client import EvaluatorClient
from state.files import append_jsonl, utc_now
from state.ledger import Ledger
from state.paths import RunPaths
from tests.eval.homes import write_methods
from tests.view.made import make_run

IDENTITY = ("-c", "user.name=a", "-c", "user.email=a@example.org")


def _commit(folder: Path, methods: dict[str, str]) -> str:
    write_methods(folder / "methods", **methods)
    for arguments in (["init", "--quiet"], ["add", "-A"], [*IDENTITY, "commit", "--quiet", "-m", "x"]):
        subprocess.run(["git", *arguments], cwd=folder, check=True)
    return subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=folder, text=True).strip()


def scored_run(folder: Path, library: dict[str, str], submitted: dict[str, str], null: bool = False) -> RunPaths:
    """A run whose base commit has the methods of `library`, and in which those of `submitted` (name -> body of `fit`) were scored one
    after another, s0001 first."""
    user = folder / "user"
    user.mkdir(parents=True)
    base, head = _commit(user, library), _commit(user, submitted)
    paths = make_run(folder)
    subprocess.run(["git", "clone", "--quiet", "--bare", str(user), str(paths.repo)], check=True)
    text = paths.toml.read_text().replace('task = "reviews"', 'task = "smoke"\ngpus = "none"').replace("ab12" * 10, base)
    paths.toml.write_text(text.replace("seed = 0", "seed = 0\nnull = true") if null else text)
    paths.evaluator.mkdir(mode=0o700)
    (paths.evaluator / "secret").write_bytes(b"the same seeds on all machines.\n")  # what is asked of figures is not left to luck
    (paths.evaluator / "secret").chmod(0o600)
    paths.ledger.touch()
    events: queue.SimpleQueue[dict] = queue.SimpleQueue()
    evaluator = EvaluatorClient(paths, events.put)
    evaluator.start()
    try:
        for number, name in enumerate(submitted, 1):
            request = {"submission": f"s{number:04d}", "agent": "agent-1", "commit": head, "method": f"methods/{name}.py", "parents": []}
            append_jsonl(paths.ledger, {"kind": "submission", **request, "family": None, "time": utc_now()})
            evaluator.submit(request)
            while (event := events.get())["event"] != "verdict":
                assert event["event"] in ("ready", "started", "diversity"), json.dumps(event) + (paths.evaluator / "log").read_text()
    finally:
        evaluator.stop()
    assert len(Ledger(paths.ledger).verdicts) == len(submitted)
    return paths
