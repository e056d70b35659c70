"""Kill anything, at any moment: nothing is lost, nothing stays behind, and `resume` goes on."""

import contextlib
import json
import os
import random
import signal
import time

import psutil

from state.files import read_jsonl
from state.ledger import Ledger
from state.paths import RunPaths
from tests.waiting import until


def tree(process) -> list[psutil.Process]:
    return [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]


def alive(processes) -> list[psutil.Process]:
    found = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):  # gone between one look and the next
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def start(checkout, name):
    process = checkout.start("--agents", "2", "--task", "smoke", "--run", name, "--minutes", "10", "--seed", "2")
    return process, RunPaths(checkout.folder / ".aar" / "runs" / name)


def verdicts(paths) -> int:
    return sum(record["kind"] == "verdict" for record in read_jsonl(paths.ledger))


def check_nothing_is_lost(checkout, paths, before: list[dict]):
    """What the ledger held is still there, in order; every commit and post of it exists; no submission has two verdicts."""
    after = read_jsonl(paths.ledger)
    assert after[: len(before)] == before
    names = [record["submission"] for record in after if record["kind"] == "verdict"]
    assert len(names) == len(set(names))
    committed = checkout.git("ls-tree", "-r", "--name-only", "aar/" + paths.name + "/board", "forum/").split()
    for post in paths.forum.glob("2*.md"):
        assert f"forum/{post.name}" in committed
    for record in after:
        if record["kind"] == "submission":
            assert checkout.git("branch", "--contains", record["commit"], "--list", f"aar/{paths.name}/{record['agent']}").strip()


def ends_cleanly(checkout, process, paths, number: signal.Signals) -> None:
    """A signal ends the run, no process of it stays, and it says how it goes on."""
    family = tree(process)
    process.send_signal(number)
    printed = process.communicate()[0]
    assert process.returncode == 0 and f"resume {paths.name}" in printed, printed
    until(lambda: not alive(family), "the end of every process")
    assert json.loads(checkout.aar("status", paths.name, "--json")[1])["state"] == "stopped"


def test_killing_the_operator_at_random_moments_loses_nothing_frees_the_slots_and_resume_goes_on(smoke, module_checkout):
    checkout, rng = module_checkout, random.Random(os.environ.get("AAR_TEST_SEED", "11"))
    process, paths = start(checkout, "killed")
    for attempt in range(2):
        until(paths.state.exists, "the start")
        goal = verdicts(paths) + rng.randint(0, 2)
        until(lambda: verdicts(paths) >= goal or process.poll() is not None, "a verdict")
        until(lambda: process.poll() is not None or len(tree(process)) > 3, "operator, evaluator, agents")
        time.sleep(rng.random() * 1.5)
        assert process.poll() is None, process.stdout.read()
        family = tree(process)
        posts = {post.name for post in paths.forum.glob("2*.md")}
        process.kill()
        process.wait()
        until(lambda: not alive(family), "the end of every process")
        before = read_jsonl(paths.ledger)  # an evaluator may have finished its last line after its operator was gone
        assert json.loads(checkout.aar("status", "killed", "--json")[1])["state"] == "crashed"
        if attempt == 0:
            code, printed = checkout.aar("eval", "methods/naive.py", "--task", "smoke", "--json")
            assert code == 0 and json.loads(printed)["status"] == "scored", "its slots are free"
        process = checkout.start("resume", "killed")
        until(lambda: verdicts(paths) > sum(r["kind"] == "verdict" for r in before), "a verdict after resuming")
        assert posts <= {post.name for post in paths.forum.glob("2*.md")}
    ends_cleanly(checkout, process, paths, signal.SIGHUP)
    check_nothing_is_lost(checkout, paths, before)
    code, printed = checkout.aar("resume", "killed", "--minutes", "0.15", "--no-verify")
    assert code == 0, printed
    check_nothing_is_lost(checkout, paths, before)
    assert not Ledger(paths.ledger).waiting()


def test_ctrl_c_ends_a_run_cleanly(smoke, module_checkout):
    """SIGHUP and SIGTERM end the runs of the tests beside this one."""
    process, paths = start(module_checkout, "asked")
    until(lambda: paths.ledger.exists() and verdicts(paths) >= 1, "a verdict")
    ends_cleanly(module_checkout, process, paths, signal.SIGINT)
    check_nothing_is_lost(module_checkout, paths, [])


def test_killed_agents_and_evaluators_are_started_anew_and_the_run_goes_on(smoke, module_checkout):
    process, paths = start(module_checkout, "hurt")
    until(lambda: paths.ledger.exists() and verdicts(paths) >= 1, "a verdict")
    for pid_of in (lambda state: state["evaluator_pid"], lambda state: state["agents"]["agent-1"]["pid"]):
        victim = psutil.Process(until(lambda: pid_of(json.loads(paths.state.read_text())), "its start"))
        children = victim.children(recursive=True)
        victim.kill()
        until(lambda: not alive(children), "the end of what it held")
        had = verdicts(paths)
        until(lambda: verdicts(paths) > had, "another verdict")
    events = lambda: {record["event"] for record in read_jsonl(paths.ledger) if record["kind"] == "event"}  # noqa: E731
    until(lambda: {"evaluator-restarted", "agent-fell"} <= events(), "the note of both")  # the other agent's verdict may come before it
    ends_cleanly(module_checkout, process, paths, signal.SIGTERM)
    check_nothing_is_lost(module_checkout, paths, [])


def test_a_detached_run_outlives_its_terminal_and_can_be_stopped(smoke, module_checkout):
    checkout = module_checkout
    starter = checkout.start("--agents", "2", "--task", "smoke", "--run", "away", "--minutes", "10", "--detach", start_new_session=True)
    printed = starter.communicate()[0]
    assert starter.returncode == 0 and "status away" in printed, printed
    paths = RunPaths(checkout.folder / ".aar" / "runs" / "away")
    try:
        until(lambda: verdicts(paths) >= 1, "a verdict in the background")
        os.kill(json.loads(paths.state.read_text())["pid"], 0)
        had = verdicts(paths)
        code, printed = checkout.aar("resume", "away")
        assert code == 2 and "operated already" in printed
        assert checkout.aar("say", "away", "look at thresholds")[0] == 0
        until(lambda: verdicts(paths) > had, "another verdict")
    finally:
        code, printed = checkout.aar("stop", "away")
    assert code == 0 and "stopped" in printed
    assert "look at thresholds" in "".join(post.read_text() for post in paths.forum.glob("2*.md"))
    check_nothing_is_lost(checkout, paths, [])
    assert "not going on" in checkout.aar("stop", "away")[1]
