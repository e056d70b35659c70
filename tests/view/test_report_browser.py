# ruff: noqa: F811  (fixtures are imported by name)
"""The report in a real browser: it opens without a request, shows what it should, and nothing that an agent wrote runs in it."""

import contextlib
import json
import re
import subprocess
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from state.files import append_jsonl
from state.paths import RunPaths
from state.record import read_record
from tests.view.big import make_big_run
from tests.view.browser import chromium, until, visit  # noqa: F401
from tests.view.made import add, make_run, verdict
from tests.view.probes import ACT, ASKS, CONTRAST, DEAD_LINKS, MARKS, SIDEWAYS, UNNAMED, WIDTHS
from view.report.build import write_report

QUESTIONS = ("What was found", "Can it be believed?", "What did it cost?", "What next?")
SECONDS = 3.0
"""Of a core, within which 5,000 submissions must be there. Not of a clock: the machine may be busy, or stand still."""
QUICK = 0.3
"""Seconds that a sort or a search of them may take, of a core too: a person does not notice a third of this."""
ATTACKS = (
    "<script>window.owned=1;alert('one')</script>", "<img src=x onerror=\"window.owned=2;alert('two')\">", "</script><script>window.owned=3</script>",
    "<svg/onload=\"window.owned=4\">", "{{ 7*7 }} ${7*7}", "javascript:alert('five')", "\u202eevil\u202c", "</details></dialog><b>bold</b>",
)  # fmt: skip



def add_attacks(paths: RunPaths) -> str:
    """Posts, a submission and its code that try to run something in the page; the submission's name."""
    for number, text in enumerate(ATTACKS):
        title = json.dumps(f"attack {number}: {text}")
        front = f"---\nagent: agent-1\ntype: insight\ntitle: {title}\ntime: 2026-11-19T08:00:0{number}Z\n---\n\n"
        body = f"{front}*Words of agent-1; figures below were typed, not measured.*\n\n{text}\n"
        (paths.forum / f"20261119T08000{number}Z-agent-1-attack-{number}.md").write_text(body, encoding="utf-8")
    words, git = " ".join(ATTACKS), ["git", "--git-dir", str(paths.repo)]

    def run(*command: str, put: str | None = None) -> str:
        return subprocess.run([*git, *command], input=put, capture_output=True, text=True, check=True).stdout.strip()

    blob = run("hash-object", "-w", "--stdin", put=f'"""{words}"""\nFAMILY = {ATTACKS[0]!r}\n')
    folder = run("mktree", put=f"100644 blob {blob}\tevil.py\n")
    tree = run("mktree", put=f"040000 tree {folder}\tmethods\n")
    commit = run("-c", "user.name=a", "-c", "user.email=a@b", "commit-tree", tree, "-m", "evil")
    hostile = {"family": ATTACKS[0], "flags": [ATTACKS[1]], "reasons": [ATTACKS[2]], "unknown": words}
    one = verdict("s9000", pgr=0.4, commit=commit, method="methods/evil.py", **hostile)
    append_jsonl(paths.ledger, {"kind": "submission", **{key: one[key] for key in ("submission", "agent", "commit", "method")}, "family": None,
                                "message": words, "parents": ["s0001"], "time": "2026-11-20T09:00:00Z"})  # fmt: skip
    append_jsonl(paths.ledger, {"kind": "verdict", **one})
    return "s9000"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[RunPaths, Path]:
    """A run with attacks in it, and its report."""
    folder = tmp_path_factory.mktemp("made")
    paths = make_big_run(folder, submissions=130, posts=0.8, name="first")
    add_attacks(paths)
    write_report(paths, folder / "report.html", public=False, tell=None)
    return paths, folder / "report.html"


@pytest.fixture(scope="module")
def report(made) -> Path:
    return made[1]


@contextlib.contextmanager
def counting_server():
    """A server on the loopback that counts what it is asked: its address, and the list of paths."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    thread.join()


def test_it_opens_without_an_error_and_asks_nothing_of_anybody(report, visit, tmp_path):
    seen = visit(report, hash="#s0007")
    seen.page.locator("#panel pre.code").first.wait_for()
    assert (seen.errors, seen.requests, seen.dialogs) == ([], [], [])
    with counting_server() as (address, asked):
        control = tmp_path / "control.html"
        control.write_text(f"<img src={address}/seen>")
        other = visit(control)  # the same listener sees a page that asks
        assert other.requests == [f"{address}/seen"] and asked == ["/seen"]
        assert seen.page.evaluate(ASKS, f"{address}/policy") == "refused"  # and what somebody put into the report could not
        assert asked == ["/seen"]


def test_plots_are_drawn_for_the_width_of_the_window(report, visit):
    for width, wide in ((1280, True), (375, False)):
        page = visit(report, width=width).page
        found = {name: (a, b) for name, a, b in page.evaluate(WIDTHS)}
        assert len(found) > 10
        for name, (a, b) in found.items():
            assert ((a > 600 and b == 0) if wide and name != "chart-lift-by-draw" else (a == 0 and 250 < b <= 400)), (width, name, a, b)
        assert min(page.evaluate(MARKS)) > 3


def test_the_first_screen_answers_four_questions(report, visit):
    page = visit(report).page
    for name in QUESTIONS:
        section = page.locator("#headline section", has=page.get_by_role("heading", name=name, exact=True))
        box = section.bounding_box()
        assert 0 <= box["y"] and box["y"] + box["height"] <= 900, (name, box)
    phone = visit(report, width=375, height=812).page
    tops = [phone.get_by_role("heading", name=name, exact=True).bounding_box()["y"] for name in QUESTIONS]
    assert tops == sorted(tops) and phone.locator("#chart-lift-by-draw").bounding_box()["y"] > tops[-1]


def test_a_phone_is_not_scrolled_sideways(report, visit):
    page = visit(report, width=375, height=812).page
    assert page.evaluate(SIDEWAYS) <= 0
    page.evaluate("location.hash = 's0100'")
    page.locator("#panel pre.code").first.wait_for()
    assert page.evaluate(SIDEWAYS) <= 0 and page.locator("#panel").evaluate("(one) => one.scrollWidth - one.clientWidth") <= 0


def test_what_matters_of_a_submission_is_seen_without_scrolling_sideways(report, visit):
    page = visit(report).page
    page.locator("#board-query").fill("evil.py")  # its flag is long
    until(page, "document.querySelectorAll('#board tbody tr').length === 1")
    edge = page.locator(".scroll.board").bounding_box()
    for name in ("rank", "submission", "agent", "pgr", "lift", "flags", "method", "idea"):
        for box in (page.locator(f"#board thead [data-key={name}]").bounding_box(), page.locator(f"#board tbody .c-{name}").bounding_box()):
            assert edge["x"] <= box["x"] and box["x"] + box["width"] <= edge["x"] + edge["width"] <= 1280, (name, box)


OVERFLOWS = "(one) => one.scrollWidth - one.clientWidth"
LINES = """(cell) => {
  const walk = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT), lines = new Map();
  while (walk.nextNode()) for (let at = 0; at < walk.currentNode.length; at++) {
    const one = document.createRange();
    one.setStart(walk.currentNode, at);
    one.setEnd(walk.currentNode, at + 1);
    const top = Math.round(one.getBoundingClientRect().top);
    lines.set(top, (lines.get(top) || '') + walk.currentNode.data[at]);
  }
  return [...lines.values()];
}"""
"""The lines into which the text of a cell is broken."""


def test_sealed_figures_are_seen_without_scrolling_sideways_and_names_are_not_broken_within_a_word(tmp_path, visit):
    paths, long = make_run(tmp_path), "soft_means_confident15_two_clusters_pc10_two_heads.py"
    paths.evaluator.mkdir()
    for name in ("s0001", "s0002"):
        one = verdict(name, method=f"methods/{long}", recipe_pgr=0.6, recipe_pgr_low=0.5, recipe_pgr_high=0.7, recipe_ceiling_accuracy=0.84)
        add(paths, one)
        append_jsonl(paths.evaluator / "sealed.jsonl", one)
    append_jsonl(paths.ledger, {"kind": "event", "event": "sealed-opening", "agent": None, "detail": "s0001, s0002", "time": "2026-11-23T15:00:00Z"})
    (paths.board / "verification.md").write_text("# Sealed verification\n")
    write_report(paths, tmp_path / "report.html", public=False, tell=None)
    page = visit(tmp_path / "report.html").page
    assert page.locator("#sealed .scroll").evaluate(OVERFLOWS) <= 0
    cell = page.locator("#sealed td").last
    assert cell.evaluate("(one) => one.textContent") == long
    assert all(line.endswith(("_", ".py")) for line in cell.evaluate(LINES))


def test_a_phone_shows_flagged_submissions_as_cards(report, visit):
    page = visit(report, width=390, height=812).page
    box = page.locator(".scroll[aria-label^='Flagged submissions']")
    rows = box.locator("tbody tr").evaluate_all("(all) => all.map((one) => [one.offsetHeight, Math.max(...[...one.cells].map((cell) => cell.textContent.length))])")
    assert box.evaluate(OVERFLOWS) <= 0 and len(rows) > 5
    assert all(height < 80 + most / 2 for height, most in rows), "no column is squeezed: 300 characters of reasons take some 10 lines"


def in_order(text: str) -> str:
    """A key by which x_10 comes behind x_9."""
    return re.sub(r"\d+", lambda digits: digits[0].zfill(8), text)


def test_search_sort_filter_and_pages(made, visit):
    page = visit(made[1]).page
    record = read_record(made[0])
    rows, count = page.locator("#board tbody tr"), page.locator("#board-count")
    assert rows.count() == 50 and "131 submissions, 1 to 50 shown" in count.inner_text()
    body = "document.querySelector('#board tbody').innerText"
    in_html = page.evaluate(body)
    page.evaluate("board.draw()")
    assert page.evaluate(body) == in_html  # the script makes the rows that stand in the HTML
    page.keyboard.press("/")
    page.keyboard.type("s0042 ")
    until(page, "document.querySelectorAll('#board tbody tr').length === 1")
    assert "1 of 131" in count.inner_text() and rows.first.locator("th").inner_text() == "s0042"
    page.get_by_role("button", name="clear").first.click()
    until(page, "document.querySelectorAll('#board tbody tr').length === 50")
    for name, downwards in (("lift", True), ("seconds", True), ("method", False)):
        head = page.locator(f"#board th[data-key={name}]")
        head.get_by_role("button").click()
        assert head.get_attribute("aria-sort") == ("descending" if downwards else "ascending")
        shown = page.evaluate(f"board.found.map((at) => board.rows[at][board.at.{name}])")
        figures = [value for value in shown if value not in (None, "")]
        assert figures == sorted(figures, reverse=downwards, key=in_order if name == "method" else None)
        assert shown[len(figures) :] == [None] * (len(shown) - len(figures))  # what has none comes last
        head.get_by_role("button").click()
        assert head.get_attribute("aria-sort") == ("ascending" if downwards else "descending")
    page.locator("[data-filter=agent]").select_option("agent-3")
    mine = sum(one["agent"] == "agent-3" for one in record.submissions.values())
    assert page.evaluate("board.found.length") == mine and f"{mine} of 131" in count.inner_text()
    page.locator("[data-filter=agent]").select_option("")
    page.get_by_role("button", name="after").click()
    assert "51 to 100" in count.inner_text() and rows.count() == 50


def test_dark_mode_follows_the_system_and_the_button_and_is_remembered(report, visit):
    ground = "getComputedStyle(document.body).backgroundColor"
    dark, light = visit(report, scheme="dark").page, visit(report, scheme="light").page
    assert dark.evaluate(ground) != light.evaluate(ground)
    line = "getComputedStyle(document.querySelector('#chart-progress-evaluations .wide svg text')).fill"
    assert dark.evaluate(line) != light.evaluate(line)  # the plots as well
    light.locator("#theme").click()
    assert light.evaluate(ground) == dark.evaluate(ground)
    light.reload()
    assert light.evaluate(ground) == dark.evaluate(ground) and light.locator("#theme").get_attribute("aria-pressed") == "true"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_a_contrast_of_4_5_to_its_ground(report, visit, scheme):
    page = visit(report, scheme=scheme, hash="#s9000").page
    page.locator("#panel pre.code").first.wait_for()
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert page.evaluate(CONTRAST) == []
    page.evaluate("document.querySelector('.intro, p').style.color = 'gray'; document.querySelector('.intro, p').style.background = 'silver'")
    assert page.evaluate(CONTRAST) != []


def test_links_lead_somewhere_and_headings_and_names_are_in_order(report, visit):
    page = visit(report).page
    assert page.evaluate(DEAD_LINKS) == []
    assert page.evaluate(UNNAMED) == []
    levels = page.evaluate("[...document.querySelectorAll('main h1, main h2, main h3, main h4')].map((one) => Number(one.tagName[1]))")
    assert levels[0] == 1 and levels.count(1) == 1 and all(b - a <= 1 for a, b in zip(levels, levels[1:], strict=False))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.locator("nav.side").get_by_role("link", name="Forum").click()
    until(page, "document.querySelector('#forum h2').getBoundingClientRect().y < 200")


def test_tabs_show_one_axis_at_a_time_and_all_of_them_without_a_script(report, visit):
    page = visit(report).page
    figures = page.locator("#progress figure")
    assert figures.count() >= 3 and [one.is_visible() for one in figures.all()].count(True) == 1
    page.get_by_role("tab").first.focus()
    page.keyboard.press("ArrowRight")
    assert [one.is_visible() for one in figures.all()].index(True) == 1 and page.get_by_role("tab").nth(1).get_attribute("aria-selected") == "true"
    plain = visit(report, script=False).page
    assert all(one.is_visible() for one in plain.locator("#progress figure").all())
    assert plain.locator("#board tbody tr").count() == 50 and plain.locator("#board-query").is_hidden()
    assert plain.locator(".post .words").first.is_visible()


def test_a_submission_opens_with_its_code_diff_figures_and_ledger_lines(made, visit):
    paths, file = made
    seen, record = visit(file), read_record(paths)
    page = seen.page
    row = page.locator("#board tbody tr").nth(2)
    name = row.locator("th").inner_text()
    row.locator("td").nth(1).click()
    panel = page.locator("#panel")
    panel.locator("pre.code").first.wait_for()
    assert page.evaluate("location.hash") == f"#{name}" and panel.locator("h2").inner_text().startswith(name)
    panel.locator("details", has_text="Code").last.evaluate("(one) => { one.open = true; }")
    assert panel.locator("pre.code:not(.diff)").evaluate("(one) => one.textContent").rstrip("\n") == record.source(name).rstrip("\n")
    entry = record.submissions[name]
    parent = entry["parents"][0]
    source, before = (record.source(one).splitlines() for one in (name, parent))
    parts = "(all) => all.map((one) => [one.dataset.mark, Number(one.dataset.n), one.textContent.slice(1, -1)])"
    shown = panel.locator(".diff [data-mark]").evaluate_all(parts)
    assert {mark for mark, _, _ in shown} == {"+", "-", " "}
    assert all((before if mark == "-" else source)[number - 1] == line for mark, number, line in shown)
    lines = paths.ledger.read_text(encoding="utf-8").splitlines()
    raw = [json.loads(text) for text in panel.locator("pre.raw").evaluate_all("(all) => all.map((one) => one.textContent)")]
    assert raw[:2] == [json.loads(lines[record.lines[kind, name] - 1]) for kind in ("submission", "verdict")]
    assert raw[2:] == [one for one in record.sealed if one["submission"] == name], "and the line of its sealed verdict, where there is one"
    panel.get_by_role("link", name=parent, exact=True).first.click()
    until(page, f"document.getElementById('panel-title').textContent.startsWith('{parent}')")
    page.keyboard.press("Escape")
    until(page, "location.hash === ''")  # once it was told that it is closed
    assert panel.is_hidden() and seen.errors == []


def test_a_mark_in_a_plot_opens_its_submission(report, visit):
    page = visit(report).page
    mark = page.locator("#chart-progress-evaluations .wide a[href^='#s']").first
    name = mark.get_attribute("href")[1:]
    mark.dispatch_event("click")
    until(page, f"panel.name === '{name}' && document.querySelector('#panel pre.code') !== null")


def test_a_post_is_found_by_its_address_by_search_and_by_type(made, visit):
    record = read_record(made[0])
    page = visit(made[1]).page
    last = record.posts[-1].name.removesuffix(".md")
    page.evaluate(f"location.hash = 'post-{last}'")
    until(page, f"(box => box && box.height > 0 && 0 <= box.y && box.y < 900)(document.getElementById('post-{last}')?.getBoundingClientRect())")
    page.get_by_role("button", name="clear").last.click()
    page.locator("#forum-type").select_option("question")
    questions = sum(post.type == "question" for post in record.posts)
    assert page.locator("#forum-count").inner_text().startswith(f"{questions} posts")
    page.locator("#forum-type").select_option("")
    page.locator("#forum-query").fill("svg/onload")
    until(page, "document.querySelectorAll('#forum-list .thread').length === 1")
    assert ATTACKS[3] in page.locator("#forum-list .words").inner_text()


def test_what_agents_wrote_stays_text(made, visit, tmp_path):
    seen = visit(made[1])
    page = seen.page
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    texts = page.locator("#forum-list").evaluate("(one) => one.textContent")
    assert all(text.replace("\u202e", "").replace("\u202c", "") in texts for text in ATTACKS)
    page.locator("#board-query").fill("evil.py")
    until(page, "document.querySelectorAll('#board tbody tr').length === 1")
    page.locator("#board tbody tr td").first.click()
    page.locator("#panel pre.code").first.wait_for()
    shown = page.locator("#panel").evaluate("(one) => one.textContent")
    assert ATTACKS[0] in shown and ATTACKS[1] in shown and "<U+202E>evil" in shown
    page.keyboard.press("Escape")
    page.locator("#forum-query").fill("attack")
    until(page, f"document.querySelectorAll('#forum-list .thread').length === {len(ATTACKS)}")
    assert all(text in page.locator("#forum-list").inner_text() for text in ATTACKS if "\u202e" not in text)
    assert (seen.dialogs, page.evaluate("window.owned"), seen.errors, seen.requests) == ([], None, [], [])
    assert page.locator("main b, main img, main script, #panel script, #panel img").count() == page.locator("dl.big b").count()
    control = tmp_path / "control.html"
    control.write_text(f"<body>{ATTACKS[1]}")  # the same words, unescaped, do run
    other = visit(control)
    until(other.page, "window.owned === 2")
    assert other.dialogs == ["two"]


def core_seconds(page) -> Callable[[], float]:
    """Tells how long the page has been at work: the time that its process took of a core."""
    asked = page.context.new_cdp_session(page)
    asked.send("Performance.enable")
    return lambda: next(one["value"] for one in asked.send("Performance.getMetrics")["metrics"] if one["name"] == "ProcessTime")


def test_five_thousand_submissions_are_there_in_three_seconds(tmp_path, visit):
    paths, file = make_big_run(tmp_path, submissions=5000), tmp_path / "report.html"
    facts = write_report(paths, file, public=False, tell=None)
    assert facts["submissions"] == 5000 and facts["bytes"] < 12e6
    times = []
    for _ in range(3):
        page = visit(file).page
        until(page, "board.rows && board.rows.length === 5000 && document.querySelectorAll('#board tbody tr').length === 50")
        taken = core_seconds(page)
        times.append(taken())
        if times[-1] < SECONDS:  # what was quick enough once is
            break
    assert min(times) < SECONDS, times
    for act in ("sort", "teacher", "agent-3"):
        times = []
        while len(times) < 4 and not (times and times[-1] < QUICK):
            before = taken()
            page.evaluate(ACT, act)
            times.append(taken() - before)
        assert min(times) < QUICK, (act, times)
    page.evaluate("location.hash = 's2500'")
    page.locator("#panel pre.code").first.wait_for()
