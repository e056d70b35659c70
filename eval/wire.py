"""How the evaluator and a method sandbox talk: small JSON headers and raw arrays over an inherited Unix socket.

Nothing is ever unpickled. One message is a 4-byte header length, a JSON header, then the arrays' bytes; descriptors
travel beside it. A large constant message (a draw's pool) is packed once into a sealed memfd, which every sandbox maps
without a copy and none can change.
"""

from __future__ import annotations

import fcntl
import json
import math
import mmap
import os
import socket
import struct

import numpy as np

DTYPES = {"float16", "float32", "float64", "int64", "uint8", "bool"}
MAX_HEADER = 8 << 20
MOST_AXES = 4
MAX_ARRAYS = 1 << 30
SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


class WireError(Exception):
    """The other side sent something that is not a message."""


class HungUp(WireError):
    """The other side is gone."""


def _frame(header: dict, arrays: dict[str, np.ndarray]) -> tuple[bytes, list[np.ndarray]]:
    plain = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    shapes = {name: [str(array.dtype), list(array.shape)] for name, array in plain.items()}
    text = json.dumps({"header": header, "arrays": shapes}).encode()
    return struct.pack("<I", len(text)) + text, list(plain.values())


def _shapes(text: bytes, limit: int) -> tuple[dict, list[tuple[str, np.dtype, tuple[int, ...], int]]]:
    """Check a header and say how many bytes each array has. Raises WireError, never anything else."""
    try:
        message = json.loads(text)
        header, described = message["header"], message["arrays"]
        result, total = [], 0
        if not isinstance(header, dict) or not isinstance(described, dict):
            raise WireError("a message without a header")
        for name, (dtype, shape) in described.items():
            if dtype not in DTYPES or len(shape) > MOST_AXES or not all(type(size) is int and 0 <= size < 1 << 31 for size in shape):
                raise WireError("an array of a forbidden type or shape")
            size = math.prod(shape) * np.dtype(dtype).itemsize
            total += size
            result.append((name, np.dtype(dtype), tuple(shape), size))
        if total > limit:
            raise WireError(f"arrays of {total} bytes, more than the {limit} that were expected")
    except (ValueError, KeyError, TypeError, RecursionError):
        raise WireError("a message that cannot be read") from None
    return header, result


def pack(header: dict, arrays: dict[str, np.ndarray]) -> int:
    """Write one message into a sealed, anonymous file and return its descriptor (close it when done)."""
    descriptor = os.memfd_create("aar", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    head, bodies = _frame(header, arrays)
    with open(descriptor, "wb", closefd=False) as file:
        file.write(head)
        for body in bodies:
            file.write(body.data if body.size else b"")
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, SEALS)
    return descriptor


def unpack(descriptor: int) -> tuple[dict, dict[str, np.ndarray]]:
    """Map a packed message; the arrays are read-only views of it."""
    data = mmap.mmap(descriptor, 0, prot=mmap.PROT_READ)
    (length,) = struct.unpack_from("<I", data)
    header, described = _shapes(data[4 : 4 + length], MAX_ARRAYS)
    arrays, offset = {}, 4 + length
    for name, dtype, shape, size in described:
        arrays[name] = np.frombuffer(data, dtype, math.prod(shape), offset).reshape(shape)
        offset += size
    return header, arrays


class Channel:
    """One end of the socket. `limit`: the most bytes of arrays that a message from the other side may hold."""

    def __init__(self, connection: socket.socket, limit: int = MAX_ARRAYS):
        self.socket = connection
        self.limit = limit

    def send(self, header: dict, arrays: dict[str, np.ndarray] | None = None, descriptors: tuple[int, ...] = ()) -> None:
        """Raises HungUp where the other side is gone."""
        head, bodies = _frame(header, arrays or {})
        try:
            if descriptors:
                socket.send_fds(self.socket, [head[:1]], list(descriptors))
                head = head[1:]
            self.socket.sendall(head)
            for body in bodies:
                self.socket.sendall(body.data if body.size else b"")
        except OSError as error:
            raise HungUp(error.strerror) from None

    def receive(self) -> tuple[dict, dict[str, np.ndarray], list[int]]:
        """The next message: header, arrays, descriptors. Raises WireError where it is malformed, HungUp at the end of file."""
        try:
            first, descriptors, _, _ = socket.recv_fds(self.socket, 1, 64, socket.MSG_CMSG_CLOEXEC)
        except OSError as error:
            raise HungUp(error.strerror) from None
        if not first:
            raise HungUp("end of file")
        (length,) = struct.unpack("<I", first + self._exactly(3))
        if length > min(MAX_HEADER, self.limit):
            raise WireError(f"a header of {length} bytes")
        header, described = _shapes(self._exactly(length), self.limit)
        try:
            arrays = {name: np.frombuffer(self._exactly(size), dtype).reshape(shape) for name, dtype, shape, size in described}
        except ValueError:  # axes of length 0 beside others that no memory could hold
            raise WireError("an array of an impossible shape") from None
        return header, arrays, descriptors

    def _exactly(self, size: int) -> bytearray:
        data = bytearray(size)
        view = memoryview(data)
        while view:
            try:
                count = self.socket.recv_into(view)
            except OSError as error:
                raise HungUp(error.strerror) from None
            if not count:
                raise HungUp("end of file within a message")
            view = view[count:]
        return data
