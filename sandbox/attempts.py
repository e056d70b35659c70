"""Escape attempts: what hostile code would try first. Each returns what it got hold of, or raises.

walls.py runs this file twice: inside every kind of sandbox, and outside on the same decoys as the
control. Standard library only, because it runs under the sandbox's own Python:

    python attempts.py '{"names": [...], "labels": "/path/of/decoy", ...}'     prints one JSON line an attempt
"""
from __future__ import annotations

import ctypes
import glob
import json
import os
import platform
import socket
import stat
import struct
import sys

libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000
MS_REMOUNT_BIND = 32 | 4096
PTRACE_ATTACH, PTRACE_DETACH = 16, 17
ADD_KEY = {"x86_64": 248, "aarch64": 217}
THREAD_KEYRING = -1


class Refused(Exception):
    """The attempt got nothing."""


def _libc(name: str, *arguments) -> int:
    got = getattr(libc, name)(*arguments)
    if got < 0:
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")
    return got


def _read_secret(paths, secret: str) -> str:
    for path in paths:
        try:
            if not stat.S_ISREG(os.stat(path).st_mode):  # to open a pipe would be to wait
                continue
            with open(path, "rb") as file:
                if secret.encode() in file.read(1 << 20):
                    return path
        except OSError:
            continue
    raise Refused("the secret is in none of the files that can be opened")


def _in_child(attempt) -> None:
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


# --- secrets -------------------------------------------------------------------------------------------

def read_labels(c: dict) -> str:
    """The private label file by its path."""
    return _read_secret([c["labels"]], c["secret"])


def read_labels_through_proc(c: dict) -> str:
    """The same through the root or working directory of any process that can be seen."""
    roots = glob.glob("/proc/[0-9]*/root") + glob.glob("/proc/[0-9]*/cwd")
    return _read_secret([root + c["labels"] for root in roots], c["secret"])


def read_inherited_descriptor(c: dict) -> str:
    """A descriptor of the label file that the starting process left open."""
    return _read_secret(glob.glob("/proc/self/fd/*") + glob.glob("/proc/1/fd/*"), c["secret"])


def read_key_in_environment(c: dict) -> str:
    """The API key in the environment of this process, of pid 1, of the parent."""
    return _read_secret(["/proc/self/environ", "/proc/1/environ", f"/proc/{os.getppid()}/environ"], c["key"])


def read_environment_of_others(c: dict) -> str:
    """The environment of any process of the same user."""
    return _read_secret(glob.glob("/proc/[0-9]*/environ"), c["secret"])


def read_memory_of_others(c: dict) -> str:
    """process_vm_readv at an address known to hold the secret."""
    size = len(c["secret"])
    buffer = ctypes.create_string_buffer(size)
    here = struct.pack("NN", ctypes.addressof(buffer), size)
    there = struct.pack("NN", c["address"], size)
    _libc("process_vm_readv", c["pid"], here, 1, there, 1, 0)
    if buffer.raw.decode(errors="replace") != c["secret"]:
        raise Refused("another process has this number here")
    return f"memory of process {c['pid']}"


def trace_another_process(c: dict) -> str:
    """ptrace of a process outside."""
    _libc("ptrace", PTRACE_ATTACH, c["pid"], None, None)
    os.waitpid(c["pid"], 0)
    _libc("ptrace", PTRACE_DETACH, c["pid"], None, None)
    return f"process {c['pid']}"


def trace_first_process(c: dict) -> str:
    """ptrace of the parent, which reports our exit status."""
    _libc("ptrace", PTRACE_ATTACH, os.getppid(), None, None)
    os.waitpid(os.getppid(), 0)
    _libc("ptrace", PTRACE_DETACH, os.getppid(), None, None)
    return f"process {os.getppid()}"


def read_gitconfig(c: dict) -> str:
    """The user's ~/.gitconfig, which may hold a token."""
    return _read_secret([os.path.expanduser("~/.gitconfig"), c["home"] + "/.gitconfig"], c["secret"])


def read_project_git(c: dict) -> str:
    """The user's repository: remotes with tokens, stashes, earlier runs."""
    return _read_secret([c["repository"] + "/.git/config"], c["secret"])


# --- ways out ------------------------------------------------------------------------------------------

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
    _connect_unix(c["socket"])
    return c["socket"]


def make_vsock(c: dict) -> str:
    """A socket to the hypervisor, which no network namespace holds back."""
    socket.socket(40, socket.SOCK_STREAM).close()
    return "AF_VSOCK"


def make_crypto_socket(c: dict) -> str:
    """AF_ALG: kernel code that nobody needs here."""
    socket.socket(38, socket.SOCK_SEQPACKET).close()
    return "AF_ALG"


def make_io_uring(c: dict) -> str:
    """A queue whose operations pass by the system-call filter."""
    os.close(_libc("syscall", 425, 4, ctypes.create_string_buffer(120)))
    return "io_uring_setup"


def make_unseen_memory(c: dict) -> str:
    """Memory that belongs to no process and to no file system with a size."""
    os.close(os.memfd_create("x"))
    return "memfd_create"


def add_kernel_key(c: dict) -> str:
    """A key in a kernel keyring, which outlives the sandbox."""
    _libc("syscall", ADD_KEY[platform.machine()], b"user", b"aar-probe", b"x", 1, THREAD_KEYRING)
    return "add_key"


def make_user_namespace(c: dict) -> str:
    """New namespaces bring all capabilities back, and with them kernel code."""
    _in_child(lambda: _libc("unshare", CLONE_NEWUSER))
    return "unshare(CLONE_NEWUSER)"


def mount_something(c: dict) -> str:
    """A mount of one's own, in one's own namespaces if that is possible."""
    def attempt() -> None:
        libc.unshare(CLONE_NEWUSER | CLONE_NEWNS)
        _libc("mount", b"none", b"/tmp", b"tmpfs", 0, None)
    _in_child(attempt)
    return "mount(tmpfs)"


def remount_writable(c: dict) -> str:
    """A read-only mount made writable."""
    def attempt() -> None:
        libc.unshare(CLONE_NEWUSER | CLONE_NEWNS)
        if os.path.ismount(c["readonly"]):
            _libc("mount", None, c["readonly"].encode(), None, MS_REMOUNT_BIND, None)
        _write(c["readonly"])
    _in_child(attempt)
    return c["readonly"]


def gain_privileges(c: dict) -> str:
    """Capabilities now, or a setuid program that would give them."""
    with open("/proc/self/status") as lines:
        status = dict(line.split(":", 1) for line in lines)
    if int(status["CapEff"], 16) == 0 and int(status["NoNewPrivs"]) == 1:
        raise Refused("no capabilities and no way to new ones")
    return f"CapEff {status['CapEff'].strip()}, NoNewPrivs {status['NoNewPrivs'].strip()}"


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


# --- traces left ---------------------------------------------------------------------------------------

def _write(folder: str) -> str:
    path = os.path.join(folder, f"aar-probe-{os.getpid()}")
    with open(path, "w") as file:
        file.write("x")
    os.unlink(path)
    return path


def write_to_read_only_mount(c: dict) -> str:
    """A mounted feature block, the forum, the run's repository."""
    return _write(c["readonly"])


def write_to_python(c: dict) -> str:
    """The packages that the trusted side will import."""
    return _write(c["packages"])


def write_to_system(c: dict) -> str:
    """Anything of the root file system."""
    for folder in c["system"]:
        try:
            return _write(folder)
        except OSError:
            continue
    raise Refused("not in " + ", ".join(c["system"]))


SECRETS = [read_labels, read_labels_through_proc, read_inherited_descriptor, read_key_in_environment,
           read_environment_of_others, read_memory_of_others, trace_another_process, trace_first_process,
           read_gitconfig, read_project_git]
WAYS_OUT = [connect_to_loopback, connect_to_abstract_socket, connect_to_socket_file, make_vsock, make_crypto_socket,
            make_io_uring, make_unseen_memory, add_kernel_key, make_user_namespace, mount_something, remount_writable,
            gain_privileges, open_kernel_settings]
TRACES = [write_to_read_only_mount, write_to_python, write_to_system]
TOGETHER = [attempt.__name__ for attempt in (*SECRETS, *WAYS_OUT, *TRACES)]


def main(config: dict) -> None:
    """Makes the attempts that `config["names"]` lists and prints {"name", "got", "detail"} for each."""
    for name in config["names"]:
        try:
            got, detail = True, globals()[name](config)
        except (OSError, Refused, MemoryError) as error:
            got, detail = False, str(error)
        print(json.dumps({"name": name, "got": got, "detail": detail}), flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
