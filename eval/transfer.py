"""Scores methods on tasks that they were not developed on, as they are: what `python aar.py transfer METHOD...|RUN` runs.

A process of its own, like every evaluator (`eval/client.py` starts it and holds its standard input open); prints events and, at
its end, the matrix as one JSON object. Rows are those of `eval/baselines.py` and kept where it keeps them. Methods of a run are
taken from the commits that were scored, so their constants are those that were chosen there.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import tomli

from eval.baselines import Candidate, Say, Scorer, say_in_lines
from eval.kept import read_method
from eval.prepared import Prepared, TaskFolder, is_prepared
from eval.task import load_task, task_names
from state.errors import UserError
from state.ledger import Ledger
from state.lifeline import end_with_starter
from state.paths import RunPaths
from stats.ranking import contenders

BEST = 3
"""How many submissions of a run are taken to other tasks."""
ONLY_FOR_TESTS = {"smoke"}
"""Tasks that a matrix holds only where they are asked for."""


def from_files(files: Sequence[Path]) -> list[Candidate]:
    """Method files under their names; where two share one, under the paths that were given."""
    names = [file.name for file in files]
    shown = [file.name if names.count(file.name) == 1 else str(file) for file in files]
    return [Candidate(name, file.read_bytes()) for name, file in zip(shown, files, strict=True)]


def from_run(paths: RunPaths) -> tuple[list[Candidate], str]:
    """The best submissions of a run's main track, and the task they were developed on. UserError where there are none."""
    best = contenders(list(Ledger(paths.ledger).verdicts.values()))[:BEST]
    if not best:
        raise UserError(f"run {paths.name} has no scored submission to take to other tasks")
    found = [Candidate(f"{v['submission']} {Path(v['method']).name}", read_method(paths.repo, v["commit"], v["method"])) for v in best]
    return found, tomli.loads(paths.toml.read_text())["task"]


def chosen_tasks(names: Sequence[str] | None, developed_on: str | None) -> tuple[list[str], list[dict]]:
    """The tasks to score on, and those that cannot be: {"task", "error", "asked"}. Without names: all tasks there are, but for the one
    that tests use; a run's own task comes first."""
    wanted = list(dict.fromkeys(names)) if names else [name for name in task_names() if name not in ONLY_FOR_TESTS]
    if developed_on is not None and not names:
        wanted = [developed_on, *(name for name in wanted if name != developed_on)]
    ready, missing = [], []
    for name in wanted:
        if is_prepared(load_task(name)):
            ready.append(name)
        else:
            missing.append({"task": name, "error": f"not prepared: `python aar.py prepare {name}`", "asked": names is not None})
    if not ready:
        raise UserError(f"none of {', '.join(wanted)} is prepared: `python aar.py prepare {wanted[0]}` first")
    return ready, missing


def worst(rows: Sequence[dict], developed_on: str | None) -> dict | None:
    """The row with the lowest PGR among the tasks that a method was not developed on; None where none was scored."""
    away = [row for row in rows if row["task"] != developed_on and row.get("pgr") is not None]
    return min(away, key=lambda row: row["pgr"], default=None)


def transfer(candidates: Sequence[Candidate], tasks: Sequence[str] | None, isolation: str, say: Say, developed_on: str | None = None) -> dict:
    """The matrix: `rows` (one a method and task), `tasks` with their anchors, `missing`, and the `worst` task of each method. A method
    that cannot run on a task (it asks for hidden states that this one has not) has a row that says why; a task that cannot be opened or
    scored is `missing`, with the reason. UserError where that is so of all."""
    ready, missing = chosen_tasks(tasks, developed_on)
    rows, facts = [], []
    for name in ready:
        task = load_task(name)
        try:
            prepared = Prepared(task, TaskFolder(task))
            scorer = Scorer(prepared, isolation, list(prepared.search_draws), say)
            found, about = scorer.rows(candidates), scorer.facts()
        except UserError as error:
            missing.append({"task": name, "error": str(error), "asked": True})
            continue
        rows += found
        facts.append({**about, "transfer_only": task.transfer_only})
    if not facts:
        raise UserError(missing[-1]["error"])
    lowest = {one.name: worst([row for row in rows if row["method"] == one.name], developed_on) for one in candidates}
    return {"methods": [one.name for one in candidates], "developed_on": developed_on, "isolation": isolation, "tasks": facts,
            "missing": missing, "worst": {name: row and row["task"] for name, row in lowest.items()}, "rows": rows}


def main() -> int:
    parser = argparse.ArgumentParser(prog="eval.transfer")
    parser.add_argument("files", type=Path, nargs="*")
    parser.add_argument("--run", type=Path)
    parser.add_argument("--tasks")
    parser.add_argument("--isolation", default="bubblewrap")
    asked = parser.parse_args()
    end_with_starter()
    say = say_in_lines()
    try:
        candidates, developed_on = from_run(RunPaths(asked.run)) if asked.run else (from_files(asked.files), None)
        tasks = [name.strip() for name in asked.tasks.split(",")] if asked.tasks else None
        say({"event": "table", **transfer(candidates, tasks, asked.isolation, say, developed_on)})
    except UserError as error:
        print(f"aar: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
