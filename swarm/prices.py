"""What a call of a model costs, offline: prices of one's own (aar.toml), else genai-prices, else a high fallback, never nothing.

    Prices({"qwen3": {"input": 0, "output": 0}}).dollars("claude-opus-5-5", input_tokens=1000, output_tokens=100)

Tokens of a cache are part of `input_tokens`, and those of a cache of an hour part of `cache_write_tokens`. Prices are dollars per
million tokens.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from genai_prices import Usage as PricedUsage
from genai_prices import calc_price

WRITE_5M, WRITE_1H = 1.25, 2.0
"""Where prices of one's own do not say what writing to a cache costs: so much of the price of input, as Anthropic has it."""


@dataclass(frozen=True)
class Price:
    """Dollars per million tokens."""

    input: float
    output: float
    cache_read: float
    cache_write: float
    cache_write_1h: float

    @classmethod
    def of(cls, said: Mapping[str, float]) -> Price:
        """What is left out is charged dearly: reading from a cache like input, writing by the factors above."""
        written = said.get("cache_write")
        return cls(
            said["input"], said["output"], said.get("cache_read", said["input"]),
            said["input"] * WRITE_5M if written is None else written, said["input"] * WRITE_1H if written is None else written,
        )  # fmt: skip

    def dollars(self, tokens: Mapping[str, int]) -> float:
        read, written, written_1h = (tokens.get(name, 0) for name in ("cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens"))
        plain = max(0, tokens["input_tokens"] - read - written)
        return (
            plain * self.input + read * self.cache_read + (written - written_1h) * self.cache_write + written_1h * self.cache_write_1h
            + tokens["output_tokens"] * self.output
        ) / 1e6  # fmt: skip


FALLBACK = Price(input=30.0, output=150.0, cache_read=3.0, cache_write=37.5, cache_write_1h=60.0)
"""For a model that nobody has a price for: twice the dearest Claude that there ever was."""


class Prices:
    """`own`: settings["prices"], model -> {input, output, cache_read, cache_write}."""

    def __init__(self, own: Mapping[str, Mapping[str, float]]):
        self._own = {model: Price.of(said) for model, said in own.items()}
        self.worst = functools.lru_cache(1000)(self._worst)
        """(model, input_tokens, output_tokens, ttl) -> the most that a call with at most so many tokens can cost. `ttl`: of its cache
        markers, "" where it has none."""

    def source(self, model: str) -> str:
        """Where the price comes from: aar.toml, genai-prices or fallback."""
        if model in self._own:
            return "aar.toml"
        return "genai-prices" if _provider(model) else "fallback"

    def dollars(
        self, model: str, *, input_tokens: int, output_tokens: int, cache_read_tokens: int = 0, cache_write_tokens: int = 0,
        cache_write_1h_tokens: int = 0,
    ) -> float:  # fmt: skip
        """What one call costs."""
        tokens = {
            "input_tokens": input_tokens, "output_tokens": output_tokens, "cache_read_tokens": cache_read_tokens,
            "cache_write_tokens": cache_write_tokens, "cache_write_1h_tokens": cache_write_1h_tokens,
        }  # fmt: skip
        if model in self._own:
            return self._own[model].dollars(tokens)
        provider = _provider(model)
        if provider is None:
            return FALLBACK.dollars(tokens)
        return _listed(model, provider, tokens)

    def _worst(self, model: str, input_tokens: int, output_tokens: int, ttl: str) -> float:
        ways: list[dict[str, int]] = [{}]
        if ttl:
            ways += [{"cache_write_tokens": input_tokens}, {"cache_read_tokens": input_tokens}]
        if ttl == "1h":
            ways.append({"cache_write_tokens": input_tokens, "cache_write_1h_tokens": input_tokens})
        return max(self.dollars(model, input_tokens=input_tokens, output_tokens=output_tokens, **way) for way in ways)

    def in_words(self, model: str) -> str:
        """For people: `$4 in, $20 out per million tokens`, and where that is from if it is not the list."""
        given, asked = (round(1000 * self.dollars(model, **{"input_tokens": 0, "output_tokens": 0, name: 1000}), 6)  # short: below all tiers
                        for name in ("input_tokens", "output_tokens"))  # fmt: skip
        where = {"aar.toml": ", by aar.toml", "fallback": ", a high guess: say its price in aar.toml", "genai-prices": ""}
        return f"${given:g} in, ${asked:g} out per million tokens{where[self.source(model)]}"


@functools.cache
def _provider(model: str) -> str | None:
    """Who sells the model by the list; None where it is not there, or for nothing."""
    for provider in ("anthropic", None):
        try:
            found = calc_price(PricedUsage(input_tokens=1000, output_tokens=1000), model, provider_id=provider)
        except LookupError:
            continue
        if found.input_price > 0 and found.output_price > 0:
            return found.provider.id
    return None


def _listed(model: str, provider: str, tokens: Mapping[str, int]) -> float:
    def total(**used: int) -> Decimal:
        price: Any = calc_price(PricedUsage(**used), model, provider_id=provider)
        return price.total_price

    # The list prices some models without their caches: such tokens then count as what they also are, input.
    plain = {name: tokens[name] for name in ("input_tokens", "output_tokens")}
    cached = {name: count for name, count in tokens.items() if count and name not in plain}
    if cached and not _has_cache_prices(model, provider, tuple(cached)):
        cached = {}
    return float(total(**plain, **cached))


@functools.cache
def _has_cache_prices(model: str, provider: str, names: tuple[str, ...]) -> bool:
    for name in names:
        used = {"input_tokens": 1000, "output_tokens": 0, name: 1000}
        if name == "cache_write_1h_tokens":
            used["cache_write_tokens"] = 1000
        if calc_price(PricedUsage(**used), model, provider_id=provider).total_price <= 0:
            return False
    return True
