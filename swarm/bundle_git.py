"""The history that goes with a bundle: packed by its sender, searched for secrets, unpacked where nothing is trusted.

    pack(repo, run, branches, file)              a git bundle of these branches; branch -> commit
    unpack(file, base, refs, folder)             a fresh bare repository with them; UserError for anything else
    findings(folder, base, known)                secrets in any object, with the branch, commit and path they are in

The repository of a run is shallow: its base commit has parents that nobody has. A git bundle does not say so, and is refused
where it is fetched as it is; a repository whose `shallow` file names the base takes it.
"""

from __future__ import annotations

import os
import resource
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from state.errors import UserError
from swarm.bundle_report import texts_of
from swarm.scrub import Known, secrets_in

QUIET = ("-c", "core.hooksPath=/dev/null", "-c", "gc.auto=0", "-c", "maintenance.auto=false", "-c", "transfer.fsckObjects=true")
MOST_MEMORY, MOST_FILE, MOST_SECONDS = 8 * 2**30, 2 * 2**30, 900
"""What git may take for a bundle that somebody sent: a small pack can say that it holds a very large file."""
MOST_FINDINGS = 3
"""That are told of a branch."""


@dataclass(frozen=True)
class Finding:
    """`branch`: "" for what the base commit holds. `path`: "" for what a commit's message or author says. `kind` of secret."""

    branch: str
    commit: str
    path: str
    kind: str


def _environment() -> dict[str, str]:
    """Without what git was told of a repository or a person, as it is in a hook."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name.startswith("GIT_CONFIG_")}


def git(repo: Path, *arguments: str, data: bytes | None = None, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[bytes]:
    """Run git on a repository, deaf to what the environment says of another one."""
    return subprocess.run(
        ["git", "--git-dir", str(repo), *QUIET, *arguments],
        capture_output=True, env={**_environment(), **(env or {})}, **({"input": data} if data is not None else {"stdin": subprocess.DEVNULL}),
    )  # fmt: skip


def answer(repo: Path, *arguments: str, data: bytes | None = None, env: Mapping[str, str] | None = None) -> str:
    """What git says; RuntimeError where it fails."""
    done = git(repo, *arguments, data=data, env=env)
    if done.returncode != 0:
        raise RuntimeError(f"git {arguments[0]} failed: {done.stderr.decode(errors='replace').strip()[-400:]}")
    return done.stdout.decode("utf-8", "replace")


def pack(repo: Path, run: str, branches: Sequence[str], file: Path) -> dict[str, str]:
    """Pack these branches of a run; branch -> the commit that it had just then. {} and no file where there is none of them."""
    prefix = f"refs/heads/aar/{run}/"
    known = answer(repo, "for-each-ref", "--format=%(refname)", prefix).split()
    refs = [ref for ref in known if ref.removeprefix(prefix) in branches]
    if not refs:
        return {}
    answer(repo, "bundle", "create", "--quiet", str(file), *refs)
    lines = answer(repo, "bundle", "list-heads", str(file)).splitlines()
    return {ref.removeprefix(prefix): commit for commit, _, ref in (line.partition(" ") for line in lines)}


def _limit() -> None:
    for what, most in ((resource.RLIMIT_AS, MOST_MEMORY), (resource.RLIMIT_FSIZE, MOST_FILE), (resource.RLIMIT_CPU, MOST_SECONDS)):
        hard = resource.getrlimit(what)[1]
        resource.setrlimit(what, (most, hard) if hard == resource.RLIM_INFINITY or hard > most else (hard, hard))


def unpack(file: Path, base: str, refs: Mapping[str, str], folder: Path) -> None:
    """Make the bare repository `folder` of the refs (full name -> commit) of a git bundle. Nothing of the sender's configuration
    or hooks gets there, since a bundle has none. UserError where the bundle does not hold just these, in good order."""
    clean = _environment() | {"GIT_CONFIG_GLOBAL": os.devnull}

    def limited(*arguments: str) -> str:
        done = subprocess.run(
            ["git", "--git-dir", str(folder), *QUIET, *arguments],
            capture_output=True, stdin=subprocess.DEVNULL, env=clean, preexec_fn=_limit,
        )  # fmt: skip
        if done.returncode != 0:
            lines = "".join(c for c in done.stderr.decode("ascii", "replace") if c.isprintable() or c == "\n").strip().splitlines()
            raise UserError(f"the history in the bundle is not in order ({lines[0][:200] if lines else 'git failed'}): nothing was opened")
        return done.stdout.decode("utf-8", "replace")

    limited("init", "--bare", "--quiet", "--template=", "--initial-branch=none")
    limited("config", "gc.auto", "0")
    if not refs:
        return
    (folder / "shallow").write_text(f"{base}\n")
    heads = {ref: commit for commit, _, ref in (line.partition(" ") for line in limited("bundle", "list-heads", str(file)).splitlines())}
    if heads != dict(refs):
        raise UserError("the history in the bundle has other branches than its manifest says: nothing was opened")
    limited("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", str(file), *(f"{ref}:{ref}" for ref in refs))
    limited("fsck", "--strict", "--no-dangling", "--no-progress")
    for ref in refs:
        limited("merge-base", "--is-ancestor", base, ref)


def objects(repo: Path) -> Iterator[tuple[str, str, bytes]]:
    """(id, type, contents) of all objects of a repository."""
    ids = [line.split()[0] for line in answer(repo, "cat-file", "--batch-all-objects", "--batch-check").splitlines()]
    process = subprocess.Popen(
        ["git", "--git-dir", str(repo), *QUIET, "cat-file", "--batch"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )

    def feed() -> None:
        process.stdin.write("".join(f"{name}\n" for name in ids).encode())
        process.stdin.close()

    threading.Thread(target=feed, daemon=True).start()
    with process:
        for name in ids:
            kind, size = process.stdout.readline().split()[1:]
            yield name, kind.decode(), process.stdout.read(int(size) + 1)[:-1]


def _secrets(data: bytes, known: Known) -> list[str]:
    """The kinds of secret in an object; of a report also those in its compressed parts."""
    found = secrets_in(data, known, strictly=True)
    for text in texts_of(data) if b"data-chunk" in data else ():
        found += secrets_in(text, known, strictly=True)
    return list(dict.fromkeys(found))


def findings(repo: Path, run: str, base: str, known: Known) -> list[Finding]:
    """Secrets in the contents and names of files, and in commits: what the base commit holds, then a few of each branch."""
    hits = {name: (kind, found) for name, kind, data in objects(repo) if (found := _secrets(data, known))}
    if not hits:
        return []
    places = [("", base, name, path) for name, path in _reachable(repo, base) if name in hits]
    for ref in answer(repo, "for-each-ref", "--format=%(refname)", f"refs/heads/aar/{run}/").split():
        mine = [(name, path) for name, path in _reachable(repo, f"{base}..{ref}") if name in hits]
        for name, path in mine[:MOST_FINDINGS]:
            brought = name if hits[name][0] == "commit" else _brought_by(repo, f"{base}..{ref}", name)
            places.append((ref.rpartition("/")[2], brought, name, path))
    found = [Finding(branch, commit, path, kind) for branch, commit, name, path in places for kind in hits[name][1]]
    return list(dict.fromkeys(found)) or [Finding("", base, "", kind) for _, kinds in hits.values() for kind in kinds]


def _reachable(repo: Path, revisions: str) -> list[tuple[str, str]]:
    """(id, path) of each object."""
    lines = answer(repo, "rev-list", "--objects", revisions).splitlines()
    return [(name, path) for name, _, path in (line.partition(" ") for line in lines)]


def _brought_by(repo: Path, revisions: str, name: str) -> str:
    """The first commit that has a file or folder of this id; "" for the folder above all."""
    return answer(repo, "log", "-t", f"--find-object={name}", "--reverse", "--format=%H", revisions).partition("\n")[0]
