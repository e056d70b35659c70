"""What an agent process asks of its model socket without asking a model: what is spent, and whether the API answers at all.

    meter = Meter(config.folder / "model.sock")
    meter.stopped()       None, or why no call will be made any more
"""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any

from swarm.sockets import connect_to

SECONDS = 30.0
ANSWERS_LATER = (408, 429)
MOST_BYTES = 1 << 20


class Meter:
    """`path`: the agent's socket of the model proxy. A proxy that is just being restarted is told apart from one that refuses."""

    def __init__(self, path: Path):
        self.path = path

    def budget(self) -> dict[str, Any] | None:
        """What GET /aar/budget says; None where the proxy does not answer."""
        status, body = self._get("/aar/budget")
        try:
            found = json.loads(body) if status == 200 else None
        except ValueError:
            return None
        return found if isinstance(found, dict) else None

    def stopped(self) -> str | None:
        return (self.budget() or {}).get("stopped")

    def outage(self) -> str | None:
        """None where the API behind the proxy answers, whatever it says; else what is wrong with it. Costs nothing."""
        status, body = self._get("/v1/models")
        if status == 0:
            return f"the model proxy does not answer ({body})"
        if status >= 500 or status in ANSWERS_LATER:
            return f"the API answers {status} {_message(body)}".rstrip()
        return None

    def _get(self, path: str) -> tuple[int, str]:
        connection = _UnixConnection(self.path)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read(MOST_BYTES).decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            return 0, str(error) or type(error).__name__
        finally:
            connection.close()


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path):
        super().__init__("proxy", timeout=SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = connect_to(self._path, self.timeout)


def _message(body: str) -> str:
    try:
        return str(json.loads(body)["error"]["message"])[:200]
    except (ValueError, KeyError, TypeError):
        return ""
