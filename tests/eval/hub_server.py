"""A hub of our own for tests: what `huggingface_hub` asks of one when it lists and downloads a model, and its refusals."""
from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"
GATED = "acme/gated"
"""A model whose files are listed for everybody and given to nobody."""
SIZES: dict[tuple[str, str], int] = {("acme/huge", "model.safetensors"): 1 << 60}
"""What is said of files that are not as large as that."""

PATIENT = {"HF_HUB_ETAG_TIMEOUT": "600", "HF_HUB_DOWNLOAD_TIMEOUT": "600"}
"""For the environment of who asks: after its own ten seconds it would ask again, which is not what is counted."""


@contextmanager
def hub(models: dict[str, dict[str, bytes]]) -> Iterator[tuple[str, list[str]]]:
    """Serves `models` (owner/name -> path -> content), each with one commit. Yields its address and the files that were fetched."""
    fetched: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.split("?")[0].strip("/")
            parts = path.removeprefix("api/models/").split("/")
            name, rest = "/".join(parts[:2]), parts[2:]
            if name not in models:
                return self._answer(404, b"", {"X-Error-Code": "RepoNotFound"})
            if rest[1] not in ("main", COMMIT):
                return self._answer(404, b"", {"X-Error-Code": "RevisionNotFound"})
            files = models[name]
            if rest[0] == "revision":
                return self._answer(200, json.dumps({"id": name, "sha": COMMIT, "siblings": []}).encode())
            if rest[0] == "tree":
                return self._answer(200, json.dumps([
                    {"type": "file", "path": file, "size": SIZES.get((name, file), len(content)), "oid": _digest(content)}
                    for file, content in files.items()]).encode())
            if name == GATED:
                return self._answer(403, b"", {"X-Error-Code": "GatedRepo"})
            file = "/".join(rest[2:])
            if self.command == "GET":
                fetched.append(file)
            content = files[file]
            headers = {"ETag": f'"{_digest(content)}"', "X-Repo-Commit": COMMIT}
            return self._answer(200, content, headers, SIZES.get((name, file)))

        do_HEAD = do_GET

        def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None, claimed: int | None = None) -> None:
            self.send_response(status)
            for key, value in {"Content-Length": str(claimed or len(body)), **(headers or {})}.items():
                self.send_header(key, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", fetched
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _digest(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()
