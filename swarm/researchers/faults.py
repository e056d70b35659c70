"""What can go wrong with the Messages API, and what follows: ask again after a pause, make the conversation shorter, or stop.

    fault_of(error).kind       again      an outage, a cut, a limit of rate: the same request may succeed later
                               overlong   the conversation does not fit: it has to become shorter
                               thinking   the server refuses thinking that another model or server has signed
                               budget     the run's money (or tokens, or turns) is spent
                               final      no repetition helps: the key, the model or the request is refused
    Patience(...).wait(fault)  sleeps with growing pauses, says so in `status`, gives up after some hours

The SDK's own retries are off: they would be invisible, and it does not retry what is cut in mid-stream.
"""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import anthropic
import httpx2

from swarm.researchers import Parked, Record


class CutOff(Exception):  # noqa: N818
    """A stream that ended, without an error, before its message did."""


ERRORS = (anthropic.APIError, httpx2.HTTPError, httpx2.StreamError, CutOff, json.JSONDecodeError, UnicodeDecodeError)
"""What asking the API may raise. The raw ones come from a stream that breaks off: the SDK wraps only what comes before it."""

OVERLONG = re.compile(
    r"prompt is too long|input is too long|exceeds? (the )?(model's )?(maximum |available )?context|context (length|window|size|limit)"
    r"|maximum context|input length and .?max_tokens|too many tokens|request_too_large|request too large",
    re.IGNORECASE,
)
OVERLONG_STATUS = (400, 422, 500)
"""Local servers say it in their own ways."""
FOREIGN_THINKING = re.compile(r"signature|thinking.*block|block.*thinking")
STATUS_OF = {
    "invalid_request_error": 400, "authentication_error": 401, "billing_error": 402, "permission_error": 403, "not_found_error": 404,
    "request_too_large": 413, "rate_limit_error": 429, "api_error": 500, "timeout_error": 504, "overloaded_error": 529,
}  # fmt: skip
"""An error inside a stream that had begun comes with status 200: its type says what it would have been."""
MOST_ASKED_SECONDS = 3600.0
"""Of what a server asks to wait."""
LONGEST_PAUSE = 90.0
LONG_LINE = 300


@dataclass(frozen=True)
class Fault:
    """`line` says it in words; `seconds` is what the server asked to wait, or None."""

    kind: Literal["again", "overlong", "thinking", "budget", "final"]
    line: str
    seconds: float | None = None


def fault_of(error: Exception) -> Fault:
    """What one of ERRORS means."""
    if not isinstance(error, anthropic.APIStatusError):
        return Fault("again", _transport_line(error))
    status = error.status_code
    if status < 400:
        status = STATUS_OF.get(error.type or "", 500)
    said = error.api_message or (error.body if isinstance(error.body, str) else "") or error.message
    said = " ".join(said.split())[:LONG_LINE]
    headers = error.response.headers
    refused = headers.get("aar-refused")  # by the proxy, whose line is clear by itself
    if refused == "budget":
        return Fault("budget", said)
    if refused and status not in (413, 429, 502):
        return Fault("final", said)
    if status == 413 or (status in OVERLONG_STATUS and OVERLONG.search(f"{error.type} {said}")):
        return Fault("overlong", said)
    if status in (408, 409, 429) or status >= 500 or headers.get("x-should-retry") == "true":
        why = said[:100] if status == 502 else (error.type or "error").removesuffix("_error")  # the proxy says whom it cannot reach
        return Fault("again", f"{status} {why}", _retry_after(headers))
    line = f"{_WHY.get(status, 'the API refuses the request')} ({status} {error.type or 'error'}: {said})"
    return Fault("thinking" if status == 400 and FOREIGN_THINKING.search(said) else "final", line)


_WHY = {
    400: "the API refuses the request (a server that knows no thinking or effort: see [model] in aar.toml)",
    401: "the API refuses the key",
    402: "the API wants to be paid",
    403: "the API does not allow this",
    404: "the API does not know the model, or has no Messages API at this base URL",
}


def _transport_line(error: Exception) -> str:
    cause = error.__cause__ or error if isinstance(error, anthropic.APIConnectionError) else error
    match cause:
        case httpx2.ConnectError() | httpx2.ConnectTimeout():
            return "no connection"
        case httpx2.TimeoutException() | anthropic.APITimeoutError():
            return "nothing came for too long"
        case CutOff() | httpx2.RemoteProtocolError() | httpx2.ReadError():
            return "the answer was cut off"
    return f"the answer could not be read: {type(cause).__name__}"


def _retry_after(headers: httpx2.Headers) -> float | None:
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        if re.fullmatch(r"\d+(\.\d+)?", value := headers.get(name, "").strip()):
            return min(MOST_ASKED_SECONDS, float(value) * unit)
    return None


class Patience:
    """Waits for an API that fails. `sleep`, `clock` and `chance` are attributes, for tests."""

    def __init__(self, tell: Callable[[str, str], None], record: Record, hours: float):
        self.sleep, self.clock, self.chance = time.sleep, time.time, random.random
        self._tell, self._record, self.hours = tell, record, hours
        self._since: float | None = None
        self._tries, self._line = 0, ""

    def wait(self, fault: Fault) -> None:
        """Sleep before the next try. Parked when the outage has lasted too long."""
        now = self.clock()
        if self._since is None:
            self._since, self._tries = now, 0
        left = self._since + 3600 * self.hours - now
        if left <= 0:
            raise Parked(f"the API has not answered for {(now - self._since) / 3600:.1f} hours ({fault.line}); `resume` tries again")
        if fault.line != self._line:  # a long outage is not a long transcript
            self._record({"kind": "trouble", "what": fault.line})
            self._line = fault.line
        self._tell("waiting", f"the API does not answer since {time.strftime('%H:%M', time.gmtime(self._since))} UTC ({fault.line})")
        pause = min(LONGEST_PAUSE, 2.0**self._tries) * (0.5 + 0.5 * self.chance())
        if fault.seconds is not None:  # not all agents at the same instant
            pause = fault.seconds + min(1.0, fault.seconds) * self.chance()
        self._tries += 1
        self.sleep(min(pause, left))

    def over(self) -> None:
        """The API has answered."""
        if self._since is not None:
            self._record({"kind": "trouble", "what": "over", "tries": self._tries, "seconds": round(self.clock() - self._since, 1)})
        self._since, self._line = None, ""
