"""The board: the run's own branch, with what is fit to publish: posts, results, prompts, configuration, verification.

Posts and results are written into the board's worktree first, durably, and committed soon after by whoever holds the
run. A crash in between loses nothing: the next commit finds them.
"""

from __future__ import annotations

from pathlib import Path

import tomli
from filelock import FileLock

from state.files import write_atomic
from state.ledger import AGENT_FIELDS, NULL_STAMP, Ledger, agent_view, bits_told
from state.paths import RunPaths
from stats.calibration import Forecast, calibration, forecasts
from stats.exposure import exposure, exposure_words, luck_words
from stats.ranking import ranked
from swarm.forum import one_line
from swarm.repo import RunRepo

SCALE = ("independent_items", "weak_accuracy", "ceiling_accuracy")
"""What the exposure of a run is measured by: the same in every verdict of a rung."""
SAID = ("predict", "message", "inspired_by")
"""What an agent said when it submitted."""
MOST_FORECASTS = 20
LAST = ("flags", "reasons", "error")
COLUMNS = [*(name for name in AGENT_FIELDS if name not in LAST), *SAID, *LAST]
PUBLISHED = ("forum/", "prompts/", "results.tsv", "results.md", "run.toml", "verification.md")
AT_THE_END = ("report.html",)
"""What is fresh in the worktree of the board, and committed once nobody operates the run: it is large."""


def _cell(value: object) -> str:
    if isinstance(value, list):
        value = ",".join(value)
    return "" if value is None else one_line(str(value), 300)


def results_table(ledger: Ledger) -> str:
    """results.tsv: all verdicts as agents see them, best lower bound first."""
    rows = ["\t".join(COLUMNS)]
    for view in ranked(list(map(agent_view, ledger.verdicts.values()))):
        said = ledger.submissions.get(view["submission"], {})
        view |= {name: said.get(name) for name in SAID} | {"message": one_line(said.get("message") or "")}
        rows.append("\t".join(_cell(view[name]) for name in COLUMNS))
    return "\n".join(rows) + "\n"


def forecasts_text(made: list[Forecast]) -> list[str]:
    """Predicted against observed, as lines of Markdown; [] where nobody has predicted anything. `made`: oldest first."""
    if not made:
        return []
    names = sorted({one.agent for one in made})
    lines = [
        "", "## Predicted against observed", "",
        "The PGR that an agent expected when it submitted, against the one that was found. Error: predicted less found. Held: share",
        "of the verdicts whose interval holds the prediction.", "",
        "| agent | predictions | mean error | mean absolute error | held |", "|---|---|---|---|---|",
    ]  # fmt: skip
    for name, of in [*((name, [one for one in made if one.agent == name]) for name in names), ("all", made)]:
        found = calibration(of)
        lines.append(f"| {name} | {found.n} | {found.mean_error:+.2f} | {found.mean_absolute_error:.2f} | {found.held:.0%} |")
    lines += ["", f"The latest {min(len(made), MOST_FORECASTS)}:", ""]
    lines += ["| submission | agent | predicted | PGR | interval |", "|---|---|---|---|---|"]
    for one in made[:-MOST_FORECASTS - 1:-1]:
        lines.append(f"| {one.submission} | {one.agent} | {one.predicted:.2f} | {one.pgr:.2f} | [{one.low:.2f}, {one.high:.2f}] |")
    return lines


def results_text(ledger: Ledger, null: bool) -> str:
    """results.md: how results.tsv is to be read. Like that table it is made of what agents are told, and tells no more."""
    verdicts = list(ledger.verdicts.values())
    views = [{**agent_view(v), **{name: v.get(name) for name in SCALE}} for v in verdicts]
    found = exposure(views, list(map(bits_told, verdicts)))
    lines = [
        "# Results", "",
        *([f"**{NULL_STAMP}**", ""] if null else []),
        "`results.tsv` holds all verdicts as agents see them, on the public test items, best lower bound first. Tracks do not",
        "compete with each other. A winner was chosen for its public figure and therefore looks better than it is.", "",
        exposure_words(found), *([words] if (words := luck_words(found)) else []),
        *forecasts_text(forecasts(ledger.submissions, list(map(agent_view, verdicts)))),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


class Board:
    """The board of one run; safe between processes (an operator, and a person's `say`)."""

    def __init__(self, paths: RunPaths, repo: RunRepo):
        self.paths, self.repo = paths, repo
        self._lock = FileLock(paths.root / "board.lock")
        self._written: dict[str, float] = {}
        self._files: dict[str, bytes] = {}

    def clear_locks(self) -> None:
        """Remove what git processes that were killed left locked in the run's repository. For who holds the run: others commit to the board
        alone, under its lock."""
        with self._lock:
            for lock in self.paths.repo.rglob("*.lock"):
                lock.unlink(missing_ok=True)

    def write_results(self, ledger: Ledger) -> None:
        write_atomic(self.paths.board / "results.tsv", results_table(ledger))
        null = tomli.loads(self.paths.toml.read_text()).get("null", False)
        write_atomic(self.paths.board / "results.md", results_text(ledger, null))

    def commit(self, message: str, at_the_end: bool = False) -> str:
        """Commit what is new on the board; the head where nothing is. `at_the_end`: nobody operates the run."""
        with self._lock:
            self.repo.forget("board")  # a person's `say` may have committed meanwhile
            return self.repo.commit("board", self._read(at_the_end), lambda path: False, message, [("Run", self.paths.name)])

    def _read(self, at_the_end: bool) -> dict[str, bytes]:
        """The published files, read again only where they changed."""
        for file in self._published(at_the_end):
            path, changed = str(file.relative_to(self.paths.board)), file.stat().st_mtime_ns
            if self._written.get(path) != changed:
                self._files[path] = file.read_bytes()
                self._written[path] = changed
        return self._files

    def _published(self, at_the_end: bool) -> list[Path]:
        board = self.paths.board
        names = (*PUBLISHED, *(AT_THE_END if at_the_end else ()))
        found = [board / name for name in names if not name.endswith("/")]
        for folder in ("forum", "prompts"):
            found += sorted((board / folder).rglob("*.md"))
        return [file for file in found if file.is_file() and not file.name.startswith(".")]
