"""The rules of the Messages API by which the scripted server (tests/messages_server.py) judges a request.

Stricter than the API in one thing: roles must alternate, which the API would merge.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import Any

KNOWN = {
    "model", "max_tokens", "messages", "system", "tools", "tool_choice", "stream", "thinking", "output_config", "metadata",
    "stop_sequences", "context_management", "container", "mcp_servers", "service_tier", "inference_geo", "speed", "cache_control",
}  # fmt: skip
MOST_MARKERS = 4


@dataclass(frozen=True)
class Block:
    """A piece of the input in the order of the cache: tools, system, messages. `ttl`: "" where no marker stands on it."""

    text: str
    ttl: str


def signature(thinking: str) -> str:
    return base64.b64encode(hashlib.sha256(b"signed " + thinking.encode()).digest()).decode()


def blocks_of(body: dict[str, Any]) -> list[Block]:
    """The input, block by block, without its cache markers."""
    found = [_block("tool", tool) for tool in body.get("tools") or ()]
    found += [_block("system", block) for block in _listed(body.get("system") or [])]
    for message in body.get("messages") or ():
        found += [_block(message.get("role", ""), block) for block in _listed(message.get("content") or [])]
    return found


def _listed(content: Any) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _block(where: str, block: dict[str, Any]) -> Block:
    bare = {name: value for name, value in block.items() if name != "cache_control"}
    mark = block.get("cache_control")
    text = json.dumps(bare, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return Block(f"{where[:1]}{text}", mark.get("ttl", "5m") if mark else "")


def problem_of(body: dict[str, Any], strict: bool = True) -> str | None:
    """What the API would refuse the request for, or None."""
    if not isinstance(body, dict) or not isinstance(body.get("model"), str):
        return "model: field required"
    most = body.get("max_tokens")
    if not isinstance(most, int) or most < 1:
        return "max_tokens: a positive integer is required"
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        return "messages: at least one message is required"
    if not strict:
        return None
    unknown = sorted(set(body) - KNOWN)
    if unknown:
        return f"{unknown[0]}: extra inputs are not permitted"
    thinking = body.get("thinking") or {}
    if thinking.get("type") == "enabled" and not 1024 <= thinking.get("budget_tokens", 0) < most:
        return "thinking.budget_tokens: must be at least 1024 and less than max_tokens"
    markers = sum(1 for block in blocks_of(body) if block.ttl)
    if markers > MOST_MARKERS:
        return f"a maximum of {MOST_MARKERS} blocks with cache_control may be provided, found {markers}"
    return _problem_of_messages(messages)


def _problem_of_messages(messages: list[Any]) -> str | None:
    wanted: set[str] = set()
    seen: set[str] = set()
    for place, message in enumerate(messages):
        where = f"messages.{place}"
        role = message.get("role")
        if set(message) != {"role", "content"} or role not in ("user", "assistant"):
            return f"{where}: a message has a role (user or assistant) and content"
        if role != ("user", "assistant")[place % 2]:
            return f"{where}: {'first message must use the user role' if place == 0 else 'roles must alternate'}"
        content = _listed(message["content"])
        if not isinstance(content, list) or not content or not all(isinstance(block, dict) for block in content):
            return f"{where}: content must be non-empty"
        problem = _problem_of_content(role, content) or _problem_of_results(content, wanted)
        if problem:
            return f"{where}: {problem}"
        calls = [block.get("id") for block in content if block.get("type") == "tool_use"]
        if len(set(calls)) < len(calls) or set(calls) & seen:
            return f"{where}: `tool_use` ids must be unique"
        seen |= set(calls)
        wanted = set(calls)
    if wanted:
        return f"messages.{len(messages) - 1}: `tool_use` ids were found without `tool_result` blocks immediately after: {sorted(wanted)}"
    return None


def _problem_of_content(role: str, content: list[dict[str, Any]]) -> str | None:
    for place, block in enumerate(content):
        where, kind = f"content.{place}", block.get("type")
        match kind:
            case "text" if not str(block.get("text") or "").strip():
                return f"{where}: text content blocks must be non-empty"
            case "thinking" if block.get("signature") != signature(block.get("thinking", "")):
                return f"{where}: invalid `signature` in `thinking` block"
            case "tool_use" if not (isinstance(block.get("input"), dict) and block.get("id") and block.get("name")):
                return f"{where}: a `tool_use` has an id, a name and an input"
        if kind in ("thinking", "redacted_thinking", "tool_use") and role != "assistant":
            return f"{where}: `{kind}` blocks can only be in assistant messages"
        if kind == "tool_result" and role != "user":
            return f"{where}: `tool_result` blocks can only be in user messages"
        if kind in ("thinking", "redacted_thinking") and "cache_control" in block:
            return f"{where}: cache_control is not permitted on `{kind}` blocks"
    return None


def _problem_of_results(content: list[dict[str, Any]], wanted: set[str]) -> str | None:
    """Every call of the message before is answered, first in the content, once; nothing else is."""
    kinds = [block.get("type") == "tool_result" for block in content]
    answered = [block.get("tool_use_id") for block in content if block.get("type") == "tool_result"]
    if set(answered) - wanted:
        return f"unexpected `tool_use_id` found in `tool_result` blocks: {sorted(set(map(str, answered)) - wanted)}"
    if wanted - set(answered):
        return f"`tool_use` ids were found without `tool_result` blocks immediately after: {sorted(wanted - set(answered))}"
    if len(set(answered)) < len(answered):
        return "each `tool_use` must have a single result"
    if kinds != sorted(kinds, reverse=True):
        return "`tool_result` blocks must come first in the content"
    return None
