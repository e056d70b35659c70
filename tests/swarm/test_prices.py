"""What a call costs: by the list, by one's own prices, and dearly where nobody knows."""

import pytest

from swarm.prices import FALLBACK, Prices

MILLION = {"input_tokens": 1_000_000, "output_tokens": 0}


def test_the_list_knows_tokens_of_caches():
    prices = Prices({})
    assert prices.source("claude-opus-5-5") == prices.source("claude-opus-5-5-20270101") == "genai-prices"
    cost = prices.dollars("claude-opus-5-5", input_tokens=1000, output_tokens=100, cache_read_tokens=500, cache_write_tokens=300, cache_write_1h_tokens=200)
    assert cost == pytest.approx((200 * 4 + 500 * 0.2 + 100 * 5 + 200 * 8 + 100 * 20) / 1e6)


def test_a_long_input_costs_what_its_tier_costs():
    prices = Prices({})
    short, long = (prices.dollars("claude-sonnet-4-5", input_tokens=tokens, output_tokens=0) / tokens for tokens in (100_000, 300_000))
    assert long > 1.5 * short


@pytest.mark.parametrize("model", ["claude-opus-99", "my-own-model", "", "gpt", "free/of-charge"])
def test_an_unknown_model_is_charged_at_the_fallback_and_never_nothing(model):
    prices = Prices({})
    assert prices.source(model) == "fallback"
    assert prices.dollars(model, **MILLION) == FALLBACK.input
    for known in ("claude-opus-5-5", "claude-opus-4-6", "claude-sonnet-5-5", "gpt-5"):
        assert prices.dollars(model, **MILLION) >= 5 * prices.dollars(known, **MILLION)
    assert "say its price in aar.toml" in prices.in_words(model)


def test_ones_own_price_wins_and_what_it_leaves_out_is_not_cheap():
    prices = Prices({"claude-opus-5-5": {"input": 1.0, "output": 2.0}, "full": {"input": 1, "output": 2, "cache_read": 0.5, "cache_write": 3}})
    assert prices.source("claude-opus-5-5") == "aar.toml"
    assert prices.dollars("claude-opus-5-5", **MILLION) == 1.0
    assert prices.dollars("claude-opus-5-5", **MILLION, cache_read_tokens=1_000_000) == 1.0
    assert prices.dollars("claude-opus-5-5", **MILLION, cache_write_tokens=1_000_000, cache_write_1h_tokens=1_000_000) == 2.0
    assert prices.dollars("full", **MILLION, cache_read_tokens=1_000_000) == 0.5
    assert prices.dollars("full", **MILLION, cache_write_tokens=1_000_000, cache_write_1h_tokens=400_000) == 3.0
    assert prices.in_words("full") == "$1 in, $2 out per million tokens, by aar.toml"


@pytest.mark.parametrize("model", ["claude-opus-5-5", "claude-sonnet-4-5", "gpt-5", "unknown", "own"])
def test_the_worst_case_is_no_less_than_any_way_to_bill(model):
    prices = Prices({"own": {"input": 1.0, "output": 2.0}})
    for tokens in (1000, 300_000):
        for ttl, marked in (("", 0), ("5m", tokens), ("1h", tokens)):
            worst = prices.worst(model, tokens, 500, ttl)
            hour = marked if ttl == "1h" else 0
            for written in (0, marked // 2, marked):
                for read in (0, (marked - written) // 2, marked - written):
                    used = {"cache_read_tokens": read, "cache_write_tokens": written, "cache_write_1h_tokens": min(hour, written)}
                    assert prices.dollars(model, input_tokens=tokens, output_tokens=500, **used) <= worst + 1e-12
