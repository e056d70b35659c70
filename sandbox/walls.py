"""Proves the walls by real escape attempts before anything untrusted runs.

    python -m sandbox.walls          prints the report as JSON
"""
from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil

from sandbox import attempts
from sandbox.box import Box, Limits, Mount, Result, run
from sandbox.decoys import Decoys
from sandbox.find import remedy
from state.errors import UserError

KINDS = ("shell", "job", "method")
TIGHT = Limits(seconds=10, memory_mib=160, processes=24, file_mib=8, disk_mib=16)
CONFIG_OF_LIMITS = {"memory_mib": 320, "forks": 30, "file_mib": 8, "files": 6, "hold_seconds": 1.5, "deaf_seconds": 30}
DEAF_SECONDS = 0.5
# On an ordinary machine these succeed outside for every user; if one does not, the probe itself is broken.
ALWAYS_POSSIBLE = {"read_labels", "read_labels_through_proc", "read_environment_of_others", "read_gitconfig",
                   "read_project_git", "read_key_in_environment", "read_inherited_descriptor", "connect_to_loopback",
                   "connect_to_abstract_socket", "connect_to_socket_file", "write_to_read_only_mount", "write_to_system",
                   *attempts.ALONE}


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
        for name in attempts.ALONE:
            jobs += [partial(_alone, decoys, kind, name) for kind in (("method",) if quick else KINDS)]
        with ThreadPoolExecutor(len(jobs) + 2) as pool:
            outside = pool.submit(_outside_together, decoys)
            limits_outside = [pool.submit(_outside_alone, decoys, name) for name in attempts.ALONE]
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


def _box(decoys: Decoys, kind: str, name: str, limits: Limits) -> Box:
    mounts = [Mount(attempts.__file__, "/aar/lib/attempts.py"), Mount(decoys.readonly, "/aar/features")]
    chdir = "/tmp"
    if kind != "method":
        chdir = "/aar/worktree"
        mounts.append(Mount(decoys.folder(f"worktree-{kind}-{name}"), chdir, writable=True))
    return Box(kind, tuple(mounts), chdir=chdir, limits=limits, idle=False)


def _run_inside(box: Box, config: dict) -> tuple[Result, dict[str, dict]]:
    config = {**config, "writable": box.chdir, "readonly": "/aar/features",
              "system": ["/", "/etc", "/usr", "/usr/bin", "/usr/local", "/dev", "/proc", "/aar"]}
    result = run(box, [sys.executable, "-I", "-S", "/aar/lib/attempts.py", json.dumps(config)])
    return result, _lines(result.output)


def _lines(output: bytes) -> dict[str, dict]:
    found = {}
    for line in output.splitlines():
        with suppress(ValueError):
            said = json.loads(line)
            found[said.get("name", "")] = said
    return found


def _together(decoys: Decoys, kind: str) -> list[dict]:
    result, found = _run_inside(_box(decoys, kind, "together", Limits(seconds=20)),
                                {**decoys.config, "names": attempts.TOGETHER})
    rows = []
    for name in attempts.TOGETHER:
        said = found.get(name, {"got": True, "detail": f"no answer: {result.ended} {result.output[-200:]!r}"})
        rows.append(_row(name, kind, not said["got"], False, said["detail"]))
    return rows


def _alone(decoys: Decoys, kind: str, name: str) -> list[dict]:
    """An attempt on the limits: what counts is not what it says but what is left of it outside."""
    limits = dataclasses.replace(TIGHT, seconds=DEAF_SECONDS) if name == "ignore_the_end" else TIGHT
    token = f"aar-token-{os.urandom(8).hex()}"
    result, found = _run_inside(_box(decoys, kind, name, limits), {**CONFIG_OF_LIMITS, "names": [name], "token": token})
    alive = _alive(token)
    if name in ("leave_a_daemon", "ignore_the_end"):
        started = name in found or b"deaf" in result.output
        detail = f"alive after the end: {alive}" if alive else "all dead" if started else f"not made: {result.output!r}"
        return [_row(name, kind, started and not alive, False, detail)]
    said = found.get(name, {"got": result.ended is None, "detail": f"killed: {result.ended}"})
    return [_row(name, kind, not said["got"], False, said["detail"])]


def _alive(token: str) -> list[int]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if token in process.cmdline()[-1:]:
                found.append(process.pid)
    return found


def _outside_config(decoys: Decoys, name: str) -> dict:
    folder = str(decoys.folder(f"outside-{name}"))
    return {"writable": folder, "readonly": folder, "system": [folder]}


def _outside(config: dict, decoys: Decoys, limit_seconds: float) -> bytes:
    """The same file, run as any subprocess would be. What does not end in time is terminated the polite way."""
    process = subprocess.Popen([sys.executable, "-I", "-S", attempts.__file__, json.dumps(config)],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, pass_fds=(decoys.label_fd,),
                               env={**os.environ, "HOME": str(decoys.home)}, cwd=decoys.root)
    try:
        return process.communicate(timeout=limit_seconds)[0]
    except subprocess.TimeoutExpired:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            return process.communicate(timeout=0.2)[0]
        process.kill()
        return process.communicate()[0] + b'\n{"name": "ignore_the_end", "got": true}\n'


def _outside_together(decoys: Decoys) -> dict[str, bool]:
    config = {**decoys.config, **_outside_config(decoys, "together"), "names": attempts.TOGETHER}
    found = _lines(_outside(config, decoys, 20))
    return {name: found.get(name, {"got": False})["got"] for name in attempts.TOGETHER}


def _outside_alone(decoys: Decoys, name: str) -> dict[str, bool]:
    token = f"aar-token-{os.urandom(8).hex()}"
    config = {**CONFIG_OF_LIMITS, **_outside_config(decoys, name), "names": [name], "token": token, "hold_seconds": 0}
    found = _lines(_outside(config, decoys, DEAF_SECONDS if name == "ignore_the_end" else 20))
    alive = _alive(token)
    for pid in alive:
        with suppress(psutil.NoSuchProcess):
            psutil.Process(pid).kill()
    got = found.get(name, {"got": False})["got"]
    return {name: bool(alive) if name == "leave_a_daemon" else got}


if __name__ == "__main__":
    print(json.dumps(probe(quick="--full" not in sys.argv), indent=2))
