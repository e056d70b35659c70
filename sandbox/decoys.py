"""What the escape attempts are after: worthless copies of all that AAR protects, made for one probe."""
from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import zlib
from pathlib import Path

from sandbox import attempts
from sandbox.box import Mount

# Holds the secret in its environment and memory, and lets itself be traced (Yama would hide a hole).
EVALUATOR = ("import ctypes, os, sys\n"
             "ctypes.CDLL(None).prctl(0x59616D61, ctypes.c_ulong(-1), 0, 0, 0)\n"
             "buffer = ctypes.create_string_buffer(os.environ['AAR_DECOY'].encode())\n"
             "print(ctypes.addressof(buffer), flush=True)\n"
             "sys.stdin.read()")
HIDDEN = ("ledger.jsonl", "board/results.tsv", "evaluator/secret", "agent-2/worktree/notebook.md")
SHOWN = ("board/forum/post.md", "agent-1/gitfile", "repo.git/hooks/sample", "repo.git/refs/heads/agent-1")


class Decoys:
    """A context manager. Inside it `outside` tells the attempts where everything is for code without walls, and
    `mounts()` and `inside()` what is shown in a sandbox, and where."""

    def __enter__(self) -> Decoys:
        self.secret, self.key = secrets.token_hex(16), secrets.token_hex(16)
        self.root = Path(tempfile.mkdtemp(prefix="aar-decoys-")).resolve()
        self.home, self.project, self.features = self.root / "home", self.root / "project", self.root / "features"
        self.run = self.project / ".aar" / "runs" / "decoy"
        labels = self._file(self.root / "aar/tasks/decoy/private/labels.txt")
        for path in (self.home / ".gitconfig", self.project / ".git/config", self.project / ".git/hooks/sample",
                     self.project / "eval/score.py", *(self.run / name for name in HIDDEN)):
            self._file(path)
        for path in (self.features / "block.npy", *(self.run / name for name in SHOWN)):
            self._file(path, "for all to read")
        self._commit_secret()
        self.label_fd = os.open(labels, os.O_RDONLY)
        os.set_inheritable(self.label_fd, True)
        token = secrets.token_hex(16)
        self.evaluator = subprocess.Popen([sys.executable, "-I", "-S", "-c", EVALUATOR, token], stdin=subprocess.PIPE,
                                          stdout=subprocess.PIPE, text=True, env={"AAR_DECOY": self.secret})
        self.listeners = [socket.create_server(("127.0.0.1", 0))]
        sockets = {"abstract": "\0aar-" + self.secret, "daemon": str(self.root / "daemon.sock"),
                   "evaluator": str(self.root / "evaluator.sock")}
        for address in sockets.values():
            self.listeners.append(socket.socket(socket.AF_UNIX))
            self.listeners[-1].bind(address)
            self.listeners[-1].listen()
        os.environ["AAR_DECOY_API_KEY"] = self.key  # what starts the sandboxes has it
        self.outside = {
            "secret": self.secret, "key": self.key, "labels": str(labels), "home": str(self.home),
            "repository": str(self.project), "run": str(self.run), "run_repository": str(self.run / "repo.git"),
            "forum": str(self.run / "board/forum"), "gitfile": str(self.run / "agent-1/gitfile"),
            "features": str(self.features), "packages": sysconfig.get_path("purelib"),
            "pid": self.evaluator.pid, "evaluator_token": token, "address": int(self.evaluator.stdout.readline()),
            "port": self.listeners[0].getsockname()[1], **sockets, "abstract": "aar-" + self.secret}
        return self

    def __exit__(self, *exception) -> None:
        os.environ.pop("AAR_DECOY_API_KEY", None)
        for listener in self.listeners:
            listener.close()
        os.close(self.label_fd)
        self.evaluator.kill()
        self.evaluator.communicate()
        shutil.rmtree(self.root)

    def mounts(self, kind: str) -> list[Mount]:
        """What a sandbox of this kind is shown, where it is shown the real thing; and the attempts themselves."""
        here = Path(attempts.__file__).parent
        shown = [Mount(here.parent / "__init__.py", "/aar/lib/sandbox/__init__.py"),
                 Mount(here, "/aar/lib/sandbox/attempts"), Mount(self.features, "/aar/features")]
        if kind in ("shell", "job"):
            shown += [Mount(self._folder("worktree"), "/aar/worktree", writable=True),
                      Mount(self.run / "agent-1/gitfile", "/aar/worktree/.git"),
                      Mount(self.run / "repo.git", "/aar/repo.git"), Mount(self.run / "board/forum", "/aar/forum")]
        return shown

    def inside(self, writable: str) -> dict:
        """The same as `outside` for code in a sandbox that may write to `writable`."""
        return {**self.outside, "features": "/aar/features", "run_repository": "/aar/repo.git", "forum": "/aar/forum",
                "gitfile": "/aar/worktree/.git", "writable": writable, "tmpfs": ["/tmp", "/dev/shm"],
                "system": ["/", "/etc", "/usr", "/usr/bin", "/usr/local", "/dev", "/proc", "/aar"]}

    def without_walls(self) -> dict:
        """The same for code that runs as any subprocess would, with a folder of its own."""
        folder = str(self._folder("outside"))
        return {**self.outside, "writable": folder, "tmpfs": [folder], "system": [folder]}

    def _folder(self, name: str) -> Path:
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.root))

    def _file(self, path: Path, text: str | None = None) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(self.secret if text is None else text)
        return path

    def _commit_secret(self) -> None:
        """The secret as a loose git object of the user's repository, from which the run's repository borrows."""
        objects, borrows = self.project / ".git/objects", self.run / "repo.git/objects/info/alternates"
        data = b"blob %d\0" % len(self.secret) + self.secret.encode()
        name = hashlib.sha1(data).hexdigest()
        (objects / name[:2]).mkdir(parents=True)
        (objects / name[:2] / name[2:]).write_bytes(zlib.compress(data))
        self._file(borrows, f"{objects}\n")
