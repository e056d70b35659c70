"""Sockets that are closed and made anew in one process, as doors are when people come and go."""

import os
import signal
import subprocess
import sys
import time

import pytest

SCRIPT = """
import os, socket, sys, threading
from pathlib import Path
from swarm.sockets import Listener, connect_to

class Unjoined(Listener):
    def close(self):  # what must not be done: the thread is still in there
        self.path.unlink()
        self._socket.close()

kind, folder = globals()[sys.argv[1]], Path(sys.argv[2])

def saying(name):
    def take(connection):
        with connection:
            connection.sendall(name.encode())
    return take

one = kind(folder / "one.sock", saying("one"), "one")
print(connect_to(folder / "one.sock").recv(10).decode(), flush=True)
sys.stdin.readline()  # by now its thread waits for the next connection
number = one._socket.fileno()
one.close()
two = kind(folder / "two.sock", saying("two"), "two")
print("same number" if two._socket.fileno() == number else "another number", flush=True)
sys.stdin.readline()  # it is stopped, and goes on
print(*(connect_to(folder / "two.sock").recv(10).decode() for _ in range(5)), flush=True)
"""


@pytest.mark.parametrize("kind, heard", [("Listener", {"two"}), ("Unjoined", {"one", "two"})])
def test_a_socket_that_was_closed_takes_no_connection_of_the_one_that_got_its_number(kind, heard, tmp_path):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
    with subprocess.Popen([sys.executable, "-c", SCRIPT, kind, tmp_path], **pipes) as process:
        assert process.stdout.readline() == "one\n"
        time.sleep(0.2)
        process.stdin.write("\n")
        assert process.stdout.readline() == "same number\n"
        os.kill(process.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        os.kill(process.pid, signal.SIGCONT)
        time.sleep(0.2)
        process.stdin.write("\n")
        assert set(process.stdout.readline().split()) == heard
