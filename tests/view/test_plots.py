"""The charts of a report: what they show, and that nothing that an agent wrote gets out of its place."""

import hashlib
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from state.config import note_person
from state.files import append_jsonl
from state.paths import RunPaths
from state.record import read_record
from stats.calibration import FEWEST, Forecast
from stats.progress import curve
from tests.view.big import HOSTILE, make_big_run
from tests.view.made import add, make_run, verdict
from view.plots import charts
from view.plots.chart import NARROW, PALETTE, Chart, stamped
from view.plots.drawing import COLOURS, Sheet, plot, spread
from view.plots.progress import Curve, floor_of, progress_chart
from view.plots.rows import Row, components_chart, lift_by_draw_chart
from view.plots.scatter import errors_chart, teacher_chart
from view.plots.svg import path_data

ELEMENTS = {"svg", "title", "desc", "g", "defs", "path", "use", "clipPath", "rect", "text", "a"}
ATTRIBUTES = {
    "viewBox", "width", "height", "role", "aria-labelledby", "class", "stroke-linejoin", "stroke-linecap", "id", "d", "x", "y", "style",
    "transform", "clip-path", "href", "tabindex",
}  # fmt: skip


@pytest.fixture(scope="module")
def big(tmp_path_factory) -> RunPaths:
    return make_big_run(tmp_path_factory.mktemp("big"), submissions=500)


@pytest.fixture(scope="module")
def drawn(big) -> dict[str, list[Chart]]:
    return charts(read_record(big), parts=[(words, 0.1, -0.1, 0.2, "#s0001") for words in HOSTILE])


def all_svgs(found: dict[str, list[Chart]]) -> list[str]:
    return [svg for some in found.values() for chart in some for svg in (chart.wide, chart.narrow)]


def elements(svg: str) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(svg).iter())


def one_run(tmp_path: Path, *verdicts: dict, name: str = "first") -> RunPaths:
    paths = make_run(tmp_path, name)
    for one in verdicts:
        add(paths, one)
    return paths


def test_a_run_with_everything_has_a_chart_in_every_section(drawn):
    assert set(drawn) == {
        "headline",
        "progress",
        "agents",
        "sealed",
        "teacher",
        "predicted",
        "components",
        "diversity",
        "lineage",
        "transfer",
        "cost",
    }
    assert [chart.name for chart in drawn["progress"]] == [
        "progress-evaluations",
        "progress-seconds",
        "progress-dollars",
        "progress-compute-seconds",
    ]


def test_svgs_hold_only_what_draws_whatever_agents_wrote(drawn):
    for svg in all_svgs(drawn):
        for element in elements(svg):
            assert element.tag in ELEMENTS
            assert set(element.attrib) <= ATTRIBUTES
            assert element.get("href", "#").startswith("#")
            assert "url(" not in element.get("style", "").replace("url(#", "")


def test_what_agents_wrote_is_shown_as_it_is_and_not_read_as_math():
    names = [words for words in HOSTILE if words.isprintable() and len(words) < 40]
    chart = components_chart([(words, 0.1, 0.05, 0.2, "") for words in names])
    shown = {element.text for element in elements(chart.wide) if element.tag == "text"}
    assert set(names) <= shown


def test_characters_that_turn_the_reading_direction_or_steer_a_terminal_are_gone(drawn):
    for some in drawn.values():
        for chart in some:
            for text in (chart.wide, chart.narrow, chart.title, chart.alt, chart.note):
                assert not set("\u202e\u202a\u2066\x1b\x07\ufffe") & set(text)


def test_ids_are_unique_in_a_page_with_all_charts_and_all_that_is_referred_to_is_there(drawn):
    seen: set[str] = set()
    for svg in all_svgs(drawn):
        own = {element.get("id") for element in elements(svg)} - {None}
        assert not own & seen
        seen |= own
        used = set(re.findall(r"url\(#([^)]+)\)", svg)) | {e.get("href")[1:] for e in elements(svg) if e.tag == "use"}
        assert used | set(elements(svg)[0].get("aria-labelledby").split()) <= own


def test_the_same_data_give_the_same_bytes(big, drawn):
    script = f"""
import sys, hashlib
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from state.paths import RunPaths
from state.record import read_record
from view.plots.read import _lineage, _progress, points_of
from view.report.headline import winner
record = read_record(RunPaths({str(big.root)!r}))
found = [*_progress(record, points_of(record, list(record.verdicts.values())), winner(record)[1]), _lineage(record)]
print(hashlib.sha256("".join(c.wide + c.narrow for c in found).encode()).hexdigest())
"""
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip()
    assert told == hashlib.sha256("".join(c.wide + c.narrow for name in ("progress", "lineage") for c in drawn[name]).encode()).hexdigest()


def test_every_colour_is_a_variable_of_the_page(drawn):
    for svg in all_svgs(drawn):
        for element in elements(svg):
            for key, value in re.findall(r"\b(fill|stroke):([^;]+)", element.get("style", "")):
                named = re.fullmatch(r"var\(--c-(\w+)\)", value)
                assert value == "none" or named and named[1] in PALETTE, (key, value)
    assert not any(hex_colour in svg for svg in all_svgs(drawn) for hex_colour in COLOURS.values())


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    r, g, b = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


@pytest.mark.parametrize("theme", [0, 1])
def test_all_colours_but_the_grid_can_be_read_as_text_on_their_background(theme):
    ground = luminance(PALETTE["bg"][theme])
    for name, values in PALETTE.items():
        light, dark = sorted((luminance(values[theme]), ground), reverse=True)
        assert name in ("bg", "grid") or (light + 0.05) / (dark + 0.05) >= 4.5, name


def test_what_took_the_lead_leads_to_its_details_and_says_its_figures(big, drawn):
    record = read_record(big)
    led = {p.verdict["submission"] for p in curve(list(record.verdicts.values()), lambda v: record.seconds(v["time"])) if p.rises}
    links = {e.get("href")[1:]: e.find("title").text for e in elements(drawn["progress"][0].wide) if e.tag == "a"}
    assert led <= set(links)
    best = max(led)
    assert links[best].startswith(f"{best} by {record.verdicts[best]['agent']}: PGR {record.verdicts[best]['pgr']:.2f} [")


def test_every_drawing_tells_in_words_what_it_shows(drawn):
    for some in drawn.values():
        for chart in some:
            for svg in (chart.wide, chart.narrow):
                root = ElementTree.fromstring(svg)
                assert (root.get("role"), root.get("height")) == ("img", None)
                assert (root[0].text, root[1].text) == (chart.title, chart.alt)
            assert re.search(r"\d", chart.alt)


def test_text_on_a_phone_has_at_least_ten_pixels_and_no_drawing_sets_its_own_font(drawn):
    for some in drawn.values():
        for chart in some:
            sizes = [float(size) for size in re.findall(r"font-size:([\d.]+)px", chart.narrow)]
            assert min(sizes, default=10) >= 9.5
            assert chart.narrow.startswith(f'<svg viewBox="0 0 {NARROW} ')
            assert "font-family" not in chart.wide + chart.narrow


def test_a_run_that_goes_on_shows_the_public_nothing_that_agents_must_not_know(tmp_path):
    paths = make_big_run(tmp_path, submissions=40, sealed=False, transfer=False)
    before = charts(read_record(paths, public=True))
    lines = [json.loads(line) for line in paths.ledger.read_text().splitlines()]
    secret = (
        "accuracy",
        "accuracy_where_teacher_right",
        "accuracy_where_teacher_wrong",
        "tuned_naive_accuracy",
        "teacher_agreement",
        "permuted_pgr",
    )
    for line in lines:
        line.update({name: 0.123 for name in secret if name in line})
        if line.get("pgr") is not None:
            line |= {"pgr": line["pgr"] + 1e-9, "lift_by_draw": [0.5] * 8, "pgr_by_draw": [0.5] * 8}
    paths.ledger.write_text("".join(json.dumps(line) + "\n" for line in lines))
    append_jsonl(paths.evaluator / "sealed.jsonl", {**verdict("s0002", pgr=0.3), "rung": "sealed", "draws": 16})
    after = charts(read_record(paths, public=True))
    assert before == after
    assert not {"headline", "teacher", "sealed"} & set(after)
    record = read_record(paths)
    assert teacher_chart(list(record.verdicts.values()), []) is not None


def test_a_run_without_walls_or_of_shuffled_labels_says_so_on_every_plot(tmp_path):
    paths = one_run(tmp_path, *(verdict(f"s000{k}", pgr=0.1 * k, isolation="none") for k in range(1, 8)))
    found = charts(read_record(paths))
    assert found
    for some in found.values():
        for chart in some:
            assert all("ISOLATION: NONE" in " ".join(ElementTree.fromstring(svg).itertext()) for svg in (chart.wide, chart.narrow))
            assert "ISOLATION: NONE" in chart.alt


def test_a_stamp_stands_above_what_was_drawn():
    chart = plot("x", "t", "a", lambda sheet: sheet.axes(), (100, 100))
    assert stamped(chart, []) is chart
    top = float(ElementTree.fromstring(stamped(chart, ["NULL RUN: all is luck"]).narrow).get("viewBox").split()[1])
    places = [
        float(e.get("y"))
        for e in elements(stamped(chart, ["NULL RUN: all is luck"]).narrow)
        if e.tag == "text" and e.text.startswith("NULL")
    ]
    assert top < min(places) and max(places) < 0


@pytest.mark.parametrize(
    "verdicts",
    [
        [],
        [verdict("s0001", pgr=None, status="crashed", error="x"), verdict("s0002", pgr=None, status="timeout", error="y")],
        [verdict("s0001", pgr=None, accuracy=0.7), verdict("s0002", pgr=None, accuracy=0.6)],
        [verdict("s0001", pgr=-2.5)],
        [verdict("s0001", track="disqualified", flags=["opens-files"])],
        [verdict("s0001"), verdict("s0002", same_as="s0001")],
    ],
)
def test_runs_with_hardly_anything_in_them_are_drawn_as_far_as_there_is_something(tmp_path, verdicts):
    found = charts(read_record(one_run(tmp_path, *verdicts)))
    assert all(some for some in found.values())
    assert ("progress" in found) == any(one["pgr"] is not None and one["track"] == "main" for one in verdicts)


def test_many_dots_in_one_place_are_drawn_once_and_the_leaders_all_the_same():
    def of(count: int) -> list[dict]:
        return [verdict(f"s{k:05d}", pgr=0.4 + 0.01 * (k % 3), time="2026-11-23T14:00:00Z", method_seconds=1e-9) for k in range(count)]

    sizes = []
    for count in (300, 6000):
        verdicts = [*of(count), verdict("s99999", pgr=0.9)]
        chart = progress_chart([Curve("run", curve(verdicts, lambda v: 60.0))], "seconds")
        assert 'href="#s99999"' in chart.wide
        sizes.append(len(chart.wide))
    assert sizes[1] < 1.1 * sizes[0]


def test_several_runs_share_one_chart_each_under_its_name():
    curves = [
        Curve(name, curve([verdict("s1", pgr=pgr), verdict("s2", pgr=pgr / 2)], lambda v: 60.0))
        for name, pgr in (("first", 0.6), ("second", 0.4))
    ]
    chart = progress_chart(curves, "evaluations")
    shown = [e.text for e in elements(chart.wide) if e.tag == "text"]
    assert "first 0.60" in shown and "second 0.40" in shown
    assert not [e for e in elements(chart.wide) if e.tag == "a"]


def test_the_floor_of_luck_rises_with_the_number_of_methods_and_needs_some_of_them():
    points = curve([verdict(f"s{k}", pgr=0.5) for k in range(40)], lambda v: 60.0)
    floor = floor_of(points)
    assert floor.at(1) == pytest.approx(0.5)
    assert floor.at(1) < floor.at(10) < floor.at(40)
    assert floor_of(points[:3]) is None


def test_the_title_of_the_lift_says_what_its_interval_says_however_many_draws_are_above_zero():
    public, unsure = Row("public", 0.4, 0.2, 0.6, "", (0.3, 0.4, 0.5)), Row("sealed", 0.22, -0.03, 0.5, "", (0.1, 0.2, 0.3))
    sure = Row("sealed", 0.3, 0.1, 0.5, "", (0.3, 0.3))
    both = "s8 beats tuned naive on public draws and is not told from tuned naive on sealed draws"
    assert lift_by_draw_chart([public, unsure], "s8").title == both
    assert lift_by_draw_chart([public, sure], "s8").title == "s8 beats tuned naive on public and sealed draws"


def test_nobody_is_said_to_expect_too_much_on_a_few_predictions():
    def of(agent: str, errors: list[float]) -> list[Forecast]:
        return [Forecast(f"s{at}", agent, 0.4 + error, 0.4, 0.3, 0.5) for at, error in enumerate(errors)]

    few, many = [0.02, 0.03, 0.06, 0.07], [0.0, 0.0, 0.03, 0.05, 0.02]  # beyond 0 by a normal interval, and many not by Student's t
    assert errors_chart(of("agent-1", few), {}) is None
    chart = errors_chart([*of("agent-1", few), *of("agent-2", many)], {})
    assert chart.title == "0 of 1 agent expect too much, 0 too little; the others' errors are within noise"
    assert f"1 agent with fewer than {FEWEST} is not shown" in chart.note


def test_points_beyond_the_axis_are_told_of():
    verdicts = [verdict("s1", pgr=0.5), verdict("s2", pgr=-3.0), verdict("s3", pgr=-4.0)]
    assert (
        "2 submissions with a PGR below -0.25 are not shown"
        in progress_chart([Curve("run", curve(verdicts, lambda v: 60.0))], "evaluations").note
    )


def test_labels_are_moved_apart_and_stay_within_their_bounds():
    assert spread([5.0, 50.0], 10, 0, 100) == [5, 50]
    moved = spread([50.0, 51.0, 49.0, 99.0, 100.0], 10, 0, 100)
    ordered = sorted(moved)
    assert all(b - a >= 9.9 for a, b in zip(ordered, ordered[1:], strict=False)) and 0 <= ordered[0] and ordered[-1] <= 100
    assert moved[2] < moved[0] < moved[1] < moved[3] < moved[4]


def test_a_place_on_an_upright_or_a_turned_axis_gets_its_dot():
    def paths(low: float, high: float) -> int:
        sheet = Sheet(300, 200)
        axes = sheet.axes()
        axes.set(xlim=(0, 10), ylim=(low, high))
        sheet.dots(axes, [1, 5, 20], [1, 5, 5])
        return len(axes.patches[0].get_path().vertices)

    assert paths(0, 10) == paths(10, 0) == 4


def test_path_data_keeps_dots_and_leaves_out_points_that_repeat():
    assert path_data("M 1.04 2.06 \nL 1.04 2.06 \nM 3 4 \nL 3.01 4 \nL 5 6 \nz") == "M1 2.1h0M3 4L5 6z"
    assert path_data("M -0.01 0 \nC 1 1 2 2 3.25 3") == "M0 0C1 1 2 2 3.2 3"


def test_nothing_is_loaded_that_draws_until_something_is_drawn():
    look = "import sys, view.plots, view.plots.chart; print(sorted({'matplotlib', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.stdout.strip() == "[]"


def test_people_who_joined_are_not_counted_as_agents(tmp_path):
    paths = one_run(tmp_path, verdict("s0001", agent="agent-1", pgr=0.5), verdict("s0002", agent="ada", pgr=0.6))
    note_person(paths, "ada", "")
    assert charts(read_record(paths))["agents"][0].title.startswith("1 agent and 1 person: ")
