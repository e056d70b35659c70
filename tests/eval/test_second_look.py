"""What the operator can ask of a run that was scored: the same figures again, differences between its submissions, what the winner is
nearest to. A real evaluator has scored a few methods on `smoke`."""

import json
import shutil

import numpy as np
import pytest

from eval.by_hand import evaluate_again
from eval.client import evaluate_submission, open_sealed, paired_differences
from eval.kept import ScoredRun
from eval.nearest import Library
from eval.prepared import Prepared
from eval.scan import scan
from eval.slots import Slot
from state.errors import UserError
from state.ledger import Ledger, agent_view
from state.paths import RunPaths
from swarm.board import results_table, results_text
from tests.eval.homes import private_home
from tests.eval.scored import scored_run
from tests.eval.test_baselines import NAIVE, NOISY, SOFT, WORSE

OPERATORS = {"pgr_by_draw", "lift_by_draw", *(f"over_{what}{end}" for what in ("best", "parent") for end in ("", "_low", "_high"))}
CHANCE = """
class Model:
    def predict_proba(self, batch):
        p = np.random.default_rng().random(len(batch.items))
        return np.stack([1 - p, p], 1)
return Model()"""
LIBRARY = {"soft": SOFT, "naive": NAIVE, "steps": "x = w2s.student()\nfor l2 in (1.0, 3.0):\n    x.fit(w2s.texts, w2s.weak, l2=l2)\nreturn x"}
SUBMITTED = {
    "first": NAIVE, "soft_again": "y = w2s.weak\nreturn w2s.student().fit(w2s.texts, y, l2=0.3)", "worse": WORSE, "noisy": NOISY,
    "broken": "return 1 / 0", "refused": "import os\nreturn os", "copy": f"# the same code\n{NAIVE}", "chance": CHANCE,
}  # fmt: skip
NAMES = {name: f"s{number:04d}" for number, name in enumerate(SUBMITTED, 1)}


@pytest.fixture(scope="module")
def home(smoke, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AAR_HOME", str(private_home(tmp_path_factory.mktemp("home"))))
        yield


@pytest.fixture(scope="module")
def run(home, tmp_path_factory) -> RunPaths:
    return scored_run(tmp_path_factory.mktemp("run"), LIBRARY, SUBMITTED)


@pytest.fixture(scope="module")
def verdicts(run) -> dict[str, dict]:
    """By the name of the method."""
    known = Ledger(run.ledger).verdicts
    return {name: known[submission] for name, submission in NAMES.items()}


def copied(run: RunPaths, folder) -> RunPaths:
    shutil.copytree(run.root, folder / run.name)
    return RunPaths(folder / run.name)


# -- what a verdict holds for the operator ------------------------------------------------------------------------------


def test_figures_by_draw_have_the_pgr_and_the_lift_as_their_means(verdicts):
    for name in ("first", "worse", "noisy"):
        one = verdicts[name]
        assert one["status"] == "scored" and len(one["pgr_by_draw"]) == len(one["lift_by_draw"]) == one["draws"]
        assert np.mean(one["pgr_by_draw"]) == pytest.approx(one["pgr"], abs=1e-4)
        assert np.mean(one["lift_by_draw"]) == pytest.approx(one["lift"], abs=1e-4)
    assert verdicts["first"]["draws"] == 3 and len(set(verdicts["first"]["pgr_by_draw"])) > 1


def test_a_comparison_is_kept_with_its_figures_and_they_say_the_same_as_its_words(verdicts):
    worse, first = verdicts["worse"], verdicts["first"]
    assert worse["best"] and worse["against_best"] == "worse" and worse["over_best_low"] < worse["over_best"] < worse["over_best_high"] < 0
    assert worse["over_parent_high"] < 0
    assert first["best"] is None and first["over_best"] is first["over_best_low"] is first["over_parent_high"] is None


def test_agents_and_the_board_are_told_none_of_these_figures(run, verdicts):
    ledger = Ledger(run.ledger)
    assert OPERATORS <= set(verdicts["worse"]), "the control: the ledger has them"
    published = results_table(ledger) + results_text(ledger, null=False) + json.dumps([agent_view(one) for one in verdicts.values()])
    for name in OPERATORS:
        assert name not in published and not any(name in agent_view(one) for one in verdicts.values())
    exact = [value for one in verdicts.values() for name in OPERATORS if isinstance(one.get(name), list) for value in one[name]]
    exact += [one[name] for one in verdicts.values() for name in OPERATORS if isinstance(one.get(name), float)]
    assert len(exact) > 20 and not [value for value in exact if len(str(value)) > 5 and str(value) in published]


# -- the same again -------------------------------------------------------------------------------------------------------


def test_a_submission_that_is_scored_again_comes_to_exactly_what_the_ledger_has(run, verdicts):
    before = {file: file.stat().st_mtime_ns for file in run.root.rglob("*")}
    for name in ("first", "soft_again", "noisy", "broken", "refused", "copy"):
        known, again = verdicts[name], evaluate_again(run, NAMES[name], "bubblewrap")
        assert again["same"] and again["not_same"] is None and again["status"] == known["status"], (name, again)
        assert again.get("pgr") == again["ledger_pgr"] == known["pgr"]
        assert (again["submission"], again["commit"], again["rung"]) == (NAMES[name], known["commit"], known["rung"])
        if known["status"] == "scored":
            assert again["pgr_by_draw"] == known["pgr_by_draw"] and again["accuracy_where_teacher_wrong"] == known["accuracy_where_teacher_wrong"]
    assert {file: file.stat().st_mtime_ns for file in run.root.rglob("*")} == before, "nothing in the run's folder has changed"


def test_the_same_in_a_process_of_its_own_and_what_is_not_there_is_one_clear_line(run, verdicts):
    assert evaluate_submission(run, NAMES["noisy"], "bubblewrap")["pgr"] == verdicts["noisy"]["pgr"]
    with pytest.raises(UserError, match="s0099 has no verdict in run first: see `python aar.py scores first`"):
        evaluate_submission(run, "s0099", "bubblewrap")


def test_a_method_that_answers_by_chance_is_told_from_one_that_repeats(run, verdicts):
    assert verdicts["chance"]["status"] == "scored"
    again = evaluate_again(run, NAMES["chance"], "bubblewrap")
    assert not again["same"] and "does not do the same twice" in again["not_same"]


def test_where_the_task_is_another_one_by_now_that_is_why_figures_differ(run, verdicts, tmp_path):
    other = copied(run, tmp_path)
    lines = [json.loads(line) for line in other.ledger.read_text().splitlines()]
    changed = [{**line, "accuracy": 0.5, "weak_accuracy": 0.4} if line.get("submission") == "s0001" and "pgr" in line else line for line in lines]
    other.ledger.write_text("".join(json.dumps(line) + "\n" for line in changed))
    assert "prepared anew" in evaluate_again(other, "s0001", "bubblewrap")["not_same"]


def test_without_the_secret_of_the_run_nothing_is_scored_again_and_no_secret_is_made(run, tmp_path):
    other = copied(run, tmp_path)
    (other.evaluator / "secret").unlink()
    before = {file: file.stat().st_mtime_ns for file in other.root.rglob("*")}
    for again in (lambda: evaluate_submission(other, NAMES["first"], "bubblewrap"), lambda: paired_differences(other, NAMES["first"], ["s0003"])):
        with pytest.raises(UserError, match="run first has no secret here") as told:
            again()
        assert "\n" not in str(told.value)
    assert {file: file.stat().st_mtime_ns for file in other.root.rglob("*")} == before, "nothing was written"


def test_a_null_run_is_repeated_with_its_own_shuffled_labels(home, tmp_path):
    null = scored_run(tmp_path, LIBRARY, {"smooth": SOFT}, null=True)
    again = evaluate_again(null, "s0001", "bubblewrap")
    assert again["same"] and again["null"] and again["pgr"] == again["ledger_pgr"]
    assert abs(again["weak_accuracy"] - 0.5) < 0.05, "its teachers know nothing"


# -- differences ------------------------------------------------------------------------------------------------------------


def test_the_paired_difference_is_that_of_the_figures_and_its_interval_is_narrower_than_theirs(run, verdicts):
    rows = {row["submission"]: row for row in paired_differences(run, NAMES["soft_again"], list(NAMES.values())[2:])}
    assert set(rows) == {NAMES[name] for name in ("worse", "noisy", "copy", "chance")}, "what was not scored has no predictions"
    winner = verdicts["soft_again"]
    noisy, worse, copy = (rows[NAMES[name]] for name in ("noisy", "worse", "copy"))
    assert noisy["draws"] == winner["draws"] and noisy["difference"] == pytest.approx(winner["pgr"] - verdicts["noisy"]["pgr"], abs=1e-5)
    assert noisy["low"] < noisy["difference"] < noisy["high"] and noisy["high"] - noisy["low"] < winner["pgr_high"] - winner["pgr_low"]
    assert worse["low"] > 0 and worse["draws"] == min(winner["draws"], verdicts["worse"]["draws"])
    assert copy["difference"] == pytest.approx(winner["pgr"] - verdicts["first"]["pgr"], abs=1e-5), "a copy has the predictions of the first"
    assert paired_differences(run, NAMES["first"], []) == []


def test_what_cannot_be_compared_is_told_in_one_line(run, tmp_path):
    with pytest.raises(UserError, match="s0005 is not a scored submission"):
        paired_differences(run, NAMES["broken"], ["s0001"])
    other = copied(run, tmp_path)
    kept = other.evaluator / "predictions" / "s0001.npy"
    np.save(kept, np.load(kept)[:, :, ::-1])  # as those of other items would be
    with pytest.raises(UserError, match="task smoke was prepared anew since run first"):
        paired_differences(other, "s0001", ["s0003"])
    kept.unlink()
    with pytest.raises(UserError, match="keeps no predictions of s0001"):
        paired_differences(other, "s0001", ["s0003"])


# -- the library ------------------------------------------------------------------------------------------------------------


def test_a_finalist_is_set_beside_the_method_of_the_library_that_it_is_nearest_to_and_a_control_is_not(run, tmp_path):
    other, sealed = copied(run, tmp_path), []
    open_sealed(other, [NAMES["soft_again"], "--controls", NAMES["first"]], sealed.append)
    finalist, control = sealed
    by_code, by_answers = finalist["nearest_by_code"], finalist["nearest_by_predictions"]
    assert by_code["method"] == "methods/soft.py" and 0.5 < by_code["similarity"] < 1
    assert by_answers["method"] == "methods/soft.py" and by_answers["agreement"] == 1 and by_answers["draws"] == finalist["draws"] == 3
    assert by_answers["pgr"] == finalist["pgr"] and by_answers["over"] == 0, "it is the same method in other words"
    assert control["control"] and "nearest_by_code" not in control and "nearest_by_predictions" not in control
    assert "lift_by_draw" in control


def library_beside(run: RunPaths, task: dict | None = None):
    """The nearest ones of `noisy` on the search draws, and the library that found them."""
    scored = ScoredRun(run)
    if task:
        scored.prepared = Prepared(scored.prepared.task.model_copy(update=task), scored.prepared.folder)
    engine = scored.engine([Slot(0)])
    try:
        library = Library(scored, engine, "search", scored.prepared.search_draws, scored.anchored("search", scored.prepared.search_draws))
        source = scored.source(Ledger(run.ledger).submissions[NAMES["noisy"]])
        predictions = np.load(run.evaluator / "predictions" / f"{NAMES['noisy']}.npy")
        predictions = np.resize(predictions, (3, *predictions.shape[1:]))
        return library.nearest(source.decode(), scan(source, "x.py"), predictions, Slot(0)), library
    finally:
        engine.close()


def test_fine_tuned_students_are_compared_by_code_only(run):
    found, library = library_beside(run, {"student": "finetune"})
    assert found["nearest_by_code"]["method"].startswith("methods/") and found["nearest_by_predictions"] is None and not library._answers


def test_the_nearest_by_answers_is_the_one_that_agrees_most_and_only_that_one_is_run_on_all_draws(run, monkeypatch):
    monkeypatch.setattr("eval.nearest.FIRST_DRAWS", 2)
    found, library = library_beside(run)
    first = {name: answers for (name, rest), answers in library._answers.items() if not rest}
    own = np.resize(np.load(run.evaluator / "predictions" / f"{NAMES['noisy']}.npy"), (3, 484, 2))[:, :, 1] > 0.5
    assert set(first) == {"methods/naive.py", "methods/soft.py", "methods/steps.py"} and {len(one) for one in first.values()} == {2}
    best = max(first, key=lambda name: ((first[name][:, :, 1] > 0.5) == own[:2]).mean())
    assert [name for name, rest in library._answers if rest] == [best]
    everything = np.concatenate([first[best], library._answers[best, True]])
    row = found["nearest_by_predictions"]
    assert row["method"] == best and row["agreement"] == pytest.approx(((everything[:, :, 1] > 0.5) == own).mean(), abs=1e-4)
    assert row["draws"] == 3 and row["pgr"] is not None and row["over_low"] <= row["over"] <= row["over_high"]


def test_a_run_whose_base_has_no_methods_has_nothing_to_compare_with(home, run, tmp_path):
    other = copied(run, tmp_path)
    text = other.toml.read_text()
    base = text.split('base = "')[1][:40]
    other.toml.write_text(text.replace(base, "0" * 40))
    assert library_beside(other)[0] == {"nearest_by_code": None, "nearest_by_predictions": None}
