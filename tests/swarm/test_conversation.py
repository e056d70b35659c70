"""A transcript makes a conversation that the API takes, whatever line of it was the last."""

import copy
import random

from state.files import append_jsonl, read_jsonl
from swarm.researchers.conversation import LEFT_OUT, Conversation, kept

MARK = {"type": "ephemeral"}


def check(messages):
    """The rules of the Messages API for what is sent back to it."""
    assert messages and messages[0]["role"] == "user"
    for before, after in zip(messages, messages[1:], strict=False):
        assert before["role"] != after["role"]
    for place, message in enumerate(messages):
        content = message["content"]
        assert content
        for block in content:
            assert block["type"] != "text" or block["text"].strip()
        asked = [b["id"] for b in messages[place - 1]["content"] if b["type"] == "tool_use"] if place else []
        if message["role"] == "user":
            answered = [block["tool_use_id"] for block in content if block["type"] == "tool_result"]
            assert answered == asked
            assert all(block["type"] == "tool_result" for block in content[: len(answered)])
        else:
            assert content[-1]["type"] not in ("thinking", "redacted_thinking")
            assert place < len(messages) - 1 or not any(block["type"] == "tool_use" for block in content)
    assert sum("cache_control" in block for message in messages for block in message["content"]) <= 3


def call(name, command="ls"):
    return {"type": "tool_use", "id": name, "name": "bash", "input": {"command": command}}


def assistant(*content, stop_reason="tool_use", tokens=1000):
    return {"kind": "assistant", "content": list(content), "stop_reason": stop_reason, "usage": {"input_tokens": tokens, "output_tokens": 10}}


def said(text):
    return {"type": "text", "text": text}


THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "abc"}


def write_life(add, rng, turns=40):
    """A life with everything in it: turns with several calls, silence, refusals, cuts, hand-offs, shortening."""
    add(kind="user", content=[said("begin")], cursor={"at": 0})
    for turn in range(turns):
        kind = rng.choice(["tools"] * 6 + ["talk", "empty", "refusal", "handoff", "trim", "pause"])
        names = [f"t{turn}.{i}" for i in range(rng.randint(1, 3))]
        match kind:
            case "tools":
                add(**assistant(THOUGHT, said("so"), *map(call, names)))
                for name in names:
                    add(kind="begin", tool_use_id=name, output=f"{turn:05d}")
                    add(kind="result", tool_use_id=name, content="x" * rng.choice([5, 5000]), is_error=False)
                if rng.random() < 0.5:
                    add(kind="user", content=[said("news")], cursor={"at": turn})
            case "talk":
                add(**assistant(said("I think"), stop_reason="end_turn"))
                add(kind="user", content=[said("go on")])
            case "pause":
                add(**assistant(said("wait"), stop_reason="pause_turn"))
                add(**assistant(said("now"), call(names[0])))
                add(kind="begin", tool_use_id=names[0], output=f"{turn:05d}")
                add(kind="result", tool_use_id=names[0], content="y", is_error=True)
            case "empty":
                add(**assistant(THOUGHT, said(" "), stop_reason="end_turn"))
                add(kind="user", content=[said("empty?")])
            case "refusal":
                add(**assistant(said("no"), call(names[0]), stop_reason="refusal"))
                add(kind="trimmed", what="latest results")
                add(kind="user", content=[said("another way")])
            case "handoff":
                add(kind="handoff", note=f"note {turn}")
                add(kind="user", content=[said(f"note {turn}")], cursor={"at": turn})
            case "trim":
                add(kind="trouble", what="529 overloaded")
                add(kind="trimmed", what=rng.choice(["thinking", "old results", "long results", "old turns"]))


def test_messages_are_valid_and_nothing_is_left_open_after_a_crash_at_any_line(tmp_path):
    for seed in range(3):
        whole = tmp_path / f"{seed}.jsonl"
        conversation = Conversation(lambda entry, file=whole: append_jsonl(file, entry), [])
        write_life(conversation.add, random.Random(seed))
        check(conversation.request(MARK, "x"))
        entries = read_jsonl(whole)
        for length in range(1, len(entries) + 1):
            after = []
            conversation = Conversation(after.append, entries[:length])
            conversation.settle()
            if conversation.needs_word:
                conversation.say("go on")
            check(conversation.request(MARK)), check(conversation.request(MARK, "a note, please"))
            assert not conversation.open
            again = Conversation(after.append, entries[:length] + after)  # a second crash finds the same
            assert again.messages == conversation.messages and not again.open


def test_a_rebuilt_conversation_is_the_one_that_was_so_that_its_prefix_is_still_cached(tmp_path):
    entries = []
    conversation = Conversation(lambda entry: entries.append(copy.deepcopy(entry)), [])
    write_life(conversation.add, random.Random(7))
    again = Conversation(lambda entry: None, entries)
    state, other = vars(conversation) | {"_record": None}, vars(again) | {"_record": None}
    assert state == other


def test_a_command_that_had_begun_is_told_as_interrupted_and_one_that_had_not_as_not_run():
    entries = [
        {"kind": "user", "content": [said("begin")]},
        assistant(call("a"), call("b"), call("c")),
        {"kind": "begin", "tool_use_id": "a", "output": "00001"},
        {"kind": "result", "tool_use_id": "a", "content": "done", "is_error": False},
        {"kind": "begin", "tool_use_id": "b", "output": "00002"},
    ]
    conversation = Conversation(entries.append, list(entries))
    conversation.settle()
    results = conversation.messages[-1]["content"]
    assert [result["tool_use_id"] for result in results] == ["a", "b", "c"]
    assert results[0] == {"type": "tool_result", "tool_use_id": "a", "content": "done"}
    assert results[1]["content"].startswith("interrupted") and "00002.txt" in results[1]["content"]
    assert results[2]["content"].startswith("not run") and results[2]["is_error"]
    assert [entry["tool_use_id"] for entry in entries[5:]] == ["b", "c"], "what it was told is in the transcript"
    assert conversation.begun == 2


def test_the_cache_is_asked_for_at_the_place_where_the_last_request_ended():
    conversation = Conversation(lambda entry: None, [])
    conversation.say("begin")
    ends = []
    for turn in range(20):
        request = conversation.request(MARK)
        marked = [(i, j) for i, message in enumerate(request) for j, block in enumerate(message["content"]) if "cache_control" in block]
        end = (len(request) - 1, len(request[-1]["content"]) - 1)
        assert end in marked and (not ends or ends[-1] in marked) and len(marked) <= 3
        ends.append(end)
        conversation.add(**assistant(THOUGHT, call(f"t{turn}")))
        conversation.add(kind="result", tool_use_id=f"t{turn}", content="fine", is_error=False)
    assert "cache_control" not in str(conversation.messages), "marks are of a request, not of the conversation"


def test_what_the_api_would_refuse_is_not_sent_back_and_thinking_stays_as_it_came():
    thought = {"type": "thinking", "thinking": "all of it ", "signature": "s"}
    assert kept([thought, said(""), call("a")]) == [thought, call("a")]
    assert kept([thought, said("\n ")]) == [] and kept([]) == []
    assert kept([{"type": "thinking", "thinking": "cut of", "signature": ""}]) == []
    assert kept([said("so"), thought]) == [said("so")]
    assert kept([{"type": "redacted_thinking", "data": "x"}, said("so")]) == [{"type": "redacted_thinking", "data": "x"}, said("so")]


def test_shortening_ends_with_the_first_message_alone_and_each_step_makes_it_shorter():
    conversation = Conversation(lambda entry: None, [])
    conversation.say("begin")
    for turn in range(40):
        conversation.add(**assistant(said("thus"), call(f"t{turn}", "y" * 300)))
        conversation.add(kind="result", tool_use_id=f"t{turn}", content="z" * 9000, is_error=False)
    length, steps = conversation._length(), 0
    while conversation.shorten():
        steps += 1
        assert conversation._length() < length
        length = conversation._length()
        check(conversation.request(MARK, "a note"))
    assert 5 < steps < 20 and len(conversation.messages) == 1


def test_tokens_are_what_the_api_counted_and_an_estimate_of_what_came_after():
    conversation = Conversation(lambda entry: None, [])
    conversation.say("b" * 300)
    assert conversation.tokens == 100
    usage = {"input_tokens": 5, "cache_read_input_tokens": 700, "cache_creation_input_tokens": 80, "output_tokens": 15}
    conversation.add(kind="assistant", content=[call("a")], stop_reason="tool_use", usage=usage)
    assert conversation.tokens == 800
    conversation.add(kind="result", tool_use_id="a", content="z" * 3000, is_error=False)
    assert conversation.tokens == 1800
    conversation.add(kind="assistant", content=[said("c" * 30)], stop_reason="end_turn", usage={})
    assert conversation.tokens == 1810, "a server that does not count"


def test_results_that_the_model_will_not_read_can_be_left_out():
    conversation = Conversation(lambda entry: None, [])
    conversation.say("begin")
    conversation.add(**assistant(call("a")))
    conversation.add(kind="result", tool_use_id="a", content="how to build one", is_error=False)
    conversation.add(kind="trimmed", what="latest results")
    assert conversation.messages[-1]["content"][0]["content"] == LEFT_OUT
