"""Charts of rows, each a figure with its interval: what components are worth, lift draw by draw, public beside sealed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from statistics import mean

from matplotlib.axes import Axes

from stats.selection import role
from view.format import clean, count, figure, interval, pgr_of
from view.plots.chart import NARROW, WIDE, Chart, wrapped
from view.plots.drawing import BEST, GRID, LETTER, MUTED, ODD, SEALED, Sheet, plot

MOST_ROWS, MOST_LINES, LINE = 30, 3, 15


@dataclass(frozen=True)
class Row:
    """A figure with its 95 % interval; `href`: where its mark leads, "" for nowhere. `dots`: what it is the mean of, where it is known."""

    label: str
    value: float
    low: float
    high: float
    href: str = ""
    dots: Sequence[float] = ()


def _span(values: Sequence[float], *always: float) -> tuple[float, float]:
    low, high = min([*values, *always]), max([*values, *always])
    room = 0.04 * (high - low or 1)
    return low - room, high + room


def _lines(labels: Sequence[str], width: int) -> list[list[str]]:
    """The lines of labels that are too long to stand beside their rows on a sheet so wide, and stand above them; [] where none is."""
    labels = [clean(label, 200) for label in labels]
    if max(map(len, labels)) * LETTER * 11 + 10 <= min(320, width * 0.3):
        return []
    most = int((width - 24) / 11 / LETTER)
    found = [wrapped(label, most) or [""] for label in labels]
    return [lines if len(lines) <= MOST_LINES else [*lines[: MOST_LINES - 1], f"{lines[MOST_LINES - 1][: most - 1]}…"] for lines in found]


def _tall(labels: Sequence[str], beside: int, below: int) -> tuple[int, int]:
    """Height of a row on both sheets: `beside` its label, or `below` it and what the lines of the longest one take."""
    return tuple(below + LINE * max(map(len, lines)) if (lines := _lines(labels, width)) else beside for width in (WIDE, NARROW))


def _rows_axes(
    sheet: Sheet, labels: Sequence[str], span: tuple[float, float], uprights: Sequence[float], top: float, right: float, under: float = 40
) -> tuple[Axes, float]:
    """Axes with a row for each label, 0 at the top, and how far below its middle a row's marks stand: labels that are long for the sheet
    stand above them. `uprights`: where lines stand, which no label lies on: labels that fit on one side of them do, others part them."""
    lines = _lines(labels, sheet.width)
    axes = sheet.axes(18 if lines else sheet.room(labels, most=1000), right, top, under, grid="x")
    axes.set(xlim=span, ylim=(len(labels) - 0.5, -0.5))
    axes.set_yticks([])
    sheet.ticks(axes, 4 if sheet.narrow else 8)
    left, tall = axes.get_position().x0 * sheet.width, (sheet.height - top - under) / len(labels)
    lower, parted = LINE * max(map(len, lines)) / 2 / tall if lines else 0.0, False
    if lines:
        wide = max(len(line) for label in lines for line in label) * LETTER * (sheet.size - 1)
        places = [float(axes.transData.transform((at, 0))[0]) for at in uprights]
        starts = [left, *(place + 6 for place in places)]
        free = [x for x in starts if x + wide < sheet.width - 4 and not any(x - 4 < place < x + wide + 4 for place in places)]
        left, parted = free[0] if free else left, not free
    for place in uprights:
        for ends in [(at - 0.5 + 2 * lower, at + 0.5) for at in range(len(labels))] if parted else [axes.get_ylim()]:
            axes.plot((place, place), ends, color=MUTED, linewidth=1, solid_capstyle="butt")
    for at, label in enumerate(labels):
        if not lines:
            sheet.text(axes, left - 8, top + (at + 0.5) * tall, label, most=80, scale="pixels", ha="right", va="center_baseline")
            continue
        for number, line in enumerate(lines[at]):
            place = top + at * tall + (number + 0.6) * LINE
            sheet.text(axes, left, place, line, most=200, scale="pixels", va="center_baseline", halo=True)
    return axes, lower


def _zero(sheet: Sheet, axes: Axes, words: str) -> None:
    """What the line of no difference is called, above it."""
    left, right = axes.get_xlim()
    at = -left / (right - left)
    where = "left" if at < 0.15 else "right" if at > 0.85 else "center"
    sheet.text(axes, float(axes.transData.transform((0, 0))[0]), 12, words, MUTED, scale="pixels", ha=where)


def interval_rows(name: str, title: str, alt: str, rows: Sequence[Row], zero: str, label: str, note: str = "", worse: bool = True) -> Chart:
    """Rows around a zero line that is called `zero`, on an axis called `label`. `worse`: below zero is the other colour."""
    shown = rows[:MOST_ROWS]
    labels = [row.label for row in shown]
    span = _span([v for row in shown for v in (row.low, row.high)], 0.0)

    def draw(sheet: Sheet) -> None:
        axes, lower = _rows_axes(sheet, labels, span, (0,), 22, 50)
        _zero(sheet, axes, zero)
        axes.set_xlabel(label, fontsize=sheet.size - 1)
        for at, row in enumerate(shown):
            certain = row.low > 0 or row.high < 0
            colour = MUTED if not certain else ODD if row.value < 0 and worse else BEST
            y = at + lower
            sheet.interval(axes, row.value, y, row.low, row.high, colour, upright=False)
            says = f"{row.label}: {interval(row.value, row.low, row.high, signed=True)}"
            sheet.points(axes, [row.value], [y], [sheet.mark(row.href, says)], colour, 8, hollow=not certain)
            sheet.text(
                axes,
                sheet.width - 6,
                sheet.height - float(axes.transData.transform((0, y))[1]),
                figure(row.value, signed=True),
                colour,
                scale="pixels",
                ha="right",
                va="center_baseline",
            )

    more = f" The first {MOST_ROWS} of {len(rows)} are shown." if len(rows) > MOST_ROWS else ""
    heights = tuple(len(shown) * tall + 64 for tall in _tall(labels, 28, 28))
    return plot(name, title, alt, draw, heights, (note + more).strip())


def components_chart(parts: Sequence[tuple[str, float, float, float, str]]) -> Chart | None:
    """What parts of the winner are worth: (label, difference in PGR, low, high, href) each. None where there are none."""
    rows = [Row(clean(label, 160), value, low, high, href) for label, value, low, high, href in parts if None not in (value, low, high)]
    if not rows:
        return None
    most = max(rows, key=lambda row: row.value)
    sure = sum(row.low > 0 for row in rows)
    title = f"{sure or 'none'} of {count(len(rows), 'comparison')} {'show' if sure > 1 else 'shows'} a part that the winner owes something to".capitalize()
    alt = (
        f"Rows: PGR of the winner less that of a method without the part, with 95 % intervals. {title}; the "
        f"largest difference is {interval(most.value, most.low, most.high, signed=True)} ({most.label})."
    )
    return interval_rows(
        "components",
        title,
        alt,
        rows,
        "no difference",
        "PGR of the winner less the other's",
        "Filled: the interval leaves 0 out. Hollow: within noise.",
    )


def _told(row: Row) -> str:
    """What the interval of a lift says, however many draws lie above 0."""
    return "beats tuned naive" if row.low > 0 else "is worse than tuned naive" if row.high < 0 else "is not told from tuned naive"


def lift_by_draw_chart(rows: Sequence[Row], name: str) -> Chart | None:
    """Lift over tuned naive of one submission, a dot a draw: rows such as public and sealed. None where no row has dots."""
    rows = [row for row in rows if row.dots]
    if not rows:
        return None
    labels = [f"{row.label}, {len(row.dots)} draws" for row in rows]
    span = _span([v for row in rows for v in (row.low, row.high, *row.dots)], 0.0)

    def draw(sheet: Sheet) -> None:
        axes, lower = _rows_axes(sheet, labels, span, (0,), 20, 12)
        _zero(sheet, axes, "tuned naive")
        axes.set_xlabel("lift over tuned naive (PGR)", fontsize=sheet.size - 1)
        for at, row in enumerate(rows):
            colour = SEALED if row.label.startswith("sealed") else BEST
            y = at + lower
            sheet.dots(axes, row.dots, [y + 0.2] * len(row.dots), colour, 6, 0.55)
            sheet.interval(axes, row.value, y - 0.02, row.low, row.high, colour, upright=False, width=2.5)
            says = f"{name}, {row.label}: lift {interval(row.value, row.low, row.high, signed=True)}"
            sheet.points(axes, [row.value], [y - 0.02], [sheet.mark(row.href, says)], colour, 9, marker="D" if colour == SEALED else "o")
            words = interval(row.value, row.low, row.high, signed=True)
            (x, height), zero = axes.transData.transform((row.value, y - 0.16)), float(axes.transData.transform((0, 0))[0])
            half = len(words) * LETTER * (sheet.size - 1) / 2
            if abs(x - zero) < half + 4:  # it would lie on the line: beside it, where there is room
                x = zero + half + 5 if zero + 2 * half + 5 < sheet.width - 4 else zero - half - 5
            sheet.text(axes, float(x), sheet.height - float(height), words, colour, scale="pixels", ha="center", va="bottom")

    told: dict[str, list[str]] = {}
    for row in rows:
        told.setdefault(_told(row), []).append(row.label)
    title = f"{name} " + " and ".join(f"{words} on {' and '.join(parts)} draws" for words, parts in told.items())
    alt = (
        f"Lift over tuned naive in each draw. {title}; means: "
        + ", ".join(f"{row.label} {interval(row.value, row.low, row.high, signed=True)}" for row in rows)
        + "; above 0 are "
        + ", ".join(f"{sum(value > 0 for value in row.dots)} of {len(row.dots)} {row.label} draws" for row in rows)
        + "."
    )
    heights = tuple(len(rows) * tall + 62 for tall in _tall(labels, 54, 56))
    return plot(
        "lift-by-draw",
        title,
        alt,
        draw,
        heights,
        "Small dots: one draw of labelled items each; large mark and line: mean of all with its 95 % interval.",
    )


def sealed_chart(pairs: Sequence[tuple[dict, dict]], best: Collection[str]) -> Chart | None:
    """Public beside sealed PGR: (public, sealed) verdicts, finalists first; `best`: submissions that were chosen by their figures. None
    where no pair has both figures."""
    known = [(public, sealed) for public, sealed in pairs if public.get("pgr") is not None and sealed.get("pgr") is not None]
    if not known:
        return None
    shown = known[:MOST_ROWS]
    labels = [f"{sealed['submission']} {role(sealed, best)}" for _, sealed in shown]
    sides = ("pgr", "pgr_low", "pgr_high")
    span = _span([one[side] for pair in shown for one in pair for side in sides if one.get(side) is not None], 0.0, 1.0)

    def draw(sheet: Sheet) -> None:
        axes, lower = _rows_axes(sheet, labels, span, (0, 1), 34, 12)
        axes.set_xlabel("PGR", fontsize=sheet.size - 1)
        sheet.legend(axes, [("public", BEST), ("sealed", SEALED)], 8, 10)
        for at, (public, sealed) in enumerate(shown):
            y = at + lower
            axes.plot([public["pgr"], sealed["pgr"]], [y - 0.13, y + 0.13], color=GRID, linewidth=5, solid_capstyle="round", zorder=2)
            for one, off, colour, marker, what in ((public, -0.13, BEST, "o", "public"), (sealed, 0.13, SEALED, "D", "sealed")):
                if one.get("pgr_low") is not None:
                    sheet.interval(axes, one["pgr"], y + off, one["pgr_low"], one["pgr_high"], colour, upright=False)
                says = f"{sealed['submission']} by {sealed['agent']}, {what}: PGR {pgr_of(one)}"
                sheet.points(
                    axes,
                    [one["pgr"]],
                    [y + off],
                    [sheet.mark(f"#{sealed['submission']}", says)],
                    colour,
                    7,
                    hollow=bool(sealed.get("control")),
                    marker=marker,
                )

    kinds = {"finalist": "finalists", "asked for": "what was asked for", "control": "random controls"}
    changed = {kind: [s["pgr"] - p["pgr"] for p, s in known if role(s, best) == kind] for kind in kinds}
    words = [f"{kinds[kind]} by {mean(values):+.2f}" for kind, values in changed.items() if values]
    title = f"From public to sealed, {words[0].replace(' by', ' changed by')} PGR" + "".join(f", {more}" for more in words[1:])
    pairs_words = "; ".join(
        f"{label} {figure(p['pgr'])} public, {figure(s['pgr'])} sealed" for label, (p, s) in zip(labels[:6], shown, strict=False)
    )
    alt = f"Pairs of public and sealed PGR with 95 % intervals. {title}. {pairs_words}."
    note = (
        "Circle: public, on which agents were scored and finalists chosen. Diamond: sealed, opened "
        "when the run was over. Hollow: controls, drawn by chance; what they change by is not due to having been "
        "chosen."
    )
    missing = len(pairs) - len(known)
    note += f" {count(missing, 'submission')} without a figure on both {'is' if missing == 1 else 'are'} not shown." if missing else ""
    return plot("sealed", title, alt, draw, tuple(len(shown) * tall + 80 for tall in _tall(labels, 36, 36)), note)
