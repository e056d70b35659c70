"""Money: no limit is ever passed, by no cent, and nothing that may have been spent is ever left out."""

import contextlib
import functools
import math
import os
import random
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2
import pytest

from state.files import append_jsonl
from tests.messages_server import MessagesServer, cut, cut_before_headers, error, error_event, held, raw, turn
from tests.swarm.proxied import MODEL, Proxied, body, raw_request
from tests.waiting import until

NINE = [f"agent{number}" for number in range(9)]
INPUT, OUTPUT, WRITE = 4e-6, 20e-6, 5e-6
"""Dollars per token of MODEL."""


def answered(response) -> bytes:
    return b"".join(response.iter_raw())


def at_once(tasks) -> list:
    with ThreadPoolExecutor(len(tasks)) as pool:
        return [done.result() for done in [pool.submit(task) for task in tasks]]


def random_reply(chance: random.Random):
    long = turn("x" * chance.choice([1, 100, 3000, 9000]), thinking=chance.choice(["", "y" * 500]), usage=None)
    return chance.choice([
        long, long, long, turn(tools=[("bash", {"command": "ls " * chance.randrange(500)})]), cut(long, chance.randrange(12)),
        cut_before_headers(), error(429, "rate_limit_error"), error(529, "overloaded_error"), error_event(long, chance.randrange(9)),
    ])  # fmt: skip


@pytest.mark.parametrize("block", range(4))
def test_no_limit_is_passed_whatever_nine_agents_are_answered(tmp_path, block):
    refused = 0
    for seed in range(50 * block, 50 * block + 50):
        chance = random.Random(seed)
        replies, lock = [random_reply(chance) for _ in range(40)], threading.Lock()

        def script(call, replies=replies, lock=lock):
            with lock:
                return replies[len(server.calls) % len(replies)]

        limits = {
            "dollars": chance.choice([0.02, 0.1, 0.5]), "agent_dollars": chance.choice([0.01, 0.05, 1.0]),
            "tokens": chance.choice([3_000, 20_000, 10**6]), "agent_turns": chance.choice([1, 2, 50]), "turns": chance.choice([5, 12, 50]),
        }  # fmt: skip
        with MessagesServer(script, bytes_a_token=chance.choice([1, 1.1, 4])) as server:
            with Proxied(tmp_path / str(seed), server.url, NINE, inside=True, **limits) as proxied:

                def live(agent, chance, proxied=proxied):
                    client, messages, statuses = proxied.client(agent), [], []
                    for _ in range(chance.randrange(1, 3)):
                        content = [{"type": "text", "text": "z" * chance.randrange(1, 3000)}]
                        if chance.random() < 0.7:
                            content[0]["cache_control"] = {"type": "ephemeral", "ttl": chance.choice(["5m", "1h"])}
                        messages += [{"role": "user", "content": content}]
                        asked = body(max_tokens=chance.choice([1, 600, 1000, 16_000]), stream=chance.random() < 0.8)
                        with client.stream("POST", "/v1/messages", json={**asked, "messages": messages}) as response:
                            statuses.append(response.status_code)
                            if chance.random() < 0.9:  # else it hangs up
                                try:
                                    answered(response)
                                except httpx2.RemoteProtocolError:
                                    pass
                            else:
                                response.close()
                        messages += [{"role": "assistant", "content": [{"type": "text", "text": "so"}]}]
                    return statuses

                found = at_once([functools.partial(live, agent, random.Random(f"{seed} {agent}")) for agent in NINE])
                refused += sum(statuses.count(402) for statuses in found)
                spend = until(lambda: spent if not (spent := proxied.spend()).open else None)  # noqa: B023
                assert not [event for event in proxied.events if event["event"] == "problem"]
                assert spend.dollars <= limits["dollars"] + 1e-9
                assert spend.tokens <= limits["tokens"] and spend.turns <= limits["turns"]
                for agent in NINE:
                    assert spend.of(agent).dollars <= limits["agent_dollars"] + 1e-9 and spend.of(agent).turns <= limits["agent_turns"]
    assert refused > 50


def test_a_proxy_that_is_killed_comes_back_and_forgets_no_money(tmp_path):
    gate, started = threading.Event(), threading.Semaphore(0)

    def script(call):
        started.release()
        return held(turn("x" * 400), 3, gate) if len(server.calls) <= 9 else turn("fine")

    with MessagesServer(script) as server, Proxied(tmp_path, server.url, NINE, dollars=1.0) as proxied:

        def doomed(agent):
            try:
                with proxied.client(agent).stream("POST", "/v1/messages", json=body()) as response:
                    answered(response)
            except httpx2.TransportError:
                pass

        threads = [threading.Thread(target=doomed, args=(agent,)) for agent in NINE]
        for thread in threads:
            thread.start()
        for _ in NINE:
            started.acquire()
        worst = sum(record["dollars"] for record in proxied.records("reserved"))
        os.kill(proxied.outside.pid, signal.SIGKILL)
        proxied.wait_for("ready", 2)
        for thread in threads:
            thread.join()
        assert proxied.wait_for("gone")["returncode"] == -signal.SIGKILL
        spend = proxied.spend()
        assert not spend.open and spend.dollars == pytest.approx(worst) and worst > 9 * 1000 * OUTPUT
        assert proxied.client("agent3").post("/v1/messages", json=body()).status_code == 200  # the same socket
        gate.set()


def test_what_an_earlier_proxy_spent_counts_for_the_next(tmp_path):
    append_jsonl(tmp_path / "spend.jsonl", {"kind": "reserved", "call": "c", "agent": "alpha", "model": MODEL, "dollars": 0.999, "tokens": 10, "time": ""})
    with MessagesServer(lambda call: turn("hi")) as server, Proxied(tmp_path, server.url, inside=True, dollars=1.0) as proxied:
        assert proxied.client().post("/v1/messages", json=body()).status_code == 402
        assert server.calls == []


def test_a_refusal_says_which_limit_and_how_much(tmp_path):
    with MessagesServer(lambda call: turn("hi")) as server:
        with Proxied(tmp_path, server.url, inside=True, dollars=5.0, agent_turns=1) as proxied:
            client = proxied.client()
            assert client.get("/aar/budget").json()["stopped"] is None
            assert client.post("/v1/messages", json=body()).status_code == 200
            response = client.post("/v1/messages", json=body())
            assert response.status_code == 402 and response.headers["aar-refused"] == "budget"
            line = "the limit of 1 turns for agent alpha is reached"
            assert response.json() == {"type": "error", "error": {"type": "billing_error", "message": line}}
            facts = client.get("/aar/budget").json()
            assert facts["stopped"] == line
            assert (facts["agent"]["turns"], facts["agent"]["turns_left"], facts["fleet"]["turns_left"]) == (1, 0, None)
            assert facts["fleet"]["dollars_left"] == pytest.approx(5.0 - facts["fleet"]["dollars"])


def test_an_answer_is_shortened_to_what_is_left(tmp_path):
    with MessagesServer(lambda call: turn("x" * 100_000)) as server:
        with Proxied(tmp_path, server.url, inside=True, agent_dollars=0.06) as proxied:
            thinking = {"type": "enabled", "budget_tokens": 3000}
            response = proxied.client().post("/v1/messages", json=body(max_tokens=16_000, thinking=thinking))
            sent = server.calls[0].body
            assert int(response.headers["aar-max-tokens"]) == sent["max_tokens"] and 1024 < sent["max_tokens"] < 3000
            assert sent["thinking"]["budget_tokens"] < sent["max_tokens"]
            assert proxied.spend().dollars <= 0.06
            # What was set aside for input, and not needed, is still there.
            assert proxied.spend().dollars == pytest.approx(7 * INPUT + sent["max_tokens"] * OUTPUT)


def test_a_call_waits_while_others_hold_what_it_needs(tmp_path):
    gate, arrived = threading.Event(), threading.Event()

    def script(call):
        arrived.set()
        return held(turn("short"), 2, gate) if call.number == 0 else turn("hello")

    with MessagesServer(script) as server, Proxied(tmp_path, server.url, NINE, inside=True, dollars=0.08) as proxied:
        order = []

        def first():
            with proxied.client("agent0").stream("POST", "/v1/messages", json=body(max_tokens=3500)) as response:
                answered(response)

        def second():
            response = proxied.client("agent1").post("/v1/messages", json=body(max_tokens=3000))
            order.append(response.headers.get("aar-max-tokens", "whole"))

        one = threading.Thread(target=first)
        one.start()
        until(arrived.is_set)
        other = threading.Thread(target=second)
        other.start()
        with proxied.connection("agent2") as impatient:  # one who hangs up while it waits is not served later
            impatient.sendall(raw_request("POST", "/v1/messages", body("I will be gone", max_tokens=3000)))
        assert order == [] and len(server.calls) == 1
        gate.set()
        one.join()
        other.join()
        assert order == ["whole"]
        assert "I will be gone" not in str([call.body for call in server.calls])


def test_an_answer_that_is_cut_off_costs_what_was_seen_at_least(tmp_path):
    text = "x" * 4000
    replies = [
        cut(turn(text), 20), error_event(turn(text), 20), cut(turn(text, thinking="hm"), 20), cut(turn(text), 0), cut_before_headers(),
        error(400, "invalid_request_error"), error(500, "api_error"), turn(text), turn(text, usage={"output_tokens": 0}),
    ]  # fmt: skip
    with MessagesServer(lambda call: replies[call.number]) as server, Proxied(tmp_path, server.url, inside=True, agent_dollars=9.0) as proxied:
        client = proxied.client()
        for _ in replies:
            try:
                with client.stream("POST", "/v1/messages", json=body(max_tokens=5000)) as response:
                    answered(response)
            except httpx2.RemoteProtocolError:
                pass
        told = [(record["input_tokens"], record["output_tokens"], record["status"], record["complete"]) for record in proxied.settled(len(replies))]
        reserved = proxied.records("reserved")[3]
        seen = told[0][1]
        assert told[0] == told[1] == (7, seen, 200, False) and 17 * 48 <= seen < 2000
        assert told[2] == (7, 5000, 200, False)  # thinking is not all shown
        assert told[3] == (reserved["tokens"] - 5000, 5000, 200, False)
        assert told[4:7] == [(0, 0, 0, False), (0, 0, 400, False), (0, 0, 500, False)]
        assert told[7] == (7, 1000, 200, True)
        assert told[8][1] >= 4000  # a server that does not count
        assert proxied.spend().turns == 6


class Raw(BaseHTTPRequestHandler):
    """Answers with `answer`, whatever it is asked."""

    answer, kind = b"", "application/json"

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", self.kind)
        self.send_header("content-length", str(len(self.answer)))
        self.end_headers()
        self.wfile.write(self.answer)

    def log_message(self, *_):
        pass


NESTED = b'{"a":' * 100_000 + b"1" + b"}" * 100_000


@pytest.mark.parametrize("answer", [
    b'{"content": ' + NESTED + b', "usage": {"input_tokens": 7, "output_tokens": 900}}', b'{"usage": {"input_tokens": Infinity}}', b"no json",
    b'{"usage": {"input_tokens": 7, "iterations": ' + b'[{"iterations": ' * 700 + b"1" + b"}]" * 700 + b"}}",
])  # fmt: skip
def test_an_answer_that_cannot_be_read_costs_as_much_as_it_could(tmp_path, answer):
    handler = type("Handler", (Raw,), {"answer": answer})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with Proxied(tmp_path, f"http://127.0.0.1:{server.server_port}", inside=True) as proxied:
            with contextlib.suppress(httpx2.HTTPError):
                proxied.client().post("/v1/messages", json=body(stream=False))
            settled, reserved = proxied.settled(1)[0], proxied.records("reserved")[0]
            assert settled["dollars"] >= reserved["dollars"] > 0 and math.isfinite(settled["dollars"])
        server.shutdown()


def test_one_who_hangs_up_pays_for_what_had_begun_and_no_more_is_made(tmp_path):
    gate = threading.Event()
    with MessagesServer(lambda call: held(turn("x" * 4000), 30, gate)) as server:
        with Proxied(tmp_path, server.url, inside=True, agent_dollars=9.0) as proxied:
            with proxied.client().stream("POST", "/v1/messages", json=body(max_tokens=5000)) as response:
                next(response.iter_raw())
            record = proxied.settled(1)[0]  # before the gate opens: it does not wait for the rest
            assert record["input_tokens"] == 7 and 0 < record["output_tokens"] < 5000
            gate.set()


def test_a_long_conversation_is_held_to_be_no_longer_than_it_can_be(tmp_path):
    with MessagesServer(lambda call: turn("fine")) as server, Proxied(tmp_path, server.url, inside=True, agent_dollars=90.0) as proxied:
        client, messages, mark = proxied.client(), [], {"type": "ephemeral"}
        for number in range(5):
            messages += [{"role": "user", "content": [{"type": "text", "text": f"{number} " * 20_000, "cache_control": mark}]}]
            assert client.post("/v1/messages", json={**body(), "messages": messages}).status_code == 200
            del messages[-1]["content"][0]["cache_control"]
            messages += [{"role": "assistant", "content": "fine"}]
        bound, used = proxied.records("reserved")[-1]["tokens"] - 1000, proxied.records("settled")[-1]["input_tokens"]
        assert used <= bound < used + 45_000, "only what was added counts by its bytes"
        # What clears nothing, as a real command line says it, is no reason to forget; what clears something is.
        for keep, least, most in (("all", 0, 1000), ({"type": "thinking_turns", "value": 1}, 100_000, 10**6)):
            edits = {"edits": [{"type": "clear_thinking_20251015", "keep": keep}]}
            for _ in range(2):
                client.post("/v1/messages", json={**body(context_management=edits), "messages": messages[:-1]})
            used = proxied.records("settled")[-1]["input_tokens"]
            assert least <= proxied.records("reserved")[-1]["tokens"] - 1000 - used <= most
        # Another frame around the same messages may count otherwise.
        client.post("/v1/messages", json={**body(system="x"), "messages": messages[:-1]})
        assert proxied.records("reserved")[-1]["tokens"] > 200_000
        # What hides behind the name of a marker counts.
        hidden = {"role": "user", "content": [{"type": "text", "text": "hi", "cache_control": {"type": "ephemeral", "more": "z" * 50_000}}]}
        client.post("/v1/messages", json={**body(), "messages": [hidden]})
        assert proxied.records("reserved")[-1]["tokens"] > 50_000


def test_caches_are_billed_as_the_api_tells_them(tmp_path):
    with MessagesServer(lambda call: turn("fine"), bytes_a_token=1) as server, Proxied(tmp_path, server.url, inside=True) as proxied:
        client = proxied.client()
        for ttl in ("5m", "5m", "1h"):
            content = [{"type": "text", "text": f"{ttl} " * 1000, "cache_control": {"type": "ephemeral", "ttl": ttl}}]
            client.post("/v1/messages", json={**body(), "messages": [{"role": "user", "content": content}]})
        first, again, hour = proxied.records("settled")
        size = first["input_tokens"]
        assert first["cache_write_tokens"] == again["cache_read_tokens"] == hour["cache_write_tokens"] == size
        words = first["output_tokens"] * OUTPUT
        assert first["dollars"] == pytest.approx(size * WRITE + words)
        assert again["dollars"] == pytest.approx(size * 0.2e-6 + words)
        assert hour["dollars"] == pytest.approx(size * 8e-6 + words)
        reserved = [record["dollars"] for record in proxied.records("reserved")]
        assert all(set_aside >= paid["dollars"] for set_aside, paid in zip(reserved, (first, again, hour)))  # noqa: B905


def test_a_model_without_a_price_is_dear_and_ones_own_price_wins(tmp_path):
    prices = {"mine": {"input": 1.0, "output": 2.0}, "free": {"input": 0.0, "output": 0.0}}
    models = ["mine", "free", "nobody-knows-it"]
    with MessagesServer(lambda call: turn("x" * 400)) as server:
        with Proxied(tmp_path, server.url, models=models, prices=prices, inside=True) as proxied:
            for model in models:
                assert proxied.client().post("/v1/messages", json=body(model=model)).status_code == 200
            mine, free, unknown = proxied.records("settled")
            assert (mine["price"], free["price"], unknown["price"]) == ("aar.toml", "aar.toml", "fallback")
            assert mine["dollars"] == pytest.approx((7 * 1 + 100 * 2) / 1e6) and free["dollars"] == 0
            assert unknown["dollars"] > (7 * INPUT + 100 * OUTPUT) * 5
            assert proxied.spend().turns == 3


def test_the_responses_api_is_billed_from_its_last_event(tmp_path):
    usage = {"input_tokens": 900, "input_tokens_details": {"cached_tokens": 800}, "output_tokens": 50, "total_tokens": 950}
    ended = b'event: response.completed\ndata: {"type":"response.completed","response":{"usage":%s}}\n\n' % str(usage).replace("'", '"').encode()
    with MessagesServer(lambda call: raw([b'data: {"type":"response.output_text.delta","delta":"hi"}\n\n', ended])) as server:
        with Proxied(tmp_path, server.url, models=["gpt-5"], inside=True) as proxied:
            asked = {"model": "gpt-5", "stream": True, "input": [{"role": "user", "content": "z" * 5000}]}
            assert ended in proxied.client().post("/v1/responses", json=asked).content
            record = proxied.records("settled")[0]
            assert record["complete"] and (record["input_tokens"], record["cache_read_tokens"], record["output_tokens"]) == (900, 800, 50)
            assert record["dollars"] == pytest.approx((100 * 1.25 + 800 * 0.125 + 50 * 10) / 1e6)
            assert server.calls[0].body["max_output_tokens"] > 0, "an answer without an end could cost anything"
