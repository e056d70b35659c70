"""What a terminal that is too narrow shows: lines that are folded, tables that say what they leave out; and names for no winner."""

import random

import pytest
from rich.cells import cell_len

from state.ledger import Ledger
from tests.view.made import HOSTILE, add, make_run, verdict
from tests.view.terminal import in_pipe, in_terminal
from view.format import fold, short, short_name
from view.summary import summary_text

PIECES = ("a", "to", " ", "  ", "方法", "\U0001f680", "e\u0301", "x" * 30, "word ", "[bold]")
SCORES = "from state.paths import RunPaths; from state.ledger import Ledger; from view.scores import *; print(scores_text(leaderboard(Ledger(RunPaths({root!r}).ledger))))"


@pytest.mark.parametrize("seed", range(20))
def test_a_folded_line_fits_and_loses_nothing(seed):
    chance = random.Random(seed)
    for _ in range(100):
        text = "".join(chance.choice(PIECES) for _ in range(chance.randrange(30)))
        width, indent = chance.randrange(3, 60), chance.randrange(12)
        lines = fold(text, width, indent)
        assert all(cell_len(line) <= width for line in lines), (text, width, indent, lines)
        assert "".join("".join(lines).split()) == "".join(text.split())
        assert cell_len(short(text, width)) <= width and cell_len(short_name(text, width)) <= width


def test_a_line_that_fits_stays_as_it_is_and_one_that_does_not_keeps_its_own_indent():
    assert fold("  a  b", 10) == ["  a  b"] and fold("  a  b", None) == ["  a  b"]
    assert fold("  one two three", 9, 4) == ["  one two", "    three"]


def scored_run(folder):
    paths = make_run(folder)
    for number in range(1, 9):
        name = f"methods/soft_neighbours_means_clusters_full_number_{number}.py"
        add(paths, verdict(f"s{number:04d}", agent=f"agent-{number}", pgr=0.4 + number / 50, method=name, family="auxiliary confidence"))
    add(paths, verdict("s0009", pgr=0.3, method=HOSTILE))
    return paths


def test_scores_in_a_narrow_terminal_keep_the_interval_and_say_which_columns_are_left_out(tmp_path):
    paths = scored_run(tmp_path)
    text = in_terminal(SCORES.format(root=str(paths.root)), 80).plain
    table = text.split("\n\n")[0].splitlines()
    rows = [line for line in table if "0.56 [0.51, 0.61]" in line]
    assert len(rows) == 1 and "+0.11 [+0.06, +0.16]" in rows[0] and "s0008" in rows[0] and "_number_8 " in rows[0]
    assert all(cell_len(line) <= 80 for line in table)
    left_out = " ".join(text.split()).partition("left out for lack of room: ")[2].partition(" (--json or a wider terminal shows them)")[0]
    assert left_out.startswith("family, draws, seconds, rung") and not set(left_out.split(", ")) & set(table[0].split())


def test_scores_in_a_wide_terminal_or_a_pipe_leave_nothing_out(tmp_path):
    paths = scored_run(tmp_path)
    for text in (in_terminal(SCORES.format(root=str(paths.root)), 200).plain, in_pipe(SCORES.format(root=str(paths.root)))):
        assert "left out" not in text and "auxiliary confidence" in text and "soft_neighbours_means_clusters_full_number_8.py" in text


CONFIG = {"task": "reviews", "agents": [{"name": "agent-1"}], "base": "ab12" * 10, "isolation": "bubblewrap"}


def test_where_the_gap_is_not_established_no_winner_is_named_but_the_best_accuracy(tmp_path):
    paths = make_run(tmp_path)
    add(paths, verdict("s0001", pgr=None, accuracy=0.701))
    add(paths, verdict("s0002", pgr=None, accuracy=0.733))
    text = summary_text(paths, Ledger(paths.ledger), [], CONFIG)
    assert "no winner can be named" in text and "PGR is n/a; best accuracy 0.733: s0002" in text and "winner s0" not in text
    add(paths, verdict("s0003", pgr=0.6))
    text = summary_text(paths, Ledger(paths.ledger), [], CONFIG)
    assert "winner s0003" in text and "no winner" not in text


def test_the_output_of_an_agent_cli_is_among_the_places_to_look_at_where_there_is_one(tmp_path):
    paths = make_run(tmp_path)
    look = {kind: summary_text(paths, Ledger(paths.ledger), [], {**CONFIG, "researcher": kind}) for kind in ("command", "claude")}
    assert "agent.log, output/" in look["command"] and "output/" not in look["claude"]
