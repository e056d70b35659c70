"""The near side of the model proxy: one connection of one agent, HTTP/1.1.

A handful of paths is served and nothing else. Of a request only a few headers go on; whatever credentials it carries stay here.
"""

from __future__ import annotations

import http.server
import json
import re
import socket
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import httpx2

from swarm.asked import COUNT, Refused, read_request
from swarm.money import Gone
from swarm.proxy_call import Call
from swarm.upstream import Watch, cut, hung_up, in_words

if TYPE_CHECKING:
    from swarm.proxy import Proxy

MOST_BYTES = 32 << 20
MOST_ERROR_BYTES = 1 << 20
IDLE_SECONDS = 600.0
"""A connection on which nothing moves for so long is closed."""
HOSTS = ("proxy", "localhost", "127.0.0.1", "[::1]")
"""Names under which the proxy itself is known to clients."""
QUERY = re.compile(r"[A-Za-z0-9_=&.-]{0,200}")
PASSED_ON = ("content-type", "anthropic-version", "anthropic-beta", "accept", "user-agent")
KEPT_BACK = {
    "connection", "keep-alive", "proxy-authenticate", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
    "set-cookie", "anthropic-organization-id",
}  # fmt: skip
"""Headers of an answer that are between the proxy and the API."""
BAD = (401, 402, 403, 408, 429)
"""Answers that say that the API does not serve this run now; so do all from 500 on."""


class ProxyHandler(http.server.BaseHTTPRequestHandler):
    """Serves `connection` until it ends."""

    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    wbufsize = 1 << 16
    """Head and body of a short answer go out as one."""

    def __init__(self, connection: socket.socket, agent: str, proxy: Proxy):
        self.agent, self.proxy = agent, proxy
        super().__init__(connection, "", None)  # type: ignore[arg-type]  # there is no server object: the proxy is it

    def log_message(self, format: str, *args: object) -> None:
        pass

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the standard library itself finds wrong with a request: an unknown method, a line too long."""
        self.close_connection = True
        words = message or HTTPStatus(code).phrase
        self.proxy.refused(self.agent, words[:200])
        self._error(403 if code == HTTPStatus.NOT_IMPLEMENTED else code, "permission_error", words[:200], {"aar-refused": "request"})

    def handle_expect_100(self) -> bool:
        super().handle_expect_100()
        self.wfile.flush()
        return True

    def do_HEAD(self) -> None:
        self._serve()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_CONNECT = do_TRACE = do_HEAD

    def _serve(self) -> None:
        path, _, query = self.path.partition("?")
        try:
            self._check_target(path, query)
            data = self._body()
            match self.command, path:
                case "GET" | "HEAD", "/":
                    self._json(200, {"aar": "model proxy"})
                case "GET", "/aar/budget":
                    self._json(200, self.proxy.money.facts(self.agent))
                case "GET", "/v1/models":
                    self._free(b"")
                case "POST", "/v1/messages" | "/v1/messages/count_tokens" | "/v1/responses":
                    self._ask(path, data)
                case _:
                    raise Refused(f"{self.command} {path[:100]} is not served", 403, "permission_error")
        except Refused as refused:
            if refused.status != 402:  # that a budget ends is no event
                self.proxy.refused(self.agent, str(refused))
            self._error(refused.status, refused.kind, str(refused), {"aar-refused": refused.why})
        except Gone:
            self.close_connection = True
        except RecursionError:
            self._error(400, "invalid_request_error", "the body is nested too deep", {"aar-refused": "request"})

    def _check_target(self, path: str, query: str) -> None:
        hosts = self.headers.get_all("host") or []
        others = [host for host in hosts if re.sub(r":\d+$", "", host.strip().lower()) not in HOSTS]
        if not path.startswith("/") or others:
            self.close_connection = True
            where = self.path if not path.startswith("/") else others[0]
            raise Refused(f"no way to {where[:100]}: only the model API is reached through here", 403, "permission_error")
        if not QUERY.fullmatch(query):
            raise Refused("the query of the URL is not passed on", 403, "permission_error")

    def _body(self) -> bytes:
        if self.headers.get("content-encoding", "identity") != "identity":
            self.close_connection = True
            raise Refused("a compressed request is not passed on")
        lengths, coding = self.headers.get_all("content-length") or [], self.headers.get("transfer-encoding", "")
        if coding.lower() == "chunked" and not lengths:
            return self._chunks()
        if coding or len(lengths) > 1 or not all(length.isascii() and length.isdigit() for length in lengths):
            self.close_connection = True
            raise Refused("the length of the request is not clear")
        return self._read(int(lengths[0]) if lengths else 0, 0)

    def _chunks(self) -> bytes:
        data = bytearray()
        while True:
            line = self.rfile.readline(100)
            try:
                size = int(line.partition(b";")[0], 16)
            except ValueError:
                size = -1
            if size < 0:
                self.close_connection = True
                raise Refused("a chunk of the request has no length")
            data += self._read(size, len(data))
            while (end := self.rfile.readline(8192)) not in (b"\r\n", b"\n"):
                if not end:
                    raise ConnectionError
            if size == 0:
                return bytes(data)

    def _read(self, size: int, before: int) -> bytes:
        if size + before > MOST_BYTES:
            self.close_connection = True
            raise Refused(f"a request has at most {MOST_BYTES >> 20} MiB", 413, "request_too_large")
        data = self.rfile.read(size)
        if len(data) < size:
            raise ConnectionError
        return data

    # -- calls ----------------------------------------------------------------------------------------------------------

    def _ask(self, path: str, data: bytes) -> None:
        asked = read_request(path, data, self.proxy.models.get(self.agent, []))
        if path == COUNT:
            self._free(data)
            return
        bound, name = self.proxy.lengths.bound(self.agent, asked, self.headers.get("anthropic-beta", ""))
        try:
            ticket = self.proxy.money.reserve(self.agent, asked, bound, lambda: self.proxy.ending.is_set() or hung_up(self.connection))
        except OSError as error:
            self.proxy.problem(f"what is spent cannot be written down ({error.strerror}): no call goes out")
            self._error(500, "api_error", "the run cannot write down what is spent: no call goes out")
            return
        Call(self, asked, ticket, name).go()

    def _free(self, data: bytes) -> None:
        """Pass on what costs nothing, within limits."""
        if not self.proxy.may_ask_free(self.agent):
            raise Refused("too many calls that cost nothing: wait a minute", 429, "rate_limit_error")
        self.pass_on(None, data)

    def pass_on(self, call: Call | None, data: bytes) -> None:
        """Send a request on and its answer back. `call`: what is to be paid for."""
        headers = {name: self.headers[name] for name in PASSED_ON if re.fullmatch(r"[\t -~]+", self.headers.get(name, ""))}
        began = False
        try:
            with self.proxy.upstream.send(self.command, self.path, headers, data) as response:
                if 300 <= response.status_code < 400:
                    words = f"{self.proxy.upstream.host} wants to send this elsewhere, which is not followed: check base_url"
                    self.proxy.upstream_is(words)
                    raise Refused(words, 502, "api_error")
                if call is not None:
                    call.status = response.status_code
                began = call is not None and response.status_code == 200
                if began:
                    call.relay(response)
                else:
                    self._whole(response)
                self._note(response.status_code)
        except httpx2.TransportError as error:
            if call is not None and not began:
                call.no_answer(error)
            if hung_up(self.connection) or self.proxy.ending.is_set():  # then it was cut off on this side
                raise Gone from None
            words = f"{self.proxy.upstream.host}: {'an answer was cut off' if began else in_words(error)}"
            self.proxy.upstream_is(words)
            if began:  # `relay` has seen to it
                self.close_connection = True
                return
            self._error(502, "api_error", words)

    def _note(self, status: int) -> None:
        trouble = f"{self.proxy.upstream.host} answers {status}" if status >= 500 or status in BAD else None
        self.proxy.upstream_is(trouble)

    def _whole(self, response: httpx2.Response) -> None:
        """An answer that costs nothing, read to its end and then passed on."""
        data = bytearray()
        with Watch(self.connection, lambda: cut(response)), self.proxy.cuttable(lambda: cut(response)):
            for chunk in response.iter_raw():
                data += chunk
                if len(data) > MOST_ERROR_BYTES:
                    raise Refused(f"{self.proxy.upstream.host} answers {response.status_code} at too great a length", 502, "api_error")
        body = self.proxy.upstream.mask_key(bytes(data))
        self.start(response, {"content-length": str(len(body))})
        self.wfile.write(body)

    def start(self, response: httpx2.Response, more: dict[str, str], length: bool = False) -> None:
        """Status and headers of an answer. `length`: whether it keeps the length that it says itself."""
        self.send_response_only(response.status_code)
        for name, value in response.headers.multi_items():
            if name.lower() not in KEPT_BACK and (length or name.lower() != "content-length"):
                self.send_header(name, self.proxy.upstream.hide_key(value))
        for name, value in more.items():
            self.send_header(name, value)
        self.end_headers()

    def _error(self, status: int, kind: str, message: str, headers: dict[str, str] | None = None) -> None:
        self._json(status, {"type": "error", "error": {"type": kind, "message": message}}, headers)

    def _json(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(body).encode()
        self.send_response_only(status)
        for name, value in {"content-type": "application/json", "content-length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
