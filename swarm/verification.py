"""The sealed verification of a run's best submissions: opened once its agents have stopped, published on the board.

Beside the finalists stand a few controls, drawn by chance from the others: what they change by from public to sealed is not
due to having been chosen (`eval/sealed.py`).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence

from eval.client import open_sealed
from state.errors import UserError
from state.files import read_jsonl, write_atomic
from state.ledger import NULL_STAMP, Ledger
from state.paths import RunPaths
from state.record import CONTROL, cut_off_words
from stats.ranking import contenders
from stats.selection import leaders, owed_to_selection, role
from swarm.access import hold_run, load_config, open_repo
from swarm.board import Board

CONTROLS = 2
"""How many controls are verified beside the finalists."""


def finalists(ledger: Ledger, count: int = 1) -> list[str]:
    """The best submissions of a run."""
    return [verdict["submission"] for verdict in contenders(list(ledger.verdicts.values()))[:count]]


def controls(ledger: Ledger, secret: bytes, but: Sequence[str], count: int) -> list[str]:
    """`count` scored submissions other than `but`, drawn by the run's secret, so that nobody can aim at being one: from the
    full rung of the main track where it has as many, else from all that were scored."""
    scored = [v for v in ledger.verdicts.values() if v["status"] == "scored" and not v.get("same_as")]
    others = [v for v in scored if v["submission"] not in but]
    full = [v for v in others if v["rung"] == "full" and v["track"] == "main"]
    unchosen = [v for v in full if v.get("promotion") in ("cheap", "random", "first")]  # a good quick rung did not bring them there
    names = [v["submission"] for v in next(some for some in (unchosen, full, others) if len(some) >= count or some is others)]
    return sorted(names, key=lambda name: hmac.new(secret, f"control:{name}".encode(), hashlib.sha256).digest())[:count]


def verify(
    paths: RunPaths, submissions: list[str], progress: Callable[[int, int], None], beside: int = CONTROLS
) -> list[dict]:
    """Open the sealed part for `submissions`, and for so many controls `beside` them; the verdicts, finalists first. The run
    is closed with it: the board shows them from then on. `progress`: told how many of how many are done."""
    lock = hold_run(paths)
    try:
        config = load_config(paths)
        secret = (paths.evaluator / "secret").read_bytes()
        drawn = controls(Ledger(paths.ledger), secret, submissions, beside)
        verdicts: list[dict] = []

        def note(verdict: dict) -> None:
            verdicts.append(verdict)
            progress(len(verdicts), len(submissions) + len(drawn))

        progress(0, len(submissions) + len(drawn))
        detail = ", ".join([*submissions, *(f"{name}{CONTROL}" for name in drawn)])
        Ledger(paths.ledger).append("event", event="sealed-opening", agent=None, detail=detail)
        try:
            open_sealed(paths, [*submissions, *(["--controls", *drawn] if drawn else [])], note)
        except UserError as error:
            raise UserError(f"{error}; {cut_off_words(paths.name, {'detail': detail})}") from None
        sealed = read_jsonl(paths.evaluator / "sealed.jsonl")
        text = verification_text(sealed, Ledger(paths.ledger), config.get("null", False))
        write_atomic(paths.board / "verification.md", text)
        repo = open_repo(paths, config)
        Board(paths, repo).commit(f"Sealed verification of {', '.join(submissions)}")
        if problem := repo.mirror():
            raise UserError(f"verified, but {problem}")
        return verdicts
    finally:
        lock.release()


def verification_text(sealed: list[dict], ledger: Ledger, null: bool = False) -> str:
    """verification.md: each sealed verdict beside the public one, finalists before controls."""
    sealed = sorted(sealed, key=lambda verdict: bool(verdict.get("control")))
    lines = [
        "# Sealed verification",
        "",
        *([f"**{NULL_STAMP}**", ""] if null else []),
        "Re-run from the commit, on draws and test items that no submission has met. PGR and lift over tuned naive with 95 %",
        f"intervals. The public figures are those of the best among {len(ledger.verdicts)} submissions and therefore look better",
        "than they are; the sealed ones were not chosen. `own ceiling` is the accuracy of the same recipe trained on true labels,",
        "`own ceiling PGR` the sealed PGR against it. `openings` counts those of this task's sealed part on this machine.",
        "Controls were drawn by chance from the other submissions, to tell what is owed to selection from what other draws and",
        "items do.",
        *([owed] if (owed := owed_to_selection(sealed, ledger.verdicts)) else []),
        "",
        "| submission | role | commit | agent | method | public PGR | sealed PGR | own ceiling | own ceiling PGR | public lift "
        "| sealed lift | draws | openings | isolation | time |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    best = leaders(ledger.verdicts)
    for verdict in sealed:
        public = ledger.verdicts.get(verdict["submission"], {})
        lines.append(
            f"| {verdict['submission']} | {role(verdict, best)} | {verdict['commit'][:12]} | {verdict['agent']} | {verdict['method']} "
            f"| {_figure(public, 'pgr')} | {_figure(verdict, 'pgr')} | {_accuracy(verdict, 'recipe_ceiling_accuracy')} "
            f"| {_figure(verdict, 'recipe_pgr')} | {_figure(public, 'lift')} | {_figure(verdict, 'lift')} "
            f"| {verdict['draws']} | {verdict['openings']} | {verdict['isolation']} | {verdict['time']} |"
        )
    return "\n".join(lines) + "\n"


def _figure(verdict: dict, name: str) -> str:
    if verdict.get(name) is None:
        return verdict.get("status", "n/a") if verdict.get("status") != "scored" else "n/a"
    return f"{verdict[name]:.2f} [{verdict[name + '_low']:.2f}, {verdict[name + '_high']:.2f}]"


def cells_of(verdict: dict) -> set[str]:
    """What a row of verification.md says of a sealed verdict's PGR and lift."""
    return {_figure(verdict, "pgr"), _figure(verdict, "lift")}


def _accuracy(verdict: dict, name: str) -> str:
    return "n/a" if verdict.get(name) is None else f"{verdict[name]:.3f}"
