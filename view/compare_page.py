"""The page of a comparison: what `compare` found, as one HTML file that asks nothing of any server and runs no script.

    write_compare(facts, Path("compare.html"))
"""

from __future__ import annotations

import re
from pathlib import Path

import jinja2
from markupsafe import Markup, escape

from view.compare_text import difference_tables, run_tables
from view.format import clean
from view.page_file import write_page

HERE = Path(__file__).parent / "report"
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
BACKTICKS = re.compile(r"`([^`\n]+)`")
CAPTIONS = {"corrected": "On the sealed part", "evals": "At equal cost, on the public part", "Holm p": "Pairs"}
"""A column that only this table has -> its caption."""


def render_compare(facts: dict) -> str:
    """The page as one text. What agents or another person's prompts hold is escaped."""
    from view.compare_chart import compare_charts  # matplotlib, which the text can do without
    from view.plots.chart import PALETTE_CSS

    css = PALETTE_CSS + (HERE / "static" / "compare.css").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["marked"] = lambda text: Markup(BACKTICKS.sub(r"<code>\1</code>", str(escape(text))))
    return environment.get_template("compare.html.j2").render(
        facts=facts, task=clean(facts["task"], 40), policy=POLICY, css=Markup(css), charts=compare_charts(facts),
        tables=[_table(*one) for one in (*difference_tables(facts), *run_tables(facts))], diffs=[_diff(one) for one in facts["prompts"]],
    )  # fmt: skip


def write_compare(facts: dict, out: Path) -> dict:
    """Write the page of `compare_facts` to `out`, as `view.page_file.write_page`; {"file", "bytes"}."""
    data = render_compare(facts).encode("utf-8", "replace")
    write_page(out, data)
    return {"file": str(out), "bytes": len(data)}


def _table(header: list[str], rows: list[list[str]], right: tuple[str, ...]) -> dict:
    caption = next((words for name, words in CAPTIONS.items() if name in header), "By side")
    return {"caption": caption, "header": header, "rows": rows, "right": right}


def _diff(one: dict) -> dict:
    """A diff with the kind of each line: "add", "del", "hunk" or ""."""
    kinds = {"+": "add", "-": "del", "@": "hunk"}
    lines = [(line, kinds.get(line[:1], "")) for line in one["diff"].split("\n")[2:]]
    return {**one, "lines": lines}
