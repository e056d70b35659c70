"""A port of the sandbox's own loopback leads to one Unix socket, and to nothing else."""

import contextlib
import hashlib
import os
import queue
import signal
import socket
import subprocess
import sys
import threading

import pytest

from sandbox.box import Box, Limits, Mount, run
from swarm import forward
from tests.sandbox.help import python
from tests.waiting import until

BIG = 8 << 20


def serve(folder, answer):
    """A Unix socket in `folder` whose connections are handed to `answer`, each in a thread; returns its path."""
    listener = socket.socket(socket.AF_UNIX)
    here = os.open(folder, os.O_PATH)
    listener.bind(f"/proc/self/fd/{here}/model.sock")
    os.close(here)
    listener.listen(128)

    def accept():
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return folder / "model.sock"


def everything(connection):
    found = []
    while piece := connection.recv(1 << 16):
        found.append(piece)
    return b"".join(found)


def digest_then_echo(connection):
    """Reads to the end of the request, and only then answers: its length, then all of it."""
    with connection:
        asked = everything(connection)
        connection.sendall(b"%d " % len(asked) + asked)


def forwarded(path, code, *more, port=8199, **options):
    """Outcome of python `code` that runs behind the forwarder, outside of any sandbox."""
    command = [sys.executable, "-I", "-S", forward.__file__, str(port), str(path), "--", *python(code, *more)]
    return subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, **options)


@pytest.fixture
def port():
    with socket.socket() as kept:  # bound, not listening: nobody else is given its number, and the forwarder may listen there
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        kept.bind(("127.0.0.1", 0))
        yield kept.getsockname()[1]


CLIENT = """
import hashlib, socket, sys, threading
def ask(number):
    data = bytes([number]) * int(sys.argv[2])
    with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as line:
        threading.Thread(target=lambda: (line.sendall(data), line.shutdown(socket.SHUT_WR))).start()
        found = b""
        pieces = []
        while piece := line.recv(65536):
            pieces.append(piece)
    assert b"".join(pieces) == b"%d " % len(data) + data, number
threads = [threading.Thread(target=ask, args=(number,)) for number in range(int(sys.argv[3]))]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print("all", len(threads))
"""


def test_a_request_that_ends_first_still_gets_its_answer_and_big_streams_arrive_whole(tmp_path, port):
    done = forwarded(serve(tmp_path, digest_then_echo), CLIENT, str(port), str(BIG), "1", port=port)
    assert (done.stdout, done.stderr) == (b"all 1\n", b"")


def test_a_hundred_connections_at_once_do_not_get_mixed_up(tmp_path, port):
    done = forwarded(serve(tmp_path, digest_then_echo), CLIENT, str(port), "100000", "100", port=port)
    assert (done.stdout, done.stderr) == (b"all 100\n", b"")


def test_a_caller_that_goes_away_in_mid_stream_is_noticed_behind_the_socket(tmp_path, port):
    noticed = threading.Event()

    def endless(connection):
        with connection:
            try:
                while True:
                    connection.sendall(b"x" * 65536)
            except OSError:
                noticed.set()

    code = "import socket, sys; line = socket.create_connection(('127.0.0.1', int(sys.argv[1]))); line.recv(1); line.close(); sys.stdin.read()"
    command = [sys.executable, forward.__file__, str(port), str(serve(tmp_path, endless)), "--", *python(code, str(port))]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert until(noticed.is_set, "the notice") and process.poll() is None
        process.stdin.close()


def test_a_slow_reader_holds_the_stream_back_and_memory_stays_small(tmp_path, port):
    """What stands still while a letter goes to and fro many times through the same forwarder is not waiting for its turn."""
    behind: queue.Queue[socket.socket] = queue.Queue()
    path, sent, still = serve(tmp_path, behind.put), 0, 0
    command = [sys.executable, forward.__file__, str(port), str(path), "--", *python("import sys; print('ready', flush=True); sys.stdin.read()")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process, contextlib.ExitStack() as lines:
        assert process.stdout.readline() == b"ready\n"
        slow, flood, quick, echo = (
            lines.enter_context(line) for _ in range(2) for line in (socket.create_connection(("127.0.0.1", port)), behind.get())
        )
        flood.setblocking(False)
        while still < 200:
            try:
                sent, still = sent + flood.send(b"x" * 65536), 0
                assert sent < 32 << 20
            except BlockingIOError:
                still += 1
                quick.sendall(b"?")
                echo.sendall(echo.recv(1))
                assert quick.recv(1) == b"?"
        assert slow.recv(1) == b"x"
        process.stdin.close()


def test_no_one_behind_the_socket_is_a_closed_connection_and_not_the_end(tmp_path, port):
    code = """
import socket, sys
for _ in range(3):
    with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as line:
        try:
            print(line.recv(1))
        except ConnectionResetError:
            print("reset")
"""
    done = forwarded(tmp_path / "nobody.sock", code, str(port), port=port)
    assert done.returncode == 0 and set(done.stdout.split()) <= {b"b''", b"reset"} and len(done.stdout.split()) == 3


def test_a_path_longer_than_a_socket_address_works(tmp_path, port):
    folder = tmp_path / ("x" * 100) / ("y" * 100)
    folder.mkdir(parents=True)
    done = forwarded(serve(folder, digest_then_echo), CLIENT, str(port), "10", "1", port=port)
    assert (done.stdout, done.stderr) == (b"all 1\n", b"")


@pytest.mark.parametrize(("code", "exit_code"), [("raise SystemExit(7)", 7), ("import os; os.kill(os.getpid(), 9)", 137)])
def test_the_exit_code_of_the_command_comes_back(tmp_path, port, code, exit_code):
    assert forwarded(tmp_path / "nobody.sock", code, port=port).returncode == exit_code


def test_a_command_that_is_not_there_is_one_line(tmp_path, port):
    command = [sys.executable, forward.__file__, str(port), str(tmp_path / "nobody.sock"), "--", "/no/such/cli"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (127, "aar: /no/such/cli does not start: No such file or directory\n")


def test_a_signal_goes_on_to_the_command(tmp_path, port):
    code = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(42))
print("ready", flush=True)
while True:
    time.sleep(0.1)
"""
    command = [sys.executable, forward.__file__, str(port), str(tmp_path / "nobody.sock"), "--", *python(code)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 42


def test_a_signal_that_comes_before_there_is_a_command_goes_on_to_it_too(tmp_path, port):
    slow_start = """
import os, subprocess, sys, time
from swarm import forward
made = subprocess.Popen
def slowly(command):
    print("making", flush=True)
    sys.stdin.readline()
    return made(command)
subprocess.Popen = slowly
os._exit(forward.main(int(sys.argv[1]), sys.argv[2], ["sleep", "1000"]))
"""
    command = [sys.executable, "-c", slow_start, str(port), str(tmp_path / "nobody.sock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"making\n"
        process.send_signal(signal.SIGTERM)
        process.communicate(b"\n")
        assert process.returncode == 128 + signal.SIGTERM, "not its own end, but what became of the command"


def test_inside_a_sandbox_the_port_leads_out_and_no_other_service_of_the_machine_is_reached(tmp_path):
    secret = hashlib.sha256(os.urandom(8)).hexdigest().encode()
    with socket.create_server(("127.0.0.1", 0)) as other:
        def answer_all():
            with contextlib.suppress(OSError):  # it is shut at the end of the test
                while True:
                    connection, _ = other.accept()
                    with connection:
                        connection.sendall(secret)

        answering = threading.Thread(target=answer_all, daemon=True)
        answering.start()
        code = """
import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as line:
    line.sendall(b"hello")
    line.shutdown(socket.SHUT_WR)
    print(line.recv(100))
for address in (("127.0.0.1", int(sys.argv[2])), ("::1", int(sys.argv[2]))):
    try:
        print(socket.create_connection(address, timeout=5).recv(100))
    except OSError as error:
        print(type(error).__name__)
"""
        elsewhere = str(other.getsockname()[1])
        path = serve(tmp_path, digest_then_echo)
        mounts = (Mount(path, "/aar/model.sock"), Mount(forward.__file__, "/aar/lib/forward.py"))
        inner = [sys.executable, "-I", "-S", "/aar/lib/forward.py", "8199", "/aar/model.sock", "--", *python(code, "8199", elsewhere)]
        inside = run(Box("shell", mounts=mounts, limits=Limits(seconds=60)), inner).output
        assert inside.startswith(b"b'5 hello'\n") and secret not in inside and inside.count(b"Error") == 2, inside
        with socket.create_connection(other.getsockname()) as line:  # the control: from outside it answers
            assert line.recv(100) == secret
        other.shutdown(socket.SHUT_RDWR)
        answering.join()  # or it might answer at what gets the number of its socket: see swarm/sockets.py
