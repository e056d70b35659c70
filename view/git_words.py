"""How the git commands begin that a person types to look at a run's commits, and what its branches are called."""

from __future__ import annotations

from state.record import Record
from view.summary import shown


def is_opened(record: Record) -> bool:
    """Whether a run was opened from a bundle: it is there to be read, with a repository of its own and no secret to score with."""
    return record.paths.opened.exists()


def git_words(record: Record, on_a_page: bool = False) -> list[str]:
    """`git`; of a run that was opened from a bundle with its own repository, as it is reached from here, or, `on_a_page` that may be
    read anywhere, from the top of the project."""
    if not is_opened(record):
        return ["git"]
    return ["git", "--git-dir", f".aar/runs/{record.name}/repo.git" if on_a_page else shown(record.paths.repo)]


def branch(record: Record, agent: str) -> str:
    """An agent's branch: it keeps the name that the run was started with, whatever its folder is called here."""
    return f"aar/{record.config.get('name', record.name)}/{agent}"
