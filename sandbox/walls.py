"""Proves the walls by real escape attempts before anything untrusted runs.

    python -m sandbox.walls          prints the report as JSON (--full: the attempts on limits in every kind of sandbox)
"""
from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from pathlib import Path

import psutil

from sandbox import attempts, cgroup
from sandbox.box import Box, Handle, Limits, Result, start
from sandbox.decoys import Decoys
from sandbox.find import remedy
from sandbox.honeypot import INSIDE, Honeypot
from state.errors import UserError

LEFT_BEHIND = ("leave_a_daemon", "ignore_the_end")
SLOW = ("take_memory_with_many", "take_memory_in_files")  # not before every run: others try the same wall
TIGHT = Limits(seconds=10, memory_mib=160, processes=24, file_mib=8, disk_mib=16)
# A sandbox that is not stopped reaches the end of hold_seconds; one that is never waits for it.
CONFIG_OF_LIMITS = {"memory_mib": 256, "forks": 30, "file_mib": 8, "files": 6, "tmpfs_mib": 96, "hold_seconds": 3,
                    "deaf_seconds": 30}
DEAF_SECONDS = 0.3  # what is left on the clock once the code inside has made itself deaf
PATIENCE_SECONDS = 20.0  # for one try of all attempts together
PATIENCE_LOOKS = 2000  # for the first words from inside
RUN = "import json, sys; sys.path.insert(0, sys.argv[1]); from sandbox.attempts import main; main(json.loads(sys.argv[2]))"
# On an ordinary machine these succeed outside for every user; if one does not, the probe itself is broken.
ALWAYS_POSSIBLE = {"read_labels", "read_labels_through_proc", "read_labels_by_symlink", "read_labels_in_git_objects",
                   "read_labels_by_git_alternates", "read_environment_of_others", "read_gitconfig", "read_project_git",
                   "read_private_folder_of_the_run", "read_ledger", "read_board", "read_worktree_of_another",
                   "read_key_in_environment", "read_inherited_descriptor", "connect_to_loopback",
                   "connect_to_abstract_socket", "connect_to_socket_file", "connect_to_the_evaluator",
                   "signal_the_evaluator", "write_feature_block", "write_forum", "edit_old_post", "write_ledger",
                   "write_board", "write_worktree_of_another", "write_run_repository", "plant_git_hook",
                   "replace_gitfile", "write_to_system", *attempts.ALONE}


class NotTried(UserError):
    """Attempts gave no answer: it is not known whether the walls hold. No reason to do without them."""


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of sandbox to escape from. `start(decoys, config, limits)` has the attempts that `config["names"]` lists
    made in a new one: a context that gives it while no second is counted yet, and ends it."""
    name: str
    start: Callable[[Decoys, dict, Limits], AbstractContextManager[Handle]]


@contextmanager
def _fresh(kind: str, decoys: Decoys, config: dict, limits: Limits) -> Iterator[Handle]:
    chdir = "/tmp" if kind == "method" else "/aar/worktree"
    box = Box(kind, tuple(decoys.mounts(kind)), chdir=chdir, limits=limits)
    config = {**decoys.inside(chdir), **config}
    handle = start(box, [sys.executable, "-I", "-S", "-c", RUN, "/aar/lib", json.dumps(config)], parked=True)
    try:
        yield handle
    finally:
        handle.kill()  # only after an interrupt is anything left


KINDS = tuple(Kind(name, partial(_fresh, name)) for name in ("shell", "job", "method"))


def probe(quick: bool = True, kinds: Sequence[Kind] = KINDS) -> dict:
    """{"isolation", "totals", "baits", "attempts": [{"name", "sandbox", "blocked", "control", "detail"}]}.

    `control`: the same attempt succeeds outside, on the same decoys. `quick` tries the limits (memory,
    processes, disk, daemons) in the method sandbox only; else in all `kinds`. `totals`: who counts memory and
    processes (cgroup.py). `baits`: to touch one is noticed (honeypot.py). When bubblewrap cannot start at all,
    isolation is "none" and the one attempt tells why. NotTried where attempts give no answer, also at the second try."""
    with Decoys() as decoys:
        try:
            baits = _bait_is_noticed(decoys.root / "private")
        except UserError as error:
            rows = [_row("start", "shell", False, True, str(error))]
            return {"isolation": "none", "totals": "none", "baits": False, "attempts": rows}
        alone = [name for name in attempts.ALONE if not (quick and name in SLOW)]
        jobs = [partial(_together, decoys, kind) for kind in kinds]
        for name in alone:
            jobs += [partial(_alone, decoys, kind, name) for kind in kinds if kind.name == "method" or not quick]
        with ThreadPoolExecutor(len(jobs) + 2) as pool:
            outside = pool.submit(_outside_together, decoys)
            limits_outside = [pool.submit(_outside_alone, decoys, name) for name in alone]
            rows = [row for job in [pool.submit(job) for job in jobs] for row in job.result()]
            possible = {**outside.result(), **{name: got for one in limits_outside for name, got in one.result().items()}}
    return {"isolation": "bubblewrap", "totals": cgroup.totals(), "baits": baits,
            "attempts": [{**row, "control": possible[row["name"]]} for row in rows]}


def require_walls() -> list[dict]:
    """The attempts of `probe`, where the walls hold. UserError as `probe` and `check_report`."""
    report = probe()
    check_report(report)
    return report["attempts"]


def check_report(report: dict) -> None:
    """UserError where a report of `probe` does not say that the walls hold: with what got through, or why they cannot stand, and the
    remedy."""
    through = [row for row in report["attempts"] if not row["blocked"]]
    if report["isolation"] == "none":
        raise UserError(through[0]["detail"])
    if through:
        said = "; ".join(f"{row['name']} in the {row['sandbox']} sandbox ({row['detail']})" for row in through[:3])
        said += f" and {len(through) - 3} more" if len(through) > 3 else ""
        raise UserError(f"the walls do not hold on this machine: {said}. {remedy()}")
    if not report["baits"]:
        raise UserError("whoever touches a bait is not noticed on this machine: inotify does not work in "
                        f"{tempfile.gettempdir()}; set TMPDIR to a folder on a local disk")
    broken = sorted({row["name"] for row in report["attempts"] if not row["control"]} & ALWAYS_POSSIBLE)
    if broken:
        raise UserError(f"the probe of the walls proves nothing: outside of them {', '.join(broken)} failed as well; "
                        "free some memory, processes or disk and try again, or see `python aar.py doctor`")


def _bait_is_noticed(folder: Path) -> bool:
    honeypot, bait = Honeypot(folder), f"{INSIDE}/labels.npy"
    try:
        handle = start(Box("shell", honeypot.mounts), ["sh", "-c", f"read go; cat {bait}"], stdin=subprocess.PIPE)
        try:
            honeypot.hide()  # what is opened from now on is told at once
            handle.popen.stdin.close()
            handle.wait()
        finally:
            handle.kill()
        return honeypot.touched() == [bait]
    finally:
        honeypot.close()


def _row(name: str, kind: str, blocked: bool, control: bool, detail: str) -> dict:
    return {"name": name, "sandbox": kind, "blocked": blocked, "control": control, "detail": detail}


def _lines(output: bytes) -> dict[str, dict]:
    found = {}
    for line in output.splitlines():
        with suppress(ValueError):
            said = json.loads(line)
            found[said["name"]] = said
    return found


def _together(decoys: Decoys, kind: Kind) -> list[dict]:
    found, result = _answers(decoys, kind, attempts.TOGETHER)
    silent = [name for name in attempts.TOGETHER if name not in found]
    if silent:
        again, result = _answers(decoys, kind, silent)
        found |= again
    _check_answered(kind, [name for name in silent if name not in found], result)
    return [_row(name, kind.name, not found[name]["got"], False, found[name]["detail"]) for name in attempts.TOGETHER]


def _answers(decoys: Decoys, kind: Kind, names: list[str]) -> tuple[dict[str, dict], Result]:
    limits = Limits(seconds=PATIENCE_SECONDS)
    with kind.start(decoys, {"names": names}, limits) as handle:
        handle.begin(limits)
        result = handle.wait()
    return _lines(result.output), result


def _check_answered(kind: Kind, silent: list[str], result: Result) -> None:
    if silent:
        said = ", ".join(silent[:3]) + (f" and {len(silent) - 3} more" if len(silent) > 3 else "")
        raise NotTried(f"the walls could not be tried on this machine: no answer from {said} in the {kind.name} sandbox, twice "
                       f"({result.ended or 'it ended'} {result.output[-200:]!r}); try again when the machine is less busy; if that changes nothing, those words say why")


def _alone(decoys: Decoys, kind: Kind, name: str) -> list[dict]:
    """An attempt on a limit: what counts is not what it says but what is left of it outside. One that got through is made once more:
    where a watchdog counts, a machine under load may look too late, and an open wall is open the second time as well. So is one of
    which nothing is known."""
    row, result = _alone_once(decoys, kind, name)
    if row is not None and row["blocked"]:
        return [row]
    again, result = _alone_once(decoys, kind, name)
    _check_answered(kind, [name] if again is None else [], result)
    first = "no answer" if row is None else row["detail"]
    return [{**again, "detail": f"at the second try, {again['detail']} (at the first: {first})"}]


def _alone_once(decoys: Decoys, kind: Kind, name: str) -> tuple[dict | None, Result]:
    """None: it ended by itself and gave no answer, or was not made."""
    config = {**CONFIG_OF_LIMITS, "names": [name], "token": _token()}
    with kind.start(decoys, config, TIGHT) as handle:
        if name == "ignore_the_end":
            _wait_for_words(handle)
            handle.begin(dataclasses.replace(TIGHT, seconds=DEAF_SECONDS))
        else:
            handle.begin(TIGHT)
        result = handle.wait()
    found = _lines(result.output)
    if name not in found and (name in LEFT_BEHIND or result.ended is None):
        return None, result
    if name in LEFT_BEHIND:
        alive = _alive(config["token"])
        detail = f"alive after the end: {alive}" if alive else "all dead"
        return _row(name, kind.name, not alive, False, detail), result
    said = found.get(name, {"got": False, "detail": f"killed: {result.ended}"})
    return _row(name, kind.name, not said["got"], False, said["detail"]), result


def _wait_for_words(handle: Handle) -> None:
    for _ in range(PATIENCE_LOOKS):
        if handle.capture.total or handle.poll() is not None:
            break
        time.sleep(0.01)


def _token() -> str:
    """A name for a process that is left behind: whatever its number, it is found again."""
    return f"aar-{os.urandom(5).hex()}"


def _alive(token: str) -> list[int]:
    found = []
    for name in Path("/proc").glob("[0-9]*/comm"):
        with suppress(OSError):
            if name.read_text().strip() == token:
                found.append(int(name.parent.name))
    return found


def _outside(decoys: Decoys, config: dict) -> subprocess.Popen:
    """The same attempts, made as any subprocess would."""
    config, project = {**decoys.without_walls(), **config}, str(Path(__file__).resolve().parent.parent)
    return subprocess.Popen([sys.executable, "-I", "-S", "-c", RUN, project, json.dumps(config)],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, pass_fds=(decoys.label_fd,),
                            env={**os.environ, "HOME": str(decoys.home)}, cwd=decoys.root)


def _outside_together(decoys: Decoys) -> dict[str, bool]:
    with _outside(decoys, {"names": attempts.TOGETHER}) as process:
        found = _lines(process.stdout.read())
    return {name: found.get(name, {"got": False})["got"] for name in attempts.TOGETHER}


def _outside_alone(decoys: Decoys, name: str) -> dict[str, bool]:
    config = {**CONFIG_OF_LIMITS, "names": [name], "token": _token(), "hold_seconds": 0}
    with _outside(decoys, config) as process:
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
