"""The API key: taken out of the environment once, by the operator, so that no process it starts inherits it.

    key = take_key()        # None where there is none
    hide_secrets()          # afterwards no variable that looks like a secret is left
"""

from __future__ import annotations

import os
import re
from collections.abc import MutableMapping
from dataclasses import dataclass

SECRET = re.compile(r"(?i)(ANTHROPIC|CLAUDE|OPENAI)_.*|(.*_)?(KEY|TOKEN|SECRET|PASSWORD|PASSPHRASE|CREDENTIALS)(_ID)?")
"""Variables of this shape are no business of an agent, an evaluator or a method."""
KEY, TOKEN = "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"


@dataclass(frozen=True)
class Key:
    """`auth`: the header that carries it, x-api-key or bearer. Not shown where the object is printed."""

    value: str
    auth: str

    def __repr__(self) -> str:
        return f"Key(auth={self.auth!r})"


def find_key(environment: MutableMapping[str, str] = os.environ) -> Key | None:
    """The key that the environment holds; the environment stays as it is."""
    for name, auth in ((KEY, "x-api-key"), (TOKEN, "bearer")):
        if value := environment.get(name, "").strip():
            return Key(value, auth)
    return None


def take_key(environment: MutableMapping[str, str] = os.environ) -> Key | None:
    """The key, no longer in the environment."""
    key = find_key(environment)
    hide_secrets(environment)
    return key


def hide_secrets(environment: MutableMapping[str, str] = os.environ) -> None:
    """Take out of the environment whatever looks like a secret. Note that /proc/PID/environ of this process keeps what it was
    started with: it is the operator's own, and no sandbox sees it."""
    for name in [name for name in environment if SECRET.fullmatch(name)]:
        del environment[name]
