"""The filter, run by a small interpreter: so that the program for the other architecture is tested as well."""
from __future__ import annotations

import errno
import struct

import pytest

from sandbox import seccomp
from state.errors import UserError

MACHINES = list(seccomp.ARCHES)
ALLOWED = "allowed"


def answer(machine: str, number: int, *arguments: int, arch: int | None = None, gpu: bool = False) -> int | str:
    data = struct.pack("<IIQ6Q", number, arch or seccomp.ARCHES[machine][1], 0, *arguments, *[0] * (6 - len(arguments)))
    code = [struct.unpack("=HBBI", piece) for piece in
            (seccomp.program(machine, gpu)[i:i + 8] for i in range(0, len(seccomp.program(machine, gpu)), 8))]
    at = value = 0
    while True:
        operation, then, otherwise, k = code[at]
        at += 1
        if operation == seccomp.LOAD:
            value = struct.unpack_from("<I", data, k)[0]
        elif operation == seccomp.RET:
            return ALLOWED if k == seccomp.ALLOW else k & 0xFFFF
        else:
            true = {seccomp.JEQ: value == k, seccomp.JGE: value >= k, seccomp.JSET: bool(value & k)}[operation]
            at += then if true else otherwise


@pytest.fixture(params=MACHINES)
def machine(request) -> str:
    return request.param


def call(machine: str, numbers: tuple) -> int:
    return numbers[seccomp.ARCHES[machine][0]]


def test_every_forbidden_call_is_refused_and_ordinary_ones_are_not(machine):
    for name, numbers in seccomp.FORBIDDEN.items():
        if call(machine, numbers) is not None:
            assert answer(machine, call(machine, numbers)) == errno.EPERM, name
    read, write, execve = {"x86_64": (0, 1, 59), "aarch64": (63, 64, 221)}[machine]
    assert {answer(machine, number) for number in (read, write, execve)} == {ALLOWED}


def test_only_unix_inet_and_netlink_sockets_can_be_made(machine):
    for numbers in (seccomp.SOCKET, seccomp.SOCKETPAIR):
        allowed = {family for family in range(64) if answer(machine, call(machine, numbers), family) == ALLOWED}
        assert allowed == {1, 2, 10, 16}
        assert answer(machine, call(machine, numbers), 40) == errno.EAFNOSUPPORT
        assert answer(machine, call(machine, numbers), 40 | 1 << 32) == errno.EAFNOSUPPORT, "the kernel reads the low half"


def test_no_new_namespace_by_any_call_but_threads_and_forks_work(machine):
    newuser, newnet, newtime = 0x10000000, 0x40000000, 0x80
    assert answer(machine, call(machine, seccomp.UNSHARE), newuser) == errno.EPERM
    assert answer(machine, call(machine, seccomp.UNSHARE), newtime) == errno.EPERM
    assert answer(machine, call(machine, seccomp.CLONE), newnet | 17) == errno.EPERM
    assert answer(machine, seccomp.CLONE3) == errno.ENOSYS
    thread, fork = 0x3D0F00, 17 | 0x1200000
    assert answer(machine, call(machine, seccomp.CLONE), thread) == answer(machine, call(machine, seccomp.CLONE), fork) == ALLOWED


def test_nothing_can_be_typed_into_the_terminal(machine):
    ioctl = call(machine, seccomp.IOCTL)
    assert [answer(machine, ioctl, 0, request) for request in (0x5412, 0x541C)] == [errno.EPERM] * 2
    assert answer(machine, ioctl, 0, 0x5401) == ALLOWED


def test_another_calling_convention_is_no_way_around():
    assert answer("x86_64", 5, arch=0x40000003) == errno.ENOSYS  # 32-bit code
    assert answer("x86_64", 425 | seccomp.X32_BIT) == errno.ENOSYS
    assert answer("aarch64", 5, arch=0x40000028) == errno.ENOSYS


def test_memory_that_nobody_sees_is_refused_except_where_a_gpu_driver_needs_it(machine):
    for numbers in seccomp.UNSEEN_MEMORY.values():
        assert answer(machine, call(machine, numbers)) == errno.ENOSYS
        assert answer(machine, call(machine, numbers), gpu=True) == ALLOWED


def test_an_unknown_machine_is_named():
    with pytest.raises(UserError, match="riscv64"):
        seccomp.program("riscv64")
