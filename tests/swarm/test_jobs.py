"""Jobs that nobody waits for: their output, their queue, their ends, and what a restart makes of them."""

import json

import pytest

from tests.swarm.opened import Run
from tests.waiting import until


@pytest.fixture(scope="module")
def run(smoke, module_checkout):
    run = Run(module_checkout, "jobs", scores=False)
    yield run
    run.close()


def jobs(run, agent="agent-1"):
    return {job["job"]: job for job in json.loads(run.sh("aar jobs --json", agent=agent).output)}


def wait_until(run, name, *states, agent="agent-1"):
    return until(lambda: (job := jobs(run, agent)[name])["state"] in states and job, f"{' or '.join(states)}: job {name}")


def begin(run, command, agent="agent-1"):
    outcome = run.sh(f"aar job --background --json {command}", agent=agent)
    assert outcome.code == 0, outcome.output
    return json.loads(outcome.output)["job"]


def test_a_background_job_returns_at_once_and_leaves_its_output_in_the_home_and_its_exit_code_in_the_list(run):
    heard = len(run.desk.jobs.ended_since("agent-1", 0))
    name = begin(run, "-- bash -c 'echo out; echo err >&2; test -d /aar/models && exit 7'")
    job = wait_until(run, name, "ended")
    assert (job["returncode"], job["ended"]) == (7, None) and job["slot"]
    assert run.sh(f"cat $HOME/jobs/{name}.txt").output == "out\nerr\n"
    assert f"{name} exit code 7 after" in run.sh("aar jobs").output
    told = run.desk.jobs.ended_since("agent-1", heard)
    assert len(told) == 1 and told[0].startswith(f"{name} exit code 7") and run.desk.jobs.ended_since("agent-1", heard + 1) == []


def test_the_limit_that_ended_a_job_is_listed(run):
    assert wait_until(run, begin(run, "--seconds 1 -- sleep 1000"), "ended")["ended"] == "timeout"


def test_a_second_job_waits_for_the_first_and_the_queue_has_an_end(run):
    first = begin(run, "-- sleep 600")
    wait_until(run, first, "running")
    queued = [begin(run, f"-- bash -c 'echo {number}'") for number in range(4)]
    refused = run.sh("aar job --background -- true")
    assert refused.code == 2 and "4 jobs of yours wait" in refused.output
    other = begin(run, "-- true", agent="agent-2")  # the control: another agent's queue is its own
    assert {jobs(run)[name]["state"] for name in queued} == {"queued"}
    assert run.sh(f"aar jobs --end {queued[1]}").code == 0 and run.sh(f"aar jobs --end {first}").code == 0
    assert wait_until(run, first, "ended")["ended"] == "request"
    assert [wait_until(run, name, "ended")["returncode"] for name in queued] == [0, None, 0, 0]
    assert run.sh(f"cat $HOME/jobs/{queued[0]}.txt $HOME/jobs/{queued[3]}.txt").output == "0\n3\n"
    assert run.sh(f"test -e $HOME/jobs/{queued[1]}.txt").code == 1
    wait_until(run, other, "ended", agent="agent-2")
    refused = run.sh("aar jobs --end j9999")
    assert refused.code == 2 and "no job of yours" in refused.output


def test_a_job_somebody_waits_for_takes_its_turn_behind_one_in_the_background(run):
    name = begin(run, "-- bash -c 'sleep 1; echo first > notes.txt'")
    assert run.sh("aar job -- cat notes.txt").output == "first\n"
    assert jobs(run)[name]["state"] == "ended"


def test_output_goes_through_a_planted_link_only_inside(run, tmp_path):
    target = tmp_path / "target"
    run.sh(f"mkdir -p $HOME/jobs; for i in $(seq 30); do ln -sf {target} $HOME/jobs/j00$(printf %02d $i).txt; done", agent="agent-2")
    name = begin(run, "-- echo hello", agent="agent-2")
    wait_until(run, name, "ended", agent="agent-2")
    assert not target.exists() and not list(tmp_path.iterdir())


def test_the_home_outlives_commands_and_is_the_agents_own(run):
    assert run.sh("echo mine > $HOME/kept; mkdir $HOME/folder").code == 0
    assert run.sh("cat ~/kept").output == "mine\n" and run.sh("aar job -- cat /aar/home/kept").output == "mine\n"
    assert run.sh("ls ~", agent="agent-2").output.split() == ["jobs"]
    assert run.paths.home("agent-1").stat().st_mode & 0o777 == 0o700
    assert run.sh("git status --short").output.strip() in ("", "?? notes.txt")


def test_the_prompt_can_be_read_inside_and_not_changed(run):
    assert run.sh("cat /aar/prompt.md").output == (run.paths.agent("agent-1") / "prompt.md").read_text()
    assert run.sh("echo x >> /aar/prompt.md").code != 0


def test_jobs_that_an_operator_took_down_with_it_are_listed_as_lost(run):
    names = [begin(run, "-- sleep 600"), begin(run, "-- sleep 600")]
    wait_until(run, names[0], "running")
    heard = len(run.desk.jobs.ended_since("agent-1", 0))
    run.close()
    run.open()
    found = jobs(run)
    assert [found[name]["state"] for name in names] == ["lost", "lost"]
    assert all("lost: the run was stopped" in line for line in run.desk.jobs.ended_since("agent-1", heard))
    assert begin(run, "-- true") == f"j{len(found) + 1:04d}"
