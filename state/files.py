"""Writing plain files so that a crash at any instant loses nothing that was acted on.

Two ways to write, and no third: append one JSON line with fsync, or write a temporary file and rename it.
"""

from __future__ import annotations

import datetime
import fcntl
import json
import os
import tempfile
from pathlib import Path

from state.errors import UserError


def utc_now() -> str:
    """The time now, UTC, ISO 8601 with whole seconds: `2026-11-23T14:00:00Z`."""
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def append_jsonl(path: Path | str, record: dict, mode: int = 0o644) -> None:
    """Append `record` as one JSON line and fsync it before returning.

    The file is locked, so that several processes may append. A torn last line, left by a writer that was killed, is
    cut off first: a line without its newline was never acted on.
    """
    # A lone surrogate, which no encoding has, becomes the JSON escape that it is.
    line = json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode(errors="backslashreplace") + b"\n"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, mode)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            os.ftruncate(descriptor, _end_of_last_line(descriptor, size))
        view = memoryview(line)
        while view:  # a full disk may take a part of the line; the next append would cut it off again
            view = view[os.write(descriptor, view):]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _end_of_last_line(descriptor: int, size: int) -> int:
    """The offset just behind the last newline in the first `size` bytes; 0 where there is none."""
    end, block = size, 65536
    while end:
        start = max(0, end - block)
        found = os.pread(descriptor, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def read_jsonl(path: Path | str) -> list[dict]:
    """All records of an append-only file, in order; [] where it does not exist. A torn last line is dropped."""
    return read_jsonl_from(path, 0)[0]


def read_jsonl_from(path: Path | str, offset: int) -> tuple[list[dict], int]:
    """Records behind byte `offset`, and the offset from which to read on. A line without its newline is not read. UserError for a line
    that is no JSON: nothing of ours writes one."""
    try:
        with open(path, "rb") as file:
            file.seek(offset)
            data = file.read()
    except FileNotFoundError:
        return [], offset
    end = data.rfind(b"\n") + 1
    lines = [line for line in data[:end].split(b"\n") if line]
    try:
        return [json.loads(line) for line in lines], offset + end
    except ValueError:
        number = next(place for place, line in enumerate(lines, 1) if not _is_json(line))
        where = f"line {number}" if offset == 0 else f"line {number} behind byte {offset}"
        raise UserError(f"{path}, {where}, is not JSON: something else than AAR wrote there; mend or remove that line") from None


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def write_atomic(path: Path | str, data: str | bytes, mode: int = 0o644, durable: bool = True) -> None:
    """Replace the file at `path` by `data` in one step: readers see the old contents or the new, never a part.

    `durable=False` leaves out the fsync, for what is written again every second and can be made anew.
    """
    path = Path(path)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.chmod(temporary, mode)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
