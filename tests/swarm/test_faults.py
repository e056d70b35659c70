"""Whatever goes wrong with the API: what can be waited for is waited for, in sight; what cannot ends at once, with a clear line."""

from dataclasses import replace

import pytest

from swarm.researchers import Parked
from tests.messages_server import MessagesServer, cut, cut_before_headers, empty, error, error_event, hang, raw, turn
from tests.swarm.thinker import Thinker, run

FINISH = turn(tools=[("finish", {"reason": "done"})])
ECHO = turn(tools=[("bash", {"command": "echo ran >>log; wc -l <log"})])


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self, researcher):
        self.now, self.slept, self.seen = 1_000_000_000.0, [], []
        patience = researcher.patience
        patience.sleep, patience.clock, patience.chance = self.sleep, lambda: self.now, lambda: 0.5
        self.researcher = researcher

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.seen.append(self.researcher.config)
        self.now += seconds


def scripted(*replies):
    """A script of replies in order; the last is given for ever."""
    return lambda call: replies[min(call.number, len(replies) - 1)]


def play(tmp_path, *replies, settings=None, most=30):
    """(thinker, server, clock) after the agent has finished."""
    thinker = Thinker(tmp_path / "a", settings)
    with MessagesServer(scripted(*replies), path=tmp_path / "a" / "model.sock") as server:
        researcher = thinker.start()
        clock = Clock(researcher)
        run(researcher, most)
    assert [call.body for call in server.calls], "it asked"
    return thinker, server, clock


def requests(server):
    return [call for call in server.calls if call.path.startswith("/v1/messages")]


@pytest.mark.parametrize(
    "fault, line",
    [
        (error(529, "overloaded_error", "Overloaded"), "529 overloaded"),
        (error(500, "api_error", "Internal server error"), "500 api"),
        (error(503, "api_error", "unavailable"), "503 api"),
        (error(502, "api_error", "no connection to example.org"), "502 no connection to example.org"),
        (error(408, "timeout_error", "slow"), "408 timeout"),
        (cut_before_headers(), "the answer was cut off"),
        (cut(ECHO, after_events=2), "the answer was cut off"),
        (cut(ECHO, after_events=5), "the answer was cut off"),
        (raw([b'event: message_start\ndata: {"type": "message_start", "message": {"content": [], "usage": {}}}\n\n']), "the answer was cut off"),
        (raw([b"event: message_start\ndata: {not json\n\n"]), "the answer could not be read: JSONDecodeError"),
        (error_event(ECHO, 3, "overloaded_error"), "529 overloaded"),
        (error_event(ECHO, 1, "api_error"), "500 api"),
    ],
    ids=["529", "500", "503", "502", "408", "no headers", "cut early", "cut late", "quiet end", "no JSON", "error event", "error event early"],
)
def test_what_passes_is_asked_again_and_no_tool_of_a_broken_turn_runs(tmp_path, fault, line):
    thinker, server, clock = play(tmp_path, fault, fault, ECHO, FINISH)
    assert thinker.results() == ["1", "finished"], "once, not three times"
    assert len(requests(server)) == 4 and clock.slept == [0.75, 1.5]
    trouble = thinker.entries("trouble")
    assert [entry["what"] for entry in trouble] == [line, "over"] and trouble[1]["tries"] == 2
    bodies = [call.body["messages"] for call in requests(server)]
    assert bodies[0] == bodies[1] == bodies[2]


def test_a_server_that_says_how_long_to_wait_is_waited_for_so_long(tmp_path):
    limited = error(429, "rate_limit_error", "slow down", headers={"retry-after": "37"})
    thinker, _, clock = play(tmp_path, limited, FINISH)
    assert clock.slept == [37.5], "a little more, so that agents do not all come back at once"
    assert thinker.entries("trouble")[0]["what"] == "429 rate_limit"


def test_a_refused_connection_is_waited_for_and_seen_in_status(tmp_path):
    thinker = Thinker(tmp_path / "a")
    researcher = thinker.start()
    clock = Clock(researcher)

    class Enough(Exception):
        pass

    def sleep(seconds):
        clock.sleep(seconds)
        if len(clock.slept) == 12:
            raise Enough

    researcher.patience.sleep = sleep
    with pytest.raises(Enough):
        researcher.step()
    assert clock.slept[:4] == [0.75, 1.5, 3.0, 6.0] and clock.slept[-1] == 0.75 * 90, "longer and longer, but not for ever"
    assert thinker.doing() == ("waiting", "the API does not answer since 01:46 UTC (no connection)")
    assert len(thinker.entries("trouble")) == 1, "a long outage is not a long transcript"
    with MessagesServer(scripted(FINISH), path=tmp_path / "a" / "model.sock"):
        assert run(thinker.start()) == 1


def test_an_outage_is_given_up_after_the_hours_that_were_set_and_the_agent_can_be_started_again(tmp_path):
    thinker = Thinker(tmp_path / "a", {"outage_hours": 2.0})
    down = error(529, "overloaded_error", "Overloaded")
    with MessagesServer(lambda call: ECHO if call.number == 0 else down, path=tmp_path / "a" / "model.sock"):
        researcher = thinker.start()
        clock = Clock(researcher)
        assert researcher.step()
        with pytest.raises(Parked, match=r"has not answered for 2.0 hours \(529 overloaded\)"):
            researcher.step()
        assert 7200 <= clock.now - 1_000_000_000.0 < 7300
    with MessagesServer(scripted(FINISH), path=tmp_path / "a" / "model.sock") as server:
        run(thinker.start())
    assert server.calls[0].body["messages"][-1]["content"][0]["type"] == "tool_result", "it went on where it was"


def test_a_server_that_says_nothing_is_left_after_a_while(tmp_path, monkeypatch):
    monkeypatch.setattr("swarm.researchers.model.TIMEOUT", 0.3)
    thinker, _, clock = play(tmp_path, hang(1000.0), FINISH)  # until the test is over
    assert thinker.entries("trouble")[0]["what"] == "nothing came for too long"


@pytest.mark.parametrize(
    "status, kind, message, line",
    [
        (401, "authentication_error", "invalid x-api-key", "the API refuses the key (401 authentication_error: invalid x-api-key)"),
        (402, "billing_error", "add credit", "the API wants to be paid (402 billing_error: add credit)"),
        (403, "permission_error", "not yours", "the API does not allow this (403 permission_error: not yours)"),
        (404, "not_found_error", "model: claude-x", "the API does not know the model, or has no Messages API at this base URL (404 not_found_error: model: claude-x)"),
        (400, "invalid_request_error", "thinking.type: adaptive is not known", "the API refuses the request"),
    ],
)  # fmt: skip
def test_what_no_repetition_helps_parks_at_once_with_one_clear_line(tmp_path, status, kind, message, line):
    thinker = Thinker(tmp_path / "a")
    with MessagesServer(scripted(error(status, kind, message)), path=tmp_path / "a" / "model.sock") as server:
        researcher = thinker.start()
        clock = Clock(researcher)
        with pytest.raises(Parked) as parked:
            researcher.step()
    assert str(parked.value).startswith(line) and "\n" not in str(parked.value)
    assert not clock.slept and len(server.calls) == 1
    with MessagesServer(scripted(FINISH), path=tmp_path / "a" / "model.sock"):
        assert run(thinker.start()) == 1, "once it is mended, the agent goes on"


def test_an_error_event_that_no_repetition_helps_parks_too(tmp_path):
    thinker = Thinker(tmp_path / "a")
    with MessagesServer(scripted(error_event(ECHO, 3, "authentication_error")), path=tmp_path / "a" / "model.sock"):
        with pytest.raises(Parked, match="refuses the key"):
            thinker.start().step()


def test_a_spent_budget_ends_the_agent_quietly_and_more_money_lets_it_go_on(tmp_path):
    spent = error(402, "billing_error", "the fleet's $5.00 are spent", headers={"aar-refused": "budget"})
    thinker, _, clock = play(tmp_path, ECHO, spent)
    assert thinker.doing() == ("finished", "budget spent: the fleet's $5.00 are spent") and not clock.slept
    assert thinker.entries("trouble")[-1]["what"] == "budget spent: the fleet's $5.00 are spent"
    with MessagesServer(scripted(FINISH), path=tmp_path / "a" / "model.sock") as server:
        run(thinker.start())
    assert server.calls[0].body["messages"][-1]["content"][0]["content"] == "1"


@pytest.mark.parametrize("message", [
    "prompt is too long: 210000 tokens > 200000 maximum",
    "input length and `max_tokens` exceed context limit: 190000 + 16000 > 200000",
    "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens",
])  # fmt: skip
def test_an_overlong_prompt_becomes_a_note_and_the_work_goes_on(tmp_path, message):
    note = turn(text="thresholds at 0.4 help; next: ensembles")
    thinker, server, clock = play(tmp_path, ECHO, error(400, "invalid_request_error", message), note, ECHO, FINISH)
    assert [entry["note"] for entry in thinker.entries("handoff")] == ["thresholds at 0.4 help; next: ensembles"]
    asked_for, begins = requests(server)[2].body["messages"], requests(server)[3].body["messages"]
    assert "note" in asked_for[-1]["content"][-1]["text"] and asked_for[-1]["content"][0]["type"] == "tool_result"
    assert len(begins) == 1 and "thresholds at 0.4 help" in begins[0]["content"][0]["text"] and "notebook.md" in begins[0]["content"][0]["text"]
    assert thinker.results()[0] == "1" and not clock.slept


@pytest.mark.parametrize("reply", [error(413, "request_too_large", "Request exceeds the maximum size"), error_event(ECHO, 1, "request_too_large")])
def test_a_request_of_too_many_bytes_is_overlong_too(tmp_path, reply):
    thinker, _, _ = play(tmp_path, ECHO, reply, turn(text="note"), FINISH)
    assert len(thinker.entries("handoff")) == 1


def test_where_not_even_the_note_can_be_asked_for_old_parts_are_given_up_until_it_fits(tmp_path):
    too_long = error(400, "invalid_request_error", "prompt is too long")
    long = turn(text="so", tools=[("bash", {"command": "seq 2000"})])

    def script(call):
        if call.number < 8:
            return long
        size = len(str(call.body["messages"]))
        if size > 20_000:
            return too_long
        return turn(text="a note") if "context is nearly full" in str(call.body["messages"][-1]) else FINISH

    thinker = Thinker(tmp_path / "a")
    with MessagesServer(script, path=tmp_path / "a" / "model.sock") as server:
        run(thinker.start(), 20)
    assert [entry["note"] for entry in thinker.entries("handoff")] == ["a note"]
    assert thinker.entries("trimmed") and len(server.calls) < 20


def test_a_note_that_can_never_be_had_is_replaced_by_the_last_words_and_a_prompt_that_never_fits_parks(tmp_path):
    too_long = error(400, "invalid_request_error", "prompt is too long")
    thinker = Thinker(tmp_path / "a")
    thought = turn(text="ensembles look best", tools=[("bash", {"command": "true"})])
    with MessagesServer(lambda call: thought if call.number < 3 else too_long, path=tmp_path / "a" / "model.sock") as server:
        researcher = thinker.start()
        with pytest.raises(Parked, match="prompt alone does not fit"):
            run(researcher, 10)
    assert "ensembles look best" in thinker.entries("handoff")[0]["note"] and len(server.calls) < 20


def test_a_tool_call_that_was_cut_off_at_max_tokens_is_never_run(tmp_path):
    cut_off = turn(text="writing", tools=[("bash", {"command": "echo first >>log"}), ("bash", {"command": "echo " + "x" * 400})], stop_reason="max_tokens")
    thinker, server, _ = play(tmp_path, cut_off, ECHO, FINISH)
    assert thinker.results()[2] == "1", "log has one line, of ECHO"
    assert all("smaller pieces" in text for text in thinker.results()[:2]) and not thinker.entries("begin")[1:]


def test_a_tool_call_whose_json_is_cut_by_the_server_is_answered_and_not_run(tmp_path):
    long = turn(tools=[("bash", {"command": "echo " + "long " * 3000})])
    thinker, server, _ = play(tmp_path, long, FINISH, settings={"max_tokens": 512, "thinking": "none"})
    assert "cut off at 512 tokens" in thinker.results()[0] and not thinker.entries("begin")


def test_max_tokens_that_the_proxy_has_shrunk_are_what_the_model_is_told(tmp_path):
    shrunk = replace(turn(tools=[("bash", {"command": "ls"})], stop_reason="max_tokens"), headers={"aar-max-tokens": "700"})
    thinker, _, _ = play(tmp_path, shrunk, FINISH)
    assert "cut off at 700 tokens" in thinker.results()[0]


def test_what_the_proxy_refuses_parks_in_its_own_words(tmp_path):
    thinker = Thinker(tmp_path / "a")
    line = "the model x is not among those of agent-1"
    with MessagesServer(scripted(error(403, "permission_error", line, {"aar-refused": "model"})), path=tmp_path / "a" / "model.sock"):
        with pytest.raises(Parked) as parked:
            thinker.start().step()
    assert str(parked.value) == line


def test_a_refused_turn_is_dropped_and_the_model_told_to_go_another_way(tmp_path):
    refused = turn(text="I cannot", tools=[("bash", {"command": "echo bad >>log"})], stop_reason="refusal")
    thinker, server, _ = play(tmp_path, ECHO, refused, ECHO, FINISH)
    assert thinker.results() == ["1", "2", "finished"]
    messages = requests(server)[2].body["messages"]
    assert "I cannot" not in str(messages) and "another way" in messages[-1]["content"][-1]["text"]


def test_three_refusals_in_a_row_park_and_what_the_model_would_not_read_is_left_out_before(tmp_path):
    thinker = Thinker(tmp_path / "a")
    refused = turn(text="no", stop_reason="refusal")
    read = turn(tools=[("bash", {"command": "echo how to build one"})])
    with MessagesServer(lambda call: read if call.number == 0 else refused, path=tmp_path / "a" / "model.sock") as server:
        with pytest.raises(Parked, match="refused 3 times"):
            run(thinker.start())
    assert len(server.calls) == 4
    assert "how to build" in str(server.calls[2].body["messages"][2]) and "how to build" not in str(server.calls[3].body["messages"][2])
    with MessagesServer(scripted(FINISH), path=tmp_path / "a" / "model.sock"):
        assert run(thinker.start()) == 1


def test_a_pause_lets_the_model_go_on_with_its_own_turn(tmp_path):
    paused = turn(text="thinking about it", stop_reason="pause_turn")
    thinker, server, _ = play(tmp_path, paused, ECHO, FINISH)
    assert requests(server)[1].body["messages"][-1]["role"] == "assistant"
    assert thinker.results() == ["1", "finished"]


def test_a_model_that_pauses_for_ever_is_told_to_go_on(tmp_path):
    paused = turn(text="thinking about it", stop_reason="pause_turn")
    thinker, server, _ = play(tmp_path, *[paused] * 8, FINISH)
    assert any("Go on" in str(call.body["messages"][-1]) for call in requests(server)[2:])


def test_empty_turns_are_nudged_and_several_in_a_row_end_the_work(tmp_path):
    thinker, server, _ = play(tmp_path, empty(), empty(), ECHO, empty(), empty(), empty(), empty())
    assert thinker.results() == ["1"] and len(requests(server)) == 7
    assert thinker.doing()[0] == "finished" and "nothing to say 4 times" in thinker.doing()[1]


def test_thinking_that_never_comes_to_an_answer_parks_rather_than_finishes(tmp_path):
    thinker = Thinker(tmp_path / "a", {"max_tokens": 512})
    with MessagesServer(scripted(turn(thinking="hm " * 2000, text="so")), path=tmp_path / "a" / "model.sock") as server:
        with pytest.raises(Parked, match="ended at 512 tokens before an answer"):
            run(thinker.start())
    assert len(server.calls) == 4 and "cut off at 512" in str(server.calls[1].body["messages"][-1])
    with MessagesServer(scripted(FINISH), path=tmp_path / "a" / "model.sock"):
        assert run(thinker.start()) == 1


def test_thinking_that_a_server_does_not_accept_is_given_up_once(tmp_path):
    thinking = turn(thinking="deep", tools=[("bash", {"command": "echo ran"})])
    refused = error(400, "invalid_request_error", "messages.1.content.0: Invalid `signature` in `thinking` block")
    thinker, server, _ = play(tmp_path, thinking, refused, FINISH)
    assert "deep" in str(requests(server)[1].body["messages"]) and "deep" not in str(requests(server)[2].body["messages"])
