"""Every limit ends the whole tree, and the death of the starting process ends it too."""
from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest

from sandbox import cgroup, handle as handles, pids, watchdog
from sandbox.box import Box, Limits, Mount, run, start
from tests.sandbox.help import ROOT, alive, new_token, none_is_left, python
from tests.waiting import until

DEAF = "import signal, time\nfor s in (1, 2, 15): signal.signal(s, signal.SIG_IGN)\nprint('deaf', flush=True)\ntime.sleep(600)"


def test_a_timeout_leaves_no_process_even_of_deaf_daemons():
    token = new_token()
    code = f"import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', {DEAF!r}, {token!r}], start_new_session=True)\n{DEAF}"
    said: list[bytes] = []
    handle = start(Box("method"), python(code, token), parked=True, on_output=said.append)
    until(lambda: b"".join(said).count(b"deaf") == 2), "it and its daemon"
    handle.begin(Limits(seconds=0.5))
    assert handle.wait().ended == "timeout" and not alive(token)


def test_a_daemon_dies_with_the_command_that_left_it():
    token = new_token()
    result = run(Box("shell"), ["bash", "-c", f"setsid bash -c 'sleep 60; true' {token} & echo started"])
    assert result.output == b"started\n" and result.ended is None and not alive(token)


def test_slow_growth_of_memory_ends_it_and_one_huge_array_is_a_memory_error():
    box = Box("method", limits=Limits(seconds=60, memory_mib=200))
    # It stops before a MemoryError and stays until somebody has looked. Where the kernel counts, it may be over before a look.
    grown = run(box, python("import time\nheld = [bytearray(4 << 20) for _ in range(90)]\ntime.sleep(600)"))
    least = 150 if cgroup.totals() == "watchdog" else 0
    assert grown.ended == "memory" and least <= grown.peak_memory_mib < 200 + 512
    huge = run(box, python("import numpy; numpy.ones(1 << 30)"))
    assert huge.ended is None and b"MemoryError" in huge.output


def test_memory_counts_over_all_processes_together():
    code = "import os, time\nfor _ in range(3): os.fork()\nheld = bytearray(os.urandom(1) * (40 << 20))\ntime.sleep(600)"
    assert run(Box("method", limits=Limits(seconds=60, memory_mib=200)), python(code)).ended == "memory"


def test_memory_shared_by_many_processes_counts_once():
    code = ("import mmap, os, time\nheld = mmap.mmap(-1, 80 << 20); held.write(bytes(80 << 20))\n"
            "for _ in range(3):\n  if os.fork() == 0: held[::4096]; time.sleep(1); os._exit(0)\ntime.sleep(1.5)\nprint('done')")
    assert run(Box("method", limits=Limits(seconds=60, memory_mib=250)), python(code)).output == b"done\n"


def test_files_in_tmp_are_memory_with_a_size():
    result = run(Box("shell", limits=Limits(memory_mib=256)),
                 ["bash", "-c", "head -c 1G /dev/zero > /tmp/x; head -c 1G /dev/zero > /dev/shm/x; echo lived"])
    assert result.output.count(b"No space left") == 2 and result.output.endswith(b"lived\n")


def test_too_many_processes_end_it():
    code = ("import os, time\ntry:\n  for _ in range(60):\n    if os.fork() == 0: time.sleep(600); os._exit(0)\n"
            "except BlockingIOError: pass\ntime.sleep(600)")
    assert run(Box("method", limits=Limits(seconds=60, processes=30)), python(code)).ended == "processes"


def test_the_kernel_bounds_the_processes_while_the_watchdog_does_not_look():
    # It would let more pass. The loop is finite on purpose: without the bound it must not hurt the machine.
    code = ("import os, sys, time\nsys.stdin.read()\nn = 0\ntry:\n  for n in range(300):\n    if os.fork() == 0: time.sleep(5); os._exit(0)\n"
            "except BlockingIOError: print('refused', n < 60, flush=True)")
    if os.getuid() == 0 and pids.cgroup_parent() is None:
        pytest.skip("root, and no cgroup can be made here: only the watchdog bounds processes")
    handle = start(Box("method", limits=Limits(processes=30)), python(code), stdin=subprocess.PIPE, parked=True)
    handle.begin(Limits(processes=1000))
    handle.popen.stdin.close()
    assert b"refused True" in handle.wait().output


def test_one_file_and_all_files_together_have_a_limit(tmp_path):
    box = Box("shell", mounts=(Mount(tmp_path, "/aar/worktree", writable=True),), chdir="/aar/worktree",
              limits=Limits(seconds=60, file_mib=8, disk_mib=32))
    assert b"File too large" in run(box, python("open('huge', 'wb').write(bytes(9 << 20))")).output
    filled = run(box, ["bash", "-c", "for i in $(seq 12); do head -c 8M /dev/zero > part$i; done; sleep 30"])
    assert filled.ended == "disk"
    cleaned = run(box, ["bash", "-c", "sleep 1; rm -f part* huge; echo clean"])
    assert cleaned.ended is None and cleaned.output == b"clean\n", "a full folder can still be cleaned up"


def test_a_file_without_a_name_counts_while_it_is_open(tmp_path):
    box = Box("shell", mounts=(Mount(tmp_path, "/aar/worktree", writable=True),), chdir="/aar/worktree",
              limits=Limits(seconds=60, disk_mib=16))
    code = "import os, time\nf = open('x', 'wb'); os.unlink('x'); f.write(bytes(64 << 20)); f.flush(); time.sleep(600)"
    assert run(box, python(code)).ended == "disk"


def test_measuring_a_folder_follows_no_link_and_counts_a_hard_link_once(tmp_path):
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir(), inside.mkdir()
    (outside / "big").write_bytes(os.urandom(4 << 20))
    os.symlink(outside, inside / "folder")
    os.symlink(outside / "big", inside / "file")
    (inside / "own").write_bytes(os.urandom(1 << 20))
    os.link(inside / "own", inside / "again")
    assert 1 << 20 <= watchdog.disk_bytes(str(inside)) < 2 << 20


def test_endless_output_ends_it_without_filling_our_memory():
    result = run(Box("method", limits=Limits(seconds=60, output_bytes=10_000)), ["bash", "-c", "yes"])
    assert result.ended == "output" and len(result.output) < 11_000


def test_the_clock_of_a_parked_sandbox_starts_with_its_job():
    handle = start(Box("method", limits=Limits(seconds=0.5)), ["sleep", "600"], parked=True)
    time.sleep(2)
    assert handle.poll() is None
    with pytest.raises(TimeoutError):
        handle.wait(0.1)
    handle.begin(Limits(seconds=1))
    result = handle.wait()
    assert result.ended == "timeout" and 1 <= result.seconds


PAUSED = """
import sys
sys.path.insert(0, sys.argv[1])
from sandbox import handle as handles
from sandbox.box import Box, Limits, start
handles.MOST_UNSEEN_SECONDS = 0.1  # so that neither the pause nor a slow machine costs much of the limit
handle = start(Box("method"), ["bash", "-c", "read; for n in {1..10}; do sleep 0.05; done"], stdin=0, parked=True)
handle.begin(Limits(seconds=float(sys.argv[2])))
print("begun", flush=True)
print(handle.wait().ended, flush=True)
"""


def test_a_pause_of_everything_is_not_charged_to_the_code_inside():
    assert handles.MOST_UNSEEN_SECONDS == 1.0
    limit = 4.0  # of which what comes after the pause takes half a second
    starter = subprocess.Popen([sys.executable, "-c", PAUSED, str(ROOT), str(limit)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert starter.stdout.readline() == b"begun\n"
    paused = [psutil.Process(starter.pid), *psutil.Process(starter.pid).children(recursive=True)]
    for process in paused:
        process.suspend()
    time.sleep(limit)  # or longer
    starter.stdin.write(b"go on\n")
    starter.stdin.close()
    for process in reversed(paused):
        process.resume()
    assert starter.stdout.read() == b"None\n" and starter.wait() == 0


def test_a_look_that_is_late_because_this_process_works_is_charged_in_full_and_only_a_pause_is_not(monkeypatch):
    monkeypatch.setattr(handles, "MOST_UNSEEN_SECONDS", 0.0)
    idle = handles._Clock(0.2)
    time.sleep(0.4)
    assert idle.left() > 0
    busy, end = handles._Clock(0.2), time.process_time() + 0.4  # the two clocks need not agree on 0.2 s
    while time.process_time() < end:
        pass
    assert busy.left() <= 0


def test_killing_a_sandbox_kills_all_of_it_and_may_be_repeated():
    token = new_token()
    handle = start(Box("job"), ["bash", "-c", "setsid sleep 60 & sleep 60", token], parked=True)
    handle.kill()
    handle.kill()
    assert handle.wait().ended == "killed" and not alive(token)
    assert handle.poll() == handle.wait().returncode


def test_the_thread_that_started_it_may_end():
    handles = []
    thread = threading.Thread(target=lambda: handles.append(start(Box("method"), python("import sys; print(sys.stdin.read())"),
                                                                   stdin=subprocess.PIPE, parked=True)))
    thread.start()
    thread.join()
    time.sleep(0.5)
    assert handles[0].poll() is None
    handles[0].popen.stdin.write(b"still here")
    handles[0].popen.stdin.close()
    assert handles[0].wait().output == b"still here\n"


STARTER = """
import sys, threading, time
sys.path.insert(0, sys.argv[1])
from sandbox.box import Box, Limits, run, start
def work():
    for _ in range(1000):
        start(Box("method"), ["bash", "-c", "setsid sleep 90 & sleep 90", sys.argv[2]], parked=True)
        print("one more", flush=True)
threading.Thread(target=work).start()
time.sleep(60)
"""


@pytest.mark.parametrize("seed", range(1, 5))
def test_kill_9_of_the_starting_process_at_any_moment_leaves_nothing_alive(seed):
    token = new_token()
    starter = subprocess.Popen([sys.executable, "-c", STARTER, str(ROOT), token], stdout=subprocess.PIPE)
    for _ in range(seed):
        starter.stdout.readline()
    time.sleep(random.Random(seed).uniform(0, 0.03))  # anywhere in the start of the next one
    starter.send_signal(signal.SIGKILL)
    starter.communicate()
    assert none_is_left(token)
