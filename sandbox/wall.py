"""Turns a Box into the command line of bubblewrap: which flags, in which order, and why.

An allow-list root: nothing of the machine is inside but /usr, a few files of /etc, the Python that runs
us, and what the box mounts. Everything writable has a size, everything else is read-only. Capabilities are dropped, namespaces are
its own and the last, and what the kernel still offers is cut by the filter of seccomp.py.

    python -c "from sandbox.box import Box; from sandbox.wall import flags; print(*flags(Box('shell')))"
"""
from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox import gpu
from state.errors import UserError

if TYPE_CHECKING:
    from sandbox.box import Box

SHM_MIB = 256
OF_ETC = ("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "localtime", "mime.types")
# Kernel uid 0 stays 0 in a user namespace, and some files of /proc ask for nothing else.
PROC_HIDDEN = ("kcore", "keys", "kmsg", "kpagecount", "kpageflags", "kpagecgroup", "latency_stats", "timer_list",
               "sched_debug", "sysrq-trigger", "slabinfo", "vmallocinfo", "mtrr", "dynamic_debug/control")
PROC_EMPTY = ("acpi", "asound", "scsi")
PROC_READ_ONLY = ("bus", "fs", "irq")
SYSTEM = ("bin", "sbin", "lib", "lib32", "lib64")
PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"

# Runs as pid 1 of the sandbox: says over a socket that the walls stand, waits for the word (end of file
# means that whoever started us is dead), runs the command and buries its orphans. When it ends, the
# kernel kills all that is left in the pid namespace.
FIRST_PROCESS = ('printf . >&"$1" && read -rn1 -u "$1" _ && door=$1 && shift && exec {door}>&- || exit 125; '
                 '"$@"; exit $?')


def first_process(door: int, argv: list[str]) -> list[str]:
    """`argv` wrapped in the shell that shakes hands on descriptor `door`. -p: no BASH_ENV, no functions."""
    return ["/bin/bash", "-p", "-c", FIRST_PROCESS, "bash", str(door), *argv]


def inner_environment(box: Box) -> dict[str, str]:
    """All the environment that exists inside; the box's own entries win."""
    return {"PATH": f"{os.path.dirname(sys.executable)}:{PATH}", "HOME": "/tmp", "LANG": "C.UTF-8",
            "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1",
            "HF_HUB_OFFLINE": "1", "PYTHONDONTWRITEBYTECODE": "1",
            # Libraries that would make folders, pipes or semaphores of their own, which a method's process cannot.
            "TORCHINDUCTOR_CACHE_DIR": "/tmp", "JOBLIB_MULTIPROCESSING": "0", **gpu.environment(box.gpu), **box.env}


def python_folders() -> list[str]:
    """Folders without which `sys.executable` does not run inside: the environment and its base interpreter."""
    folders = [sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix]
    found: list[str] = []
    for folder in (*folders, *map(os.path.realpath, folders)):
        if folder not in found and not any(Path(folder).is_relative_to(p) for p in ("/usr", *found)):
            found.append(folder)
    return found


def python_links() -> list[tuple[str, str]]:
    """(link, what it says) for links between the environment's python and the real one that lie elsewhere."""
    links, here = [], sys.executable
    while os.path.islink(here):
        says = os.readlink(here)
        if not any(Path(here).is_relative_to(p) for p in ("/usr", *python_folders())):
            links.append((here, says))
        here = os.path.join(os.path.dirname(here), says)
    return links


def _refuse_private(folder: str) -> None:
    """UserError if a folder of the interpreter holds more than the interpreter: it would all be readable inside."""
    found = next((name for name in (".git", ".aar") if os.path.lexists(f"{folder}/{name}")), None)
    if _aar_home_path().is_relative_to(folder):
        found = f"AAR_HOME ({_aar_home_path()})"
    if found:
        raise UserError(f"the Python environment {folder} contains {found}, which no sandbox may see: "
                        "make the environment in a folder of its own (`python -m venv .venv`)")


def _aar_home_path() -> Path:
    """Where AAR_HOME is, whether or not it exists."""
    return Path(os.environ.get("AAR_HOME") or Path.home() / ".cache" / "aar").expanduser().resolve()


def flags(box: Box) -> list[str]:
    """The arguments of bwrap for `box`, without the descriptors and the command. Order matters."""
    tmp_mib = max(16, min(box.limits.disk_mib, box.limits.memory_mib // 2))
    shm_mib = max(16, min(SHM_MIB, box.limits.memory_mib // 4))
    out = ["--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent", "--new-session", "--as-pid-1",
           "--cap-drop", "ALL", "--clearenv", "--hostname", f"aar-{box.kind}", "--ro-bind", "/usr", "/usr"]
    for name in SYSTEM:
        place = f"/{name}"
        if os.path.islink(place):
            out += ["--symlink", os.readlink(place), place]
        elif os.path.isdir(place):
            out += ["--ro-bind", place, place]
    for name in OF_ETC:
        out += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    out += ["--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys"]
    if os.getuid() == 0:
        out += _root_proc()
    out += ["--dev", "/dev"]
    if box.gpu is not None:
        out += gpu.node_flags(gpu.find(box.gpu))
    out += ["--size", str(shm_mib << 20), "--tmpfs", "/dev/shm", "--remount-ro", "/dev",
            "--size", str(tmp_mib << 20), "--tmpfs", "/tmp", "--symlink", "/tmp", "/var/tmp"]
    for folder in python_folders():  # after /tmp: the project may live there
        _refuse_private(folder)
        out += ["--ro-bind", folder, folder]
    for link, says in python_links():
        out += ["--symlink", says, link]
    if box.gpu is not None:
        out += gpu.other_flags(("/usr", *(f"/{name}" for name in SYSTEM), *python_folders()))
    for mount in box.mounts:
        out += ["--bind" if mount.writable else "--ro-bind", os.fspath(mount.source), mount.target]
    for name, value in inner_environment(box).items():
        out += ["--setenv", name, value]
    return [*out, "--remount-ro", "/", "--chdir", box.chdir]


def _root_proc() -> list[str]:
    out = []
    for name in PROC_HIDDEN:
        if os.path.exists(f"/proc/{name}"):
            out += ["--ro-bind", "/dev/null", f"/proc/{name}"]
    for name in PROC_EMPTY:
        if os.path.isdir(f"/proc/{name}"):
            out += ["--tmpfs", f"/proc/{name}", "--remount-ro", f"/proc/{name}"]
    for name in PROC_READ_ONLY:
        if os.path.isdir(f"/proc/{name}"):
            out += ["--ro-bind", f"/proc/{name}", f"/proc/{name}"]
    return out


def small_files() -> dict[str, bytes]:
    """Files of /etc that are made, not taken, so that names resolve and nothing of the machine shows."""
    uid, gid = os.getuid(), os.getgid()
    user = "root" if uid == 0 else "aar"
    return {"/etc/passwd": f"{user}:x:{uid}:{gid}::/tmp:/bin/bash\n".encode(),
            "/etc/group": f"{user}:x:{gid}:\n".encode(),
            "/etc/hosts": b"127.0.0.1 localhost\n",
            "/etc/nsswitch.conf": b"passwd: files\ngroup: files\nhosts: files\n"}
