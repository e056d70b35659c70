"""Does CUDA start in a method sandbox? Tried for real, answered in words: for `python aar.py doctor` and before a run starts.

    python -m sandbox.cuda          prints the report of this machine as JSON
"""
from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from sandbox import start_cuda
from sandbox.box import Box, Limits, Mount, Result, run
from sandbox.gpu import Device, chosen, devices
from state.errors import UserError

LIMITS = Limits(seconds=180, memory_mib=16_384, processes=256)
SCRIPT = "/aar/lib/start_cuda.py"
OTHER_TORCH = "install the torch build for it into .venv (pip install torch==2.13.0 from the index that pytorch.org names)"
FAILURES = (
    (r"libcuda\.so\.1: cannot open", "the driver library libcuda.so.1 is missing: install the NVIDIA driver's compute libraries "
     "(in a container, start it with the NVIDIA runtime); where they lie in a folder of their own, set LD_LIBRARY_PATH to it"),
    (r"built without CUDA|not compiled with CUDA", "torch is built without CUDA: " + OTHER_TORCH),
    (r"No module named 'torch'", "torch is not installed: say `make setup`"),
    (r"driver.*too old|driver version is insufficient|not supported in the installed CUDA driver|UNSUPPORTED_PTX",
     "the NVIDIA driver is too old for this torch: update the driver, or install a torch build for an older CUDA"),
    (r"no kernel image", "this torch has no code for this kind of GPU: " + OTHER_TORCH),
    (r"out of memory", "the GPU's memory is taken: `nvidia-smi` lists by whom; end that, or leave this GPU out of --gpus"),
    (r"busy or unavailable|DEVICES_UNAVAILABLE|answers 46\b", "another process has this GPU for itself: `nvidia-smi` lists "
     "which; `sudo nvidia-smi -c DEFAULT` lets several in"),
    (r"mismatch|answers 803\b", "driver and driver library are of different versions, as after an update: restart the machine"),
    (r"not yet initialized|SYSTEM_NOT_READY|answers 802\b", "the GPUs' switch is not ready: `systemctl start nvidia-fabricmanager`"),
    (r"NO_DEVICE|No CUDA GPUs|no CUDA-capable device|shows 0 GPUs", "the driver shows no GPU: its node of /dev cannot be opened "
     "(`ls -l /dev/nvidia*` says who may), or the GPU was lost (`nvidia-smi`)"),
    (r"OPERATING_SYSTEM|answers 304\b", "the driver was refused something of /dev, /proc or /sys: load its modules (sudo "
     "nvidia-modprobe -u), and see `dmesg`"),
)


def report(visible: Sequence[Device], isolation: str = "bubblewrap") -> list[dict]:
    """{"number", "name", "cuda", "detail"} for each of these GPUs, all tried at once."""
    with ThreadPoolExecutor(len(visible) or 1) as pool:
        return list(pool.map(lambda device: check(device, isolation), visible))


def gpu_facts() -> list[dict]:
    """The report for the GPUs that CUDA_VISIBLE_DEVICES leaves visible; one row without a number where that cannot be read."""
    try:
        return report(chosen(devices(), os.environ.get("CUDA_VISIBLE_DEVICES")))
    except UserError as error:
        return [{"number": None, "name": "", "cuda": False, "detail": str(error)}]


def check(device: Device, isolation: str = "bubblewrap") -> dict:
    """One row of the report. Where CUDA does not start inside, it is tried outside too: that tells walls from machine."""
    about = {"number": device.number, "name": device.name, "cuda": False}
    if device.fault:
        return {**about, "detail": device.fault}
    try:
        works, detail = _try(device, isolation)
        if not works and isolation != "none" and _try(device, "none")[0]:
            detail += " (outside of the sandbox CUDA starts)"
    except UserError as error:
        return {**about, "detail": str(error)}
    return {**about, "cuda": works, "detail": detail}


def _try(device: Device, isolation: str) -> tuple[bool, str]:
    box = Box("method", mounts=(Mount(start_cuda.__file__, SCRIPT),), limits=LIMITS, gpu=device, isolation=isolation)
    return in_words(run(box, [sys.executable, "-s", box.inside(start_cuda.__file__)]))


def in_words(result: Result) -> tuple[bool, str]:
    """Whether CUDA started, and in one line what it found or why it did not."""
    said = result.output.decode(errors="replace").strip()
    last = said.splitlines()[-1] if said else ""
    try:
        found = json.loads(last)
    except ValueError:
        found = {"step": "start", "error": last or "it said nothing"}
    if "error" not in found:
        return True, (f"torch {found['torch']}, CUDA {found['cuda']}, {found['memory_mib'] / 1024:.0f} GiB; a product took "
                      f"{result.seconds:.0f} s with the start of torch and {result.peak_memory_mib:,.0f} MiB of host memory")
    if result.ended is not None:
        return False, f"stopped while starting ({result.ended}, {result.seconds:.0f} s, {result.peak_memory_mib:,.0f} MiB)"
    words = next((words for pattern, words in FAILURES if re.search(pattern, found["error"], re.IGNORECASE)), None)
    heard = f"{found['step']}: {found['error'][:200]}"
    return False, f"{words} [{heard}]" if words else heard


if __name__ == "__main__":
    print(json.dumps(gpu_facts(), indent=2))
