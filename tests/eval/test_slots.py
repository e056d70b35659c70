"""Slots belong to the machine, are held by one, and are free when their holder dies."""

import multiprocessing
import os
import signal
import threading
import time

import pytest

from eval.slots import Slot, Slots, check_torch, make_slots, wanted
from sandbox.gpu import Device
from state.errors import UserError
from tests.waiting import until

GPUS = [Device(number, minor, f"GPU-{number}", "Made Up") for number, minor in ((0, 3), (1, 0))]


def test_by_default_there_is_one_slot_for_each_pair_of_cores():
    slots = make_slots("none")
    assert len(slots) == max(1, len(os.sched_getaffinity(0)) // 2)
    assert all(slot.gpu is None for slot in slots)


def test_a_device_that_is_not_there_is_one_clear_line():
    with pytest.raises(UserError, match="no CUDA device 99"):
        make_slots("99")
    with pytest.raises(UserError, match="list of device numbers"):
        make_slots("all")


def test_each_gpu_is_one_slot_however_often_it_is_named():
    assert wanted(None, GPUS) == GPUS
    assert [device.number for device in wanted("1,0,1", GPUS)] == [1, 0]
    with pytest.raises(UserError, match=r"no CUDA device 2 is visible here \(visible: 0, 1\)"):
        wanted("0,2", GPUS)


def test_a_gpu_in_parts_is_refused_unless_it_is_left_out():
    split = Device(1, 1, "GPU-1", "Made Up", "it is split into parts (MIG)")
    with pytest.raises(UserError, match=r"GPU 1 \(Made Up\) cannot be used: it is split into parts"):
        wanted(None, [GPUS[0], split])
    assert wanted("0", [GPUS[0], split]) == GPUS[:1]


def test_slots_without_a_gpu_ask_nothing_of_torch():
    check_torch([Slot(0), Slot(1)])
    check_torch([])


def test_never_more_holders_than_slots_and_everybody_gets_one(tmp_path):
    slots = Slots([Slot(0), Slot(1)], tmp_path)
    inside, most, served, lock = [0], [0], [], threading.Lock()

    def work(number):
        with slots.hold() as slot:
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            until(lambda: most[0] >= 2, "that two hold a slot at once")
            time.sleep(0.02)  # for a third one to come, if one could
            with lock:
                inside[0] -= 1
                served.append((number, slot.number))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] == 2 and sorted(n for n, _ in served) == list(range(12))


def _hold_forever(folder, held):
    with Slots([Slot(0)], folder).hold():
        held.set()
        time.sleep(600)


def test_a_slot_is_free_when_its_holder_is_killed(tmp_path):
    context = multiprocessing.get_context("spawn")
    held = context.Event()
    holder = context.Process(target=_hold_forever, args=(tmp_path, held))
    holder.start()
    while not held.wait(0.1):
        assert holder.is_alive()
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    with pytest.raises(InterruptedError), Slots([Slot(0)], tmp_path).hold(stop):
        pytest.fail("the slot was held by another process")
    os.kill(holder.pid, signal.SIGKILL)
    with Slots([Slot(0)], tmp_path).hold() as slot:
        assert slot.number == 0
    holder.join()


class Watched(Slots):
    """Calls `at_gate()` when somebody has come to the gate and begins to look for a free slot."""

    def __init__(self, slots, folder, at_gate):
        super().__init__(slots, folder)
        self.at_gate = at_gate

    def _any_free(self):
        self.at_gate()
        return super()._any_free()


def test_who_waits_gets_a_slot_though_its_holder_wants_it_again_at_once(tmp_path):
    slots, stop, turns = Slots([Slot(0)], tmp_path), threading.Event(), [0]

    def greedy():
        while not stop.is_set():
            with slots.hold():
                turns[0] += 1
                time.sleep(0.02)

    thread = threading.Thread(target=greedy)
    thread.start()
    try:
        while not turns[0]:
            time.sleep(0.01)
        for _ in range(3):
            seen = []
            with Watched([Slot(0)], tmp_path, lambda: seen.append(turns[0])).hold():
                # It may have had the slot and not counted it yet; however long both were looking, it had no other turn.
                assert turns[0] - seen[0] <= 1
    finally:
        stop.set()
        thread.join()
