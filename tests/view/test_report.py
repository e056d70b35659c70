"""The report without a browser: what is in the page, in which order, and what must not be in it."""

import base64
import hashlib
import html
import json
import re
import subprocess
import sys
import zlib
from html.parser import HTMLParser
from pathlib import Path

import pytest

from state.errors import UserError
from state.files import append_jsonl
from state.ledger import AGENT_FIELDS, Ledger
from state.paths import RunPaths
from state.record import read_record
from tests.view.big import HOSTILE, make_big_run
from tests.view.made import add, commit_of, make_run, verdict
from view.report import build, code
from view.report.components import components
from view.report.data import packed, script_json
from view.report.forum import forum_threads
from view.report.page import SCRIPTS, render
from view.report.sections import components_section, yardstick_section
from view.report.table import COLUMNS, IDEA, cell_html, ends, leaderboard_rows
from view.scores import leaderboard

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "view" / "report" / "static"
TEST_SIDE = ("accuracy_where_teacher_wrong", "permuted_pgr", "tuned_naive_accuracy", "weak_accuracy", "ceiling_accuracy", "pgr_by_draw", "over_best_low")

WRITES_OR_ASKS = (r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setHTML|createContextualFragment|srcdoc"
                  r"|\bfetch\(|XMLHttp|import\(|WebSocket|sendBeacon")  # fmt: skip


@pytest.fixture(scope="module")
def closed(tmp_path_factory) -> RunPaths:
    """A run that was verified, with a post that ends in markup."""
    paths = make_big_run(tmp_path_factory.mktemp("closed"), submissions=70, posts=0.9, name="first")
    words = f"s0001 says {HOSTILE[0]}"
    front = f"---\nagent: agent-1\ntype: insight\ntitle: {json.dumps(words)}\ntime: 2026-11-19T08:00:00Z\n---\n\n"
    post = f"{front}*Words of agent-1; figures were typed.*\n\n{words}\n"
    (paths.forum / "20261119T080000Z-agent-1-markup.md").write_text(post, encoding="utf-8")
    return paths


@pytest.fixture(scope="module")
def going(tmp_path_factory) -> RunPaths:
    """A run that goes on."""
    return make_big_run(tmp_path_factory.mktemp("open"), submissions=60, sealed=False, transfer=False, name="second")


@pytest.fixture(scope="module")
def page(closed) -> str:
    return render(read_record(closed), {})


def unpacked(page: str) -> dict[str, dict]:
    """submission -> its entry, and the lines of its chunk under "lines"; read back as a browser does."""
    found = {}
    for text in re.findall(r'<script type="text/plain" data-chunk="\d+">([^<]*)</script>', page):
        chunk = json.loads(zlib.decompress(base64.b64decode(text)))
        found |= {name: {**entry, "lines": chunk["lines"]} for name, entry in chunk["of"].items()}
    return found


def data_of(page: str, name: str) -> dict:
    return json.loads(re.search(rf'<script type="application/json" id="{name}">([^<]*)</script>', page)[1])


def text_of(lines: list, numbers: list[int]) -> str:
    return "\n".join("".join(lines[number][1::2]) for number in numbers)


def test_every_submission_is_a_row_in_the_order_of_scores_and_with_its_details(closed, page):
    waits = {"kind": "submission", "submission": "s9999", "agent": "agent-1", "commit": "0" * 40, "method": "methods/x.py", "message": "?"}
    record = read_record(closed)
    record.submissions["s9999"] = waits
    rows = leaderboard_rows(record)
    assert {row["submission"] for row in rows} == set(record.submissions) and len(rows) == len(record.submissions)
    main = [row["submission"] for row in rows if row["status"] == "scored" and row["track"] == "main" and row["rank"]]
    ranked = leaderboard(Ledger(closed.ledger))
    assert main == [v["submission"] for v in ranked if v["status"] == "scored" and v["track"] == "main"]
    assert [row["rank"] for row in rows if row["track"] == "main" and row["rank"]] == list(range(1, len(main) + 1))
    status = [{"scored": row["track"], "never scored": "waiting"}.get(row["status"], "failed") for row in rows]
    kinds = ["repeat" if row["flags"].startswith("same code") else kind for row, kind in zip(rows, status, strict=True)]
    order = ["main", "elicitation", "groups", "transductive", "prior", "disqualified", "failed", "repeat", "waiting"]
    assert list(dict.fromkeys(kinds)) == [kind for kind in order if kind in kinds] and len(set(kinds)) >= 5
    assert set(unpacked(page)) == set(record.submissions) - {"s9999"}


def test_what_is_on_another_track_says_so_where_its_flags_are(tmp_path):
    paths = make_run(tmp_path)
    for name, track, flags in (("s0001", "main", ["near-duplicate"]), ("s0002", "prior", ["names-the-task"]), ("s0003", "groups", [])):
        add(paths, verdict(name, track=track, flags=flags))
    told = {row["submission"]: row["flags"] for row in leaderboard_rows(read_record(paths))}
    assert told == {"s0001": "near-duplicate", "s0002": "prior: names-the-task", "s0003": "groups"}


def test_the_first_rows_can_be_read_in_the_html_itself(closed, page):
    rows = leaderboard_rows(read_record(closed))
    body = page.split('<table id="board"')[1].split("</table>")[0]
    assert re.findall(r'<a href="#(s\d+)">', body) == [row["submission"] for row in rows[:50]]
    assert html.escape(rows[0]["method"]) in body.replace("<wbr>", "")
    assert len(re.findall("<th scope=\"col\"", body)) == len(COLUMNS)


def test_the_cell_of_an_idea_shows_how_it_begins_and_what_it_says_last(tmp_path):
    paths = make_run(tmp_path)
    parts = ", ".join(f"step {number} of many" for number in range(40))
    long = f"{parts} drop: without `the_last_one`."
    one = {"kind": "submission", "agent": "agent-1", "commit": "c" * 40, "method": "methods/x.py", "family": None}
    append_jsonl(paths.ledger, {**one, "submission": "s0001", "message": long})
    append_jsonl(paths.ledger, {**one, "submission": "s0002", "message": "short and <b>whole</b>"})
    record = read_record(paths)
    idea = next(column for column in COLUMNS if column.key == "idea")
    shown = {row["submission"]: html.unescape(re.sub("<[^>]*>", "", cell_html(row, idea))) for row in leaderboard_rows(record)}
    assert shown["s0001"].startswith("step 0 of many, step 1 ") and shown["s0001"].endswith(", step 39 of many drop: without `the_last_one`.")
    assert " … " in shown["s0001"] and len(shown["s0001"]) <= sum(IDEA) + 3 and shown["s0002"] == "short and <b>whole</b>"
    assert unpacked(render(record, {}))["s0001"]["idea"] == long  # whole behind the row
    assert ends("a" * 50, 10, 10) == f"{'a' * 10} … {'a' * 10}" and ends("a" * 23, 10, 10) == "a" * 23


def test_names_of_methods_in_tables_can_be_broken_behind_their_underscores(closed, page):
    names = [html.escape(Path(one["method"]).name) for one in read_record(closed).sealed if one["status"] == "scored"]
    section = page.split('<section id="sealed"')[1].split("</section>")[0]
    assert re.findall(r'<td class="name">(.*?)</td>', section) == [name.replace("_", "_<wbr>") for name in names]
    assert any("_" in name for name in names)


def test_reasons_of_flagged_submissions_stand_below_the_rest_on_a_phone(tmp_path):
    paths = make_run(tmp_path)
    add(paths, verdict("s0001", flags=["near-duplicate"], reasons=["is nearly the same as an earlier submission, in code and in predictions"]))
    page = render(read_record(paths), {})
    [stacked] = re.findall(r'<table class="plain stacked">.*?</table>', page, flags=re.S)
    assert "<caption" in stacked and "Flagged submissions" in stacked and "nearly the same" in stacked


@pytest.mark.parametrize("researchers", [("search", "search"), ("search", "claude"), ()])
def test_a_run_of_the_search_alone_is_not_sent_to_the_search_nor_told_to_ask_it(tmp_path, researchers):
    paths = make_run(tmp_path, agents=len(researchers))
    first, *agents = paths.toml.read_text(encoding="utf-8").split("[[agents]]")
    first += "" if agents else "agents = []\n"
    agents = [text.replace('"search"', f'"{name}"') for text, name in zip(agents, researchers, strict=True)]
    paths.toml.write_text("[[agents]]".join([first, *agents]), encoding="utf-8")
    add(paths, verdict("s0001"))
    record = read_record(paths)
    worth, against = components_section(record)["intro"], yardstick_section(record)["intro"]
    alone = set(researchers) == {"search"}
    assert ("ask an agent" in worth) != alone and ("a longer run may" in worth) == alone
    assert ("--agents 9" in against) != alone and ("is the search yardstick itself" in against) == alone
    assert "`python aar.py baselines reviews`" in against


def test_code_of_every_submission_is_that_of_its_commit(closed, page):
    record, entries = read_record(closed), unpacked(page)
    for name in record.submissions:
        source = record.source(name).rstrip("\n").split("\n")
        assert text_of(entries[name]["lines"], entries[name]["code"]) == "\n".join(map(code.visible, source))


def test_diffs_lead_from_the_parent_to_the_submission(closed, page):
    record, entries = read_record(closed), unpacked(page)
    seen = 0
    for name, entry in entries.items():
        if entry["diff"] is None:
            assert not record.submissions[name]["parents"]
            continue
        parent = entries[entry["parents"][0]]
        old = text_of(parent["lines"], parent["code"]).split("\n")
        made = patched(old, entry["diff"], entry["lines"])
        assert "\n".join(made) == text_of(entry["lines"], entry["code"])
        seen += any("+" in hunk[2] for hunk in entry["diff"])
    assert seen > 20


def patched(old: list[str], hunks: list, lines: list) -> list[str]:
    """Apply a diff; every line that it takes away or keeps must stand where it says."""
    made, at = [], 0
    for start, fresh, marks, numbers in hunks:
        made += old[at : start - 1]
        at = start - 1
        assert fresh == len(made) + 1
        for mark, number in zip(marks, numbers, strict=True):
            line = "".join(lines[number][1::2])
            if mark != "+":
                assert old[at] == line
                at += 1
            if mark != "-":
                made.append(line)
    return made + old[at:]


@pytest.mark.parametrize("old, new", [("", "a"), ("a\nb", ""), ("a\nb\nc", "a\nb\nc"), ("a\n" * 40 + "b", "a\n" * 41 + "c"), ("x\ny", "y\nx")])
def test_a_diff_of_any_two_files_can_be_applied(old, new):
    pool = code.Pool()
    a, b = (pool.add([("", line) if line else () for line in text.split("\n")]) for text in (old, new))
    assert "\n".join(patched(old.split("\n"), code.diff(a, b), pool.lines)) == new
    assert (code.diff(a, b) == []) == (old == new)


def test_code_that_turns_the_reading_direction_around_says_so():
    text = "if admin:\u202e # \u2066begin\n\tx = '\u200b'\n"
    shown = "\n".join("".join(line[1::2]) for line in code.Colours().lines(text))
    assert shown.splitlines() == ["if admin:<U+202E> # <U+2066>begin", "    x = '<U+200B>'"]


def test_a_word_of_a_docstring_at_the_start_of_a_line_is_no_keyword():
    lines = code.Colours().lines('"""Keep the\nclass that\ndef is\n"""\nclass A:\n    pass\n')
    assert {line[0] for line in lines[:4]} == {"sd"} and lines[4][0] == "k"


def test_no_text_can_end_the_script_in_which_it_lies():
    text = "</script><!--<script>\u2028 & {{ 7*7 }}"
    assert not re.search("[<>&\u2028]", script_json([text])) and json.loads(script_json([text])) == [text]
    assert re.fullmatch(r"[A-Za-z0-9+/=]*", packed({"a": text}))


class Markup(HTMLParser):
    """What could do something in a page: elements that run or load, and attributes that do."""

    def __init__(self, text: str):
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list) -> None:
        kind = dict(attributes).get("type", "")
        if tag in ("img", "iframe", "object", "embed", "base", "form") and not (tag == "form" and "role" in dict(attributes)):
            self.found.append(tag)
        if tag == "script" and kind not in ("application/json", "text/plain"):
            self.found.append("script")
        runs = [(value or "").strip().lower().startswith("javascript:") for _, value in attributes]
        self.found += [name for (name, _), run in zip(attributes, runs, strict=True) if run or name.startswith("on") or name == "srcdoc"]


def test_what_agents_wrote_is_nowhere_markup(closed, page):
    assert Markup("<img src=x onerror=a><script>b</script><a href=' JavaScript:c'>").found == ["img", "onerror", "script", "href"]
    assert Markup(page).found == ["script"]  # our own
    assert any(html.escape(text) in page for text in HOSTILE if "<" in text)  # theirs is there, as text
    assert "\u202e" not in page and "\x1b" not in page


def test_no_script_of_the_page_writes_html_or_runs_text():
    for name in SCRIPTS:
        found = re.search(WRITES_OR_ASKS, (STATIC / name).read_text())
        assert found is None, f"{name}: {found}"


def test_the_policy_allows_the_one_script_that_is_there_and_no_request(page):
    policy = html.unescape(re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)[1])
    scripts = re.findall(r"<script>(.*?)</script>", page, re.S)
    assert len(scripts) == 1
    assert f"'sha256-{base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()}'" in policy
    assert "default-src 'none'" in policy and "http" not in policy
    assert not re.search(r"\b(src|href|action)=[\"'](?!#|data:)", re.sub(r"<script.*?</script>", "", page, flags=re.S))


def test_a_page_for_the_board_of_a_run_that_goes_on_has_no_test_side_figure(going):
    public, mine = (render(read_record(going, public=hidden), {}) for hidden in (True, False))
    entries = unpacked(public)
    assert len(entries) == 60
    told = json.dumps([entries, data_of(public, "table-data")])
    assert not [name for name in TEST_SIDE if name in told or name.replace("_", " ") in told]
    assert all(name in json.dumps(unpacked(mine)) for name in TEST_SIDE)  # the operator's page has them
    exact = {f"{v['accuracy']:.3f}" for v in Ledger(going.ledger).verdicts.values() if v.get("accuracy")}
    facts = lambda some: {value for entry in some.values() for _, value in entry["facts"] + entry["others"]}  # noqa: E731
    assert exact & facts(unpacked(mine)) and not exact & facts(entries)
    line = json.loads(entries["s0003"]["ledger"][1][1])
    assert line == json.loads(json.dumps(read_record(going, public=True).verdicts["s0003"]))
    assert set(line) <= {*AGENT_FIELDS, "null"}


def test_ledger_lines_are_those_of_the_file(closed, page):
    lines = closed.ledger.read_text(encoding="utf-8").splitlines()
    for entry in unpacked(page).values():
        assert [json.loads(text) for _, text in entry["ledger"]] == [json.loads(lines[number - 1]) for number, _ in entry["ledger"]]
        assert len(entry["ledger"]) == 2


def test_a_sealed_figure_leads_to_the_line_it_stands_in(closed, page):
    lines = (closed.evaluator / "sealed.jsonl").read_text(encoding="utf-8").splitlines()
    opened = {json.loads(line)["submission"] for line in lines}
    found = {name: entry["sealed_line"] for name, entry in unpacked(page).items() if entry["sealed_line"]}
    assert found.keys() == opened and len(opened) >= 2
    assert all(json.loads(text) == json.loads(lines[number - 1]) for [[number, text]] in found.values())


def test_commands_name_the_commit_and_can_hold_no_other_command(tmp_path):
    paths = make_run(tmp_path)
    add(paths, verdict("s0001", method="methods/x; rm -rf ~.py"))
    (_, command), (_, again) = unpacked(render(read_record(paths), {}))["s0001"]["commands"]
    assert command == f"git show '{('c0ffee' * 2)}:methods/x; rm -rf ~.py'"
    assert again == "python aar.py eval s0001 --run first"


def test_a_parent_is_not_told_again_as_what_inspired_it(tmp_path):
    paths = make_run(tmp_path)
    others = {"parents": ["s0001"], "inspired_by": ["a" * 40, "b" * 40]}
    for name, commit, more in (("s0001", "a" * 40, {}), ("s0002", "b" * 40, {}), ("s0003", "c" * 40, others)):
        one = {"submission": name, "agent": "agent-1", "commit": commit, "method": "methods/x.py", "family": None, **more}
        append_jsonl(paths.ledger, {"kind": "submission", **one})
    entry = unpacked(render(read_record(paths), {}))["s0003"]
    assert entry["parents"] == ["s0001"] and entry["inspired"] == [["s0002", "s0002"]]


METHOD = "def fit(w2s):\n    y = start(w2s)\n    y = keep(y, 0.5)\n    y = smooth(y, k=3)\n    return w2s.student().fit(w2s.texts, y)\n"


def test_what_a_component_is_worth_is_told_once_for_each_code_and_never_by_another_order(tmp_path):
    paths = make_run(tmp_path)
    keep, smooth = METHOD.splitlines(keepends=True)[2:4]
    less = METHOD.replace(smooth, "")
    reordered = METHOD.replace(keep + smooth, smooth + keep).replace("y = start", "y = begin")
    mine = METHOD.replace("smooth(y, k=3)", "trim(y)") + "def trim(y):\n    return y[1:]\n"
    other = mine.replace("[1:]", "[2:]")
    sources = {"s0001": METHOD, "s0002": less, "s0003": f"import numpy\nFAMILY = 'b'\n{less}", "s0004": reordered, "s0005": mine, "s0006": other}
    commit = commit_of(paths, tmp_path / "tree", {f"methods/{name}.py": source for name, source in sources.items()})
    for name in sources:
        add(paths, verdict(name, pgr=0.6 if name == "s0001" else 0.5, commit=commit, method=f"methods/{name}.py"))
    found = [(part.other, part.words) for part in components(read_record(paths), "s0001")]
    assert found == [
        ("s0002", "without `smooth(k=3)` (the same code: s0003)"),
        ("s0005", "`trim()` instead of `smooth(k=3)` (code 1 of 2 that do)"),
        ("s0006", "`trim()` instead of `smooth(k=3)` (code 2 of 2 that do)"),
    ]


def test_all_posts_are_in_the_page_in_the_order_of_their_threads(closed, page):
    record, shown = read_record(closed), data_of(page, "forum-data")
    names = [post[0] for thread in shown["threads"] for post in thread]
    assert sorted(names) == sorted(post.name.removesuffix(".md") for post in record.posts)
    parents = {post.name.removesuffix(".md"): post.replies_to.removesuffix(".md") for post in record.posts}
    for thread in forum_threads(record):
        known = [post["name"] for post in thread]
        assert thread[0]["depth"] == 0 and all(parents[name] in known[:at] for at, name in enumerate(known) if at)
    in_html = re.findall(r'<article class="post" id="post-([^"]+)"', page)
    assert in_html == names[: len(in_html)] and in_html


def test_links_within_the_page_lead_somewhere(closed, page):
    record = read_record(closed)
    there = set(re.findall(r'\bid="([^"]+)"', page)) | set(record.submissions) | {f"post-{post.name.removesuffix('.md')}" for post in record.posts}
    assert {html.unescape(name) for name in re.findall(r'href="#([^"]*)"', page)} <= there


def test_the_same_run_gives_the_same_bytes(closed, page):
    assert render(read_record(closed), {}) == page


@pytest.mark.parametrize("what", ["nothing", "failures", "waiting", "old"])
def test_a_run_with_hardly_anything_in_it_has_a_report(tmp_path, what):
    paths = make_run(tmp_path, isolation="none")
    if what == "failures":
        add(paths, verdict("s0001", pgr=None, status="crashed", error="ValueError: <b>no</b>", rung="quick", draws=1))
    if what == "waiting":
        one = {"submission": "s0001", "agent": "agent-1", "commit": "ab" * 20, "method": "methods/x.py", "family": None}
        append_jsonl(paths.ledger, {"kind": "submission", **one})
    if what == "old":  # scored, but the gap between weak and ceiling is not established
        add(paths, {**verdict("s0001"), **dict.fromkeys(("pgr", "pgr_low", "pgr_high")), "accuracy": 0.7})
    text = render(read_record(paths), {})
    assert "ISOLATION: NONE" in text and "Can it be believed?" in text
    assert ("No method of the main track" in text) == (what != "old")


def test_the_process_writes_the_file_and_says_so_in_json(going, tmp_path):
    out = tmp_path / "report.html"
    command = [sys.executable, "-m", "view.report.build", str(going.root), str(out), "--public"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, stdin=subprocess.DEVNULL)
    facts = json.loads(done.stdout)
    assert (facts["file"], facts["bytes"], facts["submissions"]) == (str(out), out.stat().st_size, 60)
    page = out.read_text(encoding="utf-8")
    assert 'id="chart-progress-evaluations"' in page and "While the run goes on" in page
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


def test_a_run_that_is_not_there_and_a_folder_that_is_not_are_told_in_one_line(closed, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["view.report.build", str(tmp_path / "none"), str(tmp_path / "x.html")])
    monkeypatch.setattr(build.os, "nice", lambda by: 0)
    assert build.main() == 2
    assert re.fullmatch(r"aar: .*run\.toml cannot be read.*\n", capsys.readouterr().err)
    with pytest.raises(UserError, match="cannot be written to .*nowhere"):
        build.write(tmp_path / "nowhere" / "x.html", b"")
