"""Proves the walls by real escape attempts before anything untrusted runs.

    python -m sandbox.walls          prints the report as JSON
"""
from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

import psutil

from sandbox import attempts, overuse
from sandbox.box import Box, Limits, Mount, run, start
from sandbox.decoys import Decoys
from sandbox.find import remedy
from state.errors import UserError

LEFT_BEHIND = ("leave_a_daemon", "ignore_the_end")
KINDS = ("shell", "job", "method")
TIGHT = Limits(seconds=10, memory_mib=160, processes=24, file_mib=8, disk_mib=16)
# A sandbox that is not stopped reaches the end of hold_seconds; one that is never waits for it.
CONFIG_OF_LIMITS = {"memory_mib": 256, "forks": 30, "file_mib": 8, "files": 6, "hold_seconds": 3, "deaf_seconds": 30}
DEAF_SECONDS = 0.3  # what is left on the clock once the code inside has made itself deaf
PATIENCE_SECONDS = 20.0
# On an ordinary machine these succeed outside for every user; if one does not, the probe itself is broken.
ALWAYS_POSSIBLE = {"read_labels", "read_labels_through_proc", "read_environment_of_others", "read_gitconfig",
                   "read_project_git", "read_key_in_environment", "read_inherited_descriptor", "connect_to_loopback",
                   "connect_to_abstract_socket", "connect_to_socket_file", "write_to_read_only_mount", "write_to_system",
                   *overuse.ALONE}


def probe(quick: bool = True) -> dict:
    """{"isolation", "attempts": [{"name", "sandbox", "blocked", "control", "detail"}]}.

    `control`: the same attempt succeeds outside, on the same decoys. `quick` tries the limits (memory,
    processes, disk, daemons) in the method sandbox only; else in all three kinds. When bubblewrap cannot
    start at all, isolation is "none" and the one attempt tells why."""
    with Decoys() as decoys:
        try:
            run(Box("shell"), ["true"])
        except UserError as error:
            return {"isolation": "none", "attempts": [_row("start", "shell", False, True, str(error))]}
        jobs = [partial(_together, decoys, kind) for kind in KINDS]
        for name in overuse.ALONE:
            jobs += [partial(_alone, decoys, kind, name) for kind in (("method",) if quick else KINDS)]
        with ThreadPoolExecutor(len(jobs) + 2) as pool:
            outside = pool.submit(_outside_together, decoys)
            limits_outside = [pool.submit(_outside_alone, decoys, name) for name in overuse.ALONE]
            rows = [row for job in [pool.submit(job) for job in jobs] for row in job.result()]
            possible = {**outside.result(), **{name: got for one in limits_outside for name, got in one.result().items()}}
    return {"isolation": "bubblewrap", "attempts": [{**row, "control": possible[row["name"]]} for row in rows]}


def require_walls() -> None:
    """Returns when the walls hold. UserError with what got through, or why they cannot stand, and the remedy."""
    report = probe()
    through = [row for row in report["attempts"] if not row["blocked"]]
    if report["isolation"] == "none":
        raise UserError(through[0]["detail"])
    if through:
        said = "; ".join(f"{row['name']} in the {row['sandbox']} sandbox ({row['detail']})" for row in through[:3])
        said += f" and {len(through) - 3} more" if len(through) > 3 else ""
        raise UserError(f"the walls do not hold on this machine: {said}. {remedy()}")
    broken = sorted({row["name"] for row in report["attempts"] if not row["control"]} & ALWAYS_POSSIBLE)
    if broken:
        raise UserError(f"the probe of the walls proves nothing: outside of them {', '.join(broken)} failed as well; "
                        "free some memory, processes or disk and try again, or see `python aar.py doctor`")


def _row(name: str, kind: str, blocked: bool, control: bool, detail: str) -> dict:
    return {"name": name, "sandbox": kind, "blocked": blocked, "control": control, "detail": detail}


def _script(name: str) -> str:
    return overuse.__file__ if name in overuse.ALONE else attempts.__file__


def _box(decoys: Decoys, kind: str, name: str, limits: Limits) -> Box:
    mounts = [Mount(_script(name), "/aar/lib/attempts.py"), Mount(decoys.readonly, "/aar/features")]
    chdir = "/tmp"
    if kind != "method":
        chdir = "/aar/worktree"
        mounts.append(Mount(decoys.folder(f"worktree-{kind}-{name}"), chdir, writable=True))
    return Box(kind, tuple(mounts), chdir=chdir, limits=limits, idle=False)


def _argv(box: Box, config: dict) -> list[str]:
    config = {**config, "writable": box.chdir, "readonly": "/aar/features",
              "system": ["/", "/etc", "/usr", "/usr/bin", "/usr/local", "/dev", "/proc", "/aar"]}
    return [sys.executable, "-I", "-S", "/aar/lib/attempts.py", json.dumps(config)]


def _lines(output: bytes) -> dict[str, dict]:
    found = {}
    for line in output.splitlines():
        with suppress(ValueError):
            said = json.loads(line)
            found[said.get("name", "")] = said
    return found


def _together(decoys: Decoys, kind: str) -> list[dict]:
    box = _box(decoys, kind, "together", Limits(seconds=PATIENCE_SECONDS))
    result = run(box, _argv(box, {**decoys.config, "names": attempts.TOGETHER}))
    found, rows = _lines(result.output), []
    for name in attempts.TOGETHER:
        said = found.get(name, {"got": True, "detail": f"no answer: {result.ended} {result.output[-200:]!r}"})
        rows.append(_row(name, kind, not said["got"], False, said["detail"]))
    return rows


def _alone(decoys: Decoys, kind: str, name: str) -> list[dict]:
    """An attempt on a limit: what counts is not what it says but what is left of it outside."""
    box = _box(decoys, kind, name, TIGHT)
    config = {**CONFIG_OF_LIMITS, "names": [name], "token": _token()}
    deaf = threading.Event()
    handle = start(box, _argv(box, config), parked=True, on_output=lambda piece: deaf.set())
    if name == "ignore_the_end":
        deaf.wait(PATIENCE_SECONDS)
        handle.begin(dataclasses.replace(TIGHT, seconds=DEAF_SECONDS))
    else:
        handle.begin()
    result = handle.wait()
    found = _lines(result.output)
    if name in LEFT_BEHIND:
        alive = _alive(config["token"])
        detail = f"alive after the end: {alive}" if alive else "all dead" if found else f"not made: {result.output!r}"
        return [_row(name, kind, bool(found) and not alive, False, detail)]
    said = found.get(name, {"got": result.ended is None, "detail": f"killed: {result.ended}"})
    return [_row(name, kind, not said["got"], False, said["detail"])]


def _token() -> str:
    return f"aar-token-{os.urandom(8).hex()}"


def _alive(token: str) -> list[int]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if token in process.cmdline()[-1:]:
                found.append(process.pid)
    return found


def _outside(decoys: Decoys, name: str, config: dict) -> subprocess.Popen:
    """The same file, run as any subprocess would be."""
    folder = str(decoys.folder(f"outside-{name}"))
    config = {**config, "writable": folder, "readonly": folder, "system": [folder]}
    return subprocess.Popen([sys.executable, "-I", "-S", _script(name), json.dumps(config)],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, pass_fds=(decoys.label_fd,),
                            env={**os.environ, "HOME": str(decoys.home)}, cwd=decoys.root)


def _outside_together(decoys: Decoys) -> dict[str, bool]:
    with _outside(decoys, "together", {**decoys.config, "names": attempts.TOGETHER}) as process:
        found = _lines(process.stdout.read())
    return {name: found.get(name, {"got": False})["got"] for name in attempts.TOGETHER}


def _outside_alone(decoys: Decoys, name: str) -> dict[str, bool]:
    config = {**CONFIG_OF_LIMITS, "names": [name], "token": _token(), "hold_seconds": 0}
    with _outside(decoys, name, config) as process:
        if name == "ignore_the_end":  # the way a subprocess is usually ended: it works neither on it nor on its child
            process.stdout.readline()
            process.terminate()
        else:
            found = _lines(process.stdout.read())
            process.wait()
        alive = _alive(config["token"])
        got = bool(alive) if name in LEFT_BEHIND else found.get(name, {"got": False})["got"]
        for pid in alive:
            with suppress(psutil.NoSuchProcess):
                psutil.Process(pid).kill()
        process.kill()
    return {name: got}


if __name__ == "__main__":
    print(json.dumps(probe(quick="--full" not in sys.argv), indent=2))
