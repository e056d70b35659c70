"""The model proxy: what goes through it goes through unchanged and at once, and nothing else goes through."""

import contextlib
import json
import math
import os
import signal
import socket
import stat
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from subprocess import PIPE, Popen

import anthropic
import httpx2
import psutil
import pytest

from state.paths import RunPaths
from swarm.proxy import MOST_EVENTS, MOST_FREE
from swarm.sockets import listen_at
from tests.messages_server import MessagesServer, cut_before_headers, error, held, raw, turn
from tests.swarm.proxied import KEY, MODEL, NO_TLS, SECONDS, Proxied, body, raw_request
from tests.waiting import until

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def server():
    with MessagesServer(lambda call: turn("hello " * 40, tools=[("bash", {"command": "ls"})])) as server:
        yield server


@pytest.fixture(scope="module")
def proxied(server, tmp_path_factory):
    with Proxied(tmp_path_factory.mktemp("run"), server.url, ("alpha", "beta"), dollars=1000.0) as proxied:
        yield proxied


@pytest.fixture(scope="module")
def client(proxied):
    return proxied.client()


def test_the_sdk_streams_through_it_with_the_key_that_only_the_proxy_has(server, proxied):
    sdk = anthropic.Anthropic(base_url="http://proxy", api_key="dummy", max_retries=0, http_client=proxied.client())
    asked = {"model": MODEL, "max_tokens": 1000, "messages": [{"role": "user", "content": "go"}]}
    with sdk.messages.stream(**asked) as stream:
        message = stream.get_final_message()
    assert message.content[0].text == "hello " * 40 and message.content[1].input == {"command": "ls"}
    assert sdk.messages.create(**asked).usage.output_tokens == message.usage.output_tokens
    assert sdk.messages.count_tokens(model=MODEL, messages=asked["messages"]).input_tokens == message.usage.input_tokens
    assert [model.id for model in sdk.models.list()] == server.models
    assert [call.key for call in server.calls[-2:]] == [KEY, KEY]
    assert "dummy" not in str([call.headers for call in server.calls])
    spent = proxied.records("settled")[-2:]
    assert [record["output_tokens"] for record in spent] == [message.usage.output_tokens] * 2 and all(record["complete"] for record in spent)


def test_calls_that_cost_nothing_have_a_limit_for_each_agent(server, tmp_path, monkeypatch):
    monkeypatch.setattr("swarm.proxy.QUIET_SECONDS", math.inf)  # however long these take
    with Proxied(tmp_path, server.url, ("alpha", "beta"), inside=True) as proxied:
        client = proxied.client("alpha")
        answers = [client.get("/v1/models").status_code for _ in range(MOST_FREE + 2)]
        assert answers == [200] * MOST_FREE + [429] * 2
        assert proxied.client("beta").get("/v1/models").status_code == 200, "the control: another agent's are its own"


def test_a_stream_is_passed_on_as_it_comes_and_byte_for_byte(tmp_path):
    gate = threading.Event()
    with MessagesServer(lambda call: held(turn("é" * 500, usage={"output_tokens": 9}), 4, gate)) as server:
        with Proxied(tmp_path, server.url, inside=True) as proxied:
            with proxied.client().stream("POST", "/v1/messages", json=body()) as response:
                chunks = response.iter_raw()
                first = next(chunks)  # while the server holds back the rest
                assert first.startswith(b"event: message_start\n") and not gate.is_set()
                gate.set()
                through = first + b"".join(chunks)
        gate.set()
        direct = httpx2.Client(verify=NO_TLS, timeout=SECONDS).post(server.url + "/v1/messages", json=body(), headers={"x-api-key": "other"}).content
        assert through.replace(b"msg_00000001", b"msg_00000002") == direct


def test_headers_of_a_client_go_no_further(server, client):
    sent = {"authorization": "Bearer mine", "cookie": "a=b", "x-forwarded-for": "1.2.3.4", "anthropic-beta": "some-beta", "connection": "keep-alive, x-a", "x-a": "1"}
    assert client.post("/v1/messages?beta=true", json=body(), headers=sent).status_code == 200
    headers = server.calls[-1].headers
    assert set(headers) == {"host", "content-type", "anthropic-beta", "accept", "user-agent", "accept-encoding", "x-api-key", "content-length"}
    assert headers["x-api-key"] == KEY and headers["anthropic-beta"] == "some-beta" and "mine" not in str(headers)


REFUSED = {
    "another path": ("GET", "/v1/files", None), "a path below": ("POST", "/v1/messages/batches", {}), "dots": ("GET", "/v1/models/../files", None),
    "an absolute URI": ("GET", "http://example.org/v1/models", None), "a tunnel": ("CONNECT", "example.org:443", None),
    "a method": ("DELETE", "/v1/models", None), "a method nobody knows": ("BREW", "/v1/models", None),
    "a query": ("GET", "/v1/models?next=http://example.org", None), "what is not its budget": ("GET", "/aar/spend", None),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_other_destinations_are_refused_and_told(server, proxied, name):
    before = len(server.requests)
    with proxied.connection() as connection:
        connection.sendall(raw_request(*REFUSED[name]))
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 403 ") and b"aar-refused: request" in answer and b"permission_error" in answer
    assert len(server.requests) == before
    assert proxied.wait_for("refused")["agent"] == "alpha"


def test_another_host_is_refused_and_its_own_names_are_not(server, proxied):
    for host, status in (("example.org", b"403"), ("proxy", b"200"), ("127.0.0.1:8123", b"200"), ("proxy.example.org", b"403")):
        with proxied.connection() as connection:
            connection.sendall(raw_request("GET", "/v1/models", host=host))
            assert connection.recv(65536).split()[1] == status, host
    with proxied.connection() as connection:
        connection.sendall(raw_request("HEAD", "/") + raw_request("GET", "/"))
        answer = b""
        while b'{"aar"' not in answer:
            answer += connection.recv(65536)
        assert answer.count(b"HTTP/1.1 200") == 2


def test_a_redirect_of_the_server_is_not_followed(tmp_path):
    reached = []

    class Elsewhere(BaseHTTPRequestHandler):
        def do_POST(self):
            reached.append((self.path, self.headers.get("x-api-key")))
            self.send_response(307)
            self.send_header("location", f"http://127.0.0.1:{self.server.server_address[1]}/stolen")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Elsewhere) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        with Proxied(tmp_path, f"http://127.0.0.1:{other.server_address[1]}", inside=True) as proxied:
            response = proxied.client().post("/v1/messages", json=body())
            assert response.status_code == 502 and "location" not in response.headers and "not followed" in response.text
            assert reached == [("/v1/messages", KEY)]
            assert proxied.spend().dollars == 0
        other.shutdown()


URL, PDF = {"type": "url", "url": "http://example.org/x"}, {"type": "base64", "media_type": "application/pdf", "data": "AAAA"}
IMAGE = {"type": "base64", "media_type": "image/png", "data": "AAAA"}
TOOL = {"name": "bash", "input_schema": {"type": "object"}}
NOT_ASKED = {
    "another model": ({"model": "claude-opus-4-6"}, 403, "model"), "web search": ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, 400, "request"),
    "code execution": ({"tools": [TOOL, {"type": "code_execution_20250825", "name": "x"}]}, 400, "request"),
    "remote servers": ({"mcp_servers": [{"type": "url", "url": "http://example.org"}]}, 400, "request"), "a container": ({"container": "c"}, 400, "request"),
    "a fast lane": ({"speed": "fast"}, 400, "request"), "another tier": ({"service_tier": "priority"}, 400, "request"),
    "a place": ({"inference_geo": "us"}, 400, "request"), "models to fall back to": ({"fallbacks": [{"model": "x"}]}, 400, "request"),
    "an image to fetch": ({"messages": [{"role": "user", "content": [{"type": "image", "source": URL}]}]}, 400, "request"),
    "one in a result": ({"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "image", "source": URL}]}]}]}, 400, "request"),
    "a file": ({"messages": [{"role": "user", "content": [{"type": "document", "source": {"type": "file", "file_id": "f"}}]}]}, 400, "request"),
    "one in the result of a tool that the API ran": ({"messages": [{"role": "user", "content": [{"type": "web_fetch_tool_result", "content": {"source": URL}}]}]}, 400, "request"),
    "one by another API's name": ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": URL}]}]}, 400, "request"),
    "one without a list": ({"messages": [{"role": "user", "content": {"type": "image", "source": URL}}]}, 400, "request"),
    "one that says its address only": ({"messages": [{"role": "user", "content": [{"type": "image", "source": "http://example.org/x"}]}]}, 400, "request"),
    "a PDF, whose pages nobody can count": ({"messages": [{"role": "user", "content": [{"type": "document", "source": PDF}]}]}, 400, "request"),
    "a summary on the API's side": ({"context_management": {"edits": [{"type": "compact_20260112"}]}}, 400, "request"),
    "no end": ({"max_tokens": None}, 400, "request"), "more than can be counted": ({"max_tokens": 10**400}, 400, "request"), "another spelling": ({"Model": "claude-opus-4-6"}, 400, "request"),
}  # fmt: skip


@pytest.mark.parametrize("name", NOT_ASKED)
def test_what_a_model_may_not_be_asked(server, client, name):
    more, status, why = NOT_ASKED[name]
    before = len(server.calls)
    response = client.post("/v1/messages", json={**body(), **more})
    assert (response.status_code, response.headers["aar-refused"]) == (status, why)
    assert response.json()["error"]["message"] and "\n" not in response.json()["error"]["message"]
    assert len(server.calls) == before


@pytest.mark.parametrize("item", [
    {"type": "computer_call_output", "call_id": "c", "output": {"type": "computer_screenshot", "image_url": "http://example.org/x"}},
    {"type": "message", "role": "user", "content": [{"type": "input_image", "file_id": "f"}]},
    {"role": "user", "content": [{"type": "input_file", "file_url": "http://example.org/x"}]}, {"type": "item_reference", "id": "i"},
])  # fmt: skip
def test_the_responses_api_is_not_sent_what_its_server_would_fetch(server, client, item):
    before = len(server.requests)
    response = client.post("/v1/responses", json={"model": MODEL, "input": [item]})
    assert (response.status_code, response.headers["aar-refused"]) == (400, "request") and len(server.requests) == before


def test_an_agent_that_is_refused_in_ever_other_words_does_not_fill_the_ledger(server, tmp_path, monkeypatch):
    monkeypatch.setattr("swarm.proxy.QUIET_SECONDS", math.inf)  # however long these take
    with Proxied(tmp_path, server.url, ("alpha", "beta"), inside=True) as proxied:
        client = proxied.client()
        for number in range(2 * MOST_EVENTS):
            assert client.get(f"/elsewhere/{number}").status_code == 403
        assert proxied.client("beta").get("/elsewhere/0").status_code == 403
        assert [event["agent"] for event in proxied.events] == ["alpha"] * MOST_EVENTS + ["beta"]


def test_a_header_that_is_no_ascii_stays_behind(server, client):
    sent = {b"user-agent": b"\xe9", b"anthropic-version": b"2023-06-01"}
    assert client.post("/v1/messages", json=body(), headers=sent).status_code == 200
    assert "user-agent" not in server.calls[-1].headers and server.calls[-1].headers["anthropic-version"] == "2023-06-01"


@pytest.mark.parametrize("sent", [
    b'{"model": "%s", "model": "claude-opus-4-6", "max_tokens": 5, "messages": []}', b'{"model": "%s", "max_tokens": Infinity}', b"[" * 100_000,
    b'{"model": "%s", "max_tokens": 5, "messages": [' + b'{"a":' * 700 + b"1" + b"}" * 700 + b"]}", b"no json", b"\xff\xfe{\x00}\x00",
])  # fmt: skip
def test_a_body_that_servers_may_read_in_two_ways_goes_to_none(server, client, sent):
    before = len(server.calls)
    response = client.post("/v1/messages", content=sent.replace(b"%s", MODEL.encode()))
    assert response.status_code == 400 and response.headers["aar-refused"] == "request"
    assert len(server.calls) == before


def test_what_a_model_may_be_asked(server, client):
    tools = [TOOL, {**TOOL, "type": "custom", "name": "b"}, {"type": "bash_20250124", "name": "c"}, {"type": "text_editor_20250728", "name": "d"}]
    source = {"source": URL}  # an argument of the agent's own tool, not a source
    messages = [
        {"role": "user", "content": [{"type": "image", "source": IMAGE}, {"type": "text", "text": "hi"}]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "bash", "input": {"type": "image", **source}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "done"}]},
    ]
    more = {"tools": tools, "messages": messages, "service_tier": "standard_only", "context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}}
    response = client.post("/v1/messages", json={**body(), **more})
    assert response.status_code == 200, response.text
    assert server.calls[-1].body == {**body(), **more}


def test_too_much_or_an_unclear_length_is_refused(server, proxied, client):
    before = len(server.calls)
    assert client.post("/v1/messages", json=body("x" * (33 << 20))).status_code == 413
    assert client.post("/v1/messages", json=body(more=[[]] * 1_100_000)).status_code == 413  # seven MiB, and in memory many times that
    for head in ("content-length: 5\r\ncontent-length: 6", "content-length: 5\r\ntransfer-encoding: chunked", "content-encoding: gzip", "content-length: +5"):
        with proxied.connection() as connection:
            connection.sendall(f"POST /v1/messages HTTP/1.1\r\nhost: proxy\r\n{head}\r\n\r\n".encode())
            assert connection.recv(65536).startswith(b"HTTP/1.1 400 "), head
    assert len(server.calls) == before
    pieces = json.dumps(body()).encode()
    assert client.post("/v1/messages", content=iter([pieces[:20], pieces[20:]])).status_code == 200  # in chunks


def test_errors_of_the_api_pass_unchanged_and_its_state_is_told_once(tmp_path):
    replies = [error(529, "overloaded_error", f"busy {KEY}", {"retry-after": "7"}), error(429, "rate_limit_error"), cut_before_headers(), turn("hi"), turn("hi")]
    with MessagesServer(lambda call: replies[call.number]) as server, Proxied(tmp_path, server.url, inside=True) as proxied:
        client = proxied.client()
        busy = client.post("/v1/messages", json=body())
        assert (busy.status_code, busy.headers["retry-after"], busy.json()["error"]["type"]) == (529, "7", "overloaded_error")
        assert KEY not in busy.text and "aar-refused" not in busy.headers
        assert client.post("/v1/messages", json=body()).status_code == 429
        closed = client.post("/v1/messages", json=body())
        assert closed.status_code == 502 and closed.json()["error"] == {"type": "api_error", "message": "127.0.0.1: the connection was closed before an answer came"}
        for _ in range(2):
            assert client.post("/v1/messages", json=body()).status_code == 200
        assert [(event["event"], event["ok"]) for event in proxied.events] == [("upstream", False), ("upstream", True)]
        assert proxied.spend().turns == 2


def test_a_server_that_is_not_there_is_named(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        with Proxied(tmp_path, f"http://127.0.0.1:{taken.getsockname()[1]}", inside=True) as proxied:
            response = proxied.client().post("/v1/messages", json=body())
            assert response.status_code == 502 and response.json()["error"]["message"].startswith("127.0.0.1: no connection")
            assert proxied.spend().dollars == 0 and proxied.events[0]["ok"] is False


def test_each_agent_has_its_own_models_and_account(tmp_path):
    with MessagesServer(lambda call: turn("hi")) as server, Proxied(tmp_path, server.url, ("alpha", "beta"), inside=True) as proxied:
        proxied.allowed["beta"][:] = ["claude-sonnet-5-5"]
        assert proxied.client("beta").post("/v1/messages", json=body()).status_code == 403
        assert proxied.client("beta").post("/v1/messages", json=body(model="claude-sonnet-5-5")).status_code == 200
        assert proxied.client("alpha").post("/v1/messages", json=body(model="claude-sonnet-5-5")).status_code == 403
        assert (proxied.spend().of("alpha").turns, proxied.spend().of("beta").turns) == (0, 1)


@pytest.mark.parametrize("auth", ["x-api-key", "bearer"])
def test_the_key_goes_in_the_header_that_was_said(tmp_path, auth):
    with MessagesServer(lambda call: turn("hi")) as server, Proxied(tmp_path, server.url, inside=True, auth=auth) as proxied:
        assert proxied.client().post("/v1/messages", json=body()).status_code == 200
        assert server.calls[0].headers.get("authorization" if auth == "bearer" else "x-api-key") in (KEY, f"Bearer {KEY}")
        assert ("x-api-key" in server.calls[0].headers) != ("authorization" in server.calls[0].headers)


def test_a_path_longer_than_an_address_may_be_works_and_is_private(tmp_path):
    paths = RunPaths(tmp_path / ("x" * 100) / ("y" * 30))
    paths.agent("alpha").mkdir(parents=True)
    with listen_at(paths.model("alpha")):
        assert stat.S_IMODE(os.stat(paths.model("alpha")).st_mode) == 0o600
        folder = os.open(paths.agent("alpha"), os.O_PATH)
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(f"/proc/self/fd/{folder}/model.sock")
        os.close(folder)


def places_with(word: str, folder: Path) -> list[str]:
    """Where `word` stands: arguments and environment of processes, files below `folder`."""
    found = []
    for file in [*Path("/proc").glob("[0-9]*/cmdline"), *Path("/proc").glob("[0-9]*/environ"), *folder.rglob("*")]:
        try:
            if file.is_file() and word.encode() in file.read_bytes():
                found.append(str(file))
        except OSError:
            continue
    return found


def test_the_key_stands_in_no_argument_no_environment_and_no_file(proxied, client):
    assert client.post("/v1/messages", json=body()).status_code == 200
    assert places_with(KEY, proxied.paths.root) == []
    planted = "planted-where-a-key-must-not-be"
    with Popen([sys.executable, "-c", "print(flush=True); input()", planted], env={"KEY": planted}, stdin=PIPE, stdout=PIPE) as control:
        control.stdout.readline()  # until it is a program of its own, it has no arguments that can be seen
        (proxied.paths.root / "planted").write_text(planted)
        found = places_with(planted, proxied.paths.root)
        control.communicate(b"\n")
    assert {f"/proc/{control.pid}/cmdline", f"/proc/{control.pid}/environ", str(proxied.paths.root / "planted")} <= set(found)


def test_a_key_that_the_server_quotes_goes_no_further(tmp_path):
    replies = [
        error(401, "authentication_error", f"this key is none: {KEY}"), turn("told"), turn(f"{KEY}?"),
        raw([f'event: error\ndata: {{"type": "error", "error": {{"type": "api_error", "message": "{KEY}"}}}}\n\n'.encode()], headers={"content-type": "text/event-stream", "x-told": KEY}),
    ]  # fmt: skip
    with MessagesServer(lambda call: replies[call.number]) as server, Proxied(tmp_path, server.url, inside=True) as proxied:
        answers = [proxied.client().post("/v1/messages", json=body(stream=number == 3)) for number in range(4)]
        assert [answer.status_code for answer in answers] == [401, 200, 200, 200] and "told" in answers[1].text
        assert "this key is none" in answers[0].text and "api_error" in answers[3].text and "x-told" in answers[3].headers
        assert not [answer for answer in answers if KEY in answer.text or KEY in str(answer.headers)]


LOOK = """
import ctypes, os, sys
from swarm.proxy import keep_to_oneself

def child(work):
    ends = os.pipe()
    pid = os.fork()
    if pid:
        os.close(ends[1])
        return pid, ends[0]
    if os.getuid() == 0:
        os.setuid(65534)
        ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # a new user hides a process by itself
    work(ends[1])
    os._exit(0)

def live(hidden):
    def work(end):
        if hidden:
            keep_to_oneself()
        os.write(end, b"x")
        sys.stdin.read()
    return work

def look(pid):
    def work(end):
        try:
            open(f"/proc/{pid}/environ").close()
            os.write(end, b"seen")
        except PermissionError:
            os.write(end, b"hidden")
    return work

for hidden in (False, True):
    pid, ready = child(live(hidden))
    os.read(ready, 1)
    print(os.read(child(look(pid))[1], 10).decode(), flush=True)
"""


def test_no_other_process_of_the_user_looks_into_the_proxy(proxied):
    with Popen([sys.executable, "-c", LOOK], stdin=PIPE, stdout=PIPE, cwd=ROOT, text=True) as looking:
        assert [looking.stdout.readline().strip() for _ in range(2)] == ["seen", "hidden"]
        looking.communicate()
    assert "Max core file size        0                    0" in Path(f"/proc/{proxied.outside.pid}/limits").read_text()


def test_the_proxy_ends_with_the_one_that_started_it(tmp_path):
    with MessagesServer(lambda call: turn("hi")) as server:
        code = (
            "import sys, os, signal; from pathlib import Path; from tests.swarm.proxied import Proxied\n"
            f"proxied = Proxied(Path({str(tmp_path)!r}), {server.url!r}); print(proxied.outside.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
        )
        with Popen([sys.executable, "-c", code], stdout=PIPE, cwd=ROOT) as starter:
            pid = int(starter.stdout.readline())
        assert starter.returncode == -signal.SIGKILL
        with contextlib.suppress(psutil.NoSuchProcess):
            proxy = psutil.Process(pid)
            until(lambda: not proxy.is_running() or proxy.status() == psutil.STATUS_ZOMBIE)
