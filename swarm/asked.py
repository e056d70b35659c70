"""What an agent asks of a model: whether it may, and how much it can cost at most.

    asked = read_request("/v1/messages", data, allowed=["claude-opus-5-5"])      Refused, with one line, where it may not
    asked.data(max_tokens=4096)                                                  what goes out

A model runs nothing and fetches nothing on the API's side: the only hands of an agent are those of its sandbox.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

MESSAGES, COUNT, RESPONSES = "/v1/messages", "/v1/messages/count_tokens", "/v1/responses"
DEFAULT_OUTPUT = 32_000
"""For a request of the Responses API that does not say how long its answer may be."""
LEAST_THINKING = 1024
OVERHEAD = 1000
"""Tokens that the API may add to what a request says: instructions for tools, thinking, answers in a form."""
OVERHEAD_TOOL, OVERHEAD_IMAGE = 2000, 6000
"""Of a tool that the API describes itself, and the most that an image counts as."""

CLIENT_TOOLS = ("bash_", "text_editor_", "computer_", "memory_")
CLIENT_TOOLS_OF_RESPONSES = ("function", "custom", "local_shell", "apply_patch")
NEVER = (
    "mcp_servers", "container", "speed", "inference_geo", "fallbacks", "models", "route", "provider", "plugins",
    "previous_response_id", "conversation", "prompt", "background",
)  # fmt: skip
"""Fields that reach further than the request itself, or that cost more than its model's price."""
BLOCKS = ("text", "image", "document", "tool_use", "tool_result", "thinking", "redacted_thinking", "search_result", "tool_reference")
"""What a message may hold: nothing else is known not to make a server fetch something."""
ADDRESSES = ("image_url", "file_url", "file_id")
"""Where the Responses API names what it would fetch."""
MOST_DEPTH = 200
"""How deep a body may nest: far more than any that means something."""
MOST_VALUES = 2_000_000
"""In a body, about: in memory a value may take fifty times its bytes."""
MOST_OUTPUT = 10_000_000
"""Tokens that a request may ask for."""
TIERS = ("auto", "standard", "standard_only", "default")


class Refused(Exception):
    """A request that does not go out. `why`: budget, model or request, for the header aar-refused."""

    def __init__(self, message: str, status: int = 400, kind: str = "invalid_request_error", why: str = "request"):
        super().__init__(message)
        self.status, self.kind, self.why = status, kind, why


@dataclass(frozen=True)
class Asked:
    """One request that may go out. `bytes_bound`: more input tokens than it can have. `ttl`: of its cache markers, "" without any."""

    path: str
    raw: bytes
    body: dict[str, Any]
    model: str
    max_tokens: int
    thinks: bool
    ttl: str
    bytes_bound: int

    @property
    def items(self) -> list[Any]:
        """The conversation, oldest first."""
        found = self.body.get("messages" if self.path != RESPONSES else "input")
        return found if isinstance(found, list) else []

    def data(self, max_tokens: int) -> bytes:
        """The body that goes out: as it came, or with a smaller `max_tokens`."""
        name = "max_tokens" if self.path != RESPONSES else "max_output_tokens"
        if self.body.get(name) == max_tokens:
            return self.raw
        body = {**self.body, name: max_tokens}
        thinking = body.get("thinking")
        budget = thinking.get("budget_tokens") if isinstance(thinking, dict) else None
        if isinstance(budget, (int, float)) and budget >= max_tokens:
            less = {**thinking, "budget_tokens": max_tokens - 1}
            body["thinking"] = less if max_tokens > LEAST_THINKING else {"type": "disabled"}
        return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(errors="backslashreplace")


def read_request(path: str, data: bytes, allowed: Sequence[str]) -> Asked:
    """Check a request body. `allowed`: the models that the agent may ask."""
    body = _parsed(data)
    model = body.get("model")
    if not isinstance(model, str):
        raise Refused("model: a request names its model")
    if model not in allowed:
        raise Refused(f"model {model[:100]!r} is not among those of this agent: {', '.join(allowed)}", 403, "permission_error", "model")
    for name in NEVER:
        if body.get(name):
            raise Refused(f"{name} is not passed on: leave it out")
    if body.get("service_tier", "auto") not in TIERS:
        raise Refused("service_tier: only the standard tier is passed on")
    typed = _check_tools(path, body.get("tools") or [])
    _check_context(body.get("context_management"))
    most = _most_output(path, body)
    images = sum(1 for _ in _checked_blocks(path, body))
    thinking = body.get("thinking") or body.get("reasoning")
    return Asked(
        path, data, body, model, most,
        thinks=path == RESPONSES or (isinstance(thinking, dict) and thinking.get("type") != "disabled"),
        ttl=_ttl(data, body),
        bytes_bound=len(data) + OVERHEAD + OVERHEAD_TOOL * typed + OVERHEAD_IMAGE * images,
    )  # fmt: skip


def _ttl(data: bytes, body: dict[str, Any]) -> str:
    """The longest life of the request's cache markers, "" where it has none."""
    if b"\\u" in data:  # a name may be spelt in escapes
        data = json.dumps(body).encode()
    if b'"cache_control"' not in data:
        return ""
    return "1h" if re.search(rb'"ttl"\s*:\s*"1h"', data) else "5m"


def images_in(path: str, item: Any) -> int:
    return sum(1 for _ in _images(path, [item]))


def _parsed(data: bytes) -> dict[str, Any]:
    """The body, in the one way that every server reads it: no field twice, none in another spelling."""

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        table = dict(found)
        if len(table) < len(found):
            raise Refused("the body says a field twice")
        return table

    def number(text: str) -> float:
        raise Refused(f"{text} is no number in JSON")

    if sum(map(data.count, (b"[", b"{", b","))) > MOST_VALUES:
        raise Refused(f"a body holds at most about {MOST_VALUES:,} values", 413, "request_too_large")
    try:
        body = json.loads(data.decode(), object_pairs_hook=pairs, parse_constant=number)
    except (ValueError, RecursionError):
        raise Refused("the body is no JSON") from None
    if not isinstance(body, dict):
        raise Refused("the body is one JSON object")
    _check_depth(body)
    for name in body:
        if name != name.lower() or not name.isascii():
            raise Refused(f"{name[:60]}: fields are in small letters")
    return body


def _check_depth(body: dict[str, Any]) -> None:
    level: list[Any] = [body]
    for _ in range(MOST_DEPTH):
        inner = (one.values() if isinstance(one, dict) else one for one in level)
        level = [value for values in inner for value in values if isinstance(value, (dict, list))]
        if not level:
            return
    raise Refused("the body is nested too deep")


def _check_tools(path: str, tools: Any) -> int:
    """How many of the tools are described by the API itself; Refused where one would run on the API's side."""
    typed = 0
    for tool in tools if isinstance(tools, list) else [None]:
        if not isinstance(tool, dict):
            raise Refused("tools: a list of tools is expected")
        kind = tool.get("type")
        if path == RESPONSES:
            fine = kind in CLIENT_TOOLS_OF_RESPONSES
        else:
            fine = kind in (None, "custom") or (isinstance(kind, str) and kind.startswith(CLIENT_TOOLS))
        if not fine:
            raise Refused(f"tools: {str(kind)[:60]} runs on the API's side; only tools that the agent runs itself are passed on")
        typed += kind not in (None, "custom", "function")
    return typed


def _check_context(management: Any) -> None:
    edits = management.get("edits") if isinstance(management, dict) else management
    for edit in edits if isinstance(edits, list) else []:
        if not (isinstance(edit, dict) and str(edit.get("type")).startswith("clear_")):
            raise Refused("context_management: only edits that clear something are passed on")


def _most_output(path: str, body: dict[str, Any]) -> int:
    if path == COUNT:
        return 0
    name = "max_tokens" if path == MESSAGES else "max_output_tokens"
    most = body.get(name, None if path == MESSAGES else DEFAULT_OUTPUT)
    if path == RESPONSES and most is None:
        most = DEFAULT_OUTPUT
    if not isinstance(most, int) or isinstance(most, bool) or not 1 <= most <= MOST_OUTPUT:
        raise Refused(f"{name}: a request says how long its answer may be")
    return most


def _checked_blocks(path: str, body: dict[str, Any]) -> Iterator[None]:
    """One for each image. Refused where a block lets the API fetch something, or says less than it counts."""
    system = body.get("system")
    yield from _images(path, [{"content": system}] if isinstance(system, list) else [])
    items = body.get("messages" if path != RESPONSES else "input")
    yield from _images(path, items if isinstance(items, list) else [])


def _images(path: str, items: list[Any]) -> Iterator[None]:
    for item in items:
        if not isinstance(item, dict):
            continue
        if path == RESPONSES:
            yield from _responses_block(item)
            inner = item.get("content") if item.get("type") in (None, "message") else item.get("output")
            for block in inner if isinstance(inner, list) else [inner]:
                if isinstance(block, dict):
                    yield from _responses_block(block)
            continue
        for block in _blocks(item.get("content")):
            yield from _messages_block(path, block)


def _blocks(content: Any) -> list[dict[str, Any]]:
    if content is None or isinstance(content, str):
        return []
    if not isinstance(content, list) or not all(isinstance(block, dict) for block in content):
        raise Refused("content: a text or a list of blocks is expected")
    return content


def _messages_block(path: str, block: dict[str, Any]) -> Iterator[None]:
    kind, source = block.get("type"), block.get("source")
    if kind == "tool_result":
        yield from _images(path, [block])
        return
    if kind not in BLOCKS:
        raise Refused(f"a block of type {str(kind)[:40]} is not passed on")
    if kind not in ("image", "document"):
        return
    wanted, source = ("base64",) if kind == "image" else ("text", "content"), source if isinstance(source, dict) else {}
    if source.get("type") not in wanted:
        raise Refused(f"{kind}: a source of type {str(source.get('type'))[:20]} is not passed on; say it in the request itself ({wanted[0]})")
    if kind == "image":
        yield None
    yield from _images(path, [source])


def _responses_block(block: dict[str, Any]) -> Iterator[None]:
    kind = block.get("type")
    if kind in ("item_reference", "input_file"):
        raise Refused(f"{kind} is not passed on: say it in the request itself")
    for name in ADDRESSES:
        if block.get(name) is not None and not str(block[name]).startswith("data:"):
            raise Refused(f"{name}: only what is in the request itself is passed on")
    if kind == "input_image" or block.get("image_url") is not None:
        yield None
