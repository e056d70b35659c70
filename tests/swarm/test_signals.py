"""How an operator hears that it is to stop."""

import os
import select
import signal
import subprocess
import sys

MOST = 3000
SCRIPT = f"""
import threading
from swarm.run import stopped_by_signals

asked, heard = threading.Event(), 0
with stopped_by_signals(asked):
    print("ready", flush=True)
    while heard < {MOST}:
        if asked.wait(0.0005):
            asked.clear()
            heard += 1
    print("over", flush=True)
"""


def test_a_signal_that_comes_in_the_middle_of_waiting_for_one_is_heard_and_holds_nothing_up():
    with subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        try:
            while not select.select([process.stdout], [], [], 0)[0]:
                os.kill(process.pid, signal.SIGTERM)
        finally:
            process.kill()
        assert process.stdout.readline() == "over\n"
