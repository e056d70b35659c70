"""The file that a run travels in: a tar.gz with a manifest, and what may be in it at all. Used by `bundle` and `open`.

    write_bundle(file, manifest, folder)         plain files only, without owners, times or anything of the machine
    manifest = read_bundle(file, folder)         into an empty folder; UserError for whatever is not as it should be

Who reads it trusts nothing: names are on a list, sizes have limits, no member is anything but a plain file, and each is what
the manifest says by size and sha256. The tar is read by hand, block by block, since its extensions can hold anything.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import re
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, BinaryIO, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from state.errors import UserError
from state.paths import NAME

FORMAT = 1
SUFFIX = ".aar.tar.gz"
MANIFEST = "manifest.json"
REPO = "repo.bundle"
SEALED = "evaluator/sealed.jsonl"
MIB = 2**20
ALLOWED = {
    re.compile(r"run\.toml|state\.json|isolation\.json|transfer\.json|budget\.json|pairs\.json"): 16 * MIB,
    re.compile(r"(?:joined|ledger|spend|diversity)\.jsonl"): 512 * MIB,
    re.compile(re.escape(SEALED)): 16 * MIB,
    re.compile(re.escape(REPO)): 1024 * MIB,
    re.compile(r"board/(?:results\.tsv|results\.md|verification\.md)"): 64 * MIB,
    re.compile(r"board/forum/[A-Za-z0-9][\w-]{0,180}\.md", re.ASCII): 1 * MIB,
    re.compile(r"board/prompts/(?:[A-Za-z0-9][\w-]{0,80}/){0,3}\w[\w .-]{0,80}\.md", re.ASCII): 1 * MIB,
    re.compile(rf"{NAME.pattern}/(?:transcript\.jsonl|agent\.log)"): 512 * MIB,
}
"""What may be in a bundle -> its size at most."""
MOST_MEMBERS = 50_000
MOST_BYTES = 2048 * MIB
"""Of all members together."""
BLOCK = 512
PIECE = 1 * MIB

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
CommitId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]
Name = Annotated[str, StringConstraints(pattern=rf"^{NAME.pattern}$")]
Time = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
Words = Annotated[str, StringConstraints(pattern=r"^[ -~]{0,300}$")]


class Member(BaseModel):
    model_config = ConfigDict(strict=True)

    name: str
    sha256: Digest
    bytes: int = Field(ge=0)


class Manifest(BaseModel):
    """`time`: when it was packed. `branches`: agent, or board -> commit. `sealed`: whether the sealed part was opened for this run;
    then its verdicts are in. `left_out`: in words. `redacted`: kind of secret -> how often it was taken out."""

    model_config = ConfigDict(strict=True)

    format: Literal[1]
    run: Name
    task: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,60}$")]
    created: Time
    time: Time
    base: CommitId
    branches: dict[Name, CommitId]
    sealed: bool
    transcripts: bool
    left_out: list[Words]
    redacted: dict[Words, int]
    members: list[Member]

    def refs(self) -> dict[str, str]:
        """Full name of each branch -> commit."""
        return {f"refs/heads/aar/{self.run}/{name}": commit for name, commit in self.branches.items()}


def most_bytes(name: str) -> int | None:
    """How large a member may be; None where there may be no such member."""
    return next((most for pattern, most in ALLOWED.items() if pattern.fullmatch(name)), None)


def sha256_of(file: Path) -> str:
    digest = hashlib.sha256()
    with open(file, "rb") as opened:
        while piece := opened.read(PIECE):
            digest.update(piece)
    return digest.hexdigest()


def write_bundle(file: Path, manifest: Manifest, folder: Path) -> None:
    """Pack the members that the manifest names, from `folder`, into a new file."""
    about = manifest.model_dump_json(indent=1).encode()
    with (
        open(file, "xb") as raw,
        gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=raw, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.GNU_FORMAT) as tar,
    ):
        tar.addfile(_header(MANIFEST, len(about)), io.BytesIO(about))
        for member in manifest.members:
            with open(folder / member.name, "rb") as source:
                tar.addfile(_header(member.name, member.bytes), source)


def _header(name: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)  # owner 0, no owner's name, time 0
    info.size, info.mode = size, 0o644
    return info


def read_bundle(file: Path, folder: Path) -> Manifest:
    """Unpack a bundle into `folder`, which is empty. UserError where it is no bundle, or is not what its manifest says."""
    try:
        with open(file, "rb") as raw, gzip.GzipFile(fileobj=raw, mode="rb") as zipped:
            return _unpack(zipped, folder)
    except OSError as error:  # also what is no gzip
        raise UserError(f"{file} cannot be opened ({error.strerror or error}): it should be a file that `python aar.py bundle` made") from None
    except (EOFError, zlib.error, tarfile.HeaderError) as error:
        raise UserError(f"{file} is damaged ({error or 'it ends too early'}): have it sent again") from None


def _unpack(zipped: BinaryIO, folder: Path) -> Manifest:
    members = _members(zipped)
    name, size = next(members, ("", 0))
    if name != MANIFEST or size > 16 * MIB:
        raise UserError("the file does not begin with a manifest: it is no bundle of a run")
    try:
        manifest = Manifest.model_validate_json(_read(zipped, size))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))[:80]
        newer = " (it was made by another version of AAR)" if first["loc"] == ("format",) else ""
        raise UserError(f"the bundle's manifest is not as it should be at {where!r}{newer}: have it made again") from None
    told = {member.name: member for member in manifest.members}
    if len(told) != len(manifest.members):
        raise UserError("the bundle's manifest names a member twice: it was tampered with")
    left, total = dict(told), 0
    for name, size in members:
        member, most = left.pop(name, None), most_bytes(name)
        if most is None:
            raise UserError(f"the bundle holds {name[:80]!r}, which no bundle may hold: it was tampered with")
        if member is None or size != member.bytes:
            raise UserError(f"the bundle's {name} is not what its manifest says: it is damaged or was tampered with")
        total += size
        if size > most or total > MOST_BYTES:
            raise UserError(f"the bundle's {name} is too large ({size} bytes, {total} so far): nothing was opened")
        _extract(zipped, folder / name, member)
    if left:
        raise UserError(f"the bundle lacks {next(iter(left))!r}, which its manifest names: it is damaged")
    return manifest


def _members(zipped: BinaryIO) -> Iterator[tuple[str, int]]:
    """(name, size) of each member, in turn; whoever asks for the next one has read what it holds."""
    long = ""
    for _ in range(2 * MOST_MEMBERS):
        header = _read(zipped, BLOCK)
        if not header.strip(b"\0"):
            return
        info = tarfile.TarInfo.frombuf(header, "ascii", "backslashreplace")
        if not 0 <= info.size <= MOST_BYTES:
            raise UserError("the bundle has a member of impossible size: it was tampered with")
        if info.type == tarfile.GNUTYPE_LONGNAME and not long and info.size <= BLOCK:
            long = _read(zipped, info.size).rstrip(b"\0").decode("ascii", "backslashreplace")
            _pad(zipped, info.size)
            continue
        if info.type != tarfile.REGTYPE:
            raise UserError(f"the bundle holds {(long or info.name)[:80]!r}, which is no plain file: it was tampered with")
        yield long or info.name, info.size
        _pad(zipped, info.size)
        long = ""
    raise UserError(f"the bundle has more than {MOST_MEMBERS} members: nothing was opened")


def _read(zipped: BinaryIO, size: int) -> bytes:
    data = zipped.read(size)
    if len(data) != size:
        raise EOFError
    return data


def _pad(zipped: BinaryIO, size: int) -> None:
    _read(zipped, -size % BLOCK)


def _extract(zipped: BinaryIO, target: Path, member: Member) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    digest, left = hashlib.sha256(), member.bytes
    with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644), "wb") as file:
        while left:
            piece = _read(zipped, min(left, PIECE))
            digest.update(piece)
            file.write(piece)
            left -= len(piece)
    if digest.hexdigest() != member.sha256:
        raise UserError(f"the bundle's {member.name} does not have the sha256 of its manifest: it is damaged or was tampered with")
