"""What takes longer than two seconds says how far it is, and what does not says nothing."""

import io
import time

from rich.console import Console

from tests.waiting import until
from view.patience import Patience


def pipe():
    return Console(file=io.StringIO(), force_terminal=False)


def test_without_a_terminal_there_is_one_line_and_only_where_it_takes_long():
    told = []
    patience = Patience("report", told.append, seconds=0.05, console=pipe())
    patience.stage("plots")  # before its time runs
    with patience:
        until(lambda: told)
        patience.stage("code", total=5)
        patience(3)
    with Patience("report", told.append, seconds=3600.0, console=pipe()) as patience:
        patience.stage("plots")
    assert told == ["report: plots ..."]


def test_on_a_terminal_there_is_a_bar_that_is_gone_at_the_end():
    screen = Console(file=io.StringIO(), force_terminal=True, width=80)
    with Patience("report", lambda text: None, seconds=0.05, console=screen) as patience:
        patience.stage("code of 5,000 submissions", total=10)
        until(lambda: patience._shown is not None)
        patience(7)
        until(lambda: "code of 5,000 submissions" in screen.file.getvalue() and "7 of 10" in screen.file.getvalue())
    assert screen.file.getvalue().endswith(("\x1b[2K", "\x1b[?25h")), "the line is cleared and the cursor shown"


def test_who_wants_nothing_shown_is_shown_nothing():
    screen = Console(file=io.StringIO(), force_terminal=True)
    with Patience("report", None, seconds=0.0, console=screen) as patience:
        patience.stage("plots")
        time.sleep(0.1)
    assert screen.file.getvalue() == ""
