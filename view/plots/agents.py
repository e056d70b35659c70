"""How the best of each agent rose: small charts on the same axes."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from view.format import clean, count, figure, pgr_of, who_words
from view.plots.chart import Chart
from view.plots.drawing import BEST, FG, MUTED, Sheet, plot
from view.plots.progress import Curve, below_words, draw_curve, draw_dots, leads, limits, link, scale_of

MOST_PANELS = 12


def agents_chart(curves: Sequence[tuple[Curve, str]], fleet: Curve, people: Collection[str] = ()) -> Chart | None:
    """One panel an agent, best first: its best so far over time and its submissions, on the same axes, with the fleet's best in grey.
    `curves`: each with the agent's direction; `people`: whose names are those of people. None where nobody has a leader."""
    known = sorted((pair for pair in curves if leads(pair[0].points)), key=lambda pair: -pair[0].points[-1].pgr)
    shown = known[:MOST_PANELS]
    if not shown or not fleet.points:
        return None
    end = fleet.points[-1].seconds or 1.0
    unit, label = scale_of("seconds", end)
    low, high = limits(fleet.points)

    def draw(sheet: Sheet) -> None:
        columns = 2 if sheet.narrow else 3
        rows = math.ceil(len(shown) / columns)
        left, gap, under = 36, 14, 34
        wide, tall = (sheet.width - left - 8) / columns, (sheet.height - under - 4) / rows
        for at, (curve, direction) in enumerate(shown):
            row, column = divmod(at, columns)
            over = left + column * wide
            axes = sheet.axes(over, sheet.width - over - wide + gap, row * tall + 36, sheet.height - (row + 1) * tall + 4)
            axes.set(xlim=(0, end / unit * 1.01), ylim=(low, high))
            sheet.ticks(axes, 3 if sheet.narrow else 4, 4)
            axes.tick_params(labelleft=column == 0, labelbottom=at + columns >= len(shown), labelsize=sheet.size - 1.5)
            draw_curve(axes, fleet.points, "seconds", unit, MUTED, band=False, width=1)
            draw_dots(sheet, axes, curve.points, "seconds", unit, 2.5)
            draw_curve(axes, curve.points, "seconds", unit, BEST, band=not sheet.narrow, width=1.8)
            best, most = curve.points[-1].best, int((wide - gap) / (sheet.size * 0.58))
            sheet.text(
                axes,
                over,
                row * tall + 14,
                f"{clean(curve.name, most - 5)} {figure(best['pgr'])}",
                FG,
                most,
                "pixels",
                fontsize=sheet.size,
                fontweight="bold",
                url=sheet.mark(
                    f"#agent-{curve.name}", f"{curve.name}, {direction}: best PGR {pgr_of(best)}, {count(len(curve.points), 'evaluation')}"
                ),
            )
            sheet.text(axes, over, row * tall + 28, direction, MUTED, most, "pixels")
            last = leads(curve.points)[-1]
            sheet.points(axes, [last.seconds / unit], [last.pgr], [link(sheet, best)], size=6)
        sheet.text(axes, sheet.width / 2, sheet.height - 6, label, MUTED, scale="pixels", ha="center")

    rows = [math.ceil(len(shown) / columns) for columns in (3, 2)]
    first, last = known[0][0], known[-1][0]
    spread_words = (
        f"from {figure(last.points[-1].pgr)} to {figure(first.points[-1].pgr)}" if len(known) > 1 else figure(first.points[-1].pgr)
    )
    joined = sum(curve.name in people for curve, _ in curves)
    title = (
        f"{who_words(len(curves) - joined, joined)}: their best PGR ranges {spread_words}"
        if len(known) > 1
        else f"{first.name}: best PGR {spread_words}"
    )
    alt = (
        f"Small charts of the best PGR so far over time, one an agent. {first.name} ({shown[0][1]}) has the "
        f"best with {pgr_of(first.points[-1].best)}"
    )
    alt += f", {last.name} ({known[-1][1]}) the least with {pgr_of(last.points[-1].best)}." if len(known) > 1 else "."
    note = (
        "PGR over time, best agent first, all on the same axes. Blue: the agent's best so far; grey line: "
        "that of the fleet; dots: its submissions, small ones on the quick rung; crosses: flagged, or not "
        "competing."
    )
    note += f" Only the best {MOST_PANELS} of {len(known)} agents are shown." if len(known) > MOST_PANELS else ""
    note += (
        f" {count(len(curves) - len(known), 'agent')} with nothing that competes "
        f"{'is' if len(curves) - len(known) == 1 else 'are'} not shown."
        if len(known) < len(curves)
        else ""
    )
    return plot("agents", title, alt, draw, (rows[0] * 150 + 38, rows[1] * 138 + 38), note + below_words(fleet.points, low))
