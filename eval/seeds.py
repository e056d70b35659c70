"""Secret randomness: every draw, order and student seed comes from an HMAC, so nobody can foresee it and all can repeat it."""

from __future__ import annotations

import hashlib
import hmac


def derive(secret: bytes, *what: object) -> int:
    """A 64-bit number from HMAC-SHA256(secret, what): always the same for the same secret, unknown without it."""
    digest = hmac.new(secret, ":".join(map(str, what)).encode(), hashlib.sha256).digest()
    return int.from_bytes(digest[:8], "big")
