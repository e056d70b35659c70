"""What is made for a person, and the socket they come in through: also after a crash in the middle, and for whoever asks badly."""

import json
import shutil
import socket

import pytest

import swarm.create
from state.errors import UserError
from state.ledger import Ledger
from swarm.access import load_config
from swarm.control import Control
from swarm.create import Options, create_run
from swarm.people import People, make_person
from swarm.run import operate
from tests.swarm.opened import Run
from tests.waiting import until


@pytest.fixture(scope="module")
def run(smoke, module_checkout):
    run = Run(module_checkout, "persons", scores=False)
    run.desk.seconds_used = lambda: 0.0
    yield run
    run.close()


def people_of(run) -> tuple[People, list[str]]:
    """As an operator opens it, at the start and after a crash; and whose doors it was asked to open."""
    opened: list[str] = []
    return People(run.paths, load_config(run.paths), run.repo, run.desk, opened.append), opened


def ask(run, line: bytes) -> dict:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(run.paths.control))
        connection.sendall(line + b"\n")
        return json.loads(connection.makefile("rb").readline())


def test_whoever_is_new_gets_a_branch_a_worktree_a_prompt_and_a_direction_in_their_words(run):
    people, opened = people_of(run)
    assert people.enter("ada", "Doubt the teacher.\n") == {"name": "ada", "again": False} and opened == ["ada"]
    assert run.repo.head("ada") == run.config["base"]
    assert (run.paths.worktree("ada") / "methods" / "README.md").exists()
    assert "Doubt the teacher." in (run.paths.agent("ada") / "prompt.md").read_text()
    assert (run.paths.board / "prompts/directions/people/ada.md").read_text() == "Doubt the teacher.\n"
    assert run.desk.directions["ada"] == "people/ada"
    people.leave("ada")
    people.leave("ada")
    events = [event["event"] for event in Ledger(run.paths.ledger).events if event["agent"] == "ada"]
    assert events == ["joined", "left"], "to leave twice is to leave once"


def test_whoever_comes_back_finds_it_again_and_cannot_exchange_the_direction(run):
    (run.paths.worktree("ada") / "notebook.md").write_text("mine\n")
    people, opened = people_of(run)
    assert people.names == ["ada"] and people.enter("ada", "Doubt the teacher.")["again"] and opened == []
    people.leave("ada")
    with pytest.raises(UserError, match="began with another direction"):
        people.enter("ada", "Believe the teacher.")
    assert (run.paths.worktree("ada") / "notebook.md").read_text() == "mine\n"


def test_what_a_crash_left_half_made_is_made_whole_when_the_run_is_operated_anew(run):
    people, _ = people_of(run)
    people.enter("bob", "")
    for missing in ("gitfile", "prompt.md"):
        (run.paths.agent("bob") / missing).unlink()
    shutil.rmtree(run.paths.worktree("bob") / "methods")
    make_person(run.paths, load_config(run.paths), run.repo, "bob")
    assert (run.paths.worktree("bob") / "methods" / "README.md").exists() and (run.paths.agent("bob") / "prompt.md").exists()
    assert (run.paths.worktree("ada") / "notebook.md").read_text() == "mine\n", "whoever had all keeps all"
    (run.paths.worktree("bob") / "notebook.md").write_text("bob's\n")
    assert run.desk.commit("bob", "a note", []) == run.repo.head("bob") != run.config["base"]


@pytest.mark.parametrize(
    ("name", "words"),
    [("agent-1", "is an agent of run persons"), ("board", "needs this name"), ("evaluator", "needs this name"), ("../x", "lower-case"), ("A", "lower-case"), ("", "lower-case")],
)
def test_names_that_are_no_persons_are_refused_and_leave_nothing(run, name, words):
    people, opened = people_of(run)
    before = load_config(run.paths)["agents"]
    with pytest.raises(UserError, match=words):
        people.enter(name, "a direction")
    assert load_config(run.paths)["agents"] == before and not opened and not people.present


def test_the_socket_is_its_owners_alone_and_takes_nothing_but_what_it_knows(run):
    people, _ = people_of(run)
    control = Control(run.paths, people, lambda: "running")
    try:
        assert run.paths.control.stat().st_mode & 0o777 == 0o600
        assert ask(run, b'{"do":"ping"}') == {"run": "persons", "state": "running"}
        for line in (b"", b"{}", b"[]", b"\xff", b'{"do":"stop"}', b'{"do":"join"}', b'{"do":"join","name":"x","more":1}', b"x" * 200_000):
            assert list(ask(run, line)) == ["error"]
        assert "lower-case" in ask(run, b'{"do":"join","name":"../../x"}')["error"]
        assert ask(run, b'{"do":"ping"}')["state"] == "running"
    finally:
        control.close("it was stopped")
    assert not run.paths.control.exists()
    with pytest.raises(UserError, match="nobody can join run persons now: it was stopped"):
        people.enter("ada", "")


def test_whoever_is_there_when_it_ends_is_told_why_and_has_left(run):
    people, _ = people_of(run)
    control = Control(run.paths, people, lambda: "running")
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(run.paths.control))
        connection.sendall(b'{"do":"join","name":"ada"}\n')
        lines = connection.makefile("rb")
        assert json.loads(lines.readline()) == {"name": "ada", "again": True} and list(people.present) == ["ada"]
        control.close("it was stopped")
        assert json.loads(lines.readline()) == {"over": "it was stopped"} and lines.readline() == b""
    until(lambda: not people.present)  # who closes does not wait for ever until that is noted


def test_a_run_without_agents_is_made_and_operated_only_to_be_kept_open(smoke, module_checkout, monkeypatch):
    monkeypatch.setattr(swarm.create, "PROJECT", module_checkout.folder)
    with pytest.raises(UserError, match="only with --keep-open, for people"):
        create_run(Options(agents=0, task="smoke", run="nobody"))
    paths = create_run(Options(agents=0, task="smoke", run="nobody", keep_open=True))
    with pytest.raises(UserError, match="run nobody is for people only"):
        operate(paths)


def test_nobody_may_be_called_like_an_agent_that_a_run_could_have(run):
    people, opened = people_of(run)
    with pytest.raises(UserError, match="choose another"):
        people.enter("agent-99", "")
    assert opened == [] and "agent-99" not in people.names
