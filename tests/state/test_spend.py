"""The spend file: what is reserved counts as spent until it is settled, whoever crashes when."""

import random

import pytest

from state.files import append_jsonl
from state.spend import Spend


def reserved(call, agent="alpha", dollars=1.0, tokens=100):
    return {"kind": "reserved", "call": call, "agent": agent, "model": "m", "dollars": dollars, "tokens": tokens, "time": "2026-11-23T14:00:00Z"}


def settled(call, agent="alpha", dollars=0.25, read=5, given=20, said=10):
    return {"kind": "settled", "call": call, "agent": agent, "model": "m", "dollars": dollars, "input_tokens": given, "cache_read_tokens": read,
            "cache_write_tokens": 0, "output_tokens": said, "complete": True, "status": 200, "price": "fallback", "seconds": 1.0,
            "time": "2026-11-23T14:00:01Z"}  # fmt: skip


def test_a_file_that_is_not_there_is_nothing_spent(tmp_path):
    spend = Spend(tmp_path / "spend.jsonl")
    assert (spend.dollars, spend.tokens, spend.turns, spend.of("alpha").dollars) == (0, 0, 0, 0)


def test_what_is_reserved_counts_until_it_is_settled(tmp_path):
    spend = Spend(tmp_path / "spend.jsonl")
    append_jsonl(spend.path, reserved("a"))
    assert spend.dollars == 0
    spend.refresh()
    assert (spend.dollars, spend.tokens, spend.turns) == (1.0, 100, 1) and list(spend.open) == ["a"]
    append_jsonl(spend.path, settled("a"))
    spend.refresh()
    total = spend.of("alpha")
    assert (total.dollars, total.tokens, total.turns, total.input_tokens, total.cache_read_tokens, total.output_tokens) == (0.25, 30, 1, 20, 5, 10)
    assert (spend.dollars, spend.tokens, spend.turns, spend.open) == (0.25, 30, 1, {})
    assert [call["call"] for call in spend.calls] == ["a"]


def test_a_call_that_two_proxies_settled_counts_once(tmp_path):
    spend = Spend(tmp_path / "spend.jsonl")
    for record in (reserved("a"), settled("a", dollars=1.0), settled("a", dollars=0.25)):  # the next one at its worst, then the old one
        append_jsonl(spend.path, record)
    spend.refresh()
    assert (spend.dollars, spend.turns, len(spend.calls)) == (1.0, 1, 1)


def test_a_call_that_was_not_billed_is_no_turn(tmp_path):
    spend = Spend(tmp_path / "spend.jsonl")
    append_jsonl(spend.path, reserved("a"))
    append_jsonl(spend.path, settled("a", dollars=0.0, read=0, given=0, said=0))
    append_jsonl(spend.path, settled("b", dollars=0.0, given=7))  # a server that costs nothing
    spend.refresh()
    assert (spend.turns, spend.tokens, spend.dollars) == (1, 17, 0)


def test_a_torn_last_line_waits_for_its_end(tmp_path):
    append_jsonl(tmp_path / "spend.jsonl", reserved("a"))
    with open(tmp_path / "spend.jsonl", "a") as file:
        file.write('{"kind":"settled","call":"a"')
    assert Spend(tmp_path / "spend.jsonl").dollars == 1.0


def test_agents_add_up_to_the_fleet_and_reading_on_equals_reading_anew(tmp_path):
    chance, spend, calls = random.Random(3), Spend(tmp_path / "spend.jsonl"), []
    for number in range(300):
        if calls and chance.random() < 0.5:
            call, agent = calls.pop(chance.randrange(len(calls)))
            append_jsonl(spend.path, settled(call, agent, chance.random(), given=chance.randrange(5, 99)))
        else:
            calls.append((f"c{number}", chance.choice("abc")))
            append_jsonl(spend.path, reserved(*calls[-1], chance.random(), chance.randrange(500)))
        if chance.random() < 0.2:
            spend.refresh()
    spend.refresh()
    anew = Spend(spend.path)
    for kind in ("dollars", "tokens", "turns"):
        assert getattr(spend, kind) == pytest.approx(getattr(anew, kind))
        assert getattr(spend, kind) == pytest.approx(sum(getattr(spend.of(agent), kind) for agent in "abc"))
    assert set(spend.open) == {call for call, _ in calls}
