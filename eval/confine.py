"""What the process of one draw loses before it runs a method: starting programs, writing files, opening sockets, leaving marks.

A seccomp filter of its own, on top of that of the sandbox. Draws of one submission run side by side in one sandbox: what cannot be
made cannot be read by the next one, files and names as little as priorities, locks and signals, and a method that would run what
it is to judge finds no interpreter to start.
"""
from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct

# name -> number on (x86_64, aarch64); None where the architecture has no such call.
REFUSED: dict[str, tuple[int | None, int | None]] = {
    "execve": (59, 221), "execveat": (322, 281), "socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203), "bind": (49, 200),
    "creat": (85, None), "mkdir": (83, None), "mkdirat": (258, 34), "mknod": (133, None), "mknodat": (259, 33),
    "link": (86, None), "linkat": (265, 37), "symlink": (88, None), "symlinkat": (266, 36),
    "rename": (82, None), "renameat": (264, 38), "renameat2": (316, 276), "unlink": (87, None), "unlinkat": (263, 35), "rmdir": (84, None),
    "truncate": (76, 45), "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452),
    "chown": (92, None), "lchown": (94, None), "fchown": (93, 55), "fchownat": (260, 54),
    "utime": (132, None), "utimes": (235, None), "futimesat": (261, None), "utimensat": (280, 88),
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7), "setxattrat": (463, 463),
    "shmget": (29, 194), "semget": (64, 190), "msgget": (68, 186), "mq_open": (240, 180), "memfd_create": (319, 279),
    "setpriority": (141, 140), "sched_setaffinity": (203, 122), "sched_setparam": (142, 118), "sched_setscheduler": (144, 119),
    "sched_setattr": (314, 274), "ioprio_set": (251, 30), "setpgid": (109, 154), "setsid": (112, 157), "flock": (73, 32),
    "kill": (62, 129), "rt_sigqueueinfo": (129, 138), "pidfd_send_signal": (424, 424),
    "inotify_init": (253, None), "inotify_init1": (294, 26), "pidfd_open": (434, 434), "pidfd_getfd": (438, 438), "openat2": (437, 437),
}
OPEN, OPENAT, PRCTL = (2, None), (257, 56), (157, 167)
WRITES = os.O_CREAT | os.O_WRONLY | os.O_RDWR
PR_SET_NAME = 15
MMAP, MAP_SHARED, MAP_ANONYMOUS = (9, 222), 0x01, 0x20
ARCH = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
LOAD, JEQ, JSET, RET = 0x20, 0x15, 0x45, 0x06
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16
ALLOW, REFUSE = 0x7FFF0000, 0x00050000
PR_SET_SECCOMP, SECCOMP_MODE_FILTER, PR_SET_NO_NEW_PRIVS = 22, 2, 38


def confine() -> None:
    """Lay the filter on this process and on all that it forks, for good. OSError where the kernel does not take it; nothing happens
    on a machine whose call numbers are not known."""
    if platform.machine() not in ARCH:
        return
    program = b"".join(struct.pack("=HBBI", *instruction) for instruction in _instructions(*ARCH[platform.machine()]))
    buffer = ctypes.create_string_buffer(program, len(program))
    filled = struct.pack("@HP", len(program) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.create_string_buffer(filled, len(filled)), 0, 0):
        raise OSError(ctypes.get_errno(), f"seccomp: {os.strerror(ctypes.get_errno())}")


def _instructions(column: int, arch: int) -> list[tuple[int, int, int, int]]:
    """(code, jump if true, jump if false, k) of a classic BPF program. Another architecture's calls are refused by the sandbox."""
    code = [(LOAD, 0, 0, ARCHITECTURE), (JEQ, 1, 0, arch), (RET, 0, 0, ALLOW), (LOAD, 0, 0, NUMBER)]
    for numbers in REFUSED.values():
        if numbers[column] is not None:
            code += [(JEQ, 0, 1, numbers[column]), (RET, 0, 0, REFUSE | errno.EPERM)]
    for numbers, argument in ((OPEN, 1), (OPENAT, 2)):
        if numbers[column] is not None:
            code += [(JEQ, 0, 4, numbers[column]), (LOAD, 0, 0, ARGUMENTS + 8 * argument), (JSET, 0, 1, WRITES),
                     (RET, 0, 0, REFUSE | errno.EROFS), (RET, 0, 0, ALLOW)]
    # Memory that processes share without a name: a twin could be told what its other half has met.
    code += [(JEQ, 0, 5, MMAP[column]), (LOAD, 0, 0, ARGUMENTS + 8 * 3), (JSET, 0, 2, MAP_ANONYMOUS), (JSET, 0, 1, MAP_SHARED),
             (RET, 0, 0, REFUSE | errno.EPERM), (RET, 0, 0, ALLOW)]
    code += [(JEQ, 0, 4, PRCTL[column]), (LOAD, 0, 0, ARGUMENTS), (JEQ, 0, 1, PR_SET_NAME), (RET, 0, 0, REFUSE | errno.EPERM),
             (RET, 0, 0, ALLOW)]
    return [*code, (RET, 0, 0, ALLOW)]
