"""Starts CUDA, multiplies two matrices, and says at which step it failed: what cuda.py runs inside a sandbox.

    python start_cuda.py          prints one JSON line: {"step", "error"}, or {"torch", "cuda", "memory_mib"} where all went well
"""
from __future__ import annotations

import ctypes
import json

SIZE = 256


class Failed(Exception):
    """A step failed, in the words of whoever refused it."""


def driver() -> None:
    """The driver itself, without torch: its words are plainer."""
    try:
        library = ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        raise Failed(str(error)) from None
    code = library.cuInit(0)
    if code != 0:
        name = ctypes.c_char_p()
        library.cuGetErrorName(code, ctypes.byref(name))
        raise Failed(f"cuInit answers {code} ({(name.value or b'no name').decode()})")
    count = ctypes.c_int()
    library.cuDeviceGetCount(ctypes.byref(count))
    if count.value != 1:
        raise Failed(f"the driver shows {count.value} GPUs instead of one")


def build() -> None:
    """torch, and whether it was built for CUDA at all."""
    import torch
    if torch.version.cuda is None:
        raise Failed(f"torch {torch.__version__} is built without CUDA")


def product() -> dict:
    """A product in half precision, compared with the same on the processor."""
    import torch
    torch.cuda.init()
    left, right = (torch.randn(SIZE, SIZE, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    there = (left.to("cuda", torch.bfloat16) @ right.to("cuda", torch.bfloat16)).float().cpu()
    if not torch.allclose(there, left @ right, atol=2.0):
        raise Failed("the GPU multiplies wrongly: the product differs from the processor's")
    memory = torch.cuda.get_device_properties(0).total_memory >> 20
    return {"torch": torch.__version__, "cuda": torch.version.cuda, "memory_mib": memory}


def main() -> dict:
    for step in (driver, build, product):
        try:
            found = step()
        except (Failed, ImportError, OSError, RuntimeError, AssertionError) as error:
            return {"step": step.__name__, "error": " ".join(str(error).split())[:600]}
    return found


if __name__ == "__main__":
    print(json.dumps(main()), flush=True)
