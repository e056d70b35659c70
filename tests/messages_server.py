"""A scripted server of the Messages API: stdlib only, real HTTP, on loopback or on a Unix socket.

    with MessagesServer(lambda call: turn("hello", tools=[("bash", {"command": "ls"})])) as server:
        client = anthropic.Anthropic(base_url=server.url, api_key="somebody")
        ...
        server.calls[0].body["messages"]

The script is asked once for each call and returns a reply: `turn`, `error`, `cut`, `cut_before_headers`, `error_event`, `hang`,
`empty`, `held`, `raw`. Requests are checked by the API's rules first (tests/messages_rules.py); a bad one is answered 400, noted in
`call.problem`, and the script is not asked. Usage is counted from what was sent: a token is `bytes_a_token` bytes, prefixes up to a
cache_control marker are written to a cache and read from it by later calls of the same key and model.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import json
import os
import socket
import socketserver
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.messages_replies import (
    Call,
    Reply,
    cut,
    cut_before_headers,
    empty,
    error,
    error_event,
    events_of,
    hang,
    held,
    raw,
    turn,
)
from tests.messages_rules import blocks_of, problem_of, signature

__all__ = [
    "Call", "MessagesServer", "Reply", "cut", "cut_before_headers", "empty", "error", "error_event", "hang", "held", "raw", "turn",
]  # fmt: skip

LOOK_BACK = 20
"""Blocks before a marker in which the API looks for a prefix it has cached."""


class MessagesServer:
    """`strict=False` takes whatever a client sends, for real command lines, which do not keep to all rules of the newest models."""

    def __init__(self, script: Callable[[Call], Reply], path: Path | str | None = None, bytes_a_token: float = 4.0, strict: bool = True):
        self.script, self.bytes_a_token, self.strict = script, bytes_a_token, strict
        self.calls: list[Call] = []
        """POSTs, count_tokens apart, in order of arrival."""
        self.requests: list[tuple[str, str]] = []
        """(method, path) of everything that arrived."""
        self.models = ["claude-opus-5-5", "claude-sonnet-5-5"]
        self.closing = threading.Event()
        self.path = None if path is None else Path(path)
        self._lock = threading.Lock()
        self._numbers: dict[str, int] = {}
        self._cached: set[tuple[str, str]] = set()
        self._open: set[socket.socket] = set()
        self._ids = 0
        self._server = (_Tcp if path is None else _Unix)(self)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}" if path is None else "http://messages"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True, name="messages").start()

    def __enter__(self) -> MessagesServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        with self._lock:
            still = list(self._open)
        for connection in still:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        if self.path is not None:
            self.path.unlink(missing_ok=True)

    def arrived(self, path: str, headers: dict[str, str], body: dict[str, Any]) -> Call:
        """Note a call and check it."""
        key = headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer ")
        with self._lock:
            number = self._numbers.get(key, 0)
            self._numbers[key] = number + 1
            call = Call(key, body, number, path, headers)
            if path == "/v1/messages":
                call.problem = problem_of(body, self.strict)
            self.calls.append(call)
        return call

    def fresh_id(self, kind: str) -> str:
        with self._lock:
            self._ids += 1
            return f"{kind}_{self._ids:08d}"

    # -- counting -----------------------------------------------------------------------------------------------------

    def tokens(self, text: str) -> int:
        return max(1, int(len(text.encode()) / self.bytes_a_token)) if text else 0

    def count(self, body: dict[str, Any]) -> int:
        return sum(self.tokens(block.text) for block in blocks_of(body))

    def input_usage(self, call: Call) -> dict[str, Any]:
        """What the call's input is billed as, and from now on its marked prefixes are cached."""
        digest, total, prefixes, markers = hashlib.sha256(str(call.body.get("model")).encode()), 0, [], []
        for block in blocks_of(call.body):
            digest.update(block.text.encode() + b"\0")
            total += self.tokens(block.text)
            prefixes.append(((call.key, digest.hexdigest()), total))
            if block.ttl:
                markers.append((len(prefixes) - 1, block.ttl))
        with self._lock:
            read = 0
            for place, _ in markers:
                near = prefixes[max(0, place + 1 - LOOK_BACK) : place + 1]
                read = max([read, *(tokens for name, tokens in near if name in self._cached)])
            self._cached |= {prefixes[place][0] for place, _ in markers}
        written, done = {"5m": 0, "1h": 0}, read
        for place, ttl in markers:
            written[ttl] += max(0, prefixes[place][1] - done)
            done = max(done, prefixes[place][1])
        return {
            "input_tokens": total - done,
            "cache_creation_input_tokens": done - read,
            "cache_read_input_tokens": read,
            "cache_creation": {"ephemeral_5m_input_tokens": written["5m"], "ephemeral_1h_input_tokens": written["1h"]},
        }

    def said(self, call: Call, reply: Reply) -> dict[str, Any]:
        """The finished message. What does not fit into max_tokens is cut off; a call of a tool then keeps the text of its cut JSON
        under `_json` for the stream."""
        left, content, full = call.body.get("max_tokens", 1 << 30), [], False
        spent = 0
        for block in map(dict, reply.content):
            name = {"thinking": "thinking", "text": "text"}.get(block["type"])
            words = block[name] if name else json.dumps(block["input"])
            used = self.tokens(words)
            if block["type"] == "tool_use":
                block["id"] = block["id"] or self.fresh_id("toolu")
            if used > left:
                used, full = left, True
                words = words.encode()[: int(left * self.bytes_a_token)].decode(errors="ignore")
                if name:
                    block[name] = words
                    block |= {"signature": signature(words)} if name == "thinking" else {}
                else:
                    block |= {"input": {}, "_json": words}
            content.append(block)
            spent, left = spent + used, left - used
            if full:
                break
        reason = reply.stop_reason or ("tool_use" if any(block["type"] == "tool_use" for block in content) else "end_turn")
        usage = {**self.input_usage(call), "output_tokens": max(1, spent), "service_tier": "standard", **(reply.usage or {})}
        return {
            "id": self.fresh_id("msg"), "type": "message", "role": "assistant", "model": call.body.get("model"), "content": content,
            "stop_reason": "max_tokens" if full else reason, "stop_sequence": None, "usage": usage,
        }  # fmt: skip


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Tcp | _Unix

    def setup(self) -> None:
        super().setup()
        self.told = self.server.told
        with contextlib.suppress(OSError):
            self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self.told._lock:
            self.told._open.add(self.connection)

    def finish(self) -> None:
        with self.told._lock:
            self.told._open.discard(self.connection)
        with contextlib.suppress(OSError):
            super().finish()

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):  # who asked has hung up
            super().handle()

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._json(200, {})

    def do_GET(self) -> None:
        self.told.requests.append(("GET", self.path))
        if self.path.partition("?")[0] == "/v1/models":
            found = [{"type": "model", "id": name, "display_name": name, "created_at": "2026-01-01T00:00:00Z"} for name in self.told.models]
            self._json(200, {"data": found, "has_more": False, "first_id": found[0]["id"], "last_id": found[-1]["id"]})
        else:
            self._json(404, {"type": "error", "error": {"type": "not_found_error", "message": "no such path"}})

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers.get("content-length", 0)))
        began = time.monotonic()
        path = self.path.partition("?")[0]
        self.told.requests.append(("POST", path))
        try:
            body = json.loads(data)
        except ValueError:
            self._invalid("the body is no JSON")
            return
        if path == "/v1/messages/count_tokens":
            self._json(200, {"input_tokens": self.told.count(body)})
            return
        call = self.told.arrived(path, {name.lower(): value for name, value in self.headers.items()}, body)
        call.began = began
        try:
            if call.problem is not None:
                self._invalid(call.problem)
            else:
                self._reply(call, self.told.script(call))
        finally:
            call.ended = time.monotonic()

    def _reply(self, call: Call, reply: Reply) -> None:
        if reply.end in ("silent", "hang"):
            self.told.closing.wait(reply.seconds)
            self._hang_up()
        elif reply.end == "raw":
            self._stream(reply, list(reply.chunks))
        elif call.path != "/v1/messages":
            self._json(404, {"type": "error", "error": {"type": "not_found_error", "message": "no such path"}})
        elif reply.status != 200:
            self._json(reply.status, reply.body, reply.headers)
        elif call.body.get("stream"):
            events = events_of(self.told.said(call, reply))
            if reply.end == "error":
                events[reply.after_events :] = [{"type": "error", "error": {"type": reply.body, "message": "scripted"}}]
            self._stream(reply, [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events])
        elif reply.end == "cut":
            self._hang_up()
        else:
            if reply.gate is not None:
                self._wait(reply.gate)
            message = self.told.said(call, reply)
            for block in message["content"]:
                block.pop("_json", None)
            self._json(200, message, reply.headers)

    def _stream(self, reply: Reply, chunks: list[bytes]) -> None:
        self.send_response(reply.status)
        for name, value in {"content-type": "text/event-stream", **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for number, chunk in enumerate(chunks):
            if number == reply.after_events and reply.end == "cut":
                self._hang_up()
                return
            if number == reply.after_events and reply.gate is not None:
                self._wait(reply.gate)
            self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        self.wfile.write(b"0\r\n\r\n")

    def _wait(self, gate: threading.Event) -> None:
        while not (gate.wait(0.05) or self.told.closing.is_set()):
            pass

    def _hang_up(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def _invalid(self, message: str) -> None:
        self._json(400, {"type": "error", "error": {"type": "invalid_request_error", "message": message}})

    def _json(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"content-type": "application/json", "request-id": self.told.fresh_id("req"), **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


class _Tcp(socketserver.ThreadingTCPServer):
    daemon_threads, block_on_close, allow_reuse_address, request_queue_size = True, False, True, 64

    def __init__(self, told: MessagesServer):
        self.told = told
        super().__init__(("127.0.0.1", 0), _Handler)


class _Unix(socketserver.ThreadingUnixStreamServer):
    daemon_threads, block_on_close, request_queue_size = True, False, 64

    def __init__(self, told: MessagesServer):
        self.told = told
        super().__init__(str(told.path), _Handler)

    def server_bind(self) -> None:
        path = self.told.path
        assert path is not None
        path.unlink(missing_ok=True)
        folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)  # the path may be longer than an address may be
        try:
            self.socket.bind(f"/proc/self/fd/{folder}/{path.name}")
        finally:
            os.close(folder)
        self.server_address = str(path)
