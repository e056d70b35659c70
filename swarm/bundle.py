"""Packs a run into one file that another person can open. Behind `python aar.py bundle RUN`.

    facts = bundle_run(paths, None, False, [], print)       RUN.aar.tar.gz in the current folder

What goes along: the branches of agents and board as a git bundle, the ledger and the other files that views read, posts and
prompts; sealed verdicts only where the run is closed; transcripts only where asked for. Never the secret of the run, its
predictions, what is private to an agent, or worktrees.

Secrets and paths of this machine are taken out of all files. Then the finished file is read as its receiver will read it, and
searched again; where anything is found, there is no file. From git history nothing can be taken: a secret in there, also in the
compressed parts of a report that the board has, is told with the branch to leave out. Paths in history are not looked for.
"""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import tomli
import tomli_w

from state.config import read_config
from state.disk import disk_words, on_disk
from state.errors import UserError
from state.files import utc_now
from state.ledger import Ledger
from state.paths import RunPaths
from state.record import is_closed
from swarm.bundle_file import REPO, SEALED, SUFFIX, Manifest, Member, most_bytes, read_bundle, sha256_of, write_bundle
from swarm.bundle_git import Finding, findings, pack, unpack
from swarm.bundle_paths import unpublished
from swarm.opened_board import check_board
from swarm.opened_files import check_files
from swarm.post_text import one_line
from swarm.scrub import Known, Scrubber, leaks, places_here

PROJECT = Path(__file__).parent.parent
BOARD = "board"
FILES = (
    "joined.jsonl", "spend.jsonl", "diversity.jsonl", "state.json", "isolation.json", "transfer.json", "budget.json", "pairs.json",
    "ledger.jsonl",
)  # fmt: skip
"""The ledger last: what it does not name yet, nothing else may."""
ON_BOARD = ("results.tsv", "results.md", "verification.md")
"""Not its report, whose compressed parts nothing could be taken out of: whoever opens the bundle makes one with `report`."""


def bundle_run(paths: RunPaths, out: Path | None, transcripts: bool, without: Sequence[str], tell: Callable[[str], None]) -> dict:
    """Pack a run into `out`; {"file", "bytes", "sha256", "redacted", "paths", "left_out", ...}.

    `without`: agents (or "board") whose branch stays here. A run that goes on is packed as it is just now. UserError where the
    file exists, where a branch holds a secret, or where anything secret would be left.
    """
    config = read_config(paths)
    branches = [agent["name"] for agent in config["agents"]] + [BOARD]
    if unknown := [name for name in without if name not in branches]:
        raise UserError(f"--without {one_line(unknown[0])}: run {paths.name} has {', '.join(branches)}")
    out = (out or Path(f"{paths.name}{SUFFIX}")).absolute()
    if out.exists() or out.is_symlink():
        raise UserError(f"{out} exists already: remove it, or name another file with --out")
    if not os.access(out.parent, os.W_OK | os.X_OK):
        raise UserError(f"{out.parent} is no folder that can be written to: name a file in another one with --out")
    if not (paths.repo / "HEAD").is_file() and set(branches) - set(without):
        everything = " ".join(f"--without {name}" for name in branches)
        raise UserError(f"{paths.repo} is no repository: the run can go out without any history, {everything}")
    known, places = Known.here(paths), places_here(paths, PROJECT)
    scrubber = Scrubber(known, places)
    closed = is_closed(paths, Ledger(paths.ledger).events)
    try:
        beside = tempfile.TemporaryDirectory(prefix=".aar-bundle-", dir=out.parent)
    except OSError as error:
        if disk_words(error):
            raise
        raise UserError(f"{out.parent} cannot be written to ({error.strerror}): name a file in another folder with --out") from None
    with on_disk(out.parent), beside as scratch:
        folder = Path(scratch, "files")
        folder.mkdir()
        tell("taking secrets out of files")
        left_out = _gather(paths, config, folder, scrubber, transcripts, closed, without)
        kept = [name for name in branches if name not in without]
        heads = pack(paths.repo, config["name"], kept, folder / REPO) if kept else {}
        left_out += [f"branch of {name}" for name in branches if name not in heads]
        tell(f"searching the history of {len(heads)} branches for secrets")
        _check_history(paths, config, heads, folder / REPO, Path(scratch), known, scrubber)
        manifest = Manifest(
            format=1, run=config["name"], task=config["task"], created=config["created"], time=utc_now(), base=config["base"],
            branches=heads, sealed=closed, transcripts=transcripts, left_out=left_out, redacted=dict(scrubber.found),
            members=_members(folder),
        )  # fmt: skip
        tell("searching the finished file")
        made = Path(scratch, "made")
        write_bundle(made, manifest, folder)
        _check_file(made, Path(scratch, "read"), known, tuple(places))
        check_board(Path(scratch, "read"), Path(scratch, "repo.git"), heads.get(BOARD))
        os.chmod(made, 0o644)
        try:
            os.link(made, out)  # unlike a rename, never replaces a file that is there
        except FileExistsError:
            raise UserError(f"{out} exists already: remove it, or name another file with --out") from None
    return {
        "file": str(out), "bytes": out.stat().st_size, "sha256": sha256_of(out), "run": manifest.run, "branches": heads,
        "members": len(manifest.members), "sealed": closed, "transcripts": transcripts, "redacted": sum(scrubber.found.values()),
        "kinds": manifest.redacted, "paths": scrubber.paths, "left_out": left_out,
    }  # fmt: skip


def _gather(
    paths: RunPaths, config: dict, folder: Path, scrubber: Scrubber, transcripts: bool, closed: bool, without: Sequence[str]
) -> list[str]:
    """Write all files but the history into `folder`, scrubbed; what was left out."""
    left_out = []

    def take(source: Path, name: str) -> None:
        if not source.is_file() or source.is_symlink():
            return
        named = scrubber.text(name).replace("[REDACTED:", "REDACTED-").replace("]", "")
        most = most_bytes(named)
        if most is None:
            left_out.append(f"{_ascii(named)} (a name that no bundle may hold)")
            return
        try:
            data = scrubber.data(named, source.read_bytes())
        except (ValueError, RecursionError) as error:
            raise UserError(f"{source} cannot be read ({one_line(str(error), 80)}): it has to be mended, or moved away, first") from None
        if len(data) > most:
            raise UserError(f"{source} is too large for a bundle ({len(data)} bytes)" + ("" if BOARD in name else ": leave out --transcripts"))
        (folder / named).parent.mkdir(parents=True, exist_ok=True)
        (folder / named).write_bytes(data)

    for file in sorted(paths.forum.glob("*.md")):
        if not file.name.startswith(".") and file.name != "README.md":
            take(file, f"board/forum/{file.name}")
    for file in sorted((paths.board / "prompts").rglob("*.md")):
        if not file.name.startswith("."):
            take(file, file.relative_to(paths.root).as_posix())
    for name in ON_BOARD:
        take(paths.board / name, f"board/{name}")
    for agent in (agent["name"] for agent in config["agents"]) if transcripts else ():
        if agent in without:
            left_out.append(f"transcript of {agent}")
            continue
        for name in ("transcript.jsonl", "agent.log"):
            take(paths.agent(agent) / name, f"{agent}/{name}")
    if closed:
        take(paths.evaluator / "sealed.jsonl", SEALED)
    for name in FILES:
        take(paths.root / name, name)
    frozen = tomli.loads(paths.toml.read_text(encoding="utf-8"))
    frozen.pop("user_git", None)  # where the repository lies here is nobody's business, and means nothing elsewhere
    (folder / "run.toml").write_bytes(tomli_w.dumps(scrubber.value(frozen)).encode())
    return left_out + ([] if transcripts else ["transcripts"]) + ([] if closed else ["sealed verdicts: the run is not closed"])


def _ascii(text: str) -> str:
    return one_line(text, 100).encode("ascii", "replace").decode()


def _members(folder: Path) -> list[Member]:
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return [Member(name=file.relative_to(folder).as_posix(), sha256=sha256_of(file), bytes=file.stat().st_size) for file in files]


def _check_history(
    paths: RunPaths, config: dict, heads: dict[str, str], file: Path, scratch: Path, known: Known, scrubber: Scrubber
) -> None:
    """Unpack the history as its receiver will, and search it. UserError that says where a secret is, or what no receiver would take, and
    what can be done."""
    if not heads:
        return
    run, base = config["name"], config["base"]
    refs = {f"refs/heads/aar/{run}/{name}": commit for name, commit in heads.items()}
    unpack(file, base, refs, scratch / "repo.git")
    found = findings(scratch / "repo.git", run, base, known)
    if not found:
        if strange := list(unpublished(scratch / "repo.git", base, refs)):
            which = " ".join(f"--without {name}" for name in dict.fromkeys(branch for branch, _ in strange))
            raise UserError(f"{scrubber.text(strange[0][1])}: nobody could open a bundle with it, leave the branch out with {which}")
        return

    def words(one: Finding) -> str:
        where = one_line(scrubber.text(one.path), 120) if one.path else "its message"
        kind = one.kind if one.kind.islower() else f"the value of {one.kind} in your environment"
        return f"{one.branch or 'the base'} in commit {one.commit[:12]} {where} ({kind})"

    listed = "; ".join(map(words, found[:8])) + ("; ..." if len(found) > 8 else "")
    if any(not one.branch for one in found):
        everything = " ".join(f"--without {name}" for name in heads)
        raise UserError(
            f"a secret is in the commit that all branches of run {paths.name} start from: {listed}. Nothing can be taken out of history: "
            "revoke that key, take it out of the project, and start later runs from a commit without it; "
            f"this run can go out without any history: {everything}"
        )
    which = " ".join(f"--without {name}" for name in dict.fromkeys(one.branch for one in found))
    raise UserError(
        f"a secret is in the history of run {paths.name}: {listed}. Nothing can be taken out of history: revoke that key, "
        f"and leave the branch out with {which} (ledger and posts go along, without secrets)"
    )


def _check_file(file: Path, folder: Path, known: Known, places: Sequence[str]) -> None:
    """Read a finished bundle as its receiver will and search all that it holds. UserError where anything is left.

    The history was searched unpacked; here its sha256 says that it is the same.
    """
    folder.mkdir()
    manifest = read_bundle(file, folder)
    check_files(folder, manifest)
    texts = {"manifest.json": manifest.model_dump_json().encode()}
    for name in [*texts, *(member.name for member in manifest.members if member.name != REPO)]:
        if left := leaks(name, texts.get(name) or (folder / name).read_bytes(), known, places):
            raise UserError(f"{_ascii(name)} still holds what must not go out ({', '.join(left)}): nothing was written")


def _count(number: int, noun: str, ending: str = "s") -> str:
    return f"{number} {noun}{'' if number == 1 else ending}"


def bundle_text(facts: dict) -> str:
    """The facts of `bundle_run` for a terminal."""
    kinds = ", ".join(f"{number} {kind}" for kind, number in sorted(facts["kinds"].items()))
    lines = [
        f"{facts['file']}: run {facts['run']}, {_count(len(facts['branches']), 'branch', 'es')}, {_count(facts['members'], 'file')}, {facts['bytes'] / 2**20:.1f} MiB",
        f"sha256 {facts['sha256']}",
        f"taken out: {_count(facts['redacted'], 'secret')}{f' ({kinds})' if kinds else ''}, {_count(facts['paths'], 'path')} of this machine; "
        "a second search of the finished file found none",
        *([f"left out: {', '.join(facts['left_out'])}"] if facts["left_out"] else []),
        f"whoever gets it types: {shlex.join(['python', 'aar.py', 'open', Path(facts['file']).name])}",
    ]
    return "\n".join(lines)
