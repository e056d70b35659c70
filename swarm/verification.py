"""The sealed verification of a run's best submissions: opened once its agents have stopped, published on the board."""

from __future__ import annotations

from collections.abc import Callable

from eval.client import open_sealed
from state.errors import UserError
from state.files import read_jsonl, write_atomic
from state.ledger import Ledger
from state.paths import RunPaths
from stats.ranking import contenders
from swarm.access import hold_run, load_config, open_repo
from swarm.board import Board


def finalists(ledger: Ledger, count: int = 1) -> list[str]:
    """The best submissions of a run."""
    return [verdict["submission"] for verdict in contenders(list(ledger.verdicts.values()))[:count]]


def verify(paths: RunPaths, submissions: list[str], on_verdict: Callable[[dict], None]) -> list[dict]:
    """Open the sealed part for `submissions`; the verdicts. The run is closed with it: the board shows them from then on."""
    lock = hold_run(paths)
    try:
        config = load_config(paths)
        verdicts: list[dict] = []

        def note(verdict: dict) -> None:
            verdicts.append(verdict)
            on_verdict(verdict)

        Ledger(paths.ledger).append("event", event="sealed-opening", agent=None, detail=", ".join(submissions))
        open_sealed(paths, submissions, note)
        write_atomic(paths.board / "verification.md", verification_text(read_jsonl(paths.evaluator / "sealed.jsonl"), Ledger(paths.ledger)))
        repo = open_repo(paths, config)
        Board(paths, repo).commit(f"Sealed verification of {', '.join(submissions)}")
        if problem := repo.mirror():
            raise UserError(f"verified, but {problem}")
        return verdicts
    finally:
        lock.release()


def verification_text(sealed: list[dict], ledger: Ledger) -> str:
    """verification.md: each sealed verdict beside the public one."""
    lines = [
        "# Sealed verification",
        "",
        "Re-run from the commit, on draws and test items that no submission has met. PGR and lift over tuned naive with 95 %",
        f"intervals. The public figures are those of the best among {len(ledger.verdicts)} submissions and therefore look better",
        "than they are; the sealed ones were not chosen. `own ceiling` is the accuracy of the same recipe trained on true labels,",
        "`own ceiling PGR` the sealed PGR against it. `openings` counts those of this task's sealed part on this machine.",
        "",
        "| submission | commit | agent | method | public PGR | sealed PGR | own ceiling | own ceiling PGR | public lift | sealed lift "
        "| draws | openings | isolation | time |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for verdict in sealed:
        public = ledger.verdicts.get(verdict["submission"], {})
        lines.append(
            f"| {verdict['submission']} | {verdict['commit'][:12]} | {verdict['agent']} | {verdict['method']} "
            f"| {_figure(public, 'pgr')} | {_figure(verdict, 'pgr')} | {_accuracy(verdict, 'recipe_ceiling_accuracy')} "
            f"| {_figure(verdict, 'recipe_pgr')} | {_figure(public, 'lift')} | {_figure(verdict, 'lift')} "
            f"| {verdict['draws']} | {verdict['openings']} | {verdict['isolation']} | {verdict['time']} |"
        )
    return "\n".join(lines) + "\n"


def _figure(verdict: dict, name: str) -> str:
    if verdict.get(name) is None:
        return verdict.get("status", "n/a") if verdict.get("status") != "scored" else "n/a"
    return f"{verdict[name]:.2f} [{verdict[name + '_low']:.2f}, {verdict[name + '_high']:.2f}]"


def _accuracy(verdict: dict, name: str) -> str:
    return "n/a" if verdict.get(name) is None else f"{verdict[name]:.3f}"
