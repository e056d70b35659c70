"""The model proxy: the one process that holds the API key, and the one way from an agent to a model.

    python -m swarm.proxy      started by swarm/proxy_client.py

The first line of standard input says all it has to know, the key included, so that the key stands in no argument, no environment and
no file; the end of standard input ends it. It listens on sockets that it is handed, one for each agent: which socket a request came
through says who asks. Events go out as JSON lines:

    {"event": "ready"} / {"event": "refused", "agent", "detail"} / {"event": "upstream", "ok", "detail"} / {"event": "problem", "detail"}
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from state.errors import UserError
from swarm.lengths import Lengths
from swarm.money import Money
from swarm.prices import Prices
from swarm.proxy_handler import ProxyHandler
from swarm.upstream import Upstream

MOST_CONNECTIONS = 16
"""Of one agent: what it can have the proxy hold in memory is so many requests."""
QUIET_SECONDS = 60.0
"""An event that says the same again within this time is left out: an agent that keeps trying must not fill the log."""
MOST_FREE = 60
"""Calls of one agent within that time that cost nothing (counting tokens, listing models): the key's own limits are for all."""
MOST_EVENTS = 20
"""Of one agent within that time, however they differ: it chooses their words."""
SETTLE_SECONDS = 3.0
"""How long calls that are cut off at the end have to be settled."""


class Proxy:
    """What all connections share. `say(event)` tells the operator."""

    def __init__(self, orders: dict[str, Any], say: Callable[[dict], None]):
        self._say = say
        self.models: dict[str, list[str]] = orders["models"]
        self.upstream = Upstream(orders["base_url"], orders.get("key") or "", orders.get("auth") or "x-api-key")
        self.money = Money(Path(orders["spend"]), orders["limits"], Prices(orders["prices"]), self.models)
        self.lengths = Lengths()
        self.ending = threading.Event()
        self._lock = threading.Lock()
        self._said: dict[tuple[str, str], float] = {}
        self._free: dict[str, list[float]] = {}
        self._trouble: str | None = None
        self._cuts: set[Callable[[], None]] = set()

    def listen(self, agent: str, listening: socket.socket) -> None:
        threading.Thread(target=self._accept, args=(agent, listening), daemon=True, name=f"model-{agent}").start()

    def refused(self, agent: str, detail: str) -> None:
        now = time.monotonic()
        with self._lock:
            self._said = {key: at for key, at in self._said.items() if now - at < QUIET_SECONDS}
            if (agent, detail) in self._said or sum(who == agent for who, _ in self._said) >= MOST_EVENTS:
                return
            self._said[agent, detail] = now
        self._say({"event": "refused", "agent": agent, "detail": detail})

    def may_ask_free(self, agent: str) -> bool:
        """Whether an agent may make one more call that costs nothing."""
        now = time.monotonic()
        with self._lock:
            recent = [at for at in self._free.get(agent, ()) if now - at < QUIET_SECONDS]
            if len(recent) < MOST_FREE:
                recent.append(now)
                self._free[agent] = recent
                return True
        return False

    def problem(self, detail: str) -> None:
        self._say({"event": "problem", "detail": self.upstream.hide_key(detail)})

    def upstream_is(self, trouble: str | None) -> None:
        """Told of every answer: None where it was a good one. Only a change becomes an event."""
        with self._lock:
            before, self._trouble = self._trouble, trouble
            if (before is None) == (trouble is None):
                return
        self._say({"event": "upstream", "ok": trouble is None, "detail": trouble or f"{self.upstream.host} answers again"})

    @contextlib.contextmanager
    def cuttable(self, cut: Callable[[], None]):
        """`cut()` is called where the proxy ends meanwhile."""
        with self._lock:
            self._cuts.add(cut)
        try:
            if self.ending.is_set():
                cut()
            yield
        finally:
            with self._lock:
                self._cuts.discard(cut)

    def end(self) -> None:
        """Cut off what is under way and settle it by what was seen of it."""
        self.ending.set()
        with self._lock:
            cuts = list(self._cuts)
        for cut in cuts:
            cut()
        deadline = time.monotonic() + SETTLE_SECONDS
        while self.money.open_calls() and time.monotonic() < deadline:
            time.sleep(0.01)

    def _accept(self, agent: str, listening: socket.socket) -> None:
        slots = threading.BoundedSemaphore(MOST_CONNECTIONS)
        while not self.ending.is_set():
            try:
                connection, _ = listening.accept()
            except OSError as error:  # no descriptor is free, most likely
                self.problem(f"a connection of {agent} was not taken: {error.strerror}")
                time.sleep(0.5)
                continue
            if not slots.acquire(blocking=False):
                connection.close()
                self.refused(agent, f"more than {MOST_CONNECTIONS} connections at once")
                continue
            threading.Thread(target=self._serve, args=(agent, connection, slots), daemon=True).start()

    def _serve(self, agent: str, connection: socket.socket, slots: threading.BoundedSemaphore) -> None:
        with connection:
            try:
                ProxyHandler(connection, agent, self)
            except (ConnectionError, TimeoutError):
                pass  # whoever asked is gone
            finally:
                slots.release()


def keep_to_oneself() -> None:
    """No other process of this user may look into this one, and no core is dumped; and there is room for many connections."""
    PR_SET_DUMPABLE = 4
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise UserError(f"the model proxy cannot hide its memory ({os.strerror(ctypes.get_errno())})")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a call takes three descriptors


def main() -> None:
    keep_to_oneself()
    orders = json.loads(sys.stdin.buffer.readline())
    lock = threading.Lock()

    def say(event: dict) -> None:
        with lock, contextlib.suppress(BrokenPipeError):  # the operator is gone: standard input ends as well
            sys.stdout.write(json.dumps(event) + "\n")
            sys.stdout.flush()

    proxy = Proxy(orders, say)

    def told(failure: threading.ExceptHookArgs) -> None:
        """A request that fails by a fault of ours ends its own connection only; what was set aside for it stays set aside."""
        threading.__excepthook__(failure)
        proxy.problem(f"a request to the model proxy failed: {failure.exc_type.__name__}: {failure.exc_value}")

    threading.excepthook = told
    for agent, descriptor in orders["sockets"].items():
        proxy.listen(agent, socket.socket(fileno=descriptor))
    say({"event": "ready"})
    sys.stdin.buffer.read()
    proxy.end()
    os._exit(0)  # threads that wait on connections are not waited for


if __name__ == "__main__":
    main()
