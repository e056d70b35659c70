"""What the attempts share: system calls by name or number, the search for the secret, a child to spoil."""
from __future__ import annotations

import ctypes
import os
import stat
from collections.abc import Callable, Iterable

libc = ctypes.CDLL(None, use_errno=True)
MOST_BYTES = 1 << 20


class Refused(Exception):
    """The attempt got nothing."""


def call(name: str, *arguments) -> int:
    """A function of the C library. OSError where it says no."""
    got = getattr(libc, name)(*arguments)
    if got < 0:
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")
    return got


def read_secret(paths: Iterable[str], secret: str, unpack: Callable[[bytes], bytes] = bytes) -> str:
    """The first of `paths` that holds the secret. Refused where none does or can be opened."""
    for path in paths:
        try:
            if not stat.S_ISREG(os.stat(path).st_mode):  # to open a pipe would be to wait
                continue
            with open(path, "rb") as file:
                if secret.encode() in unpack(file.read(MOST_BYTES)):
                    return path
        except OSError:
            continue
    raise Refused("the secret is in none of the files that can be opened")


def write_probe(folder: str) -> str:
    """Makes a file in `folder` and removes it."""
    path = os.path.join(folder, f"aar-probe-{os.getpid()}")
    with open(path, "w") as file:
        file.write("x")
    os.unlink(path)
    return path


def open_to_write(path: str) -> str:
    """Opens an existing file so that it could be changed, and leaves it as it is."""
    os.close(os.open(path, os.O_WRONLY | os.O_APPEND))
    return path


def first_that_works(attempt: Callable[[str], str], places: Iterable[str]) -> str:
    """`attempt` at each of the places until one gives way. Refused with all of them where none does."""
    places = list(places)
    for place in places:
        try:
            return attempt(place)
        except OSError:
            continue
    raise Refused("not in " + ", ".join(places))


def in_child(attempt: Callable[[], object]) -> None:
    """Runs what would change this process in a child; the child's failure is raised here."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        said = b"ended early"
        try:
            attempt()
            said = b""
        except OSError as error:
            said = str(error).encode()
        finally:
            os.write(writing, said)
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    if said:
        raise Refused(said.decode())
