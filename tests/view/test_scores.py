import pytest

from state.errors import UserError
from state.ledger import Ledger
from tests.view.made import HOSTILE, add, make_run, verdict
from view.scores import leaderboard, scores_text, sealed_text, verdict_line, verdict_text
from view.screen import best_words
from view.summary import summary_text


def ledger_of(tmp_path, *verdicts):
    paths = make_run(tmp_path)
    for one in verdicts:
        add(paths, one)
    return paths, Ledger(paths.ledger)


def test_the_leaderboard_has_the_best_lower_bound_first_and_no_repeats(tmp_path):
    lucky = verdict("s0001", pgr=0.7, pgr_low=0.2)
    sure = verdict("s0002", pgr=0.6)
    quick = verdict("s0003", pgr=0.9, rung="quick", draws=1)
    repeat = verdict("s0004", pgr=0.6, same_as="s0002")
    _, ledger = ledger_of(tmp_path, lucky, sure, quick, repeat)
    assert [one["submission"] for one in leaderboard(ledger)] == ["s0002", "s0001", "s0003"]


def test_another_track_is_never_ranked_among_the_main_one(tmp_path):
    _, ledger = ledger_of(tmp_path, verdict("s0001", pgr=0.95, track="elicitation"), verdict("s0002", pgr=0.5))
    text = scores_text(leaderboard(ledger))
    assert text.index("s0002") < text.index("track elicitation") < text.index("s0001")


def test_failures_are_counted_and_named_apart(tmp_path):
    crash = verdict("s0001", pgr=None, status="crashed", error="while fitting: Traceback\n  File x\nValueError: no")
    _, ledger = ledger_of(tmp_path, crash, verdict("s0002"))
    text = scores_text(leaderboard(ledger))
    assert "not scored: 1 crashed" in text
    assert "s0001 agent-1 methods/x.py crashed: while fitting: Traceback ... ValueError: no" in text


def test_missing_isolation_is_stamped_everywhere(tmp_path):
    bare = verdict("s0001", isolation="none")
    paths, ledger = ledger_of(tmp_path, bare)
    config = {"task": "reviews", "agents": [{"name": "agent-1"}], "base": "ab" * 20, "isolation": "none"}
    for text in (scores_text([bare]), verdict_text(bare), verdict_line(bare), summary_text(paths, ledger, [], config)):
        assert "ISOLATION: NONE" in text


def test_what_an_agent_wrote_cannot_steer_the_terminal(tmp_path):
    fields = {"method": f"methods/{HOSTILE}.py", "family": HOSTILE, "flags": [HOSTILE], "track": HOSTILE, "agent": HOSTILE}
    good = verdict("s0001", **fields)
    bad = verdict("s0002", pgr=None, status="crashed", **{**fields, "error": HOSTILE})
    paths, ledger = ledger_of(tmp_path, good, bad, verdict("s0003", **{**fields, "track": "main"}))
    config = {"task": "reviews", "agents": [{"name": "agent-1"}], "base": "ab" * 20, "isolation": "bubblewrap"}
    texts = [scores_text(leaderboard(ledger)), summary_text(paths, ledger, [good], config)]
    texts += [f(one) for f in (verdict_text, verdict_line) for one in (good, bad)]
    for text in texts:
        assert not {c for c in text if c != "\n" and (ord(c) < 32 or 127 <= ord(c) < 160 or c == "\u202e")}
        assert "\nFAKE" not in text.replace(verdict_text(bad), "")


def test_a_verdict_by_hand_shows_anchors_and_where_the_teacher_is_wrong():
    one = verdict("s0001", accuracy=0.73, weak_accuracy=0.61, ceiling_accuracy=0.86, tuned_naive_accuracy=0.69)
    one |= {"accuracy_where_teacher_right": 0.9, "accuracy_where_teacher_wrong": 0.4, "teacher_agreement": 0.7}
    text = verdict_text(one)
    for part in ("0.50 [0.45, 0.55]", "+0.05 [0.00, +0.10]".replace("[0.00", "[+0.00"), "weak 0.610", "tuned naive 0.690", "ceiling 0.860"):
        assert part in text
    assert "where the teacher is right 0.900, where it is wrong 0.400" in text


def test_an_unestablished_gap_is_said_in_words():
    assert "PGR is n/a" in verdict_text(verdict("s0001", pgr=None, draws=1))


def test_the_summary_puts_the_sealed_figure_beside_the_public_one_with_its_openings(tmp_path):
    paths, ledger = ledger_of(tmp_path, verdict("s0001", pgr=0.7), verdict("s0002", pgr=0.5))
    sealed = [verdict("s0001", pgr=0.66, rung="sealed", draws=16, openings=3)]
    config = {"task": "reviews", "agents": [{"name": "agent-1"}], "base": "ab12" * 10, "isolation": "bubblewrap"}
    text = summary_text(paths, ledger, sealed, config)
    row = next(line for line in text.splitlines() if line.startswith("s0001"))
    assert "0.70 [0.65, 0.75]" in row
    assert any("0.70 [0.65, 0.75]" in line and "0.66 [0.61, 0.71]" in line for line in text.splitlines())
    assert "openings of this task's sealed part on this machine: 3" in text
    assert "lower bound is above 0" in text
    assert "git diff ab12ab12ab12..aar/first/agent-1" in text


def test_the_summary_says_of_every_submission_what_became_of_it_and_counts_it_once(tmp_path):
    rows = [verdict("s0001"), verdict("s0002"), verdict("s0003", same_as="s0001"), verdict("s0004", flags=["near-duplicate"])]
    rows += [verdict("s0005", track="disqualified"), verdict("s0006", status="crashed", pgr=None), verdict("s0007", status="crashed", pgr=None)]
    paths, ledger = ledger_of(tmp_path, *rows)
    for row in [*rows, verdict("s0008")]:
        ledger.append("submission", **{key: row[key] for key in ("submission", "agent", "commit", "method")})
    head = summary_text(paths, ledger, [], {"task": "reviews", "agents": [{"name": "agent-1"}], "base": "ab12" * 10, "isolation": "bubblewrap"}).splitlines()[0]
    told = head.partition("8 submissions (")[2].partition(")")[0]
    assert sorted(told.split(", ")) == sorted(
        ["2 compete", "2 crashed", "1 with the code of an earlier one", "1 almost an earlier one", "1 on other tracks", "1 not scored"]
    )


def test_a_summary_of_a_run_without_any_verdict_still_says_where_to_look(tmp_path):
    paths, ledger = ledger_of(tmp_path)
    config = {"task": "reviews", "agents": [{"name": "agent-1"}], "base": "ab12" * 10, "isolation": "bubblewrap"}
    assert "no verdicts yet" in summary_text(paths, ledger, [], config)
    assert "NOTHING WAS SUBMITTED" not in summary_text(paths, ledger, [], config), "its agents may only have been slow"
    ledger.append("event", event="agent-fell", agent="agent-1", detail="aar: Syntax error")
    assert "agents fell 1 time, the last one: aar: Syntax error; `python aar.py log" in summary_text(paths, Ledger(paths.ledger), [], config)


def test_beside_the_raw_figure_stands_what_is_left_of_it_without_the_luck_of_the_best(tmp_path):
    _, ledger = ledger_of(tmp_path, *(verdict(f"s{i:04d}", pgr=0.40 + 0.01 * i) for i in range(8)), verdict("s0008", draws=1, rung="quick"))
    rows = leaderboard(ledger)
    best = rows[0]
    assert best["submission"] == "s0007" and 0.40 < best["pgr_shrunken"] < best["pgr"]
    assert rows[-1]["pgr_shrunken"] is None and all(row["pgr_shrunken"] <= row["pgr"] for row in rows[:-1])
    text = scores_text(rows)
    header, first = text.splitlines()[:2]
    assert "shrunk" in header.split() and f"{best['pgr_shrunken']:.2f}" in first
    assert "best of 8: of as many equal methods the best would look +0.0" in text


def test_where_too_few_compete_nothing_is_said_of_luck(tmp_path):
    _, ledger = ledger_of(tmp_path, verdict("s0001"), verdict("s0002", pgr=0.6))
    assert "shrunk" not in scores_text(leaderboard(ledger))


def test_the_ceiling_by_the_same_recipe_stands_beside_the_sealed_figure_where_it_is_known():
    plain = verdict("s0001", pgr=0.66, rung="sealed", draws=16, ceiling_accuracy=0.87)
    own = {"recipe_ceiling_accuracy": 0.851, "recipe_pgr": 0.71, "recipe_pgr_low": 0.65, "recipe_pgr_high": 0.77}
    text = sealed_text([{**plain, **own}], {})
    assert "0.71 [0.65, 0.77]" in text and "accuracy 0.851 (the task's ceiling 0.870)" in text
    assert "own ceiling" not in sealed_text([plain], {})


def test_tracks_come_in_order_with_the_reasons_and_what_was_disqualified_comes_last(tmp_path):
    rows = [verdict("s0001", track="disqualified", flags=["spawns"], reasons=["starts programs: line 7"]), verdict("s0002", track="prior"),
            verdict("s0003", flags=["near-duplicate"], reasons=[f"the code of s0001{HOSTILE}"]), verdict("s0004", track="elicitation")]
    _, ledger = ledger_of(tmp_path, *rows)
    text = scores_text(leaderboard(ledger))
    places = [text.index(words) for words in ("s0003", "track elicitation", "track prior", "track disqualified", "s0001: starts programs: line 7")]
    assert places == sorted(places)
    assert "s0003: the code of s0001" in text and "\x1b" not in text
    assert "starts programs: line 7" in verdict_text(rows[0]) and "flags: spawns" in verdict_line(rows[0])


def test_a_null_run_is_stamped_wherever_its_figures_are_shown(tmp_path):
    paths = make_run(tmp_path)
    paths.toml.write_text("null = true\n" + paths.toml.read_text())
    add(paths, verdict("s0001"))
    rows = leaderboard(Ledger(paths.ledger))
    config = {"task": "reviews", "agents": [{"name": "agent-1"}], "base": "ab" * 20, "isolation": "bubblewrap", "null": True}
    summary = summary_text(paths, Ledger(paths.ledger), [], config)
    for text in (scores_text(rows), verdict_text(rows[0]), verdict_line(rows[0]), sealed_text(rows, {}), summary):
        assert "NULL RUN" in text
    assert "NULL RUN" not in scores_text([verdict("s0001")])


def test_the_board_says_how_much_was_told_and_how_often_the_quick_rung_was_wrong(tmp_path):
    known = {"independent_items": 3000, "weak_accuracy": 0.6, "ceiling_accuracy": 0.85}
    rows = [verdict("s0001", pgr=0.5, **known), verdict("s0002", pgr=0.6, promotion="random", best="s0001", **known)]
    _, ledger = ledger_of(tmp_path, *rows)
    text = scores_text(leaderboard(ledger))
    assert "exposure: 2 verdicts told at most" in text and "about 3,000 independent public items" in text
    assert "wrong rejections by the quick rung: 100%" in text and "1 of 1" in text


def test_controls_stand_beside_the_winner_in_the_summary(tmp_path):
    paths, ledger = ledger_of(tmp_path, verdict("s0001", pgr=0.7), verdict("s0002", pgr=0.5))
    sealed = [verdict("s0001", pgr=0.6, rung="sealed", draws=16), verdict("s0002", pgr=0.5, rung="sealed", draws=16, control=True)]
    config = {"task": "reviews", "agents": [{"name": "agent-1"}], "base": "ab12" * 10, "isolation": "bubblewrap"}
    text = summary_text(paths, ledger, sealed, config)
    assert any("s0002" in line and "control" in line for line in text.splitlines())
    assert "finalists changed by -0.10 PGR and controls by +0.00" in text and "cannot be told from so few" in text


@pytest.mark.parametrize(("shuffled", "words"), [(0.34, "hardly needs its teacher"), (0.32, "needs its teacher")])
def test_of_the_best_method_it_is_said_once_whether_it_needs_its_teacher(tmp_path, shuffled, words):
    rows = [verdict("s0001", pgr=0.66, permuted_pgr=shuffled), verdict("s0002", pgr=0.5, permuted_pgr=0.5)]
    paths, ledger = ledger_of(tmp_path, *rows)
    config = {"task": "reviews", "agents": [{"name": "agent-1"}], "base": "ab12" * 10, "isolation": "bubblewrap"}
    for text in (scores_text(leaderboard(ledger)), summary_text(paths, ledger, [], config)):
        said = [line for line in text.splitlines() if "shuffled teachers" in line]
        assert said == [f"  s0001: with shuffled teachers it gets PGR {shuffled}: it {words}"]
    assert "shuffled teachers" not in scores_text([verdict("s0001", pgr=0.66), verdict("s0002", pgr=None, permuted_pgr=0.1)])


def test_a_run_toml_that_is_broken_is_one_line_here_too(tmp_path):
    paths, ledger = ledger_of(tmp_path, verdict("s0001"))
    paths.toml.write_text("x = [")
    with pytest.raises(UserError, match=r"run.toml cannot be read .*board:run.toml` has a copy"):
        leaderboard(ledger)
    paths.toml.unlink()
    assert "null" not in leaderboard(ledger)[0]


def test_a_long_name_keeps_its_end_wherever_it_stands_in_a_line(tmp_path):
    name, ends = "methods/soft_means_confident15_clusters_pc10_two_heads_3.py", "two_heads_3"
    good, bad = verdict("s0001", method=name), verdict("s0002", method=name, pgr=None, status="crashed", error="no")
    paths, ledger = ledger_of(tmp_path, good, bad)
    config = {"task": "reviews", "agents": [{"name": "agent-1"}], "base": "ab12" * 10, "isolation": "bubblewrap"}
    for text in (verdict_line(good), verdict_line(bad), sealed_text([good], {}), best_words(good)):
        assert ends in text and "…" in text, text
    text = scores_text(leaderboard(ledger))
    assert text.count(ends) == 2 and f"winner s0001: methods/soft_means_conf…lusters_pc10_{ends} by" in summary_text(paths, ledger, [], config)
