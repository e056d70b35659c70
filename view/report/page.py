"""The page itself: what view/report found of a run, put into templates/ with its styles and scripts, as one text.

    render(record, charts, each)     HTML of a whole page that asks nothing of any server

The page carries a policy (CSP) that forbids every request and every script but its own, known by its hash. Texts of agents are escaped
by jinja, or lie in JSON and get into the page as text nodes; no script of it writes HTML.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import jinja2
from markupsafe import Markup, escape

from state.record import Record
from view.plots.chart import PALETTE, PALETTE_CSS, Chart
from view.report.data import script_json
from view.report.forum import THREADS, forum_data, forum_threads, forum_types
from view.report.headline import headline
from view.report.panel import chunks
from view.report.people import agent_cards
from view.report.sections import sections as table_sections
from view.report.table import COLUMNS, PAGE, cell_html, leaderboard_rows, soft, table_data
from view.report.tables import sealed_section, transfer_section
from view.scores import luck_words

HERE = Path(__file__).parent
SCRIPTS = ("report.js", "leaderboard.js", "panel.js", "forum.js")
POSTS_IN_HTML = 200
TITLES = {
    "headline": ("Findings", ""),
    "progress": ("Progress", "How the best method rose"),
    "agents": ("Agents", "Who took part"),
    "leaderboard": ("Leaderboard", "All submissions"),
    "sealed": ("Sealed part", "On the sealed part"),
    "teacher": ("Teacher’s errors", "Where the teacher is right, and where it is wrong"),
    "predicted": ("Predictions", "What agents predicted, and what came"),
    "components": ("Components", "What each component of the winner is worth"),
    "yardstick": ("Yardsticks", "Against the library and the search"),
    "diversity": ("Diversity", "How different the ideas are"),
    "lineage": ("Lineage", "What came from what"),
    "forum": ("Forum", "What agents told each other"),
    "transfer": ("Transfer", "On other tasks"),
    "cost": ("Cost", "What it cost"),
    "audit": ("Audits", "Audits and isolation"),
}
"""Section -> its name in the contents, its title; in the order of the page."""
FORUM = "Figures above the words of a post were filled in by the run, coarser, as agents were told them; figures within the words were typed."
ALWAYS = {"headline", "agents", "leaderboard", "sealed", "forum"}
BACKTICKS = re.compile(r"`([^`\n]+)`")
SUBMISSION = re.compile(r"\bs\d{4,}\b")


def render(record: Record, charts: Mapping[str, Sequence[Chart]], each: Callable[[int], None] = lambda done: None) -> str:
    """The page of `record` with `charts` (section -> its charts, as `view.plots.charts` gives them). `each(done)` is told how many
    submissions' details are packed."""
    rows, threads, head = leaderboard_rows(record), forum_threads(record), headline(record)
    script, css = _read_scripts(), PALETTE_CSS + _print_palette() + (HERE / "static" / "report.css").read_text(encoding="utf-8")
    shown, posts = 0, 0
    while shown < min(THREADS, len(threads)) and (not shown or posts + len(threads[shown]) <= POSTS_IN_HTML):
        posts += len(threads[shown])
        shown += 1
    return _environment(record).get_template("report.html.j2").render(
        head=head, policy=policy(script), css=Markup(css), script=Markup(script), sections=page_sections(record, charts),
        beside=next(iter(charts.get("headline", ())), None), cards=agent_cards(record), shows=_shows(record),
        commit=record.config.get("base", "")[:12], until=_until(record), columns=COLUMNS, rows=rows[:PAGE], total=len(rows), page=PAGE,
        choices={key: sorted({row[key] for row in rows if row[key]}) for key in ("agent", "track", "status")}, board_cell=cell_html,
        posts=len(record.posts), threads=threads[:shown], threads_total=len(threads), types=forum_types(threads),
        table_data=script_json(table_data(rows)), forum_data=script_json(forum_data(threads)), chunks=chunks(record, each),
    )  # fmt: skip


def policy(script: str) -> str:
    """The policy of a page with this one script in it."""
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    return (f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'; "
            "require-trusted-types-for 'script'")  # fmt: skip


def page_sections(record: Record, charts: Mapping[str, Sequence[Chart]]) -> list[dict]:
    """{"id", "short", "title", "intro", "charts", "tables", "notes"} of what there is, in the order of TITLES."""
    found = {one["id"]: one for one in [*table_sections(record), sealed_section(record), transfer_section(record)] if one is not None}
    words = luck_words([verdict for verdict in record.verdicts.values() if not verdict.get("same_as")])
    made = []
    for name, (short, title) in TITLES.items():
        one = found.get(name, {})
        mine = [] if name == "headline" else list(charts.get(name, ()))
        if name not in ALWAYS and not one and not mine:
            continue
        made.append({"id": name, "short": short, "title": one.get("title", title), "intro": one.get("intro", ""), "charts": mine,
                     "tables": one.get("tables", []), "notes": one.get("notes", [])})  # fmt: skip
        if name == "forum" and record.posts:
            made[-1]["intro"] = FORUM
        if name == "leaderboard" and words:
            made[-1]["notes"] = [words]
    return made


def _shows(record: Record) -> str:
    if record.closed:
        return "All there is of a closed run."
    if not record.public:
        return "Made for who operates the run: it shows what agents must not see."
    return "While the run goes on it shows figures as agents may see them."


def _until(record: Record) -> str:
    dated = (record.verdicts.values(), record.events, record.submissions.values(), record.sealed)
    times = [one.get("time") or "" for some in dated for one in some]
    return moment(max(times, default=""))


def moment(time: str) -> str:
    """A time as in the ledger, for a reader."""
    return time.replace("T", " ").replace("Z", " UTC")


def _read_scripts() -> str:
    return "".join((HERE / "static" / name).read_text(encoding="utf-8") for name in SCRIPTS)


def _print_palette() -> str:
    """Paper is white, whatever the screen is."""
    rules = "".join(f"--c-{name}:{light};" for name, (light, _) in PALETTE.items())
    return f"@media print{{:root,:root:not([data-theme=light]),:root[data-theme=dark]{{color-scheme:light;{rules}}}}}\n"


def marked(text: str) -> Markup:
    """Text in which `what stands in backticks` is code."""
    return Markup(BACKTICKS.sub(r"<code>\1</code>", str(escape(text))))


def _environment(record: Record) -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )

    def linked(text: str) -> Markup:
        """Text in which submissions that exist are links."""
        parts, last = [], 0
        for found in SUBMISSION.finditer(text):
            if found[0] in record.submissions:
                parts += [escape(text[last : found.start()]), Markup('<a href="#{}">{}</a>').format(found[0], found[0])]
                last = found.end()
        return Markup("").join([*parts, escape(text[last:])])

    made.filters |= {"linked": linked, "moment": moment, "soft": soft, "marked": marked}
    return made
