"""Agents' processes: real ones, forked by a real nursery, that fall, park, end, or outlive nobody."""

import contextlib
import os
import signal
import subprocess
import time

import psutil
import pytest
import tomli

import swarm.create
from state.paths import RunPaths
from swarm.create import Options, create_run, write_toml
from swarm.researchers import PARKED
from swarm.supervisor import MOST_FALLS, Supervisor
from tests import waiting


@pytest.fixture
def run(smoke, module_checkout, request):
    """A run of three agents that nobody operates: without doors its searching agents fall at once."""
    before, swarm.create.PROJECT = swarm.create.PROJECT, module_checkout.folder
    try:
        yield create_run(Options(agents=3, task="smoke", run=f"run-{abs(hash(request.node.name)) % 10**8}"))
    finally:
        swarm.create.PROJECT = before


@pytest.fixture
def supervisors():
    made = []
    yield made
    for supervisor in made:
        supervisor.stop(0.5)


def supervise(made, paths: RunPaths, **options) -> Supervisor:
    supervisor = Supervisor(paths, {f"agent-{n}": "search" for n in (1, 2, 3)}, pause_seconds=0.01, **options)
    made.append(supervisor)
    return supervisor


MOST_LOOKS = 6000
"""Until something has come about: a count, for on a busy machine a look takes longer too."""


def until(supervisor, condition):
    looks = 0
    while not condition():
        supervisor.look()
        assert (looks := looks + 1) < MOST_LOOKS, supervisor.workers
        time.sleep(0.02)


def all_end(processes) -> bool:
    return any(not psutil.wait_procs(processes, timeout=0.1)[1] for _ in range(MOST_LOOKS))


def alive(supervisor):
    return all(worker.state == "running" and worker.pid and worker.code is None for worker in supervisor.workers.values())


def test_an_agent_that_falls_again_and_again_is_parked_with_its_reason_and_the_others_are_not(run, supervisors):
    for name in ("agent-2", "agent-3"):  # what these run is a shell that waits for a pipe nobody opens: see `hold`
        hold(run, name)
    (run.agent("agent-1") / "transcript.jsonl").write_text('{"kind": "plan"}\n')  # its memory is not what it can read
    supervisor = supervise(supervisors, run)
    until(supervisor, lambda: supervisor.workers["agent-1"].state == "parked")
    parked = supervisor.workers["agent-1"]
    assert parked.falls == MOST_FALLS and "KeyError" in parked.reason
    assert supervisor.workers["agent-2"].state == supervisor.workers["agent-3"].state == "running"


def hold(paths: RunPaths, name: str) -> None:
    """Let a searching agent wait for ever at its start: its transcript is a pipe that nobody writes into."""
    os.mkfifo(paths.agent(name) / "transcript.jsonl")


def held(run, supervisors, **options) -> Supervisor:
    for number in (1, 2, 3):
        hold(run, f"agent-{number}")
    supervisor = supervise(supervisors, run, **options)
    until(supervisor, lambda: alive(supervisor))
    return supervisor


def test_a_killed_agent_is_started_again_under_another_pid(run, supervisors):
    supervisor = held(run, supervisors)
    before = supervisor.workers["agent-2"].pid
    os.kill(before, signal.SIGKILL)
    until(supervisor, lambda: supervisor.workers["agent-2"].restarts == 1 and alive(supervisor))
    assert supervisor.workers["agent-2"].pid != before and supervisor.workers["agent-1"].restarts == 0


def test_when_the_nursery_is_killed_no_agent_stays_behind_and_all_start_again(run, supervisors):
    supervisor = held(run, supervisors)
    before = [psutil.Process(worker.pid) for worker in supervisor.workers.values()]
    os.kill(before[0].ppid(), signal.SIGKILL)
    assert len(before) == 3 and all_end(before)
    until(supervisor, lambda: alive(supervisor) and all(worker.restarts for worker in supervisor.workers.values()))


@contextlib.contextmanager
def unheard_end(supervisor):
    """The nursery has ended, and within nobody hears of it."""
    nursery = supervisor._nursery
    with supervisor._ended:
        nursery.kill()
        while nursery.poll() is None:
            time.sleep(0.01)
        yield nursery


def test_agents_of_a_nursery_that_was_replaced_before_its_end_was_noticed_start_again(run, supervisors):
    supervisor = held(run, supervisors)
    with unheard_end(supervisor) as nursery:
        supervisor.prepare()
        assert supervisor._nursery is not nursery
    until(supervisor, lambda: alive(supervisor) and all(worker.restarts for worker in supervisor.workers.values()))


def test_the_end_of_a_nursery_is_no_end_of_an_agent_that_another_one_starts_just_then(run, supervisors, monkeypatch):
    supervisor = held(run, supervisors)
    nursery, worker, heard = supervisor._nursery, supervisor.workers["agent-1"], []
    supervisor._ended.acquire()  # so that nobody hears of the end meanwhile
    nursery.kill()
    while nursery.poll() is None:
        time.sleep(0.01)
    worker.state, worker.next_start, made = "resting", 0.0, subprocess.Popen

    def slowly(*arguments, **options):  # the end is heard of while the next one is being made
        supervisor._ended.release()
        waiting.until(lambda: supervisor.workers["agent-3"].code is not None)
        heard.append(supervisor.workers["agent-3"].code)
        return made(*arguments, **options)

    monkeypatch.setattr("swarm.supervisor.subprocess.Popen", slowly)
    supervisor._start(worker)
    assert heard and worker.state == "running" and worker.code is None and worker.nursery is supervisor._nursery


def test_an_agents_hours_end_over_its_lives(run, supervisors):
    for number in (1, 2, 3):
        hold(run, f"agent-{number}")
    supervisor = supervise(supervisors, run, before={"agent-1": 3599.0}, hours=1.0)
    worker = supervisor.workers["agent-1"]
    until(supervisor, lambda: worker.state == "done")
    assert "1 hours are over" in worker.reason and worker.seconds() >= 3600 and supervisor.workers["agent-2"].state == "running"


def test_stopping_leaves_no_process(run, supervisors):
    supervisor = held(run, supervisors)
    processes = [psutil.Process(worker.pid) for worker in supervisor.workers.values()]
    processes.append(processes[0].parent())
    supervisor.stop(1.0)
    assert all_end(processes)


def test_stopping_once_more_does_nothing_where_no_end_was_told_by_then(run, supervisors):
    supervisor = held(run, supervisors)
    supervisor.workers["agent-1"].nursery = None  # so that nobody hears of its end
    supervisor.stop(0.1)
    assert supervisor.workers["agent-1"].code is None
    supervisor.stop(0.1)


def test_stopping_goes_through_where_the_nursery_has_just_died(run, supervisors):
    supervisor = held(run, supervisors)
    with unheard_end(supervisor):
        supervisor.stop(0.1)
    assert not supervisor._tell({}), "there is none any more"


def test_what_no_restart_helps_is_parked_at_once(run, supervisors):
    """An agent whose API refuses it for good: here a model socket where nobody has ever listened, and no patience."""
    config = tomli.loads(run.toml.read_text())
    agents = [{**agent, "researcher": "claude", "model": "m"} for agent in config["agents"]]
    write_toml(run.toml, {**config, "agents": agents, "model": {"outage_hours": 0.0}})
    supervisor = Supervisor(run, {"agent-1": "claude"}, pause_seconds=0.01)
    supervisors.append(supervisor)
    until(supervisor, lambda: supervisor.workers["agent-1"].state == "parked")
    worker = supervisor.workers["agent-1"]
    assert worker.restarts == 1 and "has not answered" in worker.reason and worker.code == PARKED
