"""Unix sockets in a run's folders. A socket's path may have 107 bytes, a run's folder more: it is reached by way of a descriptor of its
folder. What runs inside a sandbox (door.py, forward.py) does the same for itself, with the standard library alone."""

from __future__ import annotations

import os
import socket
from pathlib import Path

BACKLOG = 128


def listen_at(path: Path) -> socket.socket:
    """A listening socket at `path`, which only this user may connect to."""
    path.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        listening.bind(f"/proc/self/fd/{folder}/{path.name}")
    finally:
        os.close(folder)
    os.chmod(path, 0o600)
    listening.listen(BACKLOG)
    return listening


def connect_to(path: Path, timeout: float | None = None) -> socket.socket:
    """A connection to the socket at `path`; OSError where nobody listens there."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(timeout)
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        connection.connect(f"/proc/self/fd/{folder}/{path.name}")
    except OSError:
        connection.close()
        raise
    finally:
        os.close(folder)
    return connection
