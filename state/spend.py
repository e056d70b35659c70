"""What the models of a run have cost: `spend.jsonl`, which the model proxy appends to and everybody else reads.

A call is `reserved` at the most it can cost before it goes out, and `settled` at what it did cost afterwards. What is reserved and
not settled counts as spent, so that a crash never makes a run look cheaper than it may have been.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from pathlib import Path

from state.files import read_jsonl_from

RECENT = 4000
"""Settled calls that are kept, for a rate."""


@dataclass
class Totals:
    """`input_tokens` counts all input, also what was read from a cache or written to it. `turns`: calls that were billed."""

    dollars: float = 0.0
    tokens: int = 0
    turns: int = 0
    input_tokens: int = 0
    cache_read_tokens: int = 0
    output_tokens: int = 0

    def _reserve(self, record: dict, sign: int) -> None:
        self.dollars += sign * record["dollars"]
        self.tokens += sign * record["tokens"]
        self.turns += sign

    def _settle(self, record: dict) -> None:
        used = record["input_tokens"] + record["output_tokens"]
        self.dollars += record["dollars"]
        self.tokens += used
        self.turns += 1 if used or record["dollars"] else 0
        self.input_tokens += record["input_tokens"]
        self.cache_read_tokens += record["cache_read_tokens"]
        self.output_tokens += record["output_tokens"]


class Spend:
    """The totals of one spend file, up to the last `refresh()`. Not thread-safe. A file that is not there counts as empty."""

    def __init__(self, path: Path | str):
        self.path = Path(path)
        self.calls: deque[dict] = deque(maxlen=RECENT)
        """The latest settled records."""
        self.open: dict[str, dict] = {}
        """What is reserved and not settled, by the name of the call."""
        self._offset = 0
        self._over: set[str] = set()
        self._settled: dict[str | None, Totals] = {None: Totals()}  # None: the fleet
        self._reserved: dict[str | None, Totals] = {None: Totals()}
        self.refresh()

    def refresh(self) -> None:
        """Read what was appended since."""
        records, self._offset = read_jsonl_from(self.path, self._offset)
        for record in records:
            if record["kind"] == "reserved":
                self.open[record["call"]] = record
                self._reserve(record, 1)
            elif record["kind"] == "settled":
                if record["call"] in self._over:  # a proxy that was ending, and the next one, both settled it: the first counts
                    continue
                self._over.add(record["call"])
                before = self.open.pop(record["call"], None)
                if before is not None:
                    self._reserve(before, -1)
                for whose in (None, record["agent"]):
                    self._settled.setdefault(whose, Totals())._settle(record)
                self.calls.append(record)

    def _reserve(self, record: dict, sign: int) -> None:
        for whose in (None, record["agent"]):
            self._reserved.setdefault(whose, Totals())._reserve(record, sign)
        if not self.open:  # sums of fractions leave dust
            self._reserved = {None: Totals()}

    @property
    def dollars(self) -> float:
        return self.total().dollars

    @property
    def tokens(self) -> int:
        return self.total().tokens

    @property
    def turns(self) -> int:
        return self.total().turns

    def of(self, agent: str) -> Totals:
        """What one agent has spent, open reservations included."""
        return self.total(agent)

    def total(self, whose: str | None = None) -> Totals:
        """What an agent (None: all together) has spent, open reservations included."""
        settled, reserved = self.settled(whose), self._reserved.get(whose, Totals())
        return Totals(
            settled.dollars + reserved.dollars, settled.tokens + reserved.tokens, settled.turns + reserved.turns,
            settled.input_tokens, settled.cache_read_tokens, settled.output_tokens,
        )  # fmt: skip

    def settled(self, whose: str | None = None) -> Totals:
        """The same without open reservations."""
        return self._settled.get(whose, Totals())
