"""The system-call filter of every sandbox, as the classic-BPF program that `bwrap --seccomp FD` loads.

It closes what namespaces leave open: socket families that no network namespace holds back (AF_VSOCK),
interfaces that bypass other checks (io_uring), kernel entry points that unprivileged code never needs
(bpf, keyctl, mount, userfaultfd, new namespaces), memory that no process owns and so no watchdog sees
(memfd_create, shmget), and ptrace, so that the code inside cannot forge what our own pid 1 reports.

    python -m sandbox.seccomp        prints the length of the program for this machine
"""
from __future__ import annotations

import errno
import fcntl
import functools
import os
import platform
import struct

from state.errors import UserError

# name -> number on (x86_64, aarch64); None where the architecture has no such call.
FORBIDDEN: dict[str, tuple[int | None, int | None]] = {
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "fanotify_init": (300, 262),
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "setns": (308, 268),
    "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431),
    "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442), "open_tree_attr": (467, 467),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265), "quotactl": (179, 60), "quotactl_fd": (443, 443),
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "reboot": (169, 142), "acct": (163, 89),
    "swapon": (167, 224), "swapoff": (168, 225), "syslog": (103, 116), "vhangup": (153, 58),
    "settimeofday": (164, 170), "adjtimex": (159, 171), "clock_settime": (227, 112), "clock_adjtime": (305, 266),
    "iopl": (172, None), "ioperm": (173, None), "modify_ldt": (154, None), "uselib": (134, None),
    "lookup_dcookie": (212, 18), "nfsservctl": (180, 42),
}
UNSEEN_MEMORY = {"memfd_create": (319, 279), "memfd_secret": (447, 447), "shmget": (29, 194)}
SOCKET, SOCKETPAIR, IOCTL, CLONE, UNSHARE = (41, 198), (53, 199), (16, 29), (56, 220), (272, 97)
CLONE3 = 435
FAMILIES = (1, 2, 10, 16)  # unix, inet, inet6, netlink
# NEWTIME NEWNS NEWCGROUP NEWUTS NEWIPC NEWUSER NEWPID NEWNET
NEW_NAMESPACE = 0x80 | 0x20000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000
CLONE_NAMESPACE = NEW_NAMESPACE & ~0x80  # in clone() the low byte is the exit signal
TYPE_INTO_TERMINAL = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX

ARCHES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
X32_BIT = 0x40000000

LOAD, JEQ, JGE, JSET, RET = 0x20, 0x15, 0x35, 0x45, 0x06  # BPF_LD|W|ABS, JMP|JEQ|K, JMP|JGE|K, JMP|JSET|K, RET|K
NUMBER, ARCH, ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
ALLOW, REFUSE = 0x7FFF0000, 0x00050000


def _instruction(code: int, k: int, then: int = 0, otherwise: int = 0) -> bytes:
    return struct.pack("=HBBI", code, then, otherwise, k)


def _refuse(number: int) -> bytes:
    return _instruction(RET, REFUSE | number)


def _argument(index: int) -> bytes:
    return _instruction(LOAD, ARGUMENTS + 8 * index)  # low half: both architectures are little-endian


def _only_if_call(number: int, body: list[bytes]) -> list[bytes]:
    """`body` for this call number only; body must end every path with a return."""
    return [_instruction(JEQ, number, 0, len(body)), *body]


@functools.cache
def program(machine: str | None = None, gpu: bool = False) -> bytes:
    """The filter for `machine` ("x86_64" or "aarch64", default this one); 8 bytes an instruction.

    With `gpu` memfd_create and shmget stay allowed, because the CUDA driver may need them.
    UserError on another architecture."""
    machine = machine or platform.machine()
    if machine not in ARCHES:
        raise UserError(f"no system-call filter for {machine}: AAR's sandbox knows x86_64 and aarch64 "
                        "(--allow-unisolated goes on without walls)")
    column, arch = ARCHES[machine]
    code = [_instruction(LOAD, ARCH), _instruction(JEQ, arch, 1, 0), _refuse(errno.ENOSYS), _instruction(LOAD, NUMBER)]
    if machine == "x86_64":
        code += [_instruction(JGE, X32_BIT, 0, 1), _refuse(errno.ENOSYS)]
    for table, answer in ((FORBIDDEN, errno.EPERM), ({} if gpu else UNSEEN_MEMORY, errno.ENOSYS)):
        for numbers in table.values():
            if numbers[column] is not None:
                code += _only_if_call(numbers[column], [_refuse(answer)])
    # glibc falls back to clone(), whose flags a filter can see.
    code += _only_if_call(CLONE3, [_refuse(errno.ENOSYS)])
    for numbers, flags in ((CLONE, CLONE_NAMESPACE), (UNSHARE, NEW_NAMESPACE)):
        code += _only_if_call(numbers[column], [_argument(0), _instruction(JSET, flags, 0, 1), _refuse(errno.EPERM),
                                                _instruction(RET, ALLOW)])
    for numbers in (SOCKET, SOCKETPAIR):
        known = [_instruction(JEQ, family, len(FAMILIES) - place) for place, family in enumerate(FAMILIES)]
        code += _only_if_call(numbers[column], [_argument(0), *known, _refuse(errno.EAFNOSUPPORT),
                                                _instruction(RET, ALLOW)])
    code += _only_if_call(IOCTL[column], [_argument(1), *(_instruction(JEQ, request, 1 - place, 0 if place == 0 else 1)
                                                          for place, request in enumerate(TYPE_INTO_TERMINAL)),
                                          _refuse(errno.EPERM), _instruction(RET, ALLOW)])
    return b"".join([*code, _instruction(RET, ALLOW)])


def memfd(data: bytes, name: str) -> int:
    """An anonymous file that holds `data` for good (sealed), at its beginning; the caller closes it."""
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with open(descriptor, "wb", closefd=False) as out:
        out.write(data)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS,
                fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


if __name__ == "__main__":
    print(f"{platform.machine()}: {len(program()) // 8} instructions")
