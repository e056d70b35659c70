"""The far side of the model proxy: one base URL, the key, and answers that are passed on byte for byte as they come.

No redirect is followed. HTTPS_PROXY, NO_PROXY and SSL_CERT_FILE of the operator's environment are heeded, for a lab behind a proxy of
its own; a server on this machine is always reached directly.
"""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import os
import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx2

from swarm.asked import RESPONSES

CONNECT_SECONDS, READ_SECONDS, WRITE_SECONDS = 15.0, 600.0, 60.0
"""While an answer comes, the API sends something every few seconds; without streaming it may think for minutes."""
IDLE_SECONDS = 30.0
"""How long a connection is kept for the next call."""


class Upstream:
    """Thread-safe. `auth`: the header that carries `key`, x-api-key or bearer; no key, no header."""

    def __init__(self, base_url: str, key: str, auth: str):
        self.base_url, self.key, self._auth = base_url.rstrip("/"), key, auth
        url = httpx2.URL(self.base_url)
        self.host = url.host
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=32, keepalive_expiry=IDLE_SECONDS)
        timeout = httpx2.Timeout(CONNECT_SECONDS, read=READ_SECONDS, write=WRITE_SECONDS, pool=None)
        self._client = httpx2.Client(
            timeout=timeout, limits=limits, verify=_certificates(), trust_env=not _on_this_machine(url.host), follow_redirects=False
        )
        self._client.headers.clear()

    @contextlib.contextmanager
    def send(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Iterator[httpx2.Response]:
        """The answer, its body not read yet. Raises httpx2.TransportError."""
        # Not compressed, so that what the answer says of its usage can be read while it passes.
        headers = {**headers, "accept-encoding": "identity"}
        if self.key:
            # The Responses API knows one way only.
            bearer = self._auth == "bearer" or target.startswith(RESPONSES)
            headers["authorization" if bearer else "x-api-key"] = f"Bearer {self.key}" if bearer else self.key
        request = self._client.build_request(method, self.base_url + target, headers=headers, content=body or None)
        response = self._client.send(request, stream=True)
        response.stream = _Body(response)
        try:
            yield response
        finally:
            with contextlib.suppress(httpx2.TransportError):
                response.close()

    def hide_key(self, text: str) -> str:
        return text.replace(self.key, "[the key]") if self.key else text

    def mask_key(self, data: bytes) -> bytes:
        """A piece of an answer of the same length, without the key: some servers quote it in an error, also within a stream."""
        return data.replace(self.key.encode(), b"*" * len(self.key.encode())) if self.key else data


def cut(response: httpx2.Response) -> None:
    """End an answer of `send` at once, from any thread: whoever reads it gets an error. One that is closed has nothing left to end."""
    body: Any = response.stream
    body.cut()


class _Body(httpx2.SyncByteStream):
    """What `response` reads from. Once it is closed, which reading to the end does, its connection may carry another call's answer: from
    then on it cuts nothing."""

    def __init__(self, response: httpx2.Response):
        stream: Any = response.extensions.get("network_stream")
        self._socket: socket.socket | None = stream.get_extra_info("socket") if stream is not None else None
        self._body: Any = response.stream
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)

    def cut(self) -> None:
        with self._lock:
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    # Not SSLSocket.shutdown, which takes the encryption away from under the reader.
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        with self._lock:
            self._socket = None
        self._body.close()


class Watch:
    """Calls `on_gone()` from a thread of its own when the client hangs up. A context manager."""

    def __init__(self, client: socket.socket, on_gone: Callable[[], None]):
        self._client, self._on_gone = client, on_gone
        self.gone = threading.Event()
        self._end = os.eventfd(0, os.EFD_CLOEXEC)
        self._thread = threading.Thread(target=self._look, daemon=True, name="watch")

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        os.eventfd_write(self._end, 1)
        self._thread.join()
        os.close(self._end)

    def _look(self) -> None:
        poller = select.poll()
        poller.register(self._client, select.POLLRDHUP)
        poller.register(self._end, select.POLLIN)
        if any(descriptor != self._end for descriptor, _ in poller.poll()):
            self.gone.set()
            self._on_gone()


def hung_up(client: socket.socket) -> bool:
    poller = select.poll()
    poller.register(client, select.POLLRDHUP)
    return bool(poller.poll(0))


def in_words(error: httpx2.TransportError) -> str:
    """What happened to a connection, in a few words."""
    match error:
        case httpx2.ConnectTimeout():
            return "no connection in time"
        case httpx2.TimeoutException():
            return "no answer in time"
        case httpx2.ConnectError() | httpx2.ProxyError():
            return f"no connection ({str(error) or type(error).__name__})"
        case httpx2.RemoteProtocolError():
            return "the connection was closed before an answer came"
    return f"the connection broke ({type(error).__name__})"


@functools.cache
def _certificates() -> ssl.SSLContext:
    return httpx2.create_ssl_context()


def _on_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
