"""Attempts to get out: to a socket, a process, a network, a namespace, a privilege."""
from __future__ import annotations

import ctypes
import os
import platform
import signal
import socket
import subprocess
import time

from sandbox.attempts.tools import Refused, call, first_that_works, in_child, libc, write_probe

CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000
MS_REMOUNT_BIND = 32 | 4096
ADD_KEY = {"x86_64": 248, "aarch64": 217}
THREAD_KEYRING = -1
SOMEBODY_ELSE = 65534
UNUSUAL = (("AF_ALG", 38, socket.SOCK_SEQPACKET), ("AF_PACKET", 17, socket.SOCK_RAW), ("AF_KEY", 15, socket.SOCK_RAW),
           ("AF_CAN", 29, socket.SOCK_RAW), ("AF_BLUETOOTH", 31, socket.SOCK_SEQPACKET),
           ("AF_TIPC", 30, socket.SOCK_SEQPACKET), ("AF_KCM", 41, socket.SOCK_SEQPACKET), ("AF_XDP", 44, socket.SOCK_RAW))
LOOKS = 5
SETUID = ("/usr/bin/mount", "/usr/bin/su", "/usr/bin/passwd", "/bin/mount", "/bin/su")


def connect_to_loopback(c: dict) -> str:
    """A server on the machine's 127.0.0.1."""
    socket.create_connection(("127.0.0.1", c["port"]), timeout=2).close()
    return f"127.0.0.1:{c['port']}"


def _connect_unix(address: str) -> None:
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(address)


def connect_to_abstract_socket(c: dict) -> str:
    """A Unix socket without a file."""
    _connect_unix("\0" + c["abstract"])
    return "@" + c["abstract"]


def connect_to_socket_file(c: dict) -> str:
    """A Unix socket with a file, as docker's or the session bus's."""
    _connect_unix(c["daemon"])
    return c["daemon"]


def connect_to_the_evaluator(c: dict) -> str:
    """The socket of the process that knows the labels."""
    _connect_unix(c["evaluator"])
    return c["evaluator"]


def signal_the_evaluator(c: dict) -> str:
    """A signal to the process that knows the labels; one that does it no harm."""
    os.kill(c["pid"], signal.SIGCONT)
    with open(f"/proc/{c['pid']}/cmdline", "rb") as arguments:
        if c["evaluator_token"].encode() not in arguments.read():
            raise Refused("another process has this number here")
    return f"process {c['pid']}"


def find_a_network(c: dict) -> str:
    """An interface but `lo`, or a route: read off only, nobody is ever called."""
    with open("/proc/net/dev") as lines:
        found = [line.split(":")[0].strip() for line in lines if ":" in line]
    for path, column in (("/proc/net/route", 0), ("/proc/net/ipv6_route", -1)):
        if os.path.exists(path):
            with open(path) as lines:
                fields = [line.split() for line in lines if line.strip()]
            found += [f"route by {one[column]}" for one in fields if one[0] != "Iface"]
    found = [one for one in found if one.split()[-1] != "lo"]
    if not found:
        raise Refused("no interface but lo, no route")
    return ", ".join(dict.fromkeys(found))


def make_vsock(c: dict) -> str:
    """A socket to the hypervisor, which no network namespace holds back."""
    socket.socket(40, socket.SOCK_STREAM).close()
    return "AF_VSOCK"


def make_unusual_socket(c: dict) -> str:
    """Kernel code that nobody needs here: any family that this kernel has and ordinary programs do without."""
    for name, family, kind in UNUSUAL:
        try:
            socket.socket(family, kind).close()
        except OSError:
            continue
        return name
    raise Refused("none of " + ", ".join(name for name, _, _ in UNUSUAL))


def make_io_uring(c: dict) -> str:
    """A queue whose operations pass by the system-call filter."""
    os.close(call("syscall", 425, 4, ctypes.create_string_buffer(120)))
    return "io_uring_setup"


def make_unseen_memory(c: dict) -> str:
    """Memory that belongs to no process and to no file system with a size."""
    os.close(os.memfd_create("x"))
    return "memfd_create"


def add_kernel_key(c: dict) -> str:
    """A key in a kernel keyring, which outlives the sandbox."""
    call("syscall", ADD_KEY[platform.machine()], b"user", b"aar-probe", b"x", 1, THREAD_KEYRING)
    return "add_key"


def make_user_namespace(c: dict) -> str:
    """New namespaces bring all capabilities back, and with them kernel code."""
    in_child(lambda: call("unshare", CLONE_NEWUSER))
    return "unshare(CLONE_NEWUSER)"


def mount_something(c: dict) -> str:
    """A mount of one's own, in one's own namespaces if that is possible."""
    def attempt() -> None:
        libc.unshare(CLONE_NEWUSER | CLONE_NEWNS)
        call("mount", b"none", b"/tmp", b"tmpfs", 0, None)
    in_child(attempt)
    return "mount(tmpfs)"


def remount_writable(c: dict) -> str:
    """A read-only mount made writable."""
    def attempt() -> None:
        libc.unshare(CLONE_NEWUSER | CLONE_NEWNS)
        if os.path.ismount(c["features"]):
            call("mount", None, c["features"].encode(), None, MS_REMOUNT_BIND, None)
        write_probe(c["features"])
    in_child(attempt)
    return c["features"]


def gain_privileges(c: dict) -> str:
    """Capabilities now, or a way to new ones."""
    with open("/proc/self/status") as lines:
        status = dict(line.split(":", 1) for line in lines)
    if int(status["CapEff"], 16) == 0 and int(status["NoNewPrivs"]) == 1:
        raise Refused("no capabilities and no way to new ones")
    return f"CapEff {status['CapEff'].strip()}, NoNewPrivs {status['NoNewPrivs'].strip()}"


def run_setuid_program(c: dict) -> str:
    """A program that runs as somebody else: one of the system's, or (root is whom those run as) one of one's own making."""
    if os.geteuid() == 0:
        made = os.path.join(c["writable"], f"aar-setuid-{os.getpid()}")
        try:
            with open("/usr/bin/sleep", "rb") as program, open(made, "wb") as own:
                own.write(program.read())
            os.chown(made, SOMEBODY_ELSE, -1)
            os.chmod(made, 0o4755)
            return _as_whom([made, "5"])
        finally:
            if os.path.lexists(made):
                os.unlink(made)
    return first_that_works(lambda program: _as_whom([program, "--help"]), SETUID)


def _as_whom(command: list[str]) -> str:
    # With a full pipe to write to, a program that would print and end waits, and can be looked at.
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        while os.write(writing, bytes(1 << 16)):
            pass
    except BlockingIOError:
        os.set_blocking(writing, True)
    try:
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=writing, stderr=writing) as process:
            try:
                for _ in range(LOOKS):
                    with open(f"/proc/{process.pid}/status") as lines:
                        uid = int(next(line for line in lines if line.startswith("Uid:")).split()[2])
                    if uid != os.geteuid():
                        return f"{command[0]} runs as uid {uid}"
                    time.sleep(0.002)
            finally:
                process.kill()
    finally:
        os.close(reading)
        os.close(writing)
    raise PermissionError(f"{command[0]} runs as whoever starts it")


def open_kernel_settings(c: dict) -> str:
    """/proc/sys and /proc/sysrq-trigger for writing, which uid 0 may even without capabilities."""
    for path in ("/proc/sys/kernel/core_pattern", "/proc/sys/vm/drop_caches", "/proc/sysrq-trigger"):
        try:
            os.close(os.open(path, os.O_WRONLY))
        except OSError:
            continue
        if os.path.realpath(path) == path and os.stat(path).st_rdev == 0:  # not /dev/null in its place
            return path
    raise Refused("none can be opened for writing")


ATTEMPTS = [connect_to_loopback, connect_to_abstract_socket, connect_to_socket_file, connect_to_the_evaluator,
            signal_the_evaluator, find_a_network, make_vsock, make_unusual_socket, make_io_uring, make_unseen_memory,
            add_kernel_key, make_user_namespace, mount_something, remount_writable, gain_privileges, run_setuid_program,
            open_kernel_settings]
