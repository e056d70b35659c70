"""The first screen of a report says what the files say: the best, whether it can be believed, what it cost, what next."""

import json
import shlex
import shutil
import subprocess
from pathlib import PurePosixPath

import pytest
from filelock import FileLock

from state.files import append_jsonl
from state.paths import RunPaths
from state.record import read_record
from tests.view.big import make_big_run
from tests.view.made import add, make_run, verdict
from view.report.headline import headline, winner
from view.report.page import render as page_of
from view.report.panel import main_facts
from view.report.tables import sealed_section
from view.report.yardstick import _search_curves, library_figures, yardstick


@pytest.fixture
def paths(tmp_path, monkeypatch):
    monkeypatch.setenv("AAR_HOME", str(tmp_path / "home"))
    return make_run(tmp_path)


def verified(paths, *sealed):
    paths.evaluator.mkdir(exist_ok=True)
    for one in sealed:
        append_jsonl(paths.evaluator / "sealed.jsonl", {"rung": "sealed", "draws": 16, "openings": 3, "control": False, **one})
    append_jsonl(paths.ledger, {"kind": "event", "event": "sealed-opening", "agent": None, "detail": ", ".join(one["submission"] for one in sealed), "time": "2026-11-23T15:00:00Z"})
    (paths.board / "verification.md").write_text("# Sealed verification\n")


def marks(paths, public=False):
    return {one["text"]: one["mark"] for one in headline(read_record(paths, public))["believe"]}


def mark(paths, words):
    [found] = [value for text, value in marks(paths).items() if words in text]
    return found


def test_a_run_without_a_verdict_has_no_best_and_says_how_to_see_why(paths):
    found = headline(read_record(paths))
    assert found["best"] is None and found["figures"] == found["believe"] == []
    assert "aar.py log first" in found["next"][0]["command"]


def test_before_verification_nothing_says_that_it_is_verified_and_next_comes_verify(paths):
    add(paths, verdict("s0001", pgr=0.6))
    found = headline(read_record(paths))
    assert mark(paths, "not verified") == "unknown" and not any("sealed" in one["label"] for one in found["figures"])
    assert any(one["command"] == "python aar.py verify first" for one in found["next"])


def test_sealed_figures_come_first_once_the_run_is_closed(paths):
    add(paths, verdict("s0001", pgr=0.6))
    verified(paths, verdict("s0001", pgr=0.5, recipe_pgr=0.55, recipe_pgr_low=0.5, recipe_pgr_high=0.6, recipe_ceiling_accuracy=0.8))
    found = headline(read_record(paths))
    assert [one["label"] for one in found["figures"][:3]] == ["PGR, sealed", "lift over tuned naive, sealed", "PGR against its own recipe's ceiling"]
    assert found["figures"][0]["value"] == "0.50 [0.45, 0.55]" and "opening 3" in found["figures"][0]["note"]
    assert any("finalize first s0001" in one["command"] for one in found["next"]) and not any("verify" in one["command"] for one in found["next"])


def test_the_page_of_an_opened_run_says_whose_figures_it_shows_and_where_the_sealed_part_was_opened(paths):
    add(paths, verdict("s0001", pgr=0.6))
    verified(paths, verdict("s0001", pgr=0.5))

    def told():
        record = read_record(paths)
        return json.dumps([headline(record), sealed_section(record)]), page_of(record, {})

    mine, page = told()
    assert "this task's sealed part on this machine" in mine and "opened 3 times here" in mine and "sender" not in mine + page
    (paths.root / "opened.json").write_text("{}")
    theirs, page = told()
    assert "on this machine" not in theirs and "times here" not in theirs and "opening 3 of this task's sealed part there" in theirs
    assert "<b>Opened from a bundle: figures as its sender gave them.</b>" in page
    assert mark(paths, "opened from a bundle: figures as its sender gave them") == "unknown"


@pytest.mark.parametrize(("lift_low", "expected"), [(0.01, "yes"), (0.0, "no"), (-0.2, "no")])
def test_a_lift_holds_only_where_its_sealed_lower_bound_is_above_zero(paths, lift_low, expected):
    add(paths, verdict("s0001", pgr=0.6))
    verified(paths, verdict("s0001", pgr=0.5, lift_low=lift_low))
    assert mark(paths, "on the sealed part: ") == expected


@pytest.mark.parametrize(("pgr", "expected"), [(0.6, "unknown"), (0.1, "no"), (0.9, "yes")])
def test_what_the_winner_owed_to_selection_is_told_only_beyond_what_the_intervals_allow(paths, pgr, expected):
    add(paths, verdict("s0001", pgr=0.6))
    add(paths, verdict("s0002", pgr=0.5))
    verified(paths, verdict("s0001", pgr=pgr), verdict("s0002", pgr=0.52, control=True))
    assert mark(paths, "from public to sealed") == expected


def test_without_controls_it_is_said_that_nothing_is_told_of_selection(paths):
    add(paths, verdict("s0001", pgr=0.53))
    verified(paths, verdict("s0001", pgr=0.28))
    assert mark(paths, "without controls it cannot be told") == "unknown"


@pytest.mark.parametrize(("over", "low", "expected"), [(0.02, -0.01, "unknown"), (0.1, 0.02, "yes"), (-0.01, -0.1, "no")])
def test_whether_the_winner_is_better_than_the_known_method_that_answers_most_like_it_is_among_the_checks(paths, over, low, expected):
    add(paths, verdict("s0001", pgr=0.6))
    near = {"method": "methods/confident.py", "agreement": 0.9, "over": over, "over_low": low, "over_high": 0.2}
    verified(paths, verdict("s0001", pgr=0.5, nearest_by_predictions=near))
    assert mark(paths, "confident.py, whose answers are nearest") == expected


def test_a_library_that_was_not_scored_is_told_with_its_remedy_but_not_to_agents_while_they_submit(paths):
    add(paths, verdict("s0001", pgr=0.6))
    assert not any("the library was not scored" in text for text in marks(paths, public=True))
    assert mark(paths, "the library was not scored here") == "unknown"
    verified(paths, verdict("s0001", pgr=0.5))
    assert any(one["command"] == "python aar.py baselines reviews" for one in headline(read_record(paths))["next"])


def test_what_was_asked_for_is_not_called_the_best_and_no_figure_without_luck_is_above_its_own(paths):
    for number in range(1, 9):
        add(paths, verdict(f"s{number:04d}", pgr=0.1 * number))
    record = read_record(paths)
    found = [one["note"] for one in headline(record)["figures"] if one["label"] == "PGR, public"]
    assert found[0].startswith("the best of 8: 0.") and found[0].endswith("shrunk towards the others")
    assert any("luck taken off" in label for label, _ in main_facts(record.verdicts["s0008"], 0.7))
    assert not any("luck taken off" in label for label, _ in main_facts(record.verdicts["s0002"], 0.2)), "nothing was taken off"
    verified(paths, verdict("s0002", pgr=0.1))
    assert "asked for by its name, not chosen for this figure" in [one["note"] for one in headline(read_record(paths))["figures"]]


def test_of_a_leader_that_was_not_verified_and_another_that_was_the_verified_one_speaks(paths):
    add(paths, verdict("s0001", pgr=0.6))
    add(paths, verdict("s0002", pgr=0.7))
    verified(paths, verdict("s0001", pgr=0.5), verdict("s0002", pgr=0.9, control=True))
    public, sealed = winner(read_record(paths))
    assert (public["submission"], sealed["submission"]) == ("s0001", "s0001"), "a control is no finalist"


def test_a_verification_that_was_cut_off_is_told_and_its_figures_are_not(paths):
    add(paths, verdict("s0001", pgr=0.6))
    verified(paths, verdict("s0001", pgr=0.23))
    (paths.board / "verification.md").unlink()
    for public in (False, True):
        record = read_record(paths, public)
        found, section = headline(record), sealed_section(record)
        assert found["state"] == "verification cut off" and mark(paths, "not verified") == "unknown"
        assert not any("sealed" in one["label"] for one in found["figures"]) and "0.23" not in json.dumps([found, section])
        assert [one["command"] for one in found["next"] if "verify" in one["command"] or "resume" in one["command"]] == ["python aar.py verify first s0001"]
        assert "was cut off: `python aar.py verify first s0001` completes it" in section["intro"]
    with FileLock(paths.lock):
        record = read_record(paths)
        found, section = headline(record), sealed_section(record)
        assert found["state"].startswith("being verified, as of 15:00:00 UTC"), "somebody is at it"
        assert "is being verified just now" in section["intro"]
        assert not any("verify" in one["command"] or "resume" in one["command"] for one in found["next"])
        assert "python aar.py status first --watch" in [one["command"] for one in found["next"]]


def test_the_git_command_of_a_run_that_was_opened_under_another_name_works_from_the_projects_top(tmp_path, monkeypatch):
    monkeypatch.setenv("AAR_HOME", str(tmp_path / "home"))
    made = make_big_run(tmp_path, submissions=12, sealed=False, paid=False, transfer=False, hostile=False)
    made.root.rename(made.root.with_name("zz"))
    zz = RunPaths(made.root.with_name("zz"))
    (zz.root / "opened.json").write_text("{}")
    commands = [one["command"] for one in headline(read_record(zz))["next"]]
    [git] = [command for command in commands if command.startswith("git ")]
    assert "The base of the run" not in (log := subprocess.run(shlex.split(git), cwd=tmp_path, capture_output=True, text=True, check=True).stdout)
    assert log.startswith("commit ") and not any("verify" in command or "resume" in command for command in commands), "it can only be read"


def test_the_flags_of_the_winner_are_told_beside_those_of_the_others(paths):
    add(paths, verdict("s0001", pgr=0.6))
    assert mark(paths, "no audit flagged it") == "yes"
    add(paths, verdict("s0002", pgr=0.5, flags=["near-duplicate"]))
    add(paths, verdict("s0003", pgr=0.9, flags=["executes-data"], track="disqualified"))
    assert marks(paths)["no audit flagged it; of the others 2 were flagged, 1 disqualified"] == "yes"


def test_the_nearest_of_the_library_is_told_by_code_and_by_answers_or_why_not(tmp_path, paths):
    def nearest(paths):
        return [(one["label"].partition(", ")[2], one["value"], one["note"]) for one in headline(read_record(paths))["figures"] if one["label"].startswith("nearest")]

    add(paths, verdict("s0001", pgr=0.6))
    assert [(what, value) for what, value, _ in nearest(paths)] == [("by code", "n/a"), ("by answers", "n/a")]
    assert nearest(paths)[1][2] == "compared once it is verified on the sealed part"
    near = {"nearest_by_code": {"method": "methods/confident.py", "similarity": 0.61}, "nearest_by_predictions": None}
    verified(paths, verdict("s0001", pgr=0.5, **near))
    assert nearest(paths)[0] == ("by code", "confident.py", "61% of its code") and nearest(paths)[1][2].startswith("not compared: ")
    big = nearest(make_big_run(tmp_path / "big", submissions=30, paid=False, transfer=False, hostile=False))
    assert big[0][1].endswith(".py") and big[1] == ("by answers", "soft.py", "93% of its answers")


def test_a_flag_a_missing_wall_and_shuffled_labels_are_told_as_no(tmp_path, monkeypatch):
    monkeypatch.setenv("AAR_HOME", str(tmp_path / "home"))
    bare = make_run(tmp_path, isolation="none")
    bare.toml.write_text("null = true\n" + bare.toml.read_text())
    add(bare, verdict("s0001", pgr=0.6, flags=["uses-odd-things"], permuted_pgr=0.55))
    found = marks(bare)
    assert sum(value == "no" for value in found.values()) >= 4, found
    assert found["flagged: uses-odd-things"] == "no" and found["with shuffled teachers it gets PGR 0.55: it hardly needs its teacher"] == "no"
    assert any("ISOLATION: NONE" in stamp for stamp in headline(read_record(bare))["stamps"])


def test_a_winner_no_better_than_the_library_is_told_so_and_only_to_who_may_know(tmp_path, monkeypatch):
    monkeypatch.setenv("AAR_HOME", str(tmp_path / "home"))
    paths = make_big_run(tmp_path, submissions=12, sealed=False, paid=False, transfer=False, hostile=False)
    known = PurePosixPath(next(iter(read_record(paths).base_methods()))).name
    folder = tmp_path / "home" / "tasks" / "reviews"
    folder.mkdir(parents=True)
    row = {key: value for key, value in verdict("", pgr=0.9).items() if key not in ("submission", "agent")}
    append_jsonl(folder / "baselines.jsonl", {**row, "method": known, "draws": list(range(8))})
    assert mark(paths, f"no better than the library's {known}") == "no"
    assert not any(known in text for text in marks(paths, public=True)), "agents would be told more than is counted"
    assert library_figures(read_record(paths, public=True)) == []


def test_the_search_yardstick_is_taken_at_equal_evaluations(paths):
    search = make_run(paths.root.parents[2], "other")
    for number, pgr in enumerate((0.3, 0.5, 0.8), 1):
        add(search, verdict(f"s{number:04d}", pgr=pgr))
    for number in (1, 2):
        add(paths, verdict(f"s{number:04d}", pgr=0.6))
    found = yardstick(read_record(paths))
    assert found["pgr"] == 0.5 and found["evaluations"] == 2 and found["runs"] == ["other"]
    shown = next(one for one in headline(read_record(paths))["figures"] if one["label"] == "search yardstick")
    assert shown["value"] == "0.50 [0.45, 0.55]" and shown["note"].startswith("the best of the search run other after")
    third = make_run(paths.root.parents[2], "third")
    for number in (1, 2):
        add(third, verdict(f"s{number:04d}", pgr=0.2 * number))
    _search_curves.cache_clear()
    shown = next(one for one in headline(read_record(paths))["figures"] if one["label"] == "search yardstick")
    assert shown["value"] == "0.45" and "the median of the bests of 2 search runs (other 0.50 [0.45, 0.55], third 0.40 [" in shown["note"]


def test_a_run_is_no_yardstick_of_its_own_copy_and_a_copied_yardstick_counts_once(paths):
    search = make_run(paths.root.parents[2], "other")
    for run in (search, paths):
        add(run, verdict("s0001", pgr=0.6))
    shutil.copytree(search.root, search.root.with_name("other-again"))
    shutil.copytree(paths.root, paths.root.with_name("copy"))
    (paths.root.with_name("copy") / "opened.json").write_text("{}")
    assert len(yardstick(read_record(paths))["runs"]) == 1
    assert yardstick(read_record(RunPaths(paths.root.with_name("copy"))))["runs"] == ["other"], "without the run that it is a copy of"


def test_costs_are_those_of_the_files(paths):
    add(paths, verdict("s0001", pgr=0.5))
    for number, dollars in enumerate((0.5, 1.5)):
        append_jsonl(paths.spend, {"kind": "settled", "call": f"c{number}", "agent": "agent-1", "model": "m", "dollars": dollars, "input_tokens": 900,
                                   "cache_read_tokens": 0, "cache_write_tokens": 0, "output_tokens": 100, "time": "2026-11-23T13:00:10Z"})  # fmt: skip
    shown = {one["label"]: one["value"] for one in headline(read_record(paths))["cost"]}
    assert shown["models"] == "$2.00" and shown["a verdict"] == "$2.00" and shown["each .01 of PGR"] == "$0.04" and shown["tokens"] == "2,000"


def test_it_is_json_with_nothing_but_texts(paths):
    add(paths, verdict("s0001", pgr=0.5, agent="agent-1\x1b[2J", method="methods/\u202ex.py"))
    text = json.dumps(headline(read_record(paths)), ensure_ascii=False)
    assert "\x1b" not in text and "\u202e" not in text


def test_when_the_sealed_part_is_opened_again_for_another_submission_the_first_screen_counts_that_too(paths):
    add(paths, verdict("s0001", pgr=0.6))
    add(paths, verdict("s0002", pgr=0.5))
    verified(paths, {**verdict("s0001", pgr=0.5), "openings": 1})
    assert mark(paths, "opened for the first time here") == "yes"
    verified(paths, {**verdict("s0002", pgr=0.4), "openings": 2})
    assert mark(paths, "was opened 2 times here") == "unknown"
