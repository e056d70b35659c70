"""Slots: the right to use one GPU, or one pair of CPU cores, for a while. All heavy work runs in a slot.

Slots belong to the machine, not to a run: two runs side by side share them. A slot is a lock on a file under
AAR_HOME/slots, so it is free again the moment its holder dies, however it dies.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from sandbox.cuda import report
from sandbox.gpu import Device, chosen, devices, find
from state.errors import UserError
from state.paths import aar_home


@dataclass(frozen=True)
class Slot:
    number: int
    gpu: int | None = None

    @property
    def name(self) -> str:
        return f"gpu-{self.gpu}" if self.gpu is not None else f"cpu-{self.number}"


def visible_gpus() -> list[Device]:
    """The GPUs that CUDA_VISIBLE_DEVICES leaves to this process, in its order; [] where there is no driver. Does not import
    torch. UserError where the variable names what is not there, or parts of a GPU."""
    return chosen(devices(), os.environ.get("CUDA_VISIBLE_DEVICES"))


def make_slots(gpus: str | None = None) -> list[Slot]:
    """The slots of this machine: one for each GPU in `gpus` ("0,2" as `nvidia-smi` counts; default all visible), else one for
    each core pair.

    Raises UserError where `gpus` names a GPU that is not there, or one is split into parts.
    """
    leased = [] if gpus == "none" else wanted(gpus, visible_gpus())
    if leased:
        return [Slot(number, device.number) for number, device in enumerate(leased)]
    cores = len(os.sched_getaffinity(0))
    return [Slot(number) for number in range(max(1, cores // 2))]


def wanted(gpus: str | None, visible: list[Device]) -> list[Device]:
    """Those of the visible GPUs that `gpus` names, each once. UserError as make_slots."""
    found = visible
    if gpus is not None:
        try:
            numbers = [int(one) for one in gpus.split(",")]
        except ValueError:
            raise UserError(f"--gpus {gpus!r} is not a list of device numbers such as 0,1 (or none)") from None
        by_number = {device.number: device for device in visible}
        missing = [one for one in numbers if one not in by_number]
        if missing:
            seen = ", ".join(map(str, by_number)) or "none"
            raise UserError(f"--gpus {gpus}: no CUDA device {missing[0]} is visible here (visible: {seen})")
        found = [by_number[one] for one in dict.fromkeys(numbers)]
    for device in found:
        find(device)
    return found


def check_torch(slots: list[Slot], isolation: str = "none") -> None:
    """UserError where a GPU slot's CUDA does not start, in words and before any work is lost. `isolation`: of the sandbox it is
    tried in, which is a process of its own: whoever starts a run must not load torch."""
    numbers = {slot.gpu for slot in slots if slot.gpu is not None}
    for row in report([device for device in devices() if device.number in numbers], isolation):
        if not row["cuda"]:
            raise UserError(f"torch cannot use GPU {row['number']} ({row['name']}): {row['detail']}; or start with --gpus none")


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
