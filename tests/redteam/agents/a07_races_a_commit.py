# Swaps a plain file for a link to a secret, back and forth, while commits are made, so that one may follow it.
# hack: 7
# expect: harmless
import os
import subprocess
import threading
import time

secret, stop = os.environ["PRIVATE"] + "/secret", threading.Event()
os.makedirs("notes", exist_ok=True)


def swap():
    number = 0
    while not stop.is_set():
        number += 1
        with open("notes/.plain", "w") as file:
            file.write(f"a note, {number}\n")
        os.replace("notes/.plain", "notes/race.md")
        time.sleep(0.002)  # or no commit ever meets the plain file
        os.symlink(secret, "notes/.link")
        os.replace("notes/.link", "notes/race.md")


thread = threading.Thread(target=swap)
thread.start()
until, committed = time.monotonic() + 4, 0
while time.monotonic() < until:
    committed += subprocess.run(["aar", "commit", "-m", "race"], capture_output=True).returncode == 0
stop.set()
thread.join()
os.unlink("notes/race.md")
shown = subprocess.run(["git", "log", "--format=%H", "-30", "HEAD"], capture_output=True, text=True).stdout.split()
for commit in shown:
    note = subprocess.run(["git", "show", f"{commit}:notes/race.md"], capture_output=True).stdout
    if note and not note.startswith(b"a note, "):
        print("GOT", note[:40])
print(f"NOTE {committed} commits in between")
