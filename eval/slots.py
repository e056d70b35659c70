"""Slots: the right to use one GPU, or one pair of CPU cores, for a while. All heavy work runs in a slot.

Slots belong to the machine, not to a run: two runs side by side share them. A slot is a lock on a file under
AAR_HOME/slots, so it is free again the moment its holder dies, however it dies.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from state.errors import UserError
from state.paths import aar_home


@dataclass(frozen=True)
class Slot:
    number: int
    gpu: int | None = None

    @property
    def name(self) -> str:
        return f"gpu-{self.gpu}" if self.gpu is not None else f"cpu-{self.number}"


def visible_gpus() -> list[int]:
    """Numbers of the CUDA devices that this process may use; [] where there is no driver. Does not import torch."""
    import pynvml

    try:
        pynvml.nvmlInit()
        present = list(range(pynvml.nvmlDeviceGetCount()))
        pynvml.nvmlShutdown()
    except pynvml.NVMLError:
        return []
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        return present
    return [int(one) for one in chosen.split(",") if one.strip().isdigit() and int(one) in present]


def make_slots(gpus: str | None = None) -> list[Slot]:
    """The slots of this machine: one for each GPU in `gpus` ("0,2"; default all visible), else one for each core pair.

    Raises UserError where `gpus` names a device that is not there.
    """
    visible = visible_gpus()
    if gpus is not None and gpus != "none":
        try:
            wanted = [int(one) for one in gpus.split(",")]
        except ValueError:
            raise UserError(f"--gpus {gpus!r} is not a list of device numbers such as 0,1 (or none)") from None
        missing = [one for one in wanted if one not in visible]
        if missing:
            raise UserError(f"--gpus {gpus}: no CUDA device {missing[0]} is visible here (visible: {visible or 'none'})")
        visible = wanted
    if visible and gpus != "none":
        return [Slot(number, gpu) for number, gpu in enumerate(visible)]
    cores = len(os.sched_getaffinity(0))
    return [Slot(number) for number in range(max(1, cores // 2))]


def check_torch(slots: list[Slot]) -> None:
    """UserError where there are GPU slots and the installed torch cannot use them, told before any work is lost.

    Asked in a process of its own: whoever starts a run must not load torch.
    """
    if all(slot.gpu is None for slot in slots):
        return
    question = "import torch; torch.cuda.init(); print(torch.cuda.device_count())"
    asked = subprocess.run([sys.executable, "-c", question], capture_output=True, text=True)
    if asked.returncode != 0:
        words = (asked.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise UserError(
            f"torch cannot use the GPU here ({words}): install a torch build that fits the driver that `nvidia-smi` names, "
            "or start with --gpus none"
        )


class Slots:
    """The machine's slots. `hold()` waits for a free one; who frees one and wants another at once does not go first."""

    def __init__(self, slots: list[Slot], folder: Path | None = None):
        self.slots = slots
        self.folder = folder or aar_home() / "slots"
        self.folder.mkdir(parents=True, exist_ok=True)

    @contextlib.contextmanager
    def hold(self, stop: threading.Event | None = None) -> Iterator[Slot]:
        """Hold one slot. Raises InterruptedError where `stop` is set while waiting."""
        # Whoever waits at the gate is next: without it, a process that frees a slot and wants another at once would
        # always win against one that looks only now and then.
        gate = FileLock(self.folder / "next.lock")
        self._poll(lambda: self._try(gate), stop)
        try:
            lock, slot = self._poll(self._any_free, stop)
        finally:
            gate.release()
        try:
            yield slot
        finally:
            lock.release()

    def _any_free(self) -> tuple[FileLock, Slot] | None:
        for slot in self.slots:
            lock = FileLock(self.folder / f"{slot.name}.lock")
            if self._try(lock):
                return lock, slot
        return None

    @staticmethod
    def _try(lock: FileLock) -> bool:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return False
        return True

    @staticmethod
    def _poll(attempt, stop: threading.Event | None):
        pause = 0.002
        while not (result := attempt()):
            if stop is not None and stop.is_set():
                raise InterruptedError("stopped while waiting for a slot")
            time.sleep(pause)
            pause = min(0.05, pause * 1.5)
        return result
