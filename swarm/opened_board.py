"""Whether a run that came from somebody else says the same everywhere: its records, its board, and the commit of its board. Used by
`bundle` and `open`.

    check_board(folder, repo, commit)            UserError for what contradicts something else

It shows what was changed in one place only. Who changes all of them is not found out: figures are those that the sender gave.
"""

from __future__ import annotations

from pathlib import Path

from state.errors import UserError
from state.files import read_jsonl
from state.ledger import Ledger, agent_view
from state.objects import read_files
from swarm.bundle_file import SEALED
from swarm.opened_fields import agree
from swarm.verification import cells_of

RESULTS, VERIFICATION = "results.tsv", "verification.md"


def check_board(folder: Path, repo: Path, commit: str | None) -> None:
    """Hold the files of a bundle, unpacked and checked (swarm/opened_files.py), against each other and against the board's `commit`;
    None where that stayed with its sender. A run that goes on may have more in one place than in the other."""
    committed = {path: text for (_, path), text in read_files(repo, [(commit, RESULTS), (commit, VERIFICATION)] if commit else []).items()}
    here = [folder / "board" / name for name in (RESULTS, VERIFICATION)]
    files = {file.name: file.read_text(encoding="utf-8") for file in here if file.exists()}
    if VERIFICATION in committed and committed[VERIFICATION] != files.get(VERIFICATION, committed[VERIFICATION]):
        raise UserError(f"the bundle's board/{VERIFICATION} is another than the one on its branch of the board: it was tampered with")
    ledger = Ledger(folder / "ledger.jsonl")
    for where, said in (("file", files), ("branch", committed)):
        if strange := _other_results(said.get(RESULTS, ""), ledger):
            words = f"ledger.jsonl has another PGR of {strange} than the board's {RESULTS}"
            raise UserError(f"the bundle's {words} ({where}): it was tampered with")
        if strange := _other_sealed(said.get(VERIFICATION, ""), read_jsonl(folder / SEALED)):
            words = f"{SEALED} has other figures of {strange} than the board's {VERIFICATION}"
            raise UserError(f"the bundle's {words} ({where}): it was tampered with")


def _other_results(table: str, ledger: Ledger) -> str:
    """The first submission whose PGR is not that of results.tsv, as agents were told it; "" where there is none."""
    header, *rows = [line.split("\t") for line in table.splitlines()] or [[]]
    for row in rows:
        said = dict(zip(header, row))
        verdict = ledger.verdicts.get(said.get("submission", ""))
        if verdict is None or not said.get("pgr"):
            continue
        try:
            told = float(said["pgr"])
        except ValueError:
            return verdict["submission"]
        found = agent_view(verdict)["pgr"]
        if found is None or not agree(found, told):
            return verdict["submission"]
    return ""


def _other_sealed(text: str, sealed: list[dict]) -> str:
    """The first submission with sealed figures that none of its rows in verification.md has; "" where there is none."""
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line.startswith("| s")]
    for verdict in sealed:
        mine = [row for row in rows if row[0] == verdict["submission"]]
        if mine and verdict["status"] == "scored" and not any(cells_of(verdict) <= set(row) for row in mine):
            return verdict["submission"]
    return ""
