"""The charts in a real browser: what is written in them can be read at the width of a desk and of a phone."""

import html
import re
import shutil
import subprocess

import pytest

from state.record import read_record
from tests.view.big import make_big_run
from view.plots import PALETTE_CSS, charts

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
LOOK = """<script>
const found = [];
let drawn = 0;
for (const svg of document.querySelectorAll('svg')) {
  const box = svg.getBoundingClientRect(), name = svg.querySelector('title').id;
  const texts = [...svg.querySelectorAll('text')].filter(one => !(one.getAttribute('transform') || '').includes('rotate'));
  const at = texts.map(one => one.getBoundingClientRect());
  const lines = [...svg.querySelectorAll('path[style*="stroke:var(--c-muted)"]')].map(one => one.getBoundingClientRect())
    .filter(one => Math.min(one.width, one.height) < 1 && Math.max(one.width, one.height) > 10);
  drawn += lines.length;
  for (let i = 0; i < texts.length; i++) {
    if (at[i].left < box.left - 1 || at[i].right > box.right + 1 || at[i].top < box.top - 2 || at[i].bottom > box.bottom + 2)
      found.push(`${name}: "${texts[i].textContent}" is cut off`);
    for (let j = i + 1; j < texts.length; j++) {
      const wide = Math.min(at[i].right, at[j].right) - Math.max(at[i].left, at[j].left);
      const high = Math.min(at[i].bottom, at[j].bottom) - Math.max(at[i].top, at[j].top);
      if (wide > 1 && high > 3.5) found.push(`${name}: "${texts[i].textContent}" lies on "${texts[j].textContent}"`);
    }
    for (const line of lines) {
      const wide = Math.min(at[i].right, line.right) - Math.max(at[i].left, line.left);
      const high = Math.min(at[i].bottom, line.bottom) - Math.max(at[i].top, line.top);
      if (wide > -1 && high > -1 && (wide > 3.5 || high > 3.5)) found.push(`${name}: "${texts[i].textContent}" lies on an axis line`);
    }
  }
}
const told = document.createElement('pre');
told.textContent = document.querySelectorAll('svg text').length + ' texts ' + drawn + ' lines\\n' + found.join('\\n');
document.body.replaceChildren(told);
</script>"""


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return charts(read_record(make_big_run(tmp_path_factory.mktemp("seen"), submissions=300, agents=14)))


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here")
@pytest.mark.parametrize(("side", "width"), [("wide", 860), ("narrow", 340)])
def test_no_label_lies_on_another_or_on_an_axis_line_or_is_cut_off(drawn, tmp_path, side, width):
    svgs = "".join(getattr(chart, side) for some in drawn.values() for chart in some)
    page = f"<!doctype html><meta charset=utf-8><style>{PALETTE_CSS}body{{margin:0;width:{width}px;font-family:sans-serif}}</style>{svgs}{LOOK}"
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    command = [
        CHROMIUM,
        *QUIET,
        f"--user-data-dir={tmp_path / 'profile'}",
        "--window-size=1000,1400",
        "--dump-dom",
        f"file://{tmp_path / 'page.html'}",
    ]
    shown = subprocess.run(command, capture_output=True, text=True).stdout
    first, *found = html.unescape(re.search("<pre>(.*?)</pre>", shown, re.DOTALL)[1]).strip().splitlines()
    texts, lines = map(int, re.findall(r"\d+", first))
    assert texts > 150 and lines > 20
    assert found == []
