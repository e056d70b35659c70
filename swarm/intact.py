"""What must still be true of a run after an agent's script ran: looked at before, and compared after.

before = Intact(paths, desk, "agent-3")
...                                     (the script, in the agent's sandbox)
before.broken()                         a sentence for each thing that is not as it must be
"""

from __future__ import annotations

import re
import subprocess
import unicodedata
from pathlib import Path

from state.ledger import agent_view
from state.paths import RunPaths
from swarm.desk import MOST_POSTS_A_MINUTE, MOST_WAITING, Desk
from swarm.forum import figures
from swarm.worktree import is_published

MARKUP = re.compile(r"<\s*(?:script|iframe|img|object|style|svg|a\s|!--)", re.IGNORECASE)
"""What a reader of Markdown would not see as text."""
MOST_GROWTH = 200_000
"""Bytes by which one script may make the ledger grow."""


def steers(text: str) -> bool:
    """Whether a text holds characters that do something else than be read."""
    return any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co") and c not in "\n\t" for c in text)


class Intact:
    """A run as it is before `agent` does something. `board`: results.tsv is written anew by `after`, if given."""

    def __init__(self, paths: RunPaths, desk: Desk, agent: str):
        self.paths, self.desk, self.agent = paths, desk, agent
        self.posts = {file.name: file.read_bytes() for file in paths.forum.glob("*.md")}
        self.ledger = paths.ledger.read_bytes()
        self.events = len(desk.ledger.events)
        self.heads = self._heads()
        self.others = self._others()

    def _git(self, *arguments: str) -> str:
        return subprocess.run(
            ["git", "--git-dir", str(self.paths.repo), *arguments], capture_output=True, text=True, check=True
        ).stdout

    def _heads(self) -> dict[str, str]:
        lines = self._git("for-each-ref", "--format=%(refname) %(objectname)").splitlines()
        return dict(line.split(" ") for line in lines)

    def _others(self) -> dict[str, tuple[int, int]]:
        """All files that this agent must not change: path -> size and time."""
        roots = [self.paths.worktree(one["name"]) for one in self.desk.config["agents"] if one["name"] != self.agent]
        files = [
            self.paths.toml,
            self.paths.evaluator / "secret",
            *(file for root in roots for file in root.rglob("*")),
        ]
        return {str(file): _about(file) for file in files}

    def broken(self) -> list[str]:
        """Sentences; [] where all is as it must be."""
        return [*self._broken_posts(), *self._broken_history(), *self._broken_files()]

    def events_since(self) -> list[dict]:
        """What the ledger notes of this agent since."""
        self.desk.ledger.refresh()
        return [event for event in self.desk.ledger.events[self.events :] if event.get("agent") in (self.agent, None)]

    def _broken_posts(self) -> list[str]:
        found = []
        for name, data in self.posts.items():
            file = self.paths.forum / name
            if not file.is_file() or file.read_bytes() != data:
                found.append(f"the old post {name} was changed")
        new = [
            file
            for file in sorted(self.paths.forum.glob("*"))
            if file.name not in self.posts and not file.name.startswith(".")
        ]
        if len(new) > MOST_POSTS_A_MINUTE * 2:
            found.append(f"{len(new)} posts within a minute")
        for file in new:
            found += self._broken_post(file.name, file.read_text(encoding="utf-8"))
        return found

    def _broken_post(self, name: str, text: str) -> list[str]:
        found = []
        front, _, body = text.removeprefix("---\n").partition("\n---\n")
        authors = re.findall(r"(?m)^agent: (.*)$", front)
        if authors != [self.agent]:
            found.append(f"{name} says that it is by {' and '.join(authors) or 'nobody'}")
        said = re.search(r"(?m)^submission: (\S+)$", front)
        verdict = self.desk.ledger.verdicts.get(said[1]) if said else None
        true = figures(agent_view(verdict)) if verdict else None
        for line in body.splitlines():
            if re.match(r"\W*verdict of\b", line, re.IGNORECASE) and line != true:
                found.append(f"{name} holds figures that no verdict has: {line[:60]!r}")
        if steers(text):
            found.append(f"{name} holds characters that steer a terminal")
        if MARKUP.search(body):
            found.append(f"{name} holds HTML: {MARKUP.search(body)[0]!r}")
        return found

    def _broken_history(self) -> list[str]:
        found, heads = [], self._heads()
        mine = self.desk.repo.ref(self.agent)
        for ref, commit in self.heads.items():
            if ref != mine and not ref.endswith("/board") and heads.get(ref) != commit:
                found.append(f"{ref} was moved")
        found += [f"{ref} is new" for ref in heads if ref not in self.heads]
        base, head = self.heads[mine], heads.get(mine, "")
        if subprocess.run(
            ["git", "--git-dir", str(self.paths.repo), "merge-base", "--is-ancestor", base, head]
        ).returncode:
            return [*found, f"history of {mine} was rewritten"]
        for line in self._git(
            "log", "--format=%H%x09%(trailers:key=Agent,valueonly,separator=%x2C)", f"{base}..{head}"
        ).splitlines():
            commit, _, agents = line.partition("\t")
            if agents != self.agent:
                found.append(f"commit {commit[:12]} says that it is by {agents or 'nobody'}")
        if steers(self._git("log", "--format=%an%n%B", f"{base}..{head}")):
            found.append("a commit message holds characters that steer a terminal")
        planted = [
            path
            for path in self._git("diff", "--name-only", "-z", base, head).split("\0")
            if path and not is_published(path)
        ]
        modes = self._git("ls-tree", "-r", head, "methods", "notes").splitlines()
        found += [f"{path} was committed" for path in planted]
        found += [
            f"{line.split()[-1]} was committed as something else than a plain file"
            for line in modes
            if not line.startswith("100644")
        ]
        return found

    def _broken_files(self) -> list[str]:
        ledger = self.paths.ledger.read_bytes()
        found = [] if ledger.startswith(self.ledger) else ["what the ledger held before was changed"]
        if len(ledger) - len(self.ledger) > MOST_GROWTH:
            found.append(f"the ledger grew by {len(ledger) - len(self.ledger)} bytes")
        waiting = sum(record["agent"] == self.agent for record in self.desk.ledger.waiting())
        if waiting > MOST_WAITING:
            found.append(f"{waiting} submissions wait at once")
        return found + [f"{path} was changed" for path, about in self.others.items() if _about(Path(path)) != about]


def _about(file: Path) -> tuple[int, int]:
    try:
        about = file.lstat()
    except FileNotFoundError:
        return (-1, -1)
    return (0, 0) if file.is_dir() else (about.st_size, about.st_mtime_ns)
