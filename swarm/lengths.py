"""How long a request is at most, in tokens, before anybody has counted it.

No token is shorter than a byte, so the bytes of a request are a bound, about four times too high. Where a request goes on from an
earlier one, whose tokens the API has told, only what was added is counted by its bytes.
"""

from __future__ import annotations

import hashlib
import json
import marshal
import secrets
import threading
from collections import OrderedDict
from typing import Any

from swarm.asked import OVERHEAD_IMAGE, Asked, images_in

MARGIN = 300
"""Tokens around what was added."""
MOST_REMEMBERED = 200
"""Conversations of one agent; the oldest is forgotten."""
NEUTRAL = {
    "messages", "input", "max_tokens", "max_output_tokens", "stream", "stream_options", "metadata", "client_metadata", "temperature",
    "top_p", "top_k", "stop_sequences", "service_tier", "store", "include", "user", "prompt_cache_key", "cache_control",
}  # fmt: skip
"""Fields beside which a conversation has the same length. All others are part of what has to be equal."""


MARKERS = ({"type": "ephemeral"}, {"type": "ephemeral", "ttl": "5m"}, {"type": "ephemeral", "ttl": "1h"})


class Lengths:
    """Told lengths, for each agent. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told: dict[str, OrderedDict[bytes, int]] = {}
        self._last: dict[str, _Marks] = {}

    def bound(self, agent: str, asked: Asked, beta: str = "") -> tuple[int, bytes]:
        """No fewer tokens than the request has, and the name under which to tell how many it had. `beta`: of its headers, which
        may change how the API counts."""
        found = _Marks(asked, beta, self._last.get(agent))
        marks, added = found.marks, 0
        with self._lock:
            self._last[agent] = found
            told = self._told.get(agent, OrderedDict())
            for place in range(len(marks) - 1, -1, -1):
                mark, size = marks[place]
                if mark in told:
                    told.move_to_end(mark)
                    return min(asked.bytes_bound, told[mark] + added + MARGIN), marks[-1][0]
                added += size
        return asked.bytes_bound, marks[-1][0]

    def tell(self, agent: str, name: bytes, tokens: int) -> None:
        """So many tokens the request had."""
        if not tokens:
            return
        with self._lock:
            told = self._told.setdefault(agent, OrderedDict())
            told[name] = tokens
            told.move_to_end(name)
            if len(told) > MOST_REMEMBERED:
                told.popitem(last=False)


class _Marks:
    """`marks`: for each message a digest of all up to it, and the most tokens that it adds; a first one for what stands around them.
    Messages that are the same as in `before`, the agent's last request, are not gone through again."""

    def __init__(self, asked: Asked, beta: str, before: _Marks | None):
        frame = {name: value for name, value in asked.body.items() if name not in NEUTRAL}
        # By these, unlike by Python's own equality, 1 is neither true nor 1.0. The format without references is the same each time.
        self._exact = [marshal.dumps(item, 2) for item in asked.items]
        if not asked.items:  # said in one piece, which nothing goes on from
            frame["whole"] = asked.body.get("input") or asked.body.get("messages")
        if _clears(asked.body.get("context_management")):  # what it clears now may count the next time
            frame["once"] = secrets.token_hex(8)
        digest = hashlib.sha256(_bare([asked.path, beta, frame]))
        self.marks, self._digests = [(digest.digest(), 0)], [digest]
        same = 0
        if before is not None and before.marks[0] == self.marks[0]:
            pairs = zip(self._exact, before._exact, strict=False)
            same = next((place for place, (item, old) in enumerate(pairs) if item != old), min(len(self._exact), len(before._exact)))
            self.marks, self._digests = before.marks[: same + 1], before._digests[: same + 1]
        digest = self._digests[-1]
        for item in asked.items[same:]:
            data, digest = _bare(item), digest.copy()
            digest.update(len(data).to_bytes(8, "big") + data)
            self._digests.append(digest)
            self.marks.append((digest.digest(), len(data) + OVERHEAD_IMAGE * images_in(asked.path, item)))


def _clears(management: Any) -> bool:
    edits = management.get("edits") if isinstance(management, dict) else management
    return bool(edits) and not (isinstance(edits, list) and all(isinstance(edit, dict) and edit.get("keep") == "all" for edit in edits))


def _bare(value: Any) -> bytes:
    data = _dumped(value)
    return _dumped(_without_markers(value)) if b"cache_control" in data else data  # most of a conversation has none


def _dumped(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="backslashreplace")


def _without_markers(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_markers(inner) for name, inner in value.items() if name != "cache_control" or inner not in MARKERS}
    if isinstance(value, list):
        return [_without_markers(inner) for inner in value]
    return value
