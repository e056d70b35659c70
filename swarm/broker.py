"""The broker: the trusted side of the agents' door.

Each agent has a Unix socket of its own, so which socket a request came through says who speaks. A request is one JSON
line, the answer one JSON line; `aar job` streams output lines before its answer. Everything that arrives is checked here.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field, TypeAdapter

from state.errors import UserError
from swarm.desk import Desk
from swarm.news import Cursor, news_for
from swarm.sockets import Line, Listener, read_line, say_line

MOST_BYTES = 200_000
MOST_CONNECTIONS = 16
"""Open requests of one agent; more are told to come back."""


class Commit(Line):
    do: Literal["commit"]
    message: str = Field("", max_length=4000)
    inspired_by: list[Annotated[str, Field(max_length=200)]] = Field([], max_length=8)


class Submit(Line):
    do: Literal["submit"]
    method: str = Field(max_length=200)
    message: str = Field("", max_length=4000)
    inspired_by: list[Annotated[str, Field(max_length=200)]] = Field([], max_length=8)
    predict: float | None = Field(None, ge=-10, le=10)


class Wait(Line):
    do: Literal["wait"]
    submission: str = Field(max_length=20)
    seconds: float = Field(3600.0, ge=0, le=24 * 3600)


class Scores(Line):
    do: Literal["scores"]


class Post(Line):
    do: Literal["post"]
    type: str = Field(max_length=20)
    title: str = Field(max_length=400)
    body: str = Field("", max_length=40_000)
    submission: str | None = Field(None, max_length=20)
    replies_to: str | None = Field(None, max_length=200)


class Job(Line):
    do: Literal["job"]
    command: list[Annotated[str, Field(max_length=20_000)]] = Field(min_length=1, max_length=200)
    seconds: float = Field(600.0, gt=0, le=3600)
    background: bool = False


class ListJobs(Line):
    do: Literal["jobs"]
    end: str | None = Field(None, max_length=20)


class News(Line):
    do: Literal["news"]
    cursor: Cursor | None = None


class Claim(Line):
    do: Literal["claim"]
    text: str = Field("", max_length=1000)
    done: bool = False


class Claims(Line):
    do: Literal["claims"]


class TaskInfo(Line):
    do: Literal["task"]


Request = TypeAdapter(Annotated[Commit | Submit | Wait | Scores | Post | Job | ListJobs | News | Claim | Claims | TaskInfo, Field(discriminator="do")])


class Door:
    """One agent's socket. `path` is made here and removed by `close()`."""

    def __init__(self, desk: Desk, agent: str, path: Path):
        self.desk, self.agent = desk, agent
        self._slots = threading.BoundedSemaphore(MOST_CONNECTIONS)
        self._listener = Listener(path, self._take, f"door-{agent}")

    def close(self) -> None:
        self._listener.close()

    def _take(self, connection: socket.socket) -> None:
        if self._slots.acquire(blocking=False):
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()
            return
        with connection, contextlib.suppress(OSError):
            say_line(connection, {"error": f"more than {MOST_CONNECTIONS} requests at once: wait for one to end"})

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                answer = self._answer(connection)
            except (ConnectionError, TimeoutError, InterruptedError):
                answer = None  # whoever asked is gone, or the run stops
            except Exception as error:
                # One bad request must not end the agent's door; what went wrong is shown in `status`.
                self.desk.problem(f"a request of {self.agent} failed: {type(error).__name__}: {error}")
                answer = {"error": f"the run could not do this ({type(error).__name__}); it is noted in its status"}
            finally:
                self._slots.release()
            if answer is not None:
                with contextlib.suppress(OSError):
                    say_line(connection, answer)

    def _answer(self, connection: socket.socket) -> dict:
        try:
            request = read_line(connection, Request, MOST_BYTES)
            connection.settimeout(60)
            return self._dispatch(request, connection)
        except UserError as error:
            return {"error": str(error)}

    def _dispatch(self, request: BaseModel, connection: socket.socket) -> dict:
        desk, agent = self.desk, self.agent
        match request:
            case Commit():
                return {"commit": desk.commit(agent, request.message, request.inspired_by)}
            case Submit():
                return desk.submit(agent, request.method, request.message, request.inspired_by, request.predict)
            case Wait():
                return desk.wait(request.submission, request.seconds, lambda: _gone(connection), agent)
            case Scores():
                return {"scores": desk.scores(agent), "left": desk.left(agent)}
            case Post():
                name = desk.post(agent, request.type, request.title, request.body, request.submission, request.replies_to)
                return {"post": name}
            case Job(background=True):
                return desk.jobs.begin(agent, request.command, request.seconds)
            case Job():
                return desk.jobs.run(agent, request.command, request.seconds, lambda piece: _stream(connection, piece), lambda: _gone(connection))
            case ListJobs():
                return desk.jobs.cancel(agent, request.end) if request.end else {"jobs": desk.jobs.listed(agent)}
            case News():
                news, cursor = news_for(desk, agent, request.cursor and request.cursor.model_dump())
                return {"news": news, "cursor": cursor}
            case Claim():
                return desk.end_claim(agent) if request.done else desk.claim(agent, request.text)
            case Claims():
                return {"claims": desk.claims(agent)}
            case _:
                return desk.task(agent)


def _gone(connection: socket.socket) -> bool:
    """Whether who asked has hung up."""
    poller = select.poll()
    poller.register(connection, select.POLLIN | select.POLLRDHUP)
    return any(event & (select.POLLRDHUP | select.POLLHUP | select.POLLERR) for _, event in poller.poll(0))


def _stream(connection: socket.socket, piece: bytes) -> None:
    with contextlib.suppress(OSError):  # `_gone` ends the job of one who has hung up
        say_line(connection, {"output": piece.decode(errors="replace")})
