import io
import re

from rich.console import Console

from tests.view.made import HOSTILE, verdict
from view.baselines import ScoringProgress, baselines_text
from view.table import markdown
from view.transfer import transfer_text


def row(method: str, pgr: float | None = 0.5, **fields) -> dict:
    one = verdict("s0001", pgr=pgr, method=method, task="reviews", accuracy=0.73, flags=[])
    return {**one, "accuracy_where_teacher_right": 0.9, "accuracy_where_teacher_wrong": 0.4, **fields}


def task(name: str, **fields) -> dict:
    return {"task": name, "draws": 8, "items": 3092, "isolation": "bubblewrap", "student": "probe", "origin": "", "weak_accuracy": 0.6,
            "ceiling_accuracy": 0.87, "tuned_naive_accuracy": 0.7, "resolvable": 0.071, "transfer_only": False, **fields}


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_table_is_markdown_with_aligned_columns_and_a_bar_does_not_end_one():
    lines = markdown(["name", "n"], [["a|b", 10], ["漢字", 7]], right=["n"]).splitlines()
    assert lines == ["| name |   n |", "| ---- | --: |", "| a\\|b |  10 |", "| 漢字 |   7 |"]


def test_baselines_keep_the_order_they_are_given_and_say_why_a_row_has_no_figures():
    rows = [row("soft.py", 0.6), row("tuned naive (anchor)", track="anchor"), row("naive.py", 0.1), row("slow.py", None, status="timeout", error="while fitting: stopped after 60 s"),
            row("asks.py", None, status="n/a", error="the task has no prompts to ask the strong model with")]
    text = baselines_text({**task("reviews"), "rows": rows})
    lines = text.splitlines()
    assert [cells(line)[0] for line in lines[2:6]] == ["soft.py", "tuned naive (anchor)", "naive.py", "slow.py"]
    assert cells(lines[2])[1:7] == ["0.60 [0.55, 0.65]", "+0.15 [+0.10, +0.20]", "0.730", "0.900", "0.400", "1.2"]
    assert cells(lines[3])[1:3] == ["0.50 [0.45, 0.55]", "reference"]
    assert [cells(line)[1] for line in lines[5:7]] == ["timeout", "n/a"]
    assert lines[8] == "- slow.py: timeout: while fitting: stopped after 60 s"
    assert lines[9] == "- asks.py: the task has no prompts to ask the strong model with"
    for words in ("weak 0.600", "tuned naive 0.700", "ceiling 0.870", "8 draws", "3,092 public items", "isolation bubblewrap", "about 0.07"):
        assert words in lines[-1]


def test_a_table_without_walls_is_stamped_and_hostile_words_stay_words():
    rows = [row(HOSTILE, flags=[HOSTILE]), row("x.py", None, status="crashed", error=HOSTILE)]
    text = baselines_text({**task("reviews", isolation="none"), "rows": rows})
    assert "ISOLATION: NONE" in text
    assert not {c for c in text if c != "\n" and (ord(c) < 32 or 127 <= ord(c) < 160 or c == "\u202e")}
    assert len(text.splitlines()) == 10  # stamp, header, rule, two rows, a reason, anchors, and blank ones between them


def matrix(**fields) -> dict:
    rows = [row("a.py", 0.5), row("a.py", 0.3, task="news"), row("b.py", 0.2), row("b.py", None, task="news", status="crashed", error="no")]
    return {"methods": ["a.py", "b.py"], "developed_on": "reviews", "isolation": "bubblewrap", "tasks": [task("reviews"), task("news")],
            "missing": [{"task": "tweets", "error": "not prepared: `python aar.py prepare tweets`", "asked": True}],
            "worst": {"a.py": "news", "b.py": None}, "rows": rows, **fields}


def test_the_matrix_marks_where_methods_were_developed_and_names_the_worst_task():
    lines = transfer_text(matrix()).splitlines()
    assert cells(lines[0]) == ["PGR", "reviews (developed here)", "news", "tweets", "worst"]
    assert cells(lines[2]) == ["a.py", "0.50 [0.45, 0.55]", "0.30 [0.25, 0.35]", "n/a", "news 0.30"]
    assert cells(lines[3]) == ["b.py", "0.20 [0.15, 0.25]", "crashed", "n/a", "n/a"]
    assert cells(lines[7])[1] == "+0.05 [+0.00, +0.10]"
    text = "\n".join(lines)
    assert "tweets: not prepared: `python aar.py prepare tweets`" in text and "b.py on news: crashed: no" in text


def test_tasks_that_nobody_asked_for_take_no_column():
    missing = [{"task": "tweets", "error": "not prepared: `python aar.py prepare tweets`", "asked": False}]
    lines = transfer_text(matrix(missing=missing)).splitlines()
    assert cells(lines[0]) == ["PGR", "reviews (developed here)", "news", "worst"]
    assert any("python aar.py prepare tweets" in line for line in lines)


def test_without_a_terminal_progress_is_a_line_for_each_method():
    out = io.StringIO()
    with ScoringProgress("baselines", Console(file=out, highlight=False, markup=False)) as progress:
        progress.update({"event": "begin", "task": "reviews", "known": 3, "missing": 2})
        for method in ("a.py", HOSTILE):
            progress.update({"event": "started", "method": method})
            progress.update({"event": "done", **row(method)})
    lines = out.getvalue().splitlines()
    assert lines[0] == "baselines reviews: 2 methods to run, 3 known from before"
    assert lines[1] == "reviews 1/2 a.py PGR 0.50 [0.45, 0.55] lift +0.05 [+0.00, +0.10] (1.2 s)"
    assert len(lines) == 3 and not re.search(r"[\x00-\x09\x0b-\x1f\x80-\x9f\u202e]", out.getvalue())
