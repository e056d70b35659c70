"""What the escape attempts are after: worthless copies of all that AAR protects, made for one probe."""
from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

# Holds the secret in its environment and memory, and lets itself be traced (Yama would hide a hole).
PROCESS = ("import ctypes, os, sys\n"
           "ctypes.CDLL(None).prctl(0x59616D61, ctypes.c_ulong(-1), 0, 0, 0)\n"
           "buffer = ctypes.create_string_buffer(os.environ['AAR_DECOY'].encode())\n"
           "print(ctypes.addressof(buffer), flush=True)\n"
           "sys.stdin.read()")


class Decoys:
    """A context manager; inside it `config` tells attempts.py where everything is."""

    def __enter__(self) -> Decoys:
        self.secret, self.key = secrets.token_hex(16), secrets.token_hex(16)
        self.root = Path(tempfile.mkdtemp(prefix="aar-decoys-")).resolve()
        self.readonly, self.home, repository = self.root / "features", self.root / "home", self.root / "project"
        labels = self._file("aar/tasks/decoy/private/labels.txt")
        self._file("home/.gitconfig")
        self._file("project/.git/config")
        self.readonly.mkdir()
        self.label_fd = os.open(labels, os.O_RDONLY)
        os.set_inheritable(self.label_fd, True)
        self.process = subprocess.Popen([sys.executable, "-I", "-S", "-c", PROCESS], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, env={"AAR_DECOY": self.secret})
        self.listeners = [socket.create_server(("127.0.0.1", 0))]
        for address in ("\0aar-" + self.secret, str(self.root / "daemon.sock")):
            self.listeners.append(socket.socket(socket.AF_UNIX))
            self.listeners[-1].bind(address)
            self.listeners[-1].listen()
        os.environ["AAR_DECOY_API_KEY"] = self.key  # what starts the sandboxes has it
        self.config = {
            "secret": self.secret, "key": self.key, "labels": str(labels), "pid": self.process.pid,
            "address": int(self.process.stdout.readline()), "home": str(self.home), "repository": str(repository),
            "port": self.listeners[0].getsockname()[1], "abstract": "aar-" + self.secret,
            "socket": str(self.root / "daemon.sock"), "packages": sysconfig.get_path("purelib")}
        return self

    def __exit__(self, *exception) -> None:
        os.environ.pop("AAR_DECOY_API_KEY", None)
        for listener in self.listeners:
            listener.close()
        os.close(self.label_fd)
        self.process.kill()
        self.process.communicate()
        shutil.rmtree(self.root)

    def folder(self, name: str) -> Path:
        """An empty folder of the probe's own."""
        path = self.root / name
        path.mkdir()
        return path

    def _file(self, name: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(self.secret)
        return path
