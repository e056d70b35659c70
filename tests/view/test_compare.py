"""Comparisons of runs: who are replicates, what can be told, what is said first, and the page."""

import html
import json
import re
import shutil

import pytest

from state.errors import UserError
from state.files import append_jsonl
from state.paths import RunPaths
from state.record import read_record
from tests.view.browser import chromium, visit  # noqa: F401
from tests.view.made import HOSTILE, add, commit_of, make_run, verdict, write_state
from view.compare import compare_facts, compare_text, split_sides
from view.compare_page import render_compare, write_compare
from view.opened import GIVEN
from view.recipes import recipe

SCALE = {"weak_accuracy": 0.6, "ceiling_accuracy": 0.8, "independent_items": 500.0}
PROMPT = "prompts/researcher.md"


DISQUALIFIED = {"track": "disqualified", "flags": ["executes-data"]}
CRASHED = {"status": "crashed", "pgr": None, "pgr_low": None, "pgr_high": None, "lift": None}


def flat(text):
    """Without line breaks: what is folded at 80 columns is still one sentence."""
    return " ".join(text.split())


def make(
    folder, name, sealed=0.5, pgrs=(0.3, 0.5), openings=1, prompt="a" * 64, top="", seed=None, scale=None, text="be bold\n", winner=(), **changes
):
    """A finished run: submissions with these PGRs, the last one verified with `sealed` (None: not verified). `changes`: lines of run.toml
    that are replaced, by their keys; `top`: lines before the agents; `scale`: what another machine would have prepared; `winner`: what
    else the sealed verdict of the winner holds."""
    paths = make_run(folder, name)
    toml = paths.toml.read_text()
    changes |= {"seed": len(name) + sum(map(ord, name)) if seed is None else seed}
    for key, value in changes.items():
        toml = re.sub(rf"(?m)^{key} = .*$", f"{key} = {json.dumps(value)}", toml)
    toml = toml.replace("[[agents]]", f"{top}\n[[agents]]", 1) + f'[prompts]\n"{PROMPT}" = "{prompt}"\n'
    paths.toml.write_text(toml)
    (paths.board / "prompts").mkdir()
    (paths.board / PROMPT).write_text(text)
    for number, pgr in enumerate(pgrs, 1):
        add(paths, verdict(f"s{number:04d}", pgr=pgr, **{**SCALE, **(scale or {})}))
    write_state(paths, "finished")
    if sealed is not None:
        paths.evaluator.mkdir()
        for control in (True, False):  # the control is better, and must not speak for the run
            one = verdict(f"s{1 if control else len(pgrs):04d}", pgr=sealed + 0.3 * control, rung="sealed", draws=16, control=control, openings=openings)
            append_jsonl(paths.evaluator / "sealed.jsonl", {**one, **SCALE, **(scale or {}), **({} if control else dict(winner))})
        append_jsonl(paths.ledger, {"kind": "event", "event": "sealed-opening", "agent": None, "detail": "", "time": "2026-11-23T14:00:00Z"})
        (paths.board / "verification.md").write_text("opened\n")
    return read_record(paths)


def replicas(folder, side, sealed, **changes):
    return [make(folder, f"{side}{number}", value, **changes) for number, value in enumerate(sealed, 1)]


def two_sides(folder, first=(0.50, 0.52, 0.51), second=(0.60, 0.62, 0.61), **changes):
    return [*replicas(folder, "a", first), *replicas(folder, "b", second, **{"prompt": "b" * 64, "text": "be careful\n", **changes})]


def names(facts):
    return {side["name"]: side["runs"] for side in facts["sides"]}


def test_runs_with_the_same_recipe_are_replicates_of_one_side_whatever_order_they_are_named_in(tmp_path):
    a1, a2, a3, b1, b2, b3 = two_sides(tmp_path)
    facts = compare_facts([a1, b1, b2, a2, b3, a3])
    assert names(facts) == {"A": ["a1", "a2", "a3"], "B": ["b1", "b2", "b3"]}
    assert [row["key"] for row in facts["differences"]] == [PROMPT]


def test_the_better_side_is_named_with_its_interval_over_runs_and_the_number_of_runs(tmp_path):
    facts = compare_facts(two_sides(tmp_path))
    assert facts["pairs"][0]["better"] == "B"
    assert facts["answers"] == ["B is better than A: +0.10 [+0.08, +0.12] sealed PGR of the winner over 3 and 3 runs"]
    assert flat(compare_text(facts)).endswith(facts["answers"][0])


@pytest.mark.parametrize("winner", [DISQUALIFIED, {"track": "elicitation", "flags": ["needs-no-teacher"]}, {"flags": ["executes-data"]}, CRASHED,
                                    {"status": "timeout", "pgr": None}, {"pgr": None, "pgr_low": None, "pgr_high": None}])  # fmt: skip
@pytest.mark.parametrize("which", [("b2",), ("b1", "b2", "b3")])
def test_winners_without_a_valid_sealed_figure_never_make_a_side_better(tmp_path, winner, which):
    found = replicas(tmp_path, "a", (0.50, 0.52, 0.51))
    pgrs = {"b1": 0.80, "b2": 0.82, "b3": 0.81}
    found += [make(tmp_path, name, pgr, prompt="b" * 64, winner=winner if name in which else ()) for name, pgr in pgrs.items()]
    facts = compare_facts(found)
    pair, answer = facts["pairs"][0], facts["answers"][0]
    assert facts["primary"] == "sealed_pgr" and pair["better"] is None and answer.startswith("cannot tell A from B")
    assert f"no verdict, because of {', '.join(which)} (no valid sealed figure)" in answer
    for name in which:
        assert any(words.startswith(f"{name}: its winner s0002") and "no verdict rests on it" in words for words in facts["problems"])
    kept = {run["run"]: run["figures"] for run in facts["runs"]}
    assert all(("sealed_pgr" in figures) == ("sealed_lift" in figures) == (name not in which) for name, figures in kept.items())
    assert "no valid figure" in compare_text(facts) and answer.partition(": ")[2] in html.unescape(render_compare(facts))


def test_why_a_winner_has_no_valid_figure_is_said(tmp_path):
    facts = compare_facts([make(tmp_path, "a1", winner=DISQUALIFIED), make(tmp_path, "b1", winner=CRASHED, prompt="b" * 64)])
    found = " / ".join(facts["problems"])
    assert "a1: its winner s0002 is disqualified on the sealed part (executes-data)" in found
    assert "b1: its winner s0002 failed on the sealed part (crashed)" in found


def test_a_failed_winner_gives_no_verdict_for_the_other_side_either_nor_against_a_third(tmp_path):
    found = two_sides(tmp_path)
    found += [make(tmp_path, f"c{at}", pgr, prompt="c" * 64, winner=DISQUALIFIED if at == 1 else ()) for at, pgr in enumerate((0.9, 0.1, 0.12), 1)]
    facts = compare_facts(found)
    told = {(pair["first"], pair["second"]): pair["better"] for pair in facts["pairs"]}
    assert told == {("A", "B"): "B", ("A", "C"): None, ("B", "C"): None}
    assert facts["pairs"][0]["adjusted_p"] == pytest.approx(3 * facts["pairs"][0]["differences"]["sealed_pgr"]["p"])  # of three pairs still


def test_a_near_duplicate_of_its_own_runs_work_may_speak_for_it(tmp_path):
    facts = compare_facts(two_sides(tmp_path, winner={"flags": ["near-duplicate"]}))
    assert facts["pairs"][0]["better"] == "B"


def test_what_is_primary_does_not_depend_on_how_the_sealed_part_came_out(tmp_path):
    found = two_sides(tmp_path)
    found[-1] = make(tmp_path / "again", "b3", 0.61, prompt="b" * 64, winner=CRASHED)
    facts = compare_facts(found)
    assert facts["primary"] == "sealed_pgr"
    assert facts["means"]["B"]["sealed_pgr"]["runs"] == 2 and facts["pairs"][0]["differences"]["sealed_pgr"]["value"] == pytest.approx(-0.1)
    assert "sealed PGR of the winner over 3 and 2 runs; no verdict, because of b3" in facts["answers"][0]


@pytest.mark.parametrize(("change", "words"), [({"top": "null = true"}, "null run"), ({"isolation": "none"}, "ran without isolation"),
                                               ({"winner": {"null": True}}, "null run"), ({"winner": {"isolation": "none"}}, "ran without isolation")])  # fmt: skip
@pytest.mark.parametrize("sealed", [True, False])
def test_a_null_run_or_one_without_walls_never_leads_to_a_better_side(tmp_path, change, words, sealed):
    found = []
    for side, values in (("a", (0.50, 0.52, 0.51)), ("b", (0.80, 0.82, 0.81))):
        for at, value in enumerate(values, 1):
            more = change if (side, at) == ("b", 2) else {}
            found.append(make(tmp_path, f"{side}{at}", value, (0.1, value, value), **more))
    if not sealed:  # then by a public measure
        found.append(make(tmp_path, "a4", None, (0.1, 0.5, 0.5)))
    facts = compare_facts(found, [[one.name for one in found if one.name[0] == side] for side in "ab"])
    assert facts["primary"] == ("sealed_pgr" if sealed else "area_evaluations")
    assert facts["pairs"][0]["better"] is None and f"no verdict, because of b2 ({words})" in facts["answers"][0]
    assert len(facts["stamps"]) == 1


def test_a_difference_that_does_not_outlive_the_openings_of_the_sealed_part_is_no_verdict(tmp_path):
    sides = (0.47, 0.50, 0.53), (0.57, 0.60, 0.63)
    once = compare_facts(two_sides(tmp_path / "once", *sides))
    often = compare_facts([*replicas(tmp_path, "a", sides[0]), *replicas(tmp_path, "b", sides[1], prompt="b" * 64, openings=60)])
    assert once["pairs"][0]["better"] == "B" and often["pairs"][0]["better"] is None
    assert often["pairs"][0]["differences"]["sealed_pgr"]["p"] == once["pairs"][0]["differences"]["sealed_pgr"]["p"] < 0.05
    assert often["answers"][0].startswith(
        "cannot tell A from B after 60 openings of the sealed part: plain interval -0.10 [-0.17, -0.03], corrected [-0.3"
    )
    assert often["pairs"][0]["tellable"] > 2 * once["pairs"][0]["tellable"] and often["pairs"][0]["needed"] > once["pairs"][0]["needed"]


def test_a_public_verdict_is_called_public_and_needs_no_correction_for_openings(tmp_path):
    found = [make(tmp_path, f"a{at}", 0.5, (pgr, pgr), openings=60) for at, pgr in enumerate((0.47, 0.50, 0.53), 1)]
    found += [make(tmp_path, f"b{at}", None, (pgr, pgr), prompt="b" * 64) for at, pgr in enumerate((0.67, 0.70, 0.73), 1)]
    facts = compare_facts(found)
    assert facts["looks"] == 60 and facts["pairs"][0]["better"] == "B"
    assert re.fullmatch(r"B is better than A: \+0\.10 \[.*\] public area, 2 evaluations, over 3 and 3 runs", facts["answers"][0])
    close = compare_facts([*found[:3], make(tmp_path, "c1", None, (0.5, 0.5), prompt="c" * 64)])
    assert close["answers"][0].startswith("cannot tell") and "public area" in close["answers"][0]


def test_what_differs_from_run_to_run_is_in_the_interval(tmp_path):
    # The same means as above, and the same intervals of each figure, but the runs of a side differ by more.
    facts = compare_facts(two_sides(tmp_path, (0.35, 0.52, 0.66), (0.45, 0.62, 0.76)))
    one = facts["pairs"][0]["differences"]["sealed_pgr"]
    assert one["value"] == pytest.approx(-0.1) and one["low"] < -0.3 and one["high"] > 0.1
    assert facts["pairs"][0]["better"] is None
    assert re.search(r"cannot tell A from B: -0.10 .* these runs could tell 0\.\d\d .* about \d+ more runs a side", facts["answers"][0])


@pytest.mark.parametrize("second", [(0.9,), (0.9, 0.91)])
def test_one_run_on_a_side_never_yields_a_verdict_and_says_why_beside_its_figures(tmp_path, second):
    facts = compare_facts(two_sides(tmp_path, (0.1,), second))
    assert facts["pairs"][0]["better"] is None
    assert "what differs between two runs of the same prompt is not known, so this cannot tell" in facts["answers"][0]
    assert ("one run a side" in facts["answers"][0]) == (len(second) == 1)
    assert "0.10 [0.05, 0.15]" in compare_text(facts)


def test_a_control_never_speaks_for_its_run(tmp_path):
    facts = compare_facts(two_sides(tmp_path))
    assert {run["winner"] for run in facts["runs"]} == {"s0002"}
    assert facts["means"]["A"]["sealed_pgr"]["value"] == pytest.approx(0.51)


def test_of_several_finalists_the_one_that_led_in_public_speaks_not_the_one_with_the_best_sealed_figure(tmp_path):
    a, b = make(tmp_path, "a1", 0.4, (0.3, 0.5, 0.6)), make(tmp_path, "b1", 0.4, prompt="b" * 64)
    append_jsonl(a.paths.evaluator / "sealed.jsonl", {**verdict("s0002", pgr=0.9, rung="sealed", draws=16, control=False, openings=1), **SCALE})
    facts = compare_facts([read_record(a.paths), b])
    assert facts["runs"][0]["winner"] == "s0003" and facts["runs"][0]["figures"]["sealed_pgr"]["value"] == 0.4


def test_runs_on_different_tasks_are_refused_in_one_line(tmp_path):
    with pytest.raises(UserError, match=r"^a1 is on task reviews and b1 on smoke: [^\n]*$"):
        compare_facts([make(tmp_path, "a1"), make(tmp_path, "b1", task="smoke")])


def test_runs_measured_on_other_draws_get_no_verdict_whatever_their_difference(tmp_path):
    facts = compare_facts(two_sides(tmp_path, scale={"independent_items": 480.0}))
    assert facts["pairs"][0]["better"] is None and "more runs would not help" in facts["answers"][0]
    assert any("b1, b2, b3: measured on other draws" in words for words in facts["problems"])


def test_one_run_is_refused_twice_also_by_the_other_name_of_an_opened_copy(tmp_path):
    a, b = make(tmp_path, "a1"), make(tmp_path, "b1", prompt="b" * 64)
    shutil.copytree(b.paths.root, b.paths.root.with_name("b1-opened"))
    copy = read_record(RunPaths(b.paths.root.with_name("b1-opened")))
    for records, sides in (([a, b, b], None), ([a, b, copy], None), ([a, b, copy], [["a1", "b1"], ["b1-opened"]])):
        with pytest.raises(UserError, match=r"are the same run, b1: a run counts once"):
            compare_facts(records, sides)


def test_of_an_opened_run_it_is_said_whose_figures_they_are_and_no_verification_is_offered(tmp_path):
    a, b = make(tmp_path, "a1"), make(tmp_path, "b1", sealed=None, prompt="b" * 64)
    assert "b1: not verified: `python aar.py verify b1` opens the sealed part and closes it" in compare_facts([a, b])["problems"]
    (b.paths.root / "opened.json").write_text("{}")
    problems = compare_facts([a, b])["problems"]
    assert [words for words in problems if GIVEN in words] == [f"b1: {GIVEN}"] and "b1: not verified" in problems


def test_a_run_whose_limits_were_raised_is_no_replicate_and_that_is_said(tmp_path):
    paid = {"top": "[budget]\ndollars = 5.0\nturns = 40"}
    one, same, raised = (make(tmp_path, name, **paid) for name in ("a1", "a2", "a3"))
    (raised.paths.root / "budget.json").write_text('{"dollars": 999.0}')
    write_state(same.paths, "finished", seconds_limit=600.0)
    facts = compare_facts([one, read_record(same.paths), raised])
    assert names(facts) == {"A": ["a1", "a2"], "B": ["a3"]}
    assert facts["differences"] == [{"key": "budget.dollars", "values": {"A": "5.0", "B": "999.0"}}]
    assert "a3: its budget.dollars was changed by `resume`: 5.0 at the start, 999.0 since" in facts["problems"]
    assert any("were allowed different amounts (budget)" in words for words in facts["problems"])
    write_state(same.paths, "finished", seconds_limit=1234.5)
    longer = compare_facts([one, read_record(same.paths)])
    assert "a2: its seconds_limit was changed by `resume`: 600.0 at the start, 1234.5 since" in longer["problems"]


@pytest.mark.parametrize("text", ["{", "[1]"])
def test_a_budget_that_cannot_be_read_is_refused_in_one_line(tmp_path, text):
    record = make(tmp_path, "a1")
    (record.paths.root / "budget.json").write_text(text)
    with pytest.raises(UserError, match=r"^[^\n]*budget.json [^\n]* writes it anew$"):
        recipe(record)


def test_an_a_a_check_is_grouped_by_commas_and_said_to_be_one(tmp_path):
    found = replicas(tmp_path, "a", (0.50, 0.52, 0.51, 0.53))
    with pytest.raises(UserError, match="the same recipe: .* compare a1, a2,a3,a4` compares them all the same"):
        compare_facts(found)
    order, sides = split_sides(["a1,a2", "a3,a4"])
    facts = compare_facts(found, sides)
    assert names(facts) == {"A": ["a1", "a2"], "B": ["a3", "a4"]} and facts["differences"] == []
    assert "an A/A check" in compare_text(facts) and facts["answers"][0].startswith("cannot tell")


def test_the_command_line_groups_by_commas_or_not_at_all():
    assert split_sides(["a", "b", "c"]) == (["a", "b", "c"], None)
    assert split_sides(["a1,a2", "b1"]) == (["a1", "a2", "b1"], [["a1", "a2"], ["b1"]])
    assert split_sides(["a,", "b"]) == (["a", "b"], [["a"], ["b"]])
    for wrong, words in ((["a"], "two runs at least"), (["a", "a"], "named twice"), (["a1,a2"], "all runs are in one group"), ([], "two runs at least")):
        with pytest.raises(UserError, match=words):
            split_sides(wrong)


def test_sides_that_mix_recipes_are_said_to(tmp_path):
    a1, a2, a3, b1, b2, b3 = two_sides(tmp_path)
    facts = compare_facts([a1, b1, a2, a3], [["a1", "b1"], ["a2", "a3"]])
    assert f"side A was grouped by hand and its runs have different recipes: {PROMPT}" in facts["problems"]


def test_what_is_no_recipe_does_not_part_replicates_and_what_is_does(tmp_path):
    one = make(tmp_path, "a1")
    same = make(tmp_path, "a2", created="2027-01-01T00:00:00Z", base="cd" * 20, dirty=True)
    assert recipe(one) == recipe(same)
    others = {
        "c1": {"seconds_limit": 6000.0}, "c2": {"top": "null = true"}, "c3": {"prompt": "c" * 64}, "c4": {"top": "share_after_seconds = 5.0"},
        "c5": {"top": "[budget]\ndollars = 3.0"}, "c6": {"top": "[model]\neffort = 'low'"}, "c7": {"top": "[news]\nposts = false"},
        "c8": {"direction": "elsewhere"}, "c9": {"isolation": "none"},
    }  # fmt: skip
    assert all(recipe(make(tmp_path, name, **changes)) != recipe(one) for name, changes in others.items())


def test_what_must_be_known_is_named_first(tmp_path):
    runs = [make(tmp_path, "open1", None), make(tmp_path, "dirty1", dirty=True), make(tmp_path, "bare", isolation="none")]
    runs.append(make(tmp_path, "null1", top="null = true"))
    write_state(runs[0].paths, "running")
    runs[0] = read_record(runs[0].paths)
    facts = compare_facts(runs, [["open1", "dirty1"], ["bare", "null1"]])
    found = " / ".join(facts["problems"])
    for words in ("open1: was cut off", "open1: not verified", "dirty1: started from uncommitted changes", "bare: ISOLATION: NONE", "null1: NULL RUN"):
        assert words in found
    text = compare_text(facts)
    assert text.index("problems") < text.index("ISOLATION: NONE") < text.index("sealed PGR")


def test_replicates_of_one_seed_are_said_to_be(tmp_path):
    found = two_sides(tmp_path, seed=7)
    assert [words for words in compare_facts(found)["problems"] if "same seed" in words] == [
        "side B: some of its runs have the same seed and may differ less than runs do"
    ]


def test_code_that_differs_parts_no_sides_but_is_told(tmp_path):
    found = []
    for name, library in (("a1", "naive"), ("a2", "naive"), ("b1", "bold")):
        record = make(tmp_path, name)
        commit = commit_of(record.paths, tmp_path / f"{name}-tree", {"methods/x.py": library, "swarm/x.py": "same", "README.md": name})
        record.paths.toml.write_text(record.paths.toml.read_text().replace("ab12" * 10, commit))
        found.append(read_record(record.paths))
    assert compare_facts(found[:2], [["a1"], ["a2"]])["code"] == []  # other commits, the same code
    with pytest.raises(UserError, match=r"have the same recipe \(only their code differs: methods/\)"):
        compare_facts(found)
    facts = compare_facts(found, [["a1", "a2"], ["b1"]])
    assert facts["code"] == ["methods/"] and "the code they started from: methods/" in compare_text(facts)


def test_where_not_all_are_verified_the_area_is_primary_and_said_to_be_public(tmp_path):
    facts = compare_facts([*two_sides(tmp_path), make(tmp_path, "b4", None, prompt="b" * 64)])
    assert facts["primary"] == "area_evaluations"
    assert any("`public area, 2 evaluations`, since not all runs are verified" in note for note in facts["notes"])


def test_runs_are_cut_to_the_length_of_the_shortest(tmp_path):
    long, short = make(tmp_path, "a1", pgrs=(0.2, 0.4, 0.9, 0.9)), make(tmp_path, "b1", pgrs=(0.3, 0.3), prompt="b" * 64)
    facts = compare_facts([long, short])
    assert facts["ends"]["evaluations"] == 2
    reached = {run["run"]: run["figures"] for run in facts["runs"]}
    assert (reached["a1"]["best_evaluations"]["value"], reached["b1"]["best_evaluations"]["value"]) == (0.4, 0.3)
    assert reached["a1"]["area_evaluations"]["value"] == pytest.approx((0 + 0.2) / 2)
    assert reached["a1"]["evaluations"]["value"] == 4


def test_dollars_are_an_axis_only_where_every_run_spent_some(tmp_path):
    paid = [make(tmp_path, "a1"), make(tmp_path, "b1", prompt="b" * 64)]
    call = {"kind": "settled", "call": "1", "agent": "agent-1", "model": "m", "dollars": 0.5, "time": "2026-11-23T13:30:00Z"}
    append_jsonl(paid[0].paths.spend, call)
    half = compare_facts([read_record(one.paths) for one in paid])
    assert "area_dollars" not in half["runs"][0]["figures"] and half["runs"][0]["figures"]["dollars"]["value"] == 0.5
    append_jsonl(paid[1].paths.spend, {**call, "dollars": 0.25})
    both = compare_facts([read_record(one.paths) for one in paid])
    assert both["ends"]["dollars"] == 0.25 and "area_dollars" in both["runs"][0]["figures"]


def test_intervals_are_corrected_for_all_openings_and_both_are_shown(tmp_path):
    once = compare_facts(two_sides(tmp_path / "once"))
    often = compare_facts(two_sides(tmp_path / "often", openings=40))
    for facts, wider in ((once, False), (often, True)):
        one = facts["runs"][0]["figures"]["sealed_pgr"]
        assert (one["corrected_low"] < one["low"] - 0.01) is wider
    assert "corrected for 40 openings of the sealed part" in often["answers"][0] and "corrected" not in once["answers"][0]
    assert "1 - 0.05 / 40" in flat(compare_text(often))


def test_three_sides_are_judged_by_adjusted_p_values(tmp_path):
    found = [*two_sides(tmp_path), *replicas(tmp_path, "c", (0.63, 0.64, 0.66), prompt="c" * 64)]
    facts = compare_facts(found)
    pairs = [(pair, pair["differences"]["sealed_pgr"]["p"]) for pair in facts["pairs"]]
    p = {(pair["first"], pair["second"]): (plain, pair["adjusted_p"], pair["better"]) for pair, plain in pairs}
    least = min(p.values())
    assert all(adjusted >= plain for plain, adjusted, _ in p.values()) and least[1] == pytest.approx(3 * least[0])
    assert p["A", "B"][2] == "B" and p["A", "C"][2] == "C"
    assert len(facts["answers"]) == 3 and "among 3 pairs" in facts["answers"][0]


def test_a_run_without_a_verdict_is_refused(tmp_path):
    with pytest.raises(UserError, match="run b1 has no verdict yet"):
        compare_facts([make(tmp_path, "a1"), make(tmp_path, "b1", None, (), prompt="b" * 64)])


def test_failures_and_methods_that_never_compete_are_compared_not_hidden(tmp_path):
    bad = make(tmp_path, "b1", None, (), prompt="b" * 64)
    add(bad.paths, verdict("s0001", pgr=None, status="crashed"))
    add(bad.paths, verdict("s0002", pgr=0.9, track="disqualified", flags=["executes-data", "x"]))
    facts = compare_facts([make(tmp_path, "a1"), read_record(bad.paths)])
    found = {key: one["value"] for key, one in facts["runs"][1]["figures"].items()}
    assert (found["failed"], found["disqualified"], found["flags"]) == (0.5, 0.5, 1.0)


@pytest.mark.parametrize("rejected", [("b1",), ("b1", "b2")])
def test_a_run_that_has_nothing_that_competes_is_not_as_good_as_a_teacher(tmp_path, rejected):
    runs = []
    for name in ("a1", "a2", "b1", "b2"):
        runs.append(make(tmp_path, name, None, () if name in rejected else (0.4, 0.5), prompt=name[0] * 64))
        for number in (1, 2) if name in rejected else ():
            add(runs[-1].paths, verdict(f"s{number:04d}", pgr=0.9, track="disqualified", **SCALE))
    facts = compare_facts([read_record(run.paths) for run in runs])
    for run in facts["runs"]:
        assert ("area_evaluations" in run["figures"]) == ("best_evaluations" in run["figures"]) == (run["run"] not in rejected)
    pair, text = facts["pairs"][0], compare_text(facts)
    assert not {key for key in pair["differences"] if key.startswith(("area", "best"))} and pair["better"] is None
    assert f"because of {', '.join(rejected)} (nothing of it competes)" in facts["answers"][0]
    for name in rejected:
        assert any(words.startswith(f"{name} has nothing that competes") for words in facts["problems"])
        row = next(line for line in text.splitlines() if line.startswith(f"| B {name}"))
        assert [cell.strip() for cell in row.strip("|").split("|")[3:5]] == ["n/a", "n/a"]
    assert "is A 0.50, B n/a" in html.unescape(render_compare(facts))


def test_what_competes_later_than_the_cut_has_an_area_from_0_and_no_best_there(tmp_path):
    late = make(tmp_path, "b1", None, (), prompt="b" * 64)
    for number in (1, 2, 3):
        add(late.paths, verdict(f"s{number:04d}", pgr=0.5, track="main" if number == 3 else "disqualified", **SCALE))
    facts = compare_facts([make(tmp_path, "a1", None), read_record(late.paths)])
    found, told = facts["runs"][1]["figures"], facts["pairs"][0]["differences"]
    assert found["area_evaluations"]["value"] == 0.0 and "best_evaluations" not in found
    assert "area_evaluations" in told and "best_evaluations" not in told
    assert any("b1 has nothing that competes among its first 2 evaluations" in words for words in facts["problems"])


@pytest.mark.parametrize("names", [("1128-2305", "1128-2306", "1129-0001", "1129-0002"), ("a-rather-long-name-1", "a2", "another-longer-name", "b2")])
@pytest.mark.parametrize("paid", [False, True])
def test_the_text_fits_eighty_columns_and_its_facts_as_json_are_whole(tmp_path, names, paid):
    # Figures with a sign wherever there may be one, an answer and problems that are long.
    found = [make(tmp_path, name, -0.1 - 0.3 * (at % 2) + 0.03 * at, (-0.2, 0.3 - 0.02 * at), 57, "ab"[at // 2] * 64, dirty=at == 1,
                  winner=DISQUALIFIED if at == 3 else ()) for at, name in enumerate(names)]  # fmt: skip
    if paid:
        call = {"kind": "settled", "call": "1", "agent": "agent-1", "model": "m", "dollars": 123.45, "time": "2026-11-23T13:30:00Z"}
        for record in found:
            append_jsonl(record.paths.spend, call)
        found = [read_record(record.paths) for record in found]
    facts = compare_facts(found)
    text = compare_text(facts)
    assert max(map(len, text.splitlines())) <= 80
    assert len(facts["answers"][0]) > 80 and facts["answers"][0] in flat(text)
    assert all(flat(words) in flat(text) for words in facts["problems"])
    if len(names[0]) < 10:  # then no table has to be parted
        assert text.count("| run ") == 2 and text.count("| mean (sd") == 1
    assert json.loads(json.dumps(facts, allow_nan=False)) == json.loads(json.dumps(facts))


def test_many_sides_are_shown_in_tables_one_below_the_other_that_lack_nothing(tmp_path):
    found = [make(tmp_path, f"{side}{at}", 0.4 + 0.01 * at, prompt=side * 64) for side in "abcdef" for at in (1, 2)]
    text = compare_text(compare_facts(found))
    heads = [line for line in text.splitlines() if line.startswith("| mean (sd")]
    assert max(map(len, text.splitlines())) <= 80 and len(heads) == 2
    assert [cell.strip() for head in heads for cell in head.strip("|").split("|")[1:]] == list("ABCDEF")


def test_the_page_asks_for_nothing_and_shows_the_answer_first_and_the_diff_of_the_prompts(tmp_path):
    facts = compare_facts(two_sides(tmp_path))
    page = html.unescape(render_compare(facts))
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:|//|file:)|url\(\s*["']?(https?:|//)|<script|@import""", page)
    assert "default-src 'none'" in page and re.search(r"color-scheme: ?(light )?dark", page)
    verdict, _, basis = facts["answers"][0].partition(": ")
    assert page.index(f"<strong>{verdict}</strong>") < page.index(basis) < page.index("<figure") < page.index("<table")
    assert '<span class="del">-be bold</span><span class="add">+be careful</span>' in page
    assert page.count('<figure id="chart-compare-') == 3  # outcomes, evaluations, compute; no run spent a dollar


def test_what_others_wrote_reaches_neither_the_page_nor_the_terminal_as_more_than_text(tmp_path):
    found = two_sides(tmp_path, text=f"<script>alert(1)</script> {HOSTILE}\n")
    found.append(make(tmp_path, "b4", 0.61, prompt="b" * 64, text="x", top='[command]\nargv = ["\\u001b[31m<img src=x>"]'))
    facts = compare_facts(found)
    page, text = render_compare(facts), compare_text(facts)
    assert "<script>alert" not in page and "<img src=x" not in page and "&lt;script&gt;alert" in page
    assert "\x1b" not in text and "\x1b" not in page


def test_the_page_is_written_in_one_step_or_refused_in_one_line(tmp_path):
    facts = compare_facts(two_sides(tmp_path))
    out = tmp_path / "compare.html"
    assert write_compare(facts, out)["bytes"] == out.stat().st_size
    with pytest.raises(UserError, match="cannot be written to"):
        write_compare(facts, tmp_path / "nowhere" / "compare.html")


def test_a_page_is_drawn_where_nothing_competes_and_where_runs_have_one_side_run_only(tmp_path):
    empty = make(tmp_path, "b1", None, (), prompt="b" * 64)
    add(empty.paths, verdict("s0001", pgr=None, status="crashed"))
    for other in (make(tmp_path, "a1"), make(tmp_path, "c1", None, (0.4,))):
        assert "cannot tell" in render_compare(compare_facts([other, read_record(empty.paths)]))


@pytest.mark.parametrize(("width", "height"), [(390, 844), (1280, 900)])
def test_the_answer_is_the_largest_text_of_the_first_screen_and_its_figures_and_the_chart_are_on_it(tmp_path, visit, width, height):  # noqa: F811
    write_compare(compare_facts(two_sides(tmp_path)), tmp_path / "compare.html")
    page = visit(tmp_path / "compare.html", width=width, height=height).page
    sizes = "[...document.querySelectorAll('main *')].filter(e => !e.closest('svg')).map(e => [parseFloat(getComputedStyle(e).fontSize), e.tagName])"
    assert max(page.evaluate(sizes))[1] == "STRONG"
    answer, chart = (page.locator(what).first.bounding_box() for what in ("p.answer", "#chart-compare-outcomes"))
    assert answer["y"] < 100 and chart["y"] + chart["height"] < height


@pytest.mark.parametrize(("width", "scheme"), [(375, "dark"), (1280, "light")])
def test_in_a_browser_the_page_asks_for_nothing_fits_the_screen_and_follows_the_system_colours(tmp_path, visit, width, scheme):  # noqa: F811
    facts = compare_facts(two_sides(tmp_path, text=f"<img src=https://example.org/x onerror=alert(1)> {HOSTILE}\n"))
    write_compare(facts, tmp_path / "compare.html")
    seen = visit(tmp_path / "compare.html", width=width, scheme=scheme)
    assert (seen.errors, seen.requests, seen.dialogs) == ([], [], [])
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
    assert seen.page.evaluate("getComputedStyle(document.body).backgroundColor") == {"dark": "rgb(20, 23, 28)", "light": "rgb(255, 255, 255)"}[scheme]
    assert seen.page.locator("p.answer").bounding_box()["y"] < 400
    assert seen.page.locator(".wide svg >> visible=true").count() == (3 if width > 699 else 0)
