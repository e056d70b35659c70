"""Draws: a sheet of paper with the theme of all charts, and the marks that they share. The only module that knows matplotlib's ways.

    def draw(sheet):
        axes = sheet.axes(left=40, bottom=40)
        axes.set(xlim=(0, 10), ylim=(0, 1))        limits before marks: these are placed in pixels
        sheet.dots(axes, xs, ys)
    plot("name", title, alt, draw, heights=(300, 260))     -> Chart

No pyplot: it keeps figures in a state that all share. Colours are stand-ins that `view/plots/svg.py` replaces by the page's variables.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterable, Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.ticker import MaxNLocator

from view.format import clean
from view.plots.chart import NARROW, PALETTE, WIDE, Chart
from view.plots.svg import HALO, MARK, Mark, page_svg

COLOURS = {name: f"#0a{number:02x}fe" for number, name in enumerate(PALETTE, 0xA1)}
"""Name of the palette -> the stand-in that matplotlib draws with."""
BG, FG, MUTED, GRID = (COLOURS[name] for name in ("bg", "fg", "muted", "grid"))
SERIES = tuple(COLOURS[str(number)] for number in range(1, 7))
BEST, ODD, SEALED = SERIES[0], SERIES[1], SERIES[3]
"""The best so far; what is flagged or does not compete; what was measured on the sealed part. The same in all charts."""
THEME = {
    "svg.fonttype": "none", "font.family": ["DejaVu Sans"], "font.size": 11, "text.parse_math": False, "text.usetex": False,
    "text.color": FG, "axes.labelcolor": MUTED, "xtick.color": MUTED, "ytick.color": MUTED, "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8, "axes.facecolor": "none", "grid.color": GRID, "grid.linewidth": 1, "axes.unicode_minus": True,
    "path.simplify": True, "lines.linewidth": 2, "patch.linewidth": 0, "axes.axisbelow": True, "svg.image_inline": True,
}  # fmt: skip
METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))
LETTER = 0.6
"""Width of a letter of usual text over its size, rather more than less: what a page shows it in is not known."""


class Sheet:
    """One drawing: `width` and `height` in pixels, `narrow` for a phone, `size` of text. Its marks lead to where they say."""

    def __init__(self, width: int, height: int):
        self.width, self.height, self.narrow = width, height, width <= NARROW
        self.size = 11 if self.narrow else 12
        self.figure = Figure(figsize=(width / 72, height / 72), dpi=72)  # one point of an SVG is one pixel of its page
        self.figure.patch.set_visible(False)
        FigureCanvasSVG(self.figure)
        self.marks: list[Mark] = []

    def axes(self, left: float = 40, right: float = 10, top: float = 26, bottom: float = 40, grid: str = "y") -> Axes:
        """Axes that leave so many pixels free at each side, with gridlines along `grid` ("x", "y", "both" or "")."""
        box = (
            left / self.width,
            bottom / self.height,
            (self.width - left - right) / self.width,
            (self.height - top - bottom) / self.height,
        )
        axes = self.figure.add_axes(box)
        axes.patch.set_visible(False)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.spines["bottom"].set_visible(grid != "x")
        axes.tick_params(length=0, labelsize=self.size - 1, pad=5)
        axes.tick_params(axis="x", pad=7)
        if grid:
            axes.grid(True, axis=grid)
        return axes

    def ticks(self, axes: Axes, x: int | None = None, y: int | None = None, whole: bool = False) -> None:
        """About so many ticks on an axis, on round values; `whole`: only whole numbers along x."""
        steps = [1, 2, 2.5, 5, 10]
        if x:
            axes.xaxis.set_major_locator(MaxNLocator(x, steps=[1, 2, 5, 10] if whole else steps, integer=whole))
        if y:
            axes.yaxis.set_major_locator(MaxNLocator(y, steps=steps))

    def mark(self, href: str, says: str) -> str:
        """What to give an artist as its url, so that it leads to `href` and says `says`."""
        self.marks.append(Mark(href, clean(says, 300)))
        return f"{MARK}{len(self.marks) - 1}"

    def text(
        self,
        axes: Axes,
        x: float,
        y: float,
        words: str,
        colour: str = FG,
        most: int = 120,
        scale: str = "data",
        halo: bool = False,
        **how: object,
    ):
        """Words at a place in data, or with `scale="pixels"` at one counted from the top left of the sheet; cleaned, never read as math.
        `halo`: kept apart from the lines behind them."""
        where = {"transform": None} if scale == "pixels" else {}
        if scale == "pixels":
            y = self.height - y
        how.setdefault("fontsize", self.size - 1)
        if halo:
            how["gid"] = HALO
        return axes.text(x, y, clean(words, most), color=colour, parse_math=False, **where, **how)

    def caption(self, axes: Axes, words: str) -> None:
        """What stands along y, in words above the axes: nobody turns a head to read it."""
        top = self.height * (1 - axes.get_position().y1)
        self.text(axes, 4, top - 9, words, MUTED, scale="pixels", va="bottom")

    def room(self, words: Iterable[str], least: float = 30, most: float = 200) -> float:
        """Pixels that the longest of some labels takes, and a gap."""
        longest = max((len(clean(text)) for text in words), default=0)
        return min(most, max(least, longest * LETTER * (self.size - 1) + 10))

    def pixels(self, axes: Axes, xs: Sequence[float], ys: Sequence[float]) -> list[tuple[float, float]]:
        """Places within the limits of the axes, in pixels from the bottom left of the sheet."""
        if not len(xs):
            return []
        (left, right), (low, high) = sorted(axes.get_xlim()), sorted(axes.get_ylim())
        places = [(x, y) for x, y in zip(xs, ys, strict=True) if left <= x <= right and low <= y <= high]
        return [(float(x), float(y)) for x, y in axes.transData.transform(places)] if places else []

    def dots(
        self,
        axes: Axes,
        xs: Sequence[float],
        ys: Sequence[float],
        colour: str = MUTED,
        size: float = 3.5,
        alpha: float = 0.5,
        cross: bool = False,
    ) -> None:
        """Small marks that lead nowhere: one path for all, of several in one cell of a pixel grid the highest. `cross`: another shape."""
        cells: dict[tuple[int, int], tuple[float, float]] = {}
        cell = size * 0.75
        for x, y in sorted(self.pixels(axes, xs, ys)):
            at = int(x / cell), int(y / cell)
            if at not in cells or y > cells[at][1]:
                cells[at] = x, y
        points: list[tuple[float, float]] = []
        for x, y in cells.values():
            h = size / 2
            points += [(x - h, y - h), (x + h, y + h), (x - h, y + h), (x + h, y - h)] if cross else [(x, y), (x, y)]
        if points:
            path = Path(points, [Path.MOVETO, Path.LINETO] * (len(points) // 2))
            axes.add_artist(
                PathPatch(
                    path,
                    transform=None,
                    fill=False,
                    edgecolor=colour,
                    linewidth=1.2 if cross else size,
                    capstyle="butt" if cross else "round",
                    alpha=alpha,
                    clip_on=False,
                )
            )

    def points(
        self,
        axes: Axes,
        xs: Sequence[float],
        ys: Sequence[float],
        urls: Sequence[str],
        colour: str = BEST,
        size: float = 7,
        hollow: bool = False,
        marker: str = "o",
    ) -> None:
        """Marks that lead somewhere, `size` pixels across, above all else."""
        if len(xs):
            found = axes.scatter(
                xs,
                ys,
                s=size**2,
                marker=marker,
                color=BG if hollow else colour,
                edgecolors=colour if hollow else BG,
                linewidths=1.6 if hollow else 1,
                zorder=5,
                clip_on=False,
            )
            found.set_urls(list(urls))

    def interval(
        self, axes: Axes, x: float, y: float, low: float, high: float, colour: str = BEST, upright: bool = True, width: float = 2
    ) -> None:
        """A line from low to high through a point."""
        xs, ys = ((x, x), (low, high)) if upright else ((low, high), (y, y))
        axes.plot(xs, ys, color=colour, linewidth=width, solid_capstyle="butt", zorder=4)

    def labels(self, axes: Axes, wanted: Sequence[tuple[float, str, str]], x: float | None = None) -> None:
        """(y, words, colour): labels at the right of the axes, moved apart where they would lie on each other."""
        box, gap = axes.get_position(), self.size + 2
        to = axes.transData.transform
        left = box.x1 * self.width + 6 if x is None else x
        places = spread([float(to((0, y))[1]) for y, _, _ in wanted], gap, box.y0 * self.height + gap / 2 - 4, box.y1 * self.height + gap)
        for place, (_, words, colour) in zip(places, wanted, strict=True):
            self.text(axes, left, self.height - place, words, colour, 40, "pixels", va="center_baseline")

    def legend(self, axes: Axes, entries: Sequence[tuple[str, str]], top: float = 12, left: float = 6) -> float:
        """(words, colour): swatches in rows from the top of the sheet; the pixels that they take down to their end."""
        x, y = left, top
        for words, colour in entries:
            needed = 16 + len(clean(words, 40)) * LETTER * (self.size - 1) + 12
            if x > left and x + needed > self.width:
                x, y = left, y + self.size + 6
            swatch = Path([(x, self.height - y - 4), (x + 10, self.height - y - 4)])
            axes.add_artist(PathPatch(swatch, transform=None, fill=False, edgecolor=colour, linewidth=9, capstyle="butt", clip_on=False))
            self.text(axes, x + 15, y + 8, words, FG, 40, "pixels", va="baseline")
            x += needed
        return y + self.size + 8

    def svg(self, prefix: str, title: str, desc: str) -> str:
        written = io.StringIO()
        self.figure.savefig(written, format="svg", metadata=METADATA)
        values = {drawn: f"var(--c-{name})" for name, drawn in COLOURS.items()}
        return page_svg(written.getvalue(), prefix, values, self.marks, title, desc)


def spread(places: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places moved as little as needed to lie `gap` apart and between `low` and `high`, as far as there is room; in their order."""
    order = sorted(range(len(places)), key=lambda at: places[at])
    found = [min(max(places[at], low), high) for at in order]
    for _ in range(50):
        moved = False
        for at in range(1, len(found)):
            if (lacks := gap - (found[at] - found[at - 1])) > 0.01:
                found[at - 1], found[at], moved = found[at - 1] - lacks / 2, found[at] + lacks / 2, True
        if found and found[0] < low:
            found[0], moved = low, True
        if found and found[-1] > high:
            found[-1], moved = high, True
        if not moved:
            break
    back = dict(zip(order, found, strict=True))
    return [back[at] for at in range(len(places))]


def plot(name: str, title: str, alt: str, draw: Callable[[Sheet], None], heights: tuple[int, int] = (320, 300), note: str = "") -> Chart:
    """A chart of what `draw` puts on a sheet, drawn for both widths; the same data give the same bytes."""
    title, alt, note = clean(title, 300), clean(alt, 1000), clean(note, 1500)
    drawn = []
    for width, height in zip((WIDE, NARROW), heights, strict=True):
        prefix = f"{name}-{'n' if width == NARROW else 'w'}"
        with matplotlib.rc_context({**THEME, "svg.hashsalt": prefix}), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing from font")  # only the width of a text is taken from the font
            sheet = Sheet(width, height)
            draw(sheet)
            drawn.append(sheet.svg(prefix, title, alt))
    return Chart(name, title, alt, *drawn, note)
