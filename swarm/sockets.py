"""Unix sockets in a run's folders, and the JSON lines that go through them. A socket's path may have 107 bytes, a run's folder more: it is reached by way of a descriptor of its
folder. What runs inside a sandbox (door.py, forward.py) does the same for itself, with the standard library alone."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from state.errors import UserError

BACKLOG = 128
ASK_SECONDS = 30.0
"""How long whoever connects has for its request."""
PAUSE_SECONDS = 0.5


class Line(BaseModel):
    """A request is one JSON line, of one of the kinds that derive from this."""

    model_config = ConfigDict(extra="forbid")


def read_line(connection: socket.socket, kinds: TypeAdapter, most_bytes: int) -> Any:
    """The request that comes through a connection. UserError, in one line, for what is none."""
    connection.settimeout(ASK_SECONDS)
    line = b""
    while not line.endswith(b"\n"):
        chunk = connection.recv(65536)
        line += chunk
        if not chunk or len(line) > most_bytes:
            raise UserError(f"a request is one JSON line of at most {most_bytes} bytes")
    try:
        return kinds.validate_json(line)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise UserError(f"{place}: {first['msg']}" if place else first["msg"]) from None


def say_line(connection: socket.socket, answer: dict) -> None:
    connection.sendall(json.dumps(answer).encode() + b"\n")


def listen_at(path: Path) -> socket.socket:
    """A listening socket at `path`, which only this user may connect to."""
    path.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        listening.bind(f"/proc/self/fd/{folder}/{path.name}")
    finally:
        os.close(folder)
    os.chmod(path, 0o600)
    listening.listen(BACKLOG)
    return listening


def connect_to(path: Path, timeout: float | None = None) -> socket.socket:
    """A connection to the socket at `path`; OSError, which names it, where nobody listens there or this user may not."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(timeout)
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        connection.connect(f"/proc/self/fd/{folder}/{path.name}")
    except OSError as error:
        error.filename = str(path)
        connection.close()
        raise
    finally:
        os.close(folder)
    return connection


class Listener:
    """Listens at `path`, which it makes, and gives each connection to `take` in a thread of its own, which must not wait in there.

    A thread that waits for a connection does so by the number of a descriptor. Were that closed under it, it would take its next one from
    whatever socket has that number by then (a process that is paused and goes on is enough): another agent's, say. So its thread has
    ended before the socket is closed."""

    def __init__(self, path: Path, take: Callable[[socket.socket], None], name: str):
        self.path, self._take, self._closing = path, take, threading.Event()
        self._socket = listen_at(path)
        self._thread = threading.Thread(target=self._accept, daemon=True, name=name)
        self._thread.start()

    def close(self) -> None:
        """Let nobody in any more, and remove `path`."""
        self._closing.set()
        self.path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread, whose next accept() fails
        self._thread.join()
        self._socket.close()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:  # closing; or no descriptor is free, most likely, and soon one is
                self._closing.wait(PAUSE_SECONDS)
                continue
            self._take(connection)
