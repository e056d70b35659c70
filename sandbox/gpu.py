"""The GPU of a sandbox: which GPUs there are, and the nodes, libraries and variables without which CUDA does not start.

A box shows one GPU: its own node of /dev and the three that all GPUs share, nothing else. The driver's libraries are looked
for where the dynamic linker would, and bound read-only where they lie outside of what every sandbox sees. Of /sys only what
libcuda asks for: without `initstate` drivers since 560 take their kernel module for not loaded and answer error 304.

    python -m sandbox.gpu          prints the GPUs of this machine and the flags that show the first one
"""
from __future__ import annotations

import functools
import os
import platform
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from state.errors import UserError

DEV = "/dev"
NODES = ("nvidiactl", "nvidia-uvm")
NODES_OF_SOME_DRIVERS = ("nvidia-uvm-tools",)
OF_SYS = ("/sys/module/nvidia/initstate", "/sys/module/nvidia_uvm/initstate", "/sys/devices/system/node")
LIBRARY = re.compile(r"lib(cuda|cudadebugger|nvidia-(ml|cfg|ptxjitcompiler|nvvm|gpucomp|fatbinaryloader|compiler|allocator"
                     r"|pkcs11|pkcs11-openssl3))\.so(\.[\d.]+)?")
"""What the driver itself brings for computing. The CUDA runtime comes with torch."""
FOLDERS = ("/run/opengl-driver/lib", "/usr/local/nvidia/lib64", "/usr/lib/wsl/lib")
"""Where libraries of the driver lie on systems that do not tell their dynamic linker."""
LINKER_NAMES = {"x86_64": "x86-64", "aarch64": "AArch64"}
NONE = {"", "-1", "none", "void", "nodevfiles"}
"""What an entry of CUDA_VISIBLE_DEVICES says when it and all after it name no GPU."""


@dataclass(frozen=True)
class Device:
    """One GPU. `number`: NVML's and `nvidia-smi`'s, in the order of the bus. `minor`: N of its /dev/nvidiaN, which in a
    container with some of a machine's GPUs is another number. `fault`: why it cannot be used, in words."""

    number: int
    minor: int | None
    uuid: str
    name: str
    fault: str = ""


@functools.cache
def devices() -> tuple[Device, ...]:
    """All GPUs that the driver shows to this process; () where there is no driver."""
    import pynvml
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ()
    try:
        return tuple(_describe(number) for number in range(pynvml.nvmlDeviceGetCount()))
    except pynvml.NVMLError:
        return ()
    finally:
        pynvml.nvmlShutdown()


def _describe(number: int) -> Device:
    import pynvml
    try:
        handle = pynvml.nvmlDeviceGetHandleByIndex(number)
        uuid, name = pynvml.nvmlDeviceGetUUID(handle), pynvml.nvmlDeviceGetName(handle)
    except pynvml.NVMLError as error:
        return Device(number, None, "", "unknown", f"the driver says: {error}")
    try:
        minor = pynvml.nvmlDeviceGetMinorNumber(handle)
    except pynvml.NVMLError:  # under WSL, where no GPU has a node of its own
        return Device(number, None, uuid, name, "it has no node /dev/nvidiaN that a sandbox could be shown")
    try:
        split = pynvml.nvmlDeviceGetMigMode(handle)[0] == pynvml.NVML_DEVICE_MIG_ENABLE
    except pynvml.NVMLError:  # a kind that cannot be split
        split = False
    fault = f"it is split into parts (MIG) and a slot is a whole GPU: `sudo nvidia-smi -i {number} -mig 0` joins them"
    return Device(number, minor, uuid, name, fault if split else "")


def chosen(present: Sequence[Device], names: str | None) -> list[Device]:
    """Those of `present` that CUDA_VISIBLE_DEVICES = `names` leaves visible, in its order: numbers or (beginnings of) UUIDs.
    All where it is not set. UserError for a name that no GPU has, and for parts of GPUs."""
    if names is None or not present:
        return list(present)
    found: list[Device] = []
    for name in map(str.strip, names.split(",")):
        if name.lower() in NONE:
            break
        if name.upper().startswith("MIG"):
            raise UserError(f"CUDA_VISIBLE_DEVICES names {name}, a part of a GPU, but a slot is a whole GPU: name GPUs by number "
                            "or UUID (nvidia-smi -L), or start with --gpus none")
        same = [one for one in present if name == str(one.number) or (name.startswith("GPU-") and one.uuid.startswith(name))]
        if len(same) != 1:
            raise UserError(f"CUDA_VISIBLE_DEVICES names {name!r}, which is {'more than one' if same else 'no'} GPU here: "
                            f"there is {', '.join(f'{one.number} ({one.uuid})' for one in present)}")
        found += same
    return list(dict.fromkeys(found))


def find(gpu: int | Device) -> Device:
    """The GPU of this number. UserError where it is not there, or cannot be used."""
    device = gpu if isinstance(gpu, Device) else next((one for one in devices() if one.number == gpu), None)
    if device is None:
        raise UserError(f"GPU {gpu} is not there: `nvidia-smi -L` lists what is, --gpus none does without")
    if device.fault:
        raise UserError(f"GPU {device.number} ({device.name}) cannot be used: {device.fault}; leave it out of --gpus, or start "
                        "with --gpus none")
    return device


def node_flags(device: Device) -> list[str]:
    """bwrap's arguments for the nodes of /dev, after `--dev /dev`. UserError where one is missing."""
    out: list[str] = []
    for name in (*NODES, f"nvidia{device.minor}"):
        if not os.path.exists(f"{DEV}/{name}"):
            raise UserError(f"GPU {device.number} ({device.name}): the device node {DEV}/{name} is missing: "
                            f"`sudo nvidia-modprobe -u -c {device.minor}` makes it; in a container, pass it in")
        out += ["--dev-bind", f"{DEV}/{name}", f"/dev/{name}"]
    for name in NODES_OF_SOME_DRIVERS:
        out += ["--dev-bind-try", f"{DEV}/{name}", f"/dev/{name}"]
    return out


def other_flags(inside: Sequence[str]) -> list[str]:
    """bwrap's arguments for /sys and for the driver's libraries that lie in none of the folders `inside`."""
    out = [part for path in OF_SYS for part in ("--ro-bind-try", path, path)]
    for path in libraries()[0]:
        real = os.path.realpath(path)
        for place in dict.fromkeys((real, path)):
            if not any(Path(place).is_relative_to(folder) for folder in inside):
                out += ["--ro-bind", real, place]
    return out


def environment(gpu: int | Device | None) -> dict[str, str]:
    """The variables of a sandbox with this GPU, or (None) with none."""
    if gpu is None:
        return {"CUDA_VISIBLE_DEVICES": ""}
    # By UUID: inside, the one GPU is number 0 for some programs and keeps its number for others.
    said = {"CUDA_VISIBLE_DEVICES": find(gpu).uuid, "CUDA_CACHE_DISABLE": "1"}
    folder = libraries()[1]
    return said if folder is None else {**said, "LD_LIBRARY_PATH": folder}


def libraries() -> tuple[list[str], str | None]:
    """Paths of the driver's libraries, and the folder that the dynamic linker has to be told of (None: it knows)."""
    return _libraries(tuple(filter(None, os.environ.get("LD_LIBRARY_PATH", "").split(":"))))


@functools.cache
def _libraries(preferred: tuple[str, ...]) -> tuple[list[str], str | None]:
    known = linker_cache(_ldconfig())
    in_cache = any(os.path.basename(path) == "libcuda.so.1" for path in known)
    for folder in (*preferred, *(() if in_cache else FOLDERS)):
        if os.path.exists(f"{folder}/libcuda.so.1"):
            here = sorted(name for name in os.listdir(folder) if LIBRARY.fullmatch(name))
            return [*known, *(f"{folder}/{name}" for name in here)], folder
    return known, None


def _ldconfig() -> str:
    try:
        return subprocess.run(["ldconfig", "-p"], capture_output=True, text=True, timeout=30,
                              env={"PATH": "/usr/sbin:/sbin:/usr/bin:/bin", "LC_ALL": "C"}).stdout
    except (OSError, subprocess.TimeoutExpired):  # not every system has one
        return ""


def linker_cache(text: str) -> list[str]:
    """The driver's libraries in what `ldconfig -p` printed, those for programs of this machine's word size."""
    found = re.findall(r"^\s*(\S+) \(([^)]*)\) => (\S+)$", text, re.MULTILINE)
    kind = LINKER_NAMES.get(platform.machine(), "")
    return [path for name, about, path in found if LIBRARY.fullmatch(name) and kind in about]


if __name__ == "__main__":
    for one in devices():
        print(one)
    if devices():
        print(*node_flags(devices()[0]), *other_flags(("/usr",)), environment(devices()[0]))
