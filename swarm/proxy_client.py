"""The model proxy as the operator sees it: sockets that stay, and a process behind them that is started anew when it dies.

    proxy = ProxyClient(paths, models, key, base_url, limits, prices, on_event)
    ...
    proxy.close()

The operator listens on the sockets and hands them to the process, so that what was mounted into a sandbox stays good when the process
is a new one: a call that arrives meanwhile waits.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from state.paths import RunPaths
from swarm.key import Key, hide_secrets
from swarm.sockets import listen_at

PROJECT = Path(__file__).parent.parent
LONGEST_PAUSE = 10.0
"""Seconds before the process is started again, at most; it begins at once and doubles where it lives no longer than this."""
END_SECONDS = 8.0


class ProxyClient:
    """`models`: agent -> the models it may ask; each gets a socket at `paths.model(agent)`. `key` None: the server wants none.

    `on_event(event)` is called from a thread, with the events of swarm/proxy.py and `{"event": "gone", "returncode", "detail"}`.
    """

    def __init__(
        self, paths: RunPaths, models: Mapping[str, Sequence[str]], key: Key | None, base_url: str, limits: Mapping[str, Any],
        prices: Mapping[str, Any], on_event: Callable[[dict], None],
    ):  # fmt: skip
        self.on_event = on_event
        self.pid: int | None = None
        self._orders = {
            "key": key.value if key else "", "auth": key.auth if key else "x-api-key", "base_url": base_url, "spend": str(paths.spend),
            "models": {agent: list(names) for agent, names in models.items()}, "limits": dict(limits), "prices": dict(prices),
        }  # fmt: skip
        self._log = paths.root / "proxy.log"
        self._paths = {agent: paths.model(agent) for agent in models}
        self._sockets = {agent: listen_at(path) for agent, path in self._paths.items()}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._process = self._start()
        self._keeper = threading.Thread(target=self._keep, daemon=True, name="model-proxy")
        self._keeper.start()

    def close(self) -> None:
        """End the process, which settles what is under way, and take the sockets away."""
        self._stopping.set()
        with self._lock:
            process = self._process
            if process.stdin is not None:
                process.stdin.close()
        try:
            process.wait(timeout=END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._keeper.join(timeout=END_SECONDS)
        for agent, listening in self._sockets.items():
            listening.close()
            self._paths[agent].unlink(missing_ok=True)

    def _start(self) -> subprocess.Popen:
        environment = dict(os.environ)
        hide_secrets(environment)
        descriptors = {agent: listening.fileno() for agent, listening in self._sockets.items()}
        with open(self._log, "ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "swarm.proxy"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd=PROJECT,
                env=environment, pass_fds=tuple(descriptors.values()), start_new_session=True,
            )  # fmt: skip
        self.pid = process.pid
        try:
            process.stdin.write(json.dumps({**self._orders, "sockets": descriptors}).encode() + b"\n")
            process.stdin.flush()
        except BrokenPipeError:
            pass  # it has died already, which `_keep` sees
        return process

    def _keep(self) -> None:
        """Tell its events; start it again when it ends."""
        pause = 0.0
        while True:
            process, started = self._process, time.monotonic()
            for line in process.stdout:
                self.on_event(json.loads(line))
            code = process.wait()
            if self._stopping.is_set():
                return
            self.on_event({"event": "gone", "returncode": code, "detail": f"the model proxy ended ({code}) and is started again"})
            pause = 0.0 if time.monotonic() - started > LONGEST_PAUSE else min(LONGEST_PAUSE, max(0.2, 2 * pause))
            if self._stopping.wait(pause):
                return
            with self._lock:
                if self._stopping.is_set():
                    return
                self._process = self._start()
