"""What the answer of a model says it used, read while it streams by: Messages API and Responses API, as events or as one JSON.

    heard = Heard(events=True)
    heard.feed(chunk); ...; heard.end()
    heard.billed(most_output=16000, thinks=True)      None: nothing was told, so anything may have been used
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

IN_FLIGHT = 256
"""Tokens that may be on their way when an answer is cut off."""
MOST_TOKENS = 10**9
"""No call uses more, whatever its server says."""
THINKING = ("thinking", "redacted_thinking", "reasoning")
ENDS = ("message_stop", "response.completed", "response.incomplete", "response.failed")


@dataclass(frozen=True)
class Usage:
    """`input_tokens` counts all input; what was read from a cache or written to it is a part of that."""

    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    output_tokens: int = 0

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    def most(self, other: Usage) -> Usage:
        """Field by field the greater: later events of a stream count on, but some servers leave fields at 0."""
        return Usage(*(max(getattr(self, name), getattr(other, name)) for name in self.__dataclass_fields__))


def told_by(usage: Any) -> Usage:
    """Usage as the Messages API tells it (its input_tokens leave out what a cache had to do with) or as the Responses API does."""
    if not isinstance(usage, dict):
        return Usage()

    def number(table: Any, name: str) -> int:
        value = table.get(name) if isinstance(table, dict) else None
        return int(min(value, MOST_TOKENS)) if isinstance(value, (int, float)) and value > 0 else 0

    if "input_tokens_details" in usage or "total_tokens" in usage:
        read = number(usage.get("input_tokens_details"), "cached_tokens")
        return Usage(number(usage, "input_tokens"), read, output_tokens=number(usage, "output_tokens"))
    read, written = number(usage, "cache_read_input_tokens"), number(usage, "cache_creation_input_tokens")
    whole = number(usage, "input_tokens") + read + written
    long = min(written, number(usage.get("cache_creation"), "ephemeral_1h_input_tokens"))
    told = Usage(whole, read, written, long, number(usage, "output_tokens"))
    rounds = usage.get("iterations")
    if isinstance(rounds, list) and rounds:  # several inferences in one call: the top level may leave some out
        each = [told_by(one) for one in rounds]
        told = told.most(Usage(*(sum(getattr(one, name) for one in each) for name in Usage.__dataclass_fields__)))
    return told


class Heard:
    """The body of one answer with status 200. `events`: whether it is a stream of server-sent events."""

    def __init__(self, events: bool):
        self.events = events
        self.told = Usage()
        self.complete = False
        """Whether the answer came to its own end."""
        self._output_told = False
        self._seen = 0
        self._thought = False
        self._rest = bytearray()
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> None:
        self._rest += chunk
        if not self.events or b"\n" not in chunk:
            return
        *lines, rest = bytes(self._rest).split(b"\n")
        self._rest = bytearray(rest)
        for line in lines:
            line = line.rstrip(b"\r")
            if line.startswith(b"data:"):
                self._data.append(line[5:].lstrip())
            elif not line and self._data:
                data, self._data = b"\n".join(self._data), []
                self._event(_parsed(data))

    def end(self) -> None:
        """The body is over, well or not."""
        if self.events:
            if self._data:
                self._event(_parsed(b"\n".join(self._data)))
            return
        body = _parsed(bytes(self._rest))
        if isinstance(body.get("usage"), dict):
            self.told, self.complete, self._output_told = told_by(body["usage"]), True, True
            self._seen = len(self._rest)

    def billed(self, most_output: int, thinks: bool) -> Usage | None:
        """What has to be paid for. Of an answer that was cut off, output counts as what was seen, a byte a token; where the model
        thinks, which is not all shown, as the most there could be. None where nothing was told."""
        if not self.told.input_tokens:
            return None
        if self.complete and self._output_told and (self.told.output_tokens or not self._seen):
            return self.told
        bound = most_output if thinks or self._thought else min(most_output, self._seen + IN_FLIGHT)
        return replace(self.told, output_tokens=max(self.told.output_tokens, bound))

    def _event(self, event: dict[str, Any]) -> None:
        kind = event.get("type")
        match kind:
            case "message_start" if isinstance(event.get("message"), dict):
                self.told = self.told.most(told_by(event["message"].get("usage")))
            case "content_block_start" | "response.output_item.added":
                block = event.get("content_block") or event.get("item")
                if isinstance(block, dict):
                    self._thought = self._thought or block.get("type") in THINKING
                    self._seen += len(json.dumps(block))
            case "content_block_delta" if isinstance(event.get("delta"), dict):
                self._seen += sum(len(value.encode(errors="replace")) for value in event["delta"].values() if isinstance(value, str))
            case "message_delta" if isinstance(event.get("usage"), dict):
                self.told = self.told.most(told_by(event["usage"]))
                self._output_told = True
            case "response.completed" | "response.incomplete" | "response.failed" if isinstance(event.get("response"), dict):
                if isinstance(event["response"].get("usage"), dict):
                    self.told = self.told.most(told_by(event["response"]["usage"]))
                    self._output_told = True
            case _ if isinstance(event.get("delta"), str):
                self._seen += len(event["delta"].encode(errors="replace"))
        self.complete = self.complete or kind in ENDS


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):  # a model may be asked to nest its answer deeper than can be read
        return {}
    return found if isinstance(found, dict) else {}
