"""Submission budgets: frozen at the start, counted in the ledger, and the same after a crash."""

import pytest
import tomli

import swarm.create
from eval.client import Slots, make_slots
from state.errors import UserError
from state.ledger import NULL_STAMP, Ledger
from swarm.access import load_config, open_repo
from swarm.board import Board
from swarm.create import Options, create_run
from swarm.desk import Desk


@pytest.fixture(scope="module")
def paths(smoke, module_checkout):
    before, swarm.create.PROJECT = swarm.create.PROJECT, module_checkout.folder
    try:
        return create_run(Options(agents=3, task="smoke", run="budgets", seconds=60, submissions=2, fleet_submissions=3, null=True))
    finally:
        swarm.create.PROJECT = before


def desk_of(paths) -> Desk:
    """As an operator opens it, at the start and after a crash; the evaluator is not needed to be turned away."""
    config, repo = load_config(paths), open_repo(paths, load_config(paths))
    return Desk(paths, config, repo, Board(paths, repo), Slots(make_slots()))


def made(paths, agent: str) -> None:
    ledger = Ledger(paths.ledger)
    ledger.append("submission", submission=ledger.next_submission(), agent=agent, commit="ab" * 20, method="methods/x.py", parents=[])


def test_budgets_count_each_agents_submissions_and_all_together_also_for_a_new_operator(paths):
    for name in ("agent-1", "agent-2", "agent-3"):
        (paths.worktree(name) / "methods").mkdir(exist_ok=True)
        (paths.worktree(name) / "methods" / "x.py").write_text("def fit(w2s):\n    pass\n")
    assert desk_of(paths).left("agent-1") == {"agent": 2, "fleet": 3}
    made(paths, "agent-1")
    made(paths, "agent-1")
    desk = desk_of(paths)
    assert desk.left("agent-1") == {"agent": 0, "fleet": 1} and desk.left("agent-2") == {"agent": 2, "fleet": 1}
    with pytest.raises(UserError, match="you have made all 2 submissions"):
        desk.submit("agent-1", "methods/x.py", "", [], None)
    made(paths, "agent-2")
    desk = desk_of(paths)
    assert desk.task("agent-3")["submissions_left"] == {"agent": 2, "fleet": 0}
    with pytest.raises(UserError, match="all 3 submissions that this run may have"):
        desk.submit("agent-3", "methods/x.py", "", [], None)
    assert len(Ledger(paths.ledger).submissions) == 3, "what was turned away is no submission"


def test_runs_from_before_there_were_budgets_have_none(paths):
    desk = desk_of(paths)
    del desk.config["submissions_limit"], desk.config["fleet_submissions_limit"]
    assert min(desk.left("agent-1").values()) > 10**6


def test_a_null_run_is_frozen_as_such_and_stamped_on_its_board(paths):
    for file in (paths.toml, paths.board / "run.toml"):
        config = tomli.loads(file.read_text())
        assert config["null"] is True and (config["submissions_limit"], config["fleet_submissions_limit"]) == (2, 3)
    config = load_config(paths)
    Board(paths, open_repo(paths, config)).write_results(Ledger(paths.ledger))
    assert NULL_STAMP in (paths.board / "results.md").read_text()


@pytest.mark.parametrize("options", [{"submissions": 0}, {"fleet_submissions": -1}])
def test_a_budget_of_nothing_is_refused(paths, module_checkout, monkeypatch, options):
    monkeypatch.setattr(swarm.create, "PROJECT", module_checkout.folder)
    with pytest.raises(UserError, match="submissions"):
        create_run(Options(agents=1, task="smoke", run="none", **options))


@pytest.mark.parametrize("name", ["best", "s0001", "s3"])
def test_a_run_is_not_called_like_a_submission(paths, module_checkout, monkeypatch, name):
    monkeypatch.setattr(swarm.create, "PROJECT", module_checkout.folder)
    with pytest.raises(UserError, match=f"--run {name}: `show` takes this word for a submission"):
        create_run(Options(agents=1, task="smoke", run=name))
    assert not (paths.root.parent / name).exists()
