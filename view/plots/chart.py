"""What a chart is to the page that shows it, and the colours of both. Nothing here draws, so it loads at once.

Chart                a drawing in two widths with its words
PALETTE_CSS          the variables that every drawing's colours refer to, for a light and a dark page
stamped(chart, [..]) the same chart with what must stand on every plot of a run without walls, or of shuffled labels
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

WIDE, NARROW = 860, 340
"""Widths in CSS pixels at which a drawing has the size it was made for."""

PALETTE = {
    "bg": ("#ffffff", "#14171c"), "fg": ("#1b1f24", "#e6e9ee"), "muted": ("#5c636e", "#9aa4b2"), "grid": ("#e3e6ea", "#2b3038"),
    "1": ("#0f6fcf", "#74b8fa"), "2": ("#9c3500", "#e8703a"), "3": ("#12805d", "#34d996"), "4": ("#5e1590", "#ab6af0"),
    "5": ("#876a00", "#f2d250"), "6": ("#b3427f", "#d0689f"),
}  # fmt: skip
"""Name -> (light, dark). 1 to 6 tell series apart, also for who sees no red or no green; all but the grid have a contrast of 4.5 to the
background and may be read as text."""


def _rules(at: int) -> str:
    return "".join(f"--c-{name}:{values[at]};" for name, values in PALETTE.items())


PALETTE_CSS = (
    f":root{{color-scheme:light dark;{_rules(0)}}}\n"
    f"@media (prefers-color-scheme:dark){{:root:not([data-theme=light]){{{_rules(1)}}}}}\n"
    f":root[data-theme=dark]{{color-scheme:dark;{_rules(1)}}}\n"
    ":root[data-theme=light]{color-scheme:light}\n"
)
"""CSS of the colours; `data-theme` on the root element overrules what the system asks for."""


@dataclass(frozen=True)
class Chart:
    """`title` says what is shown, `alt` the same for who cannot see it, `note` what the marks mean and what was left out: plain text, to
    be escaped. `wide` and `narrow` are SVG that may stand in a page as it is."""

    name: str
    title: str
    alt: str
    wide: str
    narrow: str
    note: str = ""


VIEW = re.compile(r'viewBox="0 0 (\S+) (\S+)"')


def stamped(chart: Chart, words: Sequence[str]) -> Chart:
    """The chart with `words` above both drawings and in its alt text; unchanged where there are none."""
    if not words:
        return chart

    def on(svg: str, width: int, size: int) -> str:
        lines = [line for word in words for line in wrapped(word, int(width / size / 0.62))]
        above = (size + 4) * len(lines) + 4
        rows = "".join(
            f'<text x="{width - 4}" y="{(size + 4) * at - above}" style="font-size:{size}px;font-weight:700;text-anchor:end;fill:var(--c-2)">'
            f"{html.escape(line)}</text>" for at, line in enumerate(lines, 1)
        )  # fmt: skip
        taller = VIEW.sub(lambda box: f'viewBox="0 {-above} {box[1]} {float(box[2]) + above:g}"', svg, count=1)
        return taller.removesuffix("</svg>") + rows + "</svg>"

    return replace(chart, alt=f"{' '.join(words)}. {chart.alt}", wide=on(chart.wide, WIDE, 11), narrow=on(chart.narrow, NARROW, 10))


def wrapped(text: str, most: int) -> list[str]:
    """Lines of at most `most` characters; a word that is longer is cut into pieces."""
    lines = [""]
    for word in text.split():
        while len(word) > most:
            lines += [word[:most]]
            word = word[most:]
        if lines[-1] and len(lines[-1]) + 1 + len(word) > most:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return [line for line in lines if line]
