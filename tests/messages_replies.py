"""What a script of the scripted Messages API server says (tests/messages_server.py): replies, and the stream of one."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from tests.messages_rules import signature

PIECE = 48
"""Characters in one delta of a stream."""


@dataclass
class Call:
    """One request. `number` counts the calls of its key, from 0. `problem`: why it was answered 400, or None."""

    key: str
    body: dict[str, Any]
    number: int
    path: str
    headers: dict[str, str]
    problem: str | None = None
    began: float = 0.0
    ended: float = 0.0
    """When its body was there and when its answer was out, by the monotonic clock."""


@dataclass(frozen=True)
class Reply:
    """What the script wants said. Made by the functions below."""

    content: list[dict[str, Any]] = field(default_factory=list)
    stop_reason: str | None = None
    usage: dict[str, Any] | None = None
    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    end: str = ""
    """How it ends, after `after_events` events: "" well, "cut", "silent" (nothing at all), "error", "hang", "held", "raw"."""
    after_events: int = 0
    seconds: float = 0.0
    gate: threading.Event | None = None
    chunks: tuple[bytes, ...] = ()


def turn(text: str = "", tools: Iterable[tuple[str, dict]] = (), thinking: str = "", stop_reason: str | None = None, usage: dict | None = None) -> Reply:
    """A turn of the model: thinking, text, tool calls, each where given."""
    content: list[dict[str, Any]] = []
    if thinking:
        content.append({"type": "thinking", "thinking": thinking, "signature": signature(thinking)})
    if text:
        content.append({"type": "text", "text": text})
    content += [{"type": "tool_use", "id": "", "name": name, "input": given} for name, given in tools]
    return Reply(content, stop_reason, usage)


def empty() -> Reply:
    """A turn that says nothing."""
    return Reply()


def error(status: int, type: str, message: str = "scripted", headers: dict[str, str] | None = None) -> Reply:
    return Reply(status=status, body={"type": "error", "error": {"type": type, "message": message}}, headers=headers or {})


def cut(reply: Reply, after_events: int) -> Reply:
    """The connection is closed after so many events of the stream."""
    return replace(reply, end="cut", after_events=after_events)


def cut_before_headers() -> Reply:
    return Reply(end="silent")


def error_event(reply: Reply, after_events: int, type: str = "overloaded_error") -> Reply:
    """An error event inside a stream that had begun."""
    return replace(reply, end="error", after_events=after_events, body=type)


def hang(seconds: float) -> Reply:
    """No answer for so long, then the connection is closed."""
    return Reply(end="hang", seconds=seconds)


def held(reply: Reply, after_events: int, gate: threading.Event) -> Reply:
    """The stream stands still after so many events until `gate` is set."""
    return replace(reply, end="held", after_events=after_events, gate=gate)


def raw(chunks: Iterable[bytes], status: int = 200, headers: dict[str, str] | None = None) -> Reply:
    """Exactly these chunks. For other paths than /v1/messages it is the only reply."""
    return Reply(status=status, headers=headers or {}, end="raw", chunks=tuple(chunks))


def events_of(message: dict[str, Any]) -> list[dict[str, Any]]:
    """The stream of a finished message."""
    usage = message["usage"]
    start = {**message, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": min(1, usage["output_tokens"])}}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": start}, {"type": "ping"}]
    for index, block in enumerate(message["content"]):
        match block["type"]:
            case "text":
                bare, deltas = {**block, "text": ""}, [{"type": "text_delta", "text": piece} for piece in _pieces(block["text"])]
            case "thinking":
                bare = {**block, "thinking": "", "signature": ""}
                deltas = [{"type": "thinking_delta", "thinking": piece} for piece in _pieces(block["thinking"])]
                deltas.append({"type": "signature_delta", "signature": block["signature"]})
            case _:
                words = block["_json"] if "_json" in block else json.dumps(block["input"])
                bare = {name: value for name, value in block.items() if name != "_json"} | {"input": {}}
                deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in _pieces(words)]
        events.append({"type": "content_block_start", "index": index, "content_block": bare})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    ended = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    told = {name: value for name, value in usage.items() if name not in ("cache_creation", "service_tier")}
    return [*events, {"type": "message_delta", "delta": ended, "usage": told}, {"type": "message_stop"}]


def _pieces(text: str) -> list[str]:
    return [text[start : start + PIECE] for start in range(0, len(text), PIECE)]
