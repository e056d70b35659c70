"""The operator's control socket, RUN/control.sock, through which people come in: one JSON line each way.

    {"do": "join", "name": "alice", "direction": ""}  ->  {"name": "alice", "again": false}      or {"error": "..."}
    {"do": "ping"}                                    ->  {"run": "...", "state": "running"}

Who has joined is there as long as the connection stays open. Where the operator ends it, it says why: {"over": "..."}.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from subprocess import CalledProcessError
from typing import Annotated, Literal

from git import GitCommandError
from pydantic import Field, TypeAdapter

from state.errors import UserError
from state.paths import RunPaths
from state.threads import join_patiently
from swarm.people import People
from swarm.sockets import Line, Listener, read_line, say_line

MOST_BYTES = 300_000
MOST_CONNECTIONS = 100
LEAVE_SECONDS = 5.0
"""How long, at the end, the operator waits until it has noted that all have left."""


class Join(Line):
    do: Literal["join"]
    name: str = Field(max_length=200)
    direction: str = Field("", max_length=20_000)


class Ping(Line):
    do: Literal["ping"]


Request = TypeAdapter(Annotated[Join | Ping, Field(discriminator="do")])


class Control:
    """The socket of one run while it is operated. `phase()`: what the run is doing, for whoever pings."""

    def __init__(self, paths: RunPaths, people: People, phase: Callable[[], str]):
        self.paths, self.people, self.phase = paths, people, phase
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._lock = threading.Lock()
        self._listener = Listener(paths.control, self._take, "control")

    def close(self, why: str) -> None:
        """Let nobody in any more, and tell those who are there that it is over."""
        self.people.closed = f"nobody can join run {self.paths.name} now: {why}"
        self._listener.close()
        with self._lock:
            open_ones = dict(self._connections)
        for connection in open_ones:
            with contextlib.suppress(OSError):
                say_line(connection, {"over": why})
                connection.shutdown(socket.SHUT_RDWR)
        for thread in open_ones.values():
            join_patiently(thread, LEAVE_SECONDS)

    def _take(self, connection: socket.socket) -> None:
        thread = threading.Thread(target=self._serve, args=(connection,), daemon=True, name="control-connection")
        with self._lock:
            if len(self._connections) >= MOST_CONNECTIONS:
                connection.close()
                return
            self._connections[connection] = thread
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        entered: str | None = None
        try:
            answer = self._answer(connection)
            entered = answer.get("name")
            say_line(connection, answer)
            connection.settimeout(None)
            while entered and connection.recv(4096):
                pass
        except OSError:  # whoever it was is gone
            pass
        finally:
            if entered:
                self.people.leave(entered)
            with self._lock:
                del self._connections[connection]
            connection.close()

    def _answer(self, connection: socket.socket) -> dict:
        try:
            request = read_line(connection, Request, MOST_BYTES)
        except UserError as error:
            return {"error": str(error)}
        if isinstance(request, Ping):
            return {"run": self.paths.name, "state": self.phase()}
        try:
            return self.people.enter(request.name, request.direction)
        except UserError as error:
            return {"error": str(error)}
        except (OSError, GitCommandError, CalledProcessError) as error:  # most likely a full disk; what is missing is made the next time
            self.people.desk.problem(f"{request.name} could not join: {error}")
            return {"error": f"the run could not make a place for {request.name} ({type(error).__name__}); it is noted in its status"}
