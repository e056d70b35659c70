"""One call of the Messages API, streamed, through the agent's own socket to the model proxy.

    Model(folder, "claude-opus-5-5", settings, system, tools).ask(messages) -> Turn

The turn is put together from the raw events: thinking and its signature stay exactly as they came, the input of a tool is
read once it is whole, and a stream that ends before its message is an error (faults.CutOff), whoever ended it.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anthropic
import httpx2
from anthropic.types import Message, RawMessageStreamEvent

from swarm.researchers.faults import CutOff
from swarm.settings import Model as ModelSettings

TIMEOUT = httpx2.Timeout(600.0, connect=30.0)
"""Seconds without a byte. While others hold the last of the money, the proxy lets a call wait."""


@dataclass
class Turn:
    """What the model answered. `broken`: ids of tool calls whose input was no JSON object."""

    content: list[dict[str, Any]] = field(default_factory=list)
    stop_reason: str | None = None
    usage: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    most_tokens: int = 0
    broken: set[str] = field(default_factory=set)

    @property
    def calls(self) -> list[dict[str, Any]]:
        return [block for block in self.content if block["type"] == "tool_use"]

    @property
    def text(self) -> str:
        return "\n\n".join(block["text"].strip() for block in self.content if block["type"] == "text").strip()


class Model:
    """`folder` holds model.sock; `name` is the model's."""

    def __init__(self, folder: Path, name: str, settings: ModelSettings, system: str, tools: list[dict[str, Any]]):
        # A socket's path may have 107 bytes, an agent's folder more: connect by way of a descriptor of the folder.
        self._folder = os.open(folder, os.O_PATH | os.O_DIRECTORY)
        self.mark = {"type": "ephemeral"} | ({"ttl": "1h"} if settings.cache_ttl == "1h" else {})
        # A turn never takes more than a quarter of a small context.
        self.most_tokens = min(settings.max_tokens, settings.context_tokens // 4)
        self._written: list[tuple[list, int, bytes]] = []
        self._fixed: dict[str, Any] = {"model": name, "tools": tools}
        if system:  # the tools stand before it in the prefix that is cached
            self._fixed["system"] = [{"type": "text", "text": system, "cache_control": self.mark}]
        if settings.thinking == "adaptive":
            self._fixed["thinking"] = {"type": "adaptive"}
        if settings.effort:
            self._fixed["output_config"] = {"effort": settings.effort}
        # Plain HTTP on a private socket: without `verify=False` every agent would read the machine's certificates for nothing.
        transport = httpx2.HTTPTransport(uds=f"/proc/self/fd/{self._folder}/model.sock", verify=False)
        http = httpx2.Client(transport=transport, timeout=TIMEOUT, trust_env=False)
        # The proxy knows who asks by the socket and adds the key.
        self._client = anthropic.Anthropic(api_key="of-the-proxy", base_url="http://proxy", http_client=http, max_retries=0)

    def close(self) -> None:
        self._client.close()
        os.close(self._folder)

    def ask(self, messages: list[dict[str, Any]]) -> Turn:
        """Raises one of faults.ERRORS."""
        began = time.monotonic()
        # Not by messages.create: it would copy and write anew every block of a long conversation, each turn.
        stream = self._client.post(
            "/v1/messages", content=self._body(messages), cast_to=Message, stream=True, stream_cls=anthropic.Stream[RawMessageStreamEvent],
            options={"headers": {"content-type": "application/json"}, "timeout": TIMEOUT},
        )  # fmt: skip
        with stream:
            turn = read_turn(stream)
            told = stream.response.headers.get("aar-max-tokens", "")
        turn.most_tokens = int(told) if told.isdigit() else self.most_tokens
        turn.seconds = round(time.monotonic() - began, 3)
        return turn

    def _body(self, messages: list[dict[str, Any]]) -> bytes:
        """The request. A message that is as it was in the last one is not written again: Conversation makes a new list where it
        changes one, but for adding to the last."""
        written, pieces = self._written, []
        for place, message in enumerate(messages):
            content = message["content"]
            if place >= len(written) or written[place][0] is not content or written[place][1] != len(content):
                written[place:] = [(content, len(content), _written(message))]
            pieces.append(written[place][2])
        fixed = _written({**self._fixed, "max_tokens": self.most_tokens, "stream": True})
        return b"".join([fixed[:-1], b',"messages":[', b",".join(pieces), b"]}"])


def _written(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="backslashreplace")


def read_turn(events) -> Turn:
    """The turn that a stream of raw events tells. CutOff if the stream ends before it."""
    turn, pieces, over = Turn(), {}, False
    for event in events:
        match event.type:
            case "message_start":
                turn.usage.update(_numbers(event.message.usage))
            case "content_block_start":
                turn.content.append(event.content_block.to_dict(mode="json"))
                pieces[len(turn.content) - 1] = []
            case "content_block_delta":
                if not 0 <= event.index < len(turn.content):
                    raise CutOff  # a server that counts otherwise, or left something out
                _take(turn.content[event.index], event.delta, pieces[event.index])
            case "message_delta":
                turn.stop_reason = event.delta.stop_reason or turn.stop_reason
                turn.usage.update(_numbers(event.usage))
            case "message_stop":
                over = True
    if not over:
        raise CutOff
    _name_calls(turn)
    for place, block in enumerate(turn.content):
        _finish(block, pieces[place], turn)
    turn.stop_reason = turn.stop_reason or ("tool_use" if turn.calls else "end_turn")
    return turn


def _take(block: dict[str, Any], delta: Any, pieces: list[str]) -> None:
    match delta.type:
        case "text_delta":
            pieces.append(delta.text)
        case "thinking_delta":
            pieces.append(delta.thinking)
        case "input_json_delta":
            pieces.append(delta.partial_json)
        case "signature_delta":
            block["signature"] = delta.signature


def _finish(block: dict[str, Any], pieces: list[str], turn: Turn) -> None:
    whole = "".join(pieces)
    match block["type"]:
        case "text":
            # A lone surrogate could not be sent back.
            block["text"] = (block.get("text", "") + whole).encode(errors="replace").decode()
        case "thinking":
            block["thinking"] = block.get("thinking", "") + whole
        case "tool_use":
            try:
                given = json.loads(whole) if whole else block.get("input", {})
                json.dumps(given, ensure_ascii=False).encode()
            except ValueError:  # cut off, or a lone surrogate
                given = None
            if not isinstance(given, dict):
                turn.broken.add(block["id"])
            block["input"] = given if isinstance(given, dict) else {}


def _name_calls(turn: Turn) -> None:
    """An answer finds its call by the id: where a server gives none, or one twice, the call gets another."""
    seen: set[str] = set()
    for call in turn.calls:
        if not call.get("id") or call["id"] in seen:
            call["id"] = f"toolu_{secrets.token_hex(8)}"
        seen.add(call["id"])


def _numbers(usage: Any) -> dict[str, Any]:
    """The counts that a usage tells: those of the end are totals, and win over those of the start."""
    return {name: value for name, value in usage.to_dict(mode="json").items() if value is not None} if usage is not None else {}
