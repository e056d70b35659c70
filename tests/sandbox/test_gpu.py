"""A GPU that is made up, in a sandbox that is not: what is shown of it, and what is said where CUDA does not start."""
from __future__ import annotations

import dataclasses
import json
import os

import pytest

from sandbox import cuda, gpu, wall
from sandbox.box import Box, Limits, Result, run
from state.errors import UserError
from tests.sandbox.help import python

DEVICE = gpu.Device(number=0, minor=3, uuid="GPU-8932f937-d72c-4106-c12f-20bd9faed9f6", name="Made Up 80GB")
OTHER = gpu.Device(number=1, minor=0, uuid="GPU-89aa0000-d72c-4106-c12f-20bd9faed9f6", name="Made Up 80GB")
LDCONFIG = """3 libs found in cache `/etc/ld.so.cache'
\tlibnvidia-ptxjitcompiler.so.1 (libc6,x86-64) => /opt/driver/lib/libnvidia-ptxjitcompiler.so.1
\tlibnvidia-gpucomp.so.570.124.06 (libc6,AArch64) => /opt/driver/arm/libnvidia-gpucomp.so.570.124.06
\tlibcuda.so.1 (libc6) => /usr/lib/i386-linux-gnu/libcuda.so.1
\tlibcuda.so.1 (libc6,x86-64, OS ABI: Linux 2.3.99) => /opt/driver/lib/libcuda.so.1
\tlibcudart.so.13 (libc6,x86-64) => /usr/local/cuda/lib/libcudart.so.13
\tlibGLX_nvidia.so.0 (libc6,x86-64) => /opt/driver/lib/libGLX_nvidia.so.0
"""


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with two GPUs whose driver lies in a folder of its own, its libcuda behind a link to yet another place."""
    dev, driver, real = tmp_path / "dev", tmp_path / "driver", tmp_path / "real"
    for folder in (dev, driver, real):
        folder.mkdir()
    for node in ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-modeset", "nvidia0", "nvidia3", "dri"):
        (dev / node).write_text(node)
    (real / "libcuda.so.570.1").write_text("the driver's library")
    (driver / "libcuda.so.1").symlink_to(real / "libcuda.so.570.1")
    for name in ("libnvidia-ml.so.1", "libGLX_nvidia.so.0", "secret.txt"):
        (driver / name).write_text(name)
    monkeypatch.setattr(gpu, "DEV", str(dev))
    monkeypatch.setenv("LD_LIBRARY_PATH", f"{tmp_path / 'nothing'}:{driver}")
    return driver


def shown(box: Box, code: str):
    return json.loads(run(box, python(f"import glob, json, os, resource\nprint(json.dumps({code}))")).output)


def test_a_sandbox_shows_the_nodes_of_its_own_gpu_and_of_no_other(machine):
    inside = shown(Box("method", gpu=DEVICE), "sorted(glob.glob('/dev/nvidia*'))")
    assert inside == ["/dev/nvidia-uvm", "/dev/nvidia-uvm-tools", "/dev/nvidia3", "/dev/nvidiactl"]
    assert shown(Box("method"), "glob.glob('/dev/nvidia*')") == []


def test_the_drivers_libraries_are_inside_read_only_and_their_neighbours_are_not(machine):
    code = f"[sorted(os.listdir({str(machine)!r})), open('{machine}/libcuda.so.1').read(), os.access('{machine}/libcuda.so.1', os.W_OK)]"
    assert shown(Box("job", gpu=DEVICE), code) == [["libcuda.so.1", "libnvidia-ml.so.1"], "the driver's library", False]
    assert not shown(Box("job"), f"os.path.exists({str(machine)!r})")


def test_inside_only_the_leased_gpu_is_named_and_nothing_is_cached(machine):
    names = ("CUDA_VISIBLE_DEVICES", "CUDA_CACHE_DISABLE", "LD_LIBRARY_PATH")
    code = f"[os.environ.get(name) for name in {names}]"
    assert shown(Box("method", gpu=DEVICE), code) == [DEVICE.uuid, "1", str(machine)]
    assert shown(Box("method"), code) == ["", None, None]


def test_address_space_has_no_limit_where_cuda_runs(machine):
    code = "[resource.getrlimit(resource.RLIMIT_AS)[0], resource.getrlimit(resource.RLIMIT_DATA)[0]]"
    limits = Limits(memory_mib=300)
    here = list(map(int, run(Box("shell", isolation="none", gpu=DEVICE, limits=limits), ["bash", "-c", "ulimit -v; ulimit -d"])
                    .output.replace(b"unlimited", b"-1").split()))
    assert shown(Box("method", gpu=DEVICE, limits=limits), code) == here
    address, data = shown(Box("method", limits=limits), code)
    assert (address, data > 0) == (here[0], True), "without a GPU one huge array is to be a MemoryError"


def test_a_node_that_is_missing_is_named_with_the_remedy(machine):
    with pytest.raises(UserError, match=r"device node .*/nvidia9 is missing: `sudo nvidia-modprobe -u -c 9`"):
        wall.flags(Box("method", gpu=dataclasses.replace(DEVICE, minor=9)))
    os.unlink(f"{gpu.DEV}/nvidia-uvm")
    row = cuda.check(DEVICE)
    assert not row["cuda"] and "nvidia-uvm is missing" in row["detail"]


def test_the_linker_cache_gives_the_drivers_libraries_of_this_word_size(monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert gpu.linker_cache(LDCONFIG) == ["/opt/driver/lib/libnvidia-ptxjitcompiler.so.1", "/opt/driver/lib/libcuda.so.1"]
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert gpu.linker_cache(LDCONFIG) == ["/opt/driver/arm/libnvidia-gpucomp.so.570.124.06"]


def test_libraries_that_every_sandbox_sees_are_not_mounted_twice(machine):
    flags = gpu.other_flags((str(machine), str(machine.parent / "real")))
    assert not [part for part in flags if str(machine.parent) in part]
    flags = gpu.other_flags((str(machine),))
    assert str(machine / "libcuda.so.1") not in flags and str(machine.parent / "real" / "libcuda.so.570.1") in flags


@pytest.mark.parametrize(("names", "numbers"), [
    (None, [0, 1]), ("1,0", [1, 0]), ("0,-1,1", [0]), ("", []), ("-1", []), ("NoDevFiles", []), ("1,1", [1]),
    ("GPU-8932f937", [0]), (f" {OTHER.uuid} , 0", [1, 0])])
def test_the_visible_gpus_are_those_that_cuda_would_see(names, numbers):
    assert [device.number for device in gpu.chosen([DEVICE, OTHER], names)] == numbers


@pytest.mark.parametrize(("names", "words"), [
    ("MIG-41b36416-f1d0-5a9c-9ed9-b9ee9a4b1234", "a part of a GPU"), ("MIG-GPU-8932f937/1/0", "a part of a GPU"),
    ("7", "'7', which is no GPU here"), ("GPU-77", "no GPU here"), ("GPU-89", "more than one GPU"), ("first", "no GPU here")])
def test_a_name_that_no_gpu_has_is_one_clear_line(names, words):
    with pytest.raises(UserError, match=words) as error:
        gpu.chosen([DEVICE, OTHER], names)
    assert "\n" not in str(error.value)
    assert gpu.chosen([], names) == [], "without a driver nothing is wrong with the variable"


def test_a_gpu_that_cannot_be_used_says_why_and_does_not_start(machine):
    split = dataclasses.replace(DEVICE, fault="it is split into parts (MIG)")
    with pytest.raises(UserError, match="split into parts"):
        wall.flags(Box("method", gpu=split))
    assert cuda.check(split) == {"number": 0, "name": DEVICE.name, "cuda": False, "detail": split.fault}


@pytest.mark.parametrize(("step", "error", "words"), [
    ("driver", "libcuda.so.1: cannot open shared object file: No such file or directory", "driver library libcuda.so.1 is missing"),
    ("build", "torch 2.13.0+cpu is built without CUDA", "torch is built without CUDA"),
    ("product", "The NVIDIA driver on your system is too old (found version 11040). Please update your GPU driver", "driver is too old"),
    ("product", "Unexpected error from cudaGetDeviceCount(). Did you run some cuda functions before calling NumCudaDevices() that "
     "might have already set an error? Error 36: API call is not supported in the installed CUDA driver", "driver is too old"),
    ("product", "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 79.15 GiB", "memory is taken"),
    ("driver", "cuInit answers 100 (CUDA_ERROR_NO_DEVICE)", "shows no GPU"),
    ("driver", "cuInit answers 304 (CUDA_ERROR_OPERATING_SYSTEM)", "refused something of /dev, /proc or /sys"),
    ("driver", "cuInit answers 802 (CUDA_ERROR_SYSTEM_NOT_READY)", "nvidia-fabricmanager"),
    ("driver", "cuInit answers 803 (CUDA_ERROR_SYSTEM_DRIVER_MISMATCH)", "restart the machine"),
    ("product", "CUDA error: all CUDA-capable devices are busy or unavailable", "another process has this GPU"),
    ("product", "CUDA error: no kernel image is available for execution on the device", "no code for this kind of GPU"),
    ("product", "something that nobody has seen", "product: something that nobody has seen")])
def test_what_went_wrong_is_said_in_words(step, error, words):
    output = f"a warning\n{json.dumps({'step': step, 'error': error})}\n".encode()
    works, detail = cuda.in_words(Result(0, output, 5.0, 900.0, None))
    assert not works and words in detail and "\n" not in detail


def test_a_start_that_was_ended_or_fell_silent_is_no_success():
    assert cuda.in_words(Result(-9, b"", 180.0, 900.0, "timeout")) == (False, "stopped while starting (timeout, 180 s, 900 MiB)")
    assert cuda.in_words(Result(-11, b"", 1.0, 0.0, None)) == (False, "start: it said nothing")
    found = json.dumps({"torch": "2.13.0", "cuda": "13.0", "memory_mib": 81_920}).encode()
    works, detail = cuda.in_words(Result(0, found, 5.0, 900.0, None))
    assert works and "torch 2.13.0, CUDA 13.0, 80 GiB" in detail


def test_cuda_is_really_tried_in_a_sandbox_with_the_library_that_was_found(machine):
    row = cuda.check(DEVICE)
    assert not row["cuda"] and row["detail"].startswith(f"driver: {machine}/libcuda.so.1: ") and "outside" not in row["detail"]
