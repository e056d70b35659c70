"""Sockets that are closed and made anew in one process, as doors are when people come and go."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.waiting import until

SCRIPT = """
import os, socket, sys, threading, time
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

def let_others_run():  # counted: the machine may stand still during one of these
    for _ in range(20):
        time.sleep(0.01)

one = kind(folder / "one.sock", saying("one"), "one")
print(connect_to(folder / "one.sock").recv(10).decode(), flush=True)
let_others_run()  # its thread waits for the next connection
number = one._socket.fileno()
one.close()
two = kind(folder / "two.sock", saying("two"), "two")
print("same number" if two._socket.fileno() == number else "another number", flush=True)
sys.stdin.readline()  # it is stopped, and goes on
let_others_run()
print(*(connect_to(folder / "two.sock").recv(10).decode() for _ in range(5)), flush=True)
"""


def heard(kind: str, folder: Path) -> set[str]:
    """Who answers at a socket that got the number of one that was closed, in a process that is stopped and goes on."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
    with subprocess.Popen([sys.executable, "-c", SCRIPT, kind, folder], **pipes) as process:
        assert process.stdout.readline() == "one\n"
        assert process.stdout.readline() == "same number\n"
        os.kill(process.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        os.kill(process.pid, signal.SIGCONT)
        process.stdin.write("\n")
        return set(process.stdout.readline().split())


def test_a_socket_that_was_closed_takes_no_connection_of_the_one_that_got_its_number(tmp_path):
    assert heard("Listener", tmp_path) == {"two"}


def test_the_control_takes_some_where_its_thread_waited_at_the_close(tmp_path):
    until(lambda: heard("Unjoined", tmp_path) == {"one", "two"}, looks=20)
