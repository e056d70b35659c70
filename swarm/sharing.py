"""When agents see each other's work, so that each begins with an idea of its own.

Until an agent has its first own verdict, or `share_after_seconds` have passed since it began, it sees of the run: its own
branch, its own posts and what people said. Its sandboxes then show it, in place of the run's repository and forum,

    RUN/AGENT/solo.git       the base and its own branch, with the worktree's administration: status, log and diff work
    RUN/AGENT/solo-forum     hard links to the posts it may read

A sandbox made for one command is given the real ones from then on. One that lasts for hours cannot be given other mounts; in
there the two are brought up to date with everything every few seconds. With 0 seconds nothing of this is made.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

from state.files import utc_now, write_atomic
from state.paths import RunPaths
from swarm.boxes import LASTING, SHARED, SOLO_FORUM, SOLO_REPO, worktree_id
from swarm.claims import Told, read_front

LOOK_SECONDS = 2.0
QUIET = ("-c", "gc.auto=0", "-c", "maintenance.auto=false", "-c", "fetch.prune=false", "-c", "core.hooksPath=/dev/null")


class Sharing:
    """What each agent of a run may see. Thread-safe.

    `has_verdict(agent)`: whether it has one of its own. `agents`: name -> direction of all there are, which may grow.
    """

    def __init__(
        self, paths: RunPaths, config: dict, agents: dict[str, str], has_verdict: Callable[[str], bool], seconds_used: Callable[[], float]
    ):
        self.paths, self.agents, self.has_verdict, self.seconds_used = paths, agents, has_verdict, seconds_used
        self.after = float(config.get("share_after_seconds", 0.0))
        self._lasting = {agent["name"]: agent["researcher"] in LASTING for agent in config["agents"]}
        self._began: dict[str, float] = {}
        self._shared: set[str] = set()
        self._told: dict[str, Told | None] = {}
        self._synced: dict[str, list] = {}
        self._problem: Callable[[str], None] = lambda text: None
        self._lock = threading.RLock()

    def start(self, stop: threading.Event, problem: Callable[[str], None]) -> None:
        """Make the views of all agents there are, and keep them up to date until `stop` is set."""
        if not self.after:
            return
        self._problem = problem
        for agent, lasting in list(self._lasting.items()):
            self.add(agent, lasting)
        threading.Thread(target=self._keep, args=(stop,), daemon=True, name="sharing").start()

    def add(self, agent: str, lasting: bool) -> None:
        """Make the view of an agent before its first sandbox starts; also of one that comes back. `lasting`: it lives in one
        sandbox for hours."""
        if not self.after:
            return
        with self._lock:
            began = self.paths.agent(agent) / "began"
            if not began.exists():
                write_atomic(began, f"{self.seconds_used():.1f}\n")
            self._began[agent] = float(began.read_text())
            self._lasting[agent] = lasting
            if (self.paths.agent(agent) / SHARED).exists():
                self._shared.add(agent)
            if agent not in self._shared or lasting:
                self._make(agent)
                self._update(agent)

    # -- who sees what ------------------------------------------------------------------------------------------------

    def sees_all(self, agent: str) -> bool:
        """Whether others' work is visible to the agent. Once it is, it stays so, and its next sandbox shows it."""
        if not self.after or agent in self._shared:
            return True
        if not self.has_verdict(agent) and self.seconds_left(agent) > 0:
            return False
        with self._lock:
            if agent not in self._shared:
                write_atomic(self.paths.agent(agent) / SHARED, f"{utc_now()}\n")
                self._shared.add(agent)
        return True

    def sees(self, agent: str, author: str) -> bool:
        """Whether what `author`, an agent or a person, made is visible to the agent."""
        return author == agent or author not in self.agents or self.sees_all(agent)

    def sees_post(self, agent: str, name: str) -> bool:
        """Whether a post is visible to the agent; also true where there is none of that name."""
        told = self._read(self.paths.forum / name)
        return told is None or self.sees(agent, told.author)

    def posts(self, agent: str) -> list[Told]:
        """What the posts that the agent may see say about themselves, oldest first."""
        told = map(self._read, sorted(self.paths.forum.glob("2*.md")))
        return [post for post in told if post is not None and self.sees(agent, post.author)]

    def seconds_left(self, agent: str) -> float:
        """Until others' work becomes visible to the agent without a verdict of its own."""
        return max(0.0, self._began.get(agent, 0.0) + self.after - self.seconds_used())

    def words(self, agent: str) -> str:
        """What an agent that does not see all is told of it."""
        minutes = self.seconds_left(agent) / 60
        return f"others' work becomes visible with your own first verdict, or in {max(1.0, minutes):.0f} minutes"

    def _read(self, post: Path) -> Told | None:
        """The front matter of a post, which the trusted side writes; None for what is no post."""
        if post.name not in self._told and post.is_file():
            self._told[post.name] = read_front(post.name, post.read_text(encoding="utf-8", errors="replace"))
        return self._told.get(post.name)

    # -- the views ----------------------------------------------------------------------------------------------------

    def changed(self, agent: str) -> None:
        """The agent has committed or posted: show it its own work."""
        if agent not in self._began or (agent in self._shared and not self._lasting[agent]):
            return
        try:
            with self._lock:
                self._update(agent)
        except (OSError, subprocess.CalledProcessError) as error:  # what was committed stands; the next look tries again
            said = getattr(error, "stderr", b"") or str(error).encode()
            self._problem(f"the view of {agent} was not brought up to date: {said.decode(errors='replace').strip()[-200:]}")

    def _keep(self, stop: threading.Event) -> None:
        while not stop.wait(LOOK_SECONDS):
            for agent in list(self._began):
                self.sees_all(agent)
                self.changed(agent)

    def _make(self, agent: str) -> None:
        folder = self.paths.agent(agent)
        (folder / SOLO_FORUM).mkdir(exist_ok=True)
        solo, number = folder / SOLO_REPO, worktree_id(self.paths, agent)
        if solo.exists():
            for lock in solo.rglob("*.lock"):
                lock.unlink()  # whoever made it is dead
            return
        half = folder / f"{SOLO_REPO}.half"
        shutil.rmtree(half, ignore_errors=True)
        subprocess.run(["git", "init", "--quiet", "--bare", "--template=", "--initial-branch=none", half], check=True, capture_output=True)
        if (self.paths.repo / "shallow").exists():
            shutil.copy(self.paths.repo / "shallow", half / "shallow")
        administration = half / "worktrees" / number
        administration.mkdir(parents=True)
        (administration / "HEAD").write_text(f"ref: {self._ref(agent)}\n")
        (administration / "commondir").write_text("../..\n")
        (administration / "gitdir").write_text("/aar/worktree/.git\n")
        half.rename(solo)

    def _ref(self, agent: str) -> str:
        return f"refs/heads/aar/{self.paths.name}/{agent}"

    def _update(self, agent: str) -> None:
        """Bring git and forum up to date with what the agent may see. Called with the lock held."""
        everything = self.sees_all(agent)
        heads = self._heads(None if everything else agent)
        if self._synced.get(agent) != heads:
            solo, number = self.paths.agent(agent) / SOLO_REPO, worktree_id(self.paths, agent)
            wanted = "refs/heads/*" if everything else self._ref(agent)
            subprocess.run(
                ["git", "--git-dir", solo, *QUIET, "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--update-head-ok",
                 self.paths.repo, f"{wanted}:{wanted}"],
                check=True, capture_output=True, stdin=subprocess.DEVNULL,
            )  # fmt: skip
            index = (self.paths.repo / "worktrees" / number / "index").read_bytes()
            write_atomic(solo / "worktrees" / number / "index", index, durable=False)
            self._synced[agent] = heads
        forum, shown = self.paths.forum, self.paths.agent(agent) / SOLO_FORUM
        for name in {post.name for post in forum.glob("*.md")} - set(os.listdir(shown)):
            if self.sees_post(agent, name):
                os.link(forum / name, shown / name)

    def _heads(self, agent: str | None) -> list:
        """What tells whether git has to be asked: the heads of one branch or of all."""
        folder = self.paths.repo / "refs" / "heads" / "aar" / self.paths.name
        return [(file.name, file.read_text()) for file in sorted(folder.iterdir()) if agent in (None, file.name)]
