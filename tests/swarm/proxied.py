"""A model proxy between a scripted server and clients of nine agents: as a process, as in a run, or in this process, for speed."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx2

from state.files import read_jsonl
from state.paths import RunPaths
from state.spend import Spend
from swarm.key import Key
from swarm.proxy import Proxy
from swarm.proxy_client import ProxyClient, listen_at
from tests.waiting import until

KEY = "sk-the-key-of-this-test-7c1f"
MODEL = "claude-opus-5-5"
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Reading the certificates of the system takes longer than a call."""
SECONDS = 240.0
"""For an answer: longer than a machine stands still, and shorter than a test may take."""


class Proxied:
    """`agents` with a proxy before `base_url`. A context manager."""

    def __init__(
        self, folder: Path, base_url: str, agents: Sequence[str] = ("alpha",), models: Sequence[str] = (MODEL,), inside: bool = False,
        auth: str = "x-api-key", prices: dict | None = None, **limits: float,
    ):  # fmt: skip
        self.paths = RunPaths(folder)
        for agent in agents:
            self.paths.agent(agent).mkdir(parents=True, exist_ok=True)
        self.events: list[dict] = []
        self._clients: list[httpx2.Client] = []
        self._listening: list[socket.socket] = []
        self.allowed = {agent: list(models) for agent in agents}
        self.inside: Proxy | None = None
        self.outside: ProxyClient | None = None
        if inside:
            orders = {"key": KEY, "auth": auth, "base_url": base_url, "models": self.allowed, "spend": str(self.paths.spend),
                      "limits": limits, "prices": prices or {}}  # fmt: skip
            self.inside = Proxy(orders, self.events.append)
            for agent in agents:
                self._listening.append(listen_at(self.paths.model(agent)))
                self.inside.listen(agent, self._listening[-1])
        else:
            self.outside = ProxyClient(self.paths, self.allowed, Key(KEY, auth), base_url, limits, prices or {}, self.events.append)
            self.wait_for("ready")

    def __enter__(self) -> Proxied:
        return self

    def __exit__(self, *_: object) -> None:
        for client in self._clients:
            client.close()
        if self.inside is not None:
            self.inside.ending.set()
            for listening in self._listening:
                listening.shutdown(socket.SHUT_RDWR)  # its thread ends, and gives the descriptor back
        if self.outside is not None:
            self.outside.close()

    def wait_for(self, event: str, number: int = 1) -> dict:
        """The event of that name, the `number`-th."""
        return until(lambda: [one for one in self.events if one["event"] == event][number - 1 : number], lambda: f"{event} among {self.events}")[0]

    def client(self, agent: str = "alpha") -> httpx2.Client:
        """A client that talks to the agent's socket."""
        client = httpx2.Client(transport=httpx2.HTTPTransport(uds=str(self.paths.model(agent)), verify=NO_TLS), base_url="http://proxy", timeout=SECONDS)
        self._clients.append(client)
        return client

    def connection(self, agent: str = "alpha") -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(SECONDS)
        connection.connect(str(self.paths.model(agent)))
        return connection

    def spend(self) -> Spend:
        return Spend(self.paths.spend)

    def records(self, kind: str) -> list[dict]:
        return [record for record in read_jsonl(self.paths.spend) if record["kind"] == kind]

    def settled(self, number: int) -> list[dict]:
        """The settled records, once there are so many."""
        return until(lambda: found if len(found := self.records("settled")) >= number else None)


def body(text: str = "go", model: str = MODEL, max_tokens: int = 1000, stream: bool = True, **more: Any) -> dict[str, Any]:
    return {"model": model, "max_tokens": max_tokens, "stream": stream, "messages": [{"role": "user", "content": text}], **more}


def raw_request(method: str, target: str, data: dict | None = None, host: str = "proxy") -> bytes:
    sent = json.dumps(data).encode() if data is not None else b""
    return f"{method} {target} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {len(sent)}\r\n\r\n".encode() + sent
