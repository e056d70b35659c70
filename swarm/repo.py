"""The run's own git: one bare repository, commits that the trusted side builds itself, refs mirrored to the user.

Nothing here runs git inside an agent's tree. A commit is made from bytes (`git fast-import`), so no hook, filter,
.gitattributes or fsmonitor of the tree has a say, and history can only be appended to. The repository is shallow: it
holds the base commit and this run's branches, nothing else of the user's.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import threading
import time
from pathlib import Path

from git import GitCommandError, Repo
from git.exc import InvalidGitRepositoryError, NoSuchPathError

from state.errors import UserError

FREE = ("prompts/", "aar.toml")


def blob_id(data: bytes) -> str:
    """The name git gives to a file of these bytes."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def open_user_repository(folder: Path) -> Repo:
    """The repository that a run starts from. UserError where there is none, it is empty, or HEAD is detached."""
    try:
        repo = Repo(folder)
    except (InvalidGitRepositoryError, NoSuchPathError):
        raise UserError(f"{folder} is not a git repository: `git init && git add -A && git commit -m start` first") from None
    if repo.bare:
        raise UserError(f"{folder} is a bare repository: AAR needs a checkout with a branch")
    if repo.head.is_detached:
        raise UserError("HEAD is detached (no branch is checked out): `git switch -c BRANCH` first, so that the base is named")
    if not repo.head.is_valid():
        raise UserError(_why_no_head(repo))
    return repo


def _why_no_head(repo: Repo) -> str:
    """What is to be said of a repository whose current commit cannot be read: git's own words, but where there is none yet."""
    folder = str(repo.working_dir)
    for asked in (["for-each-ref", repo.head.reference.path], ["log", "-1"]):
        done = subprocess.run(["git", "-C", folder, *asked], capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL)
        if done.returncode != 0:  # it is another user's, or damaged
            return f"git cannot read the repository {folder}: {' '.join(done.stderr.split())[:400]}"
        if not done.stdout:
            return f"{folder} has no commit yet: `git add -A && git commit -m start` first"
    return f"the current commit of {folder} cannot be read: `git fsck` says more"


def uncommitted(repo: Repo) -> list[str]:
    """Tracked files with uncommitted changes, but for prompts/ and aar.toml: they are frozen into the run, and to change them is what
    forks are for."""
    lines = repo.git.status("--porcelain", "--untracked-files=no", "--no-renames").splitlines()
    return [path for line in lines if not (path := line[3:].strip('"')).startswith(FREE)]


def changed_prompts(repo: Repo) -> list[str]:
    """Files under prompts/, and aar.toml, that differ from the base commit, new ones included."""
    lines = repo.git.status("--porcelain", "--untracked-files=all", "--no-renames", "--", "prompts", "aar.toml").splitlines()
    return [line[3:].strip('"') for line in lines]


class RunRepo:
    """`repo.git` of one run. Thread-safe."""

    def __init__(self, path: Path, run: str, user: Path):
        self.path, self.run, self.user = path, run, user
        self._lock = threading.Lock()
        self._trees: dict[str, dict[str, str]] = {}
        self._git = Repo(path).git

    @classmethod
    def create(cls, path: Path, run: str, user: Repo, branches: list[str]) -> RunRepo:
        """Make the repository with `branches`, all at the user's current commit. UserError where branches exist."""
        taken = [head.name for head in user.heads if head.name.startswith(f"aar/{run}/")]
        if taken:
            raise UserError(f"branch {taken[0]} exists already: choose another --run name, or `python aar.py clean {run}`")
        base = user.head.commit.hexsha
        repo = Repo.init(path, bare=True, initial_branch="none")
        repo.git.fetch(
            f"file://{user.git_dir}", f"+refs/heads/{user.active_branch.name}:refs/aar/base",
            quiet=True, depth=1, no_tags=True, no_write_fetch_head=True,
        )  # fmt: skip
        if repo.commit("refs/aar/base").hexsha != base:
            raise UserError("the branch moved while the run was being made: start again")
        with repo.config_writer() as config:
            config.set_value("gc", "auto", 0)
        for branch in branches:
            repo.git.update_ref(f"refs/heads/aar/{run}/{branch}", base)
        repo.git.update_ref("-d", "refs/aar/base")
        return cls(path, run, Path(user.git_dir))

    def ref(self, branch: str) -> str:
        return f"refs/heads/aar/{self.run}/{branch}"

    def add_branch(self, branch: str, commit: str) -> None:
        """Begin a branch at `commit`; one that is there stays as it is."""
        with self._lock:
            if not self._git.for_each_ref(self.ref(branch)):
                self._git.update_ref(self.ref(branch), commit, "0" * 40)

    def add_worktree(self, branch: str, folder: Path) -> None:
        """Check a branch out at `folder`, which must not be there."""
        with self._lock:  # `_refresh_index` must not meet one that is half made
            self._git.worktree("prune")
            self._git.worktree("add", "--quiet", str(folder), f"aar/{self.run}/{branch}")

    def head(self, branch: str) -> str:
        return self._git.rev_parse("--verify", "--quiet", self.ref(branch))

    def exists(self, commit: str) -> bool:
        """Whether a full commit id is in this run's history."""
        if not re.fullmatch(r"[0-9a-f]{40}", commit):
            return False
        try:
            return self._git.cat_file("-t", commit) == "commit"
        except GitCommandError:
            return False

    def forget(self, branch: str) -> None:
        """Read the branch anew next time: another process may have committed to it."""
        self._trees.pop(branch, None)

    def files(self, branch: str) -> dict[str, str]:
        """Path -> blob id of everything on the branch."""
        if branch not in self._trees:
            listing = self._git.ls_tree("-r", "-z", self.ref(branch))
            entries = (entry.split("\t", 1) for entry in listing.split("\0") if entry)
            self._trees[branch] = {path: about.split()[2] for about, path in entries}
        return self._trees[branch]

    def commit(self, branch: str, files: dict[str, bytes], replaces, message: str, trailers: list[tuple[str, str]]) -> str:
        """Commit `files` to `branch` and return the commit's id; the head as it is where nothing changed.

        `replaces(path) -> bool`: paths on the branch that are deleted when they are not among `files`.
        """
        with self._lock:
            known = self.files(branch)
            changed = {path: data for path, data in files.items() if known.get(path) != blob_id(data)}
            gone = [path for path in known if path not in files and replaces(path)]
            if not changed and not gone:
                return self.head(branch)
            text = message.strip() + "\n\n" + "".join(f"{key}: {value}\n" for key, value in trailers)
            now = f"{int(time.time())} +0000"
            name = f"{branch} <{branch}@{self.run}.aar>"
            stream = [f"commit {self.ref(branch)}\nauthor {name} {now}\ncommitter {name} {now}\n".encode(), _data(text.encode())]
            stream.append(f"from {self.ref(branch)}^0\n".encode())
            stream += [f"D {_quoted(path)}\n".encode() for path in gone]
            for path, data in changed.items():
                stream += [f"M 100644 inline {_quoted(path)}\n".encode(), _data(data)]
            command = ["git", "--git-dir", str(self.path), "fast-import", "--quiet"]
            done = subprocess.run(command, input=b"".join(stream), capture_output=True)
            if done.returncode != 0:
                raise RuntimeError(f"git could not commit to {branch}: {done.stderr.decode(errors='replace')[-400:]}")
            for path in gone:
                del known[path]
            known.update({path: blob_id(data) for path, data in changed.items()})
            self._refresh_index(branch)
            return self.head(branch)

    def _refresh_index(self, branch: str) -> None:
        """Let `git status` in the worktree know the new head. Touches no file of the tree and reads none."""
        for administration in (self.path / "worktrees").iterdir():
            if (administration / "HEAD").read_text().strip() == f"ref: {self.ref(branch)}":
                subprocess.run(["git", "--git-dir", str(administration), "read-tree", "HEAD"], capture_output=True, check=True)

    def mirror(self) -> str | None:
        """Copy this run's refs into the user's repository; a line about what went wrong, or None.

        Only forward: a branch that the user has checked out, or has committed to, is left alone.
        """
        names = f"refs/heads/aar/{self.run}/*"
        done = subprocess.run(
            ["git", "--git-dir", str(self.user), "-c", "gc.auto=0", "-c", "fetch.prune=false", "-c", "core.hooksPath=/dev/null",
             "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", str(self.path), f"{names}:{names}"],
            capture_output=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return None if done.returncode == 0 else f"branches not mirrored: {done.stderr.decode(errors='replace').strip()[-300:]}"


def _data(data: bytes) -> bytes:
    return b"data %d\n%s\n" % (len(data), data)


def _quoted(path: str) -> str:
    return '"' + path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
