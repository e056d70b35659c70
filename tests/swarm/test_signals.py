"""How an operator hears that it is to stop."""

import os
import random
import signal
import subprocess
import sys
import time

SIGNALS = 300
SCRIPT = f"""
import threading
from swarm.run import stopped_by_signals

asked = threading.Event()
with stopped_by_signals(asked):
    print("ready", flush=True)
    for _ in range({SIGNALS}):
        while not asked.wait(0):
            pass
        asked.clear()
        print("heard", flush=True)
"""


def test_a_signal_that_comes_in_the_middle_of_waiting_for_one_is_heard_and_holds_nothing_up():
    with subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            for number in range(SIGNALS):
                time.sleep(random.random() / 2000)  # some moment of its waiting
                os.kill(process.pid, signal.SIGTERM)
                assert process.stdout.readline() == "heard\n", number  # one at a time: a stream of them would nest its handlers
        finally:
            process.kill()
