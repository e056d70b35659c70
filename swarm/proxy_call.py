"""One call of the model proxy that is paid for: passed on as it comes, and settled once, whatever becomes of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import httpx2

from swarm.asked import Asked
from swarm.money import Ticket
from swarm.upstream import Watch, cut
from swarm.usage import Heard, Usage

if TYPE_CHECKING:
    from swarm.proxy_handler import ProxyHandler


class Call:
    """`name`: under which swarm/lengths.py is told how long the request was."""

    def __init__(self, handler: ProxyHandler, asked: Asked, ticket: Ticket, name: bytes):
        self.handler, self.proxy, self.asked, self.ticket, self.name = handler, handler.proxy, asked, ticket, name
        self._started = time.monotonic()
        self._settled = False
        self.status = 0

    def go(self) -> None:
        try:
            self.handler.pass_on(self, self.asked.data(self.ticket.max_tokens))
        finally:
            # An answer other than 200, or none: nothing was begun, nothing is billed. A 200 that is not settled was not understood.
            self._settle(None if self.status == 200 else Usage(), False)

    def no_answer(self, error: httpx2.TransportError) -> None:
        """An answer that is not streamed says nothing before it is complete, so a call without one may have been made."""
        if not self.asked.body.get("stream") and not isinstance(error, (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError)):
            self._settle(None, False)

    def relay(self, response: httpx2.Response) -> None:
        """Pass a 200 on as it comes. Raises httpx2.TransportError where it is cut off on the far side."""
        handler = self.handler
        heard = Heard("text/event-stream" in response.headers.get("content-type", ""))
        chunked = "content-length" not in response.headers and handler.request_version != "HTTP/1.0"
        handler.close_connection = handler.close_connection or handler.request_version == "HTTP/1.0"
        more = {"transfer-encoding": "chunked"} if chunked else {}
        if self.ticket.max_tokens < self.asked.max_tokens:
            more["aar-max-tokens"] = str(self.ticket.max_tokens)

        def gone() -> None:
            if heard.events and heard.told.input_tokens:
                cut(response)

        with Watch(handler.connection, gone) as watch, self.proxy.cuttable(lambda: cut(response)):
            try:
                self._tell_start(watch, response, more, not chunked)
                for chunk in map(self.proxy.upstream.mask_key, filter(None, response.iter_raw())):  # an empty chunk would end a chunked body
                    heard.feed(chunk)
                    if watch.gone.is_set():
                        # What has begun is billed: who left early, before it was said how much, still wants that known.
                        if heard.events and heard.told.input_tokens:
                            break
                        continue
                    self._write(watch, b"%x\r\n%s\r\n" % (len(chunk), chunk) if chunked else chunk)
            finally:
                heard.end()
                self._settle_heard(heard)
        if watch.gone.is_set():
            handler.close_connection = True
        elif chunked:
            handler.wfile.write(b"0\r\n\r\n")

    def _tell_start(self, watch: Watch, response: httpx2.Response, more: dict[str, str], length: bool) -> None:
        try:
            self.handler.start(response, more, length)
            self.handler.wfile.flush()
        except OSError:
            watch.gone.set()

    def _write(self, watch: Watch, data: bytes) -> None:
        try:
            self.handler.connection.sendall(data)
        except OSError:
            watch.gone.set()

    def _settle_heard(self, heard: Heard) -> None:
        self.proxy.lengths.tell(self.ticket.agent, self.name, heard.told.input_tokens)
        self._settle(heard.billed(self.ticket.max_tokens, self.asked.thinks), heard.complete)

    def _settle(self, usage: Usage | None, complete: bool) -> None:
        if self._settled:
            return
        self._settled = True
        try:
            above = self.proxy.money.settle(self.ticket, usage, self.status, complete, time.monotonic() - self._started)
        except OSError as error:
            self.proxy.problem(f"what a call cost cannot be written down ({error.strerror}): it counts as the most it can have cost")
            return
        if above > 0:
            self.proxy.problem(f"a call of {self.ticket.agent} cost ${above:.4f} more than was set aside for it")
