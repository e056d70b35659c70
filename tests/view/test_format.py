import pytest

from tests.view.made import HOSTILE
from view.format import clean, clean_lines, columns, duration, interval, name_of, short_name


def test_escapes_and_their_arguments_are_removed_whole():
    assert clean(HOSTILE) == "xyz[bold red]q FAKE LINE"
    assert clean("a\x1bPq secret\x1b\\b\x1b(Bc\x1bcd") == "abcd"


@pytest.mark.parametrize("character", [*map(chr, range(32)), *map(chr, range(127, 160)), *"\u200b\u200e\u202a\u202e\u2066\u2069\ufeff\u2028"])
def test_no_control_or_bidi_character_survives(character):
    for text in (clean(f"a{character}b"), clean_lines(f"a{character}b")):
        assert character == "\n" or character not in text


def test_an_unfinished_escape_does_not_survive():
    assert "\x1b" not in clean("a\x1b") + clean("a\x1b[") + clean("a\x1b]0;title without an end")


def test_a_line_break_cannot_forge_a_second_row():
    assert "\n" not in clean("s0001\ns0002 agent-9 PGR 0.99")


def test_clean_text_is_bounded():
    assert len(clean("x" * 10_000_000, most=50)) == 50


def test_letters_of_other_scripts_are_kept():
    assert clean("méthode 方法 метод") == "méthode 方法 метод"


def test_no_figure_stands_without_its_interval():
    assert interval(0.674, 0.61, 0.72) == "0.67 [0.61, 0.72]"
    assert interval(0.1, -0.02, 0.2, signed=True) == "+0.10 [-0.02, +0.20]"
    assert interval(None, None, None) == "n/a"


@pytest.mark.parametrize(("seconds", "words"), [(0, "0s"), (59.9, "59s"), (60, "1m00s"), (7300, "2h01m"), (200000, "2d07h"), (-3, "0s")])
def test_durations_are_in_the_two_largest_units(seconds, words):
    assert duration(seconds) == words


def test_columns_line_up_under_wide_characters():
    lines = columns(("name", "n"), [("方法", 1), ("ab", 22)], right=("n",)).splitlines()
    assert lines == ["name   n", "方法   1", "ab    22"]


def test_marks_that_are_piled_on_a_letter_do_not_tower_over_other_lines():
    assert clean("e" + "\u0301" * 900 + "x") == "e" + "\u0301" * 3 + "x"


def test_a_name_that_is_too_long_loses_its_ending_first_and_then_its_middle():
    name = "soft_means_confident15_clusters_pc10_two_heads_3.py"
    assert short_name(name, len(name)) == name and short_name(name, len(name) - 1) == name[:-3] == short_name(name, len(name) - 3)
    assert short_name(name, 32) == "soft_means_conf…pc10_two_heads_3"
    assert name_of(f"methods/\x1b[2J{name}") == "methods/soft_means_conf…lusters_pc10_two_heads_3"


def test_in_a_table_names_that_begin_alike_are_told_apart_by_their_ends(monkeypatch):
    monkeypatch.setattr("view.format.terminal_width", lambda: 30)
    rows = [(f"soft_means_clusters_pc10_two_heads_{number}.py", number) for number in (3, 4)]
    assert columns(("method", "a column"), rows, gives="method").splitlines()[1:] == ["soft_mean…wo_heads_3  3", "soft_mean…wo_heads_4  4"]
