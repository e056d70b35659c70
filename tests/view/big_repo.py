"""The bare repository of a made-up run, written with one `git fast-import` that tells each commit's id as it goes."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

METHODS = Path(__file__).parents[2] / "methods"


class Importer:
    """A bare repository at `repo` with a base commit, and a branch aar/RUN/AGENT for each agent and the board. A context manager."""

    def __init__(self, repo: Path, run: str, agents: Sequence[str], time: int):
        subprocess.run(["git", "init", "--quiet", "--bare", str(repo)], check=True)
        self.run, self._marks = run, 0
        self._git = subprocess.Popen(
            ["git", "--git-dir", str(repo), "fast-import", "--quiet", "--cat-blob-fd=1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        files = {f"methods/{file.name}": file.read_text(encoding="utf-8") for file in sorted(METHODS.glob("*.py"))}
        self.base = self._commit(f"aar/{run}/board", "person", time, "The base of the run", files)
        for agent in agents:
            self._git.stdin.write(f"reset refs/heads/aar/{run}/{agent}\nfrom :1\n\n".encode())

    def __enter__(self) -> Importer:
        return self

    def __exit__(self, *_: object) -> None:
        self._git.stdin.close()
        self._git.stdout.close()
        if self._git.wait():
            raise RuntimeError("git fast-import failed")

    def commit(self, agent: Mapping, said: Mapping, inspired_by: Sequence[str], time: int) -> str:
        """Commit a submission's method to its agent's branch, with the trailers of DESIGN section 4."""
        subject = " ".join(c for c in said["message"][:100].split() if c.isprintable()) or "Work in progress"
        trailers = [("Agent", agent["name"]), ("Run", self.run), ("Direction", agent["direction"])]
        trailers += [("Inspired-by", one) for one in inspired_by]
        text = f"{subject}\n\n  a body\n\n" + "".join(f"{key}: {value}\n" for key, value in trailers)
        return self._commit(f"aar/{self.run}/{agent['name']}", agent["name"], time, text, {said["method"]: said["source"]})

    def board(self, files: Mapping[str, str], time: int) -> str:
        return self._commit(f"aar/{self.run}/board", "board", time, f"Board of {self.run}\n\nRun: {self.run}\n", files)

    def _commit(self, branch: str, author: str, time: int, message: str, files: Mapping[str, str]) -> str:
        self._marks += 1
        who = f"{author} <{author}@{self.run}.aar> {time} +0000"
        parts = [f"commit refs/heads/{branch}\nmark :{self._marks}\nauthor {who}\ncommitter {who}\n".encode(), _data(message)]
        for path, text in files.items():
            parts += [f"M 100644 inline {path}\n".encode(), _data(text)]
        self._git.stdin.write(b"".join([*parts, b"\nget-mark :%d\n" % self._marks]))
        self._git.stdin.flush()
        return self._git.stdout.readline().decode().strip()


def _data(text: str) -> bytes:
    data = text.encode(errors="backslashreplace")
    return b"data %d\n%s\n" % (len(data), data)
