"""Connections to the model's API are shared by all agents: who hangs up ends its own call, and no other's that goes over the same one."""

import contextlib
import fcntl
import json
import queue
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2
import pytest

from swarm.upstream import Upstream, cut
from tests.messages_replies import events_of
from tests.swarm.proxied import SECONDS, Proxied, body, raw_request

ROUNDS, MOST_ROUNDS = 5, 50
"""So often a connection has to have changed hands, in so many tries."""
MESSAGE = {"type": "message", "content": [{"type": "text", "text": "hi"}], "stop_reason": "end_turn", "usage": {"input_tokens": 7, "output_tokens": 9}}
TURN = b"".join(b"event: %s\ndata: %s\n\n" % (event["type"].encode(), json.dumps(event).encode()) for event in events_of(MESSAGE))


class Api(BaseHTTPRequestHandler):
    """Answers a POST with TURN, and a GET with its own path, half of it at once."""

    protocol_version = "HTTP/1.1"

    def handle(self):
        with contextlib.suppress(ConnectionError):  # the proxy has hung up
            super().handle()

    def finish(self):
        with contextlib.suppress(ConnectionError):
            super().finish()

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self._answer("text/event-stream", TURN)

    def do_GET(self):
        self._answer("text/plain", self.path.encode())

    def _answer(self, kind, data):
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        gate, half = threading.Event(), len(data) // 2
        self.wfile.write(data[:half])
        self.server.halves.put((self.client_address, gate))
        gate.wait()
        self.wfile.write(data[half:])

    def log_message(self, *_):
        pass


@pytest.fixture
def api():
    """`half()`: over which connection the next half of an answer went out, and the event that lets the rest of it go."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Api) as server:
        server.daemon_threads, server.url, server.halves = True, f"http://127.0.0.1:{server.server_port}", queue.Queue()
        server.half = lambda: server.halves.get(timeout=SECONDS)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


def test_one_who_hangs_up_before_its_call_is_written_down_does_not_end_the_one_that_has_its_connection_by_then(api, tmp_path):
    """The ledger is locked once the first agent's call is in it, so that it cannot be settled when its answer is out. By then its
    connection carries the other agent's call; it hangs up, and hears when the proxy is through with that."""
    shared = tries = 0
    with Proxied(tmp_path, api.url, ("alpha", "beta"), inside=True) as proxied:
        other = proxied.client("beta")
        while shared < ROUNDS and (tries := tries + 1) <= MOST_ROUNDS:
            answers: list[httpx2.Response] = []
            asking = threading.Thread(target=lambda: answers.append(other.get("/v1/models")))  # noqa: B023
            with proxied.connection("alpha") as one:
                one.sendall(raw_request("POST", "/v1/messages", body()))
                first, go_on = api.half()
                with open(proxied.paths.spend) as ledger:
                    fcntl.flock(ledger, fcntl.LOCK_EX)
                    go_on.set()
                    found = b""
                    while b"message_stop" not in found:
                        found += one.recv(65536)
                    asking.start()
                    second, go_on = api.half()
                    one.shutdown(socket.SHUT_WR)
                while one.recv(65536):
                    pass
            go_on.set()
            asking.join()
            assert (answers[0].status_code, answers[0].content) == (200, b"/v1/models")
            shared += first == second
        assert shared == ROUNDS and proxied.events == []


def test_an_answer_that_is_over_cuts_nothing_and_one_that_comes_ends_at_once(api, monkeypatch):
    monkeypatch.setattr("swarm.upstream.IDLE_SECONDS", 3600.0)  # a machine that stands still keeps its connection
    upstream = Upstream(api.url, "", "x-api-key")

    def begun(number: int) -> tuple:
        sending = upstream.send("GET", f"/a/path/{number}", {}, b"")
        return sending, sending.__enter__(), *api.half()

    first, over, peer, go_on = begun(1)
    go_on.set()
    assert b"".join(over.iter_raw()) == b"/a/path/1"
    second, coming, its_peer, go_on = begun(2)
    assert its_peer == peer
    cut(over)
    go_on.set()
    assert b"".join(coming.iter_raw()) == b"/a/path/2"
    third, coming, _, go_on = begun(3)
    cut(coming)
    with pytest.raises(httpx2.TransportError):
        b"".join(coming.iter_raw())
    go_on.set()
    for sending in (first, second, third):
        sending.__exit__(None, None, None)
