"""Draws what `compare` found: how the best rose in each run, in the colour of its side, and what came out of each run."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from statistics import fmean

from stats.progress import Point
from view.compare_answers import primary_words
from view.format import clean, count, figure, interval
from view.measures import COSTS, SEALED, reach
from view.plots.chart import Chart, stamped
from view.plots.drawing import MUTED, SERIES, Sheet, plot
from view.plots.progress import draw_curve, limits, scale_of

TITLES = {"evaluations": "evaluations", "compute_seconds": "seconds of compute", "dollars": "dollars for models"}


def compare_charts(facts: dict) -> list[Chart]:
    """The charts of a comparison: the primary measure run by run, then progress over each cost that all runs have."""
    found = [_outcomes(facts), *(_progress(facts, axis) for axis in COSTS if facts["ends"][axis])]
    return [stamped(chart, facts["stamps"]) for chart in found if chart is not None]


def _colours(facts: dict) -> dict[str, str]:
    return {side["name"]: SERIES[at % len(SERIES)] for at, side in enumerate(facts["sides"])}


def _points(run: dict) -> list[Point]:
    """The leads of a run's curve, as `view/plots/progress.py` draws them."""
    made = []
    for one in run["curve"]:
        best = one["best"]
        verdict = best if one["rises"] else {"submission": ""}
        made.append(Point(one["evaluations"], one["seconds"], one["compute_seconds"], one["dollars"], verdict, best))
    return made


def _progress(facts: dict, axis: str) -> Chart | None:
    """A thin line for each run and a bold one for the mean of each side, as far as all runs go: the area under it is what is compared."""
    curves = [(run["side"], _points(run)) for run in facts["runs"]]
    if not any(point.rises for _, points in curves for point in points):
        return None
    end, colours = facts["ends"][axis], _colours(facts)
    last = max(getattr(points[-1], axis) for _, points in curves)
    unit, label = scale_of(axis, last)
    low, high = limits([point for _, points in curves for point in points if point.rises])
    empty = {side for side, points in curves if not any(point.rises for point in points)}  # no mean of a side is told without a run of it
    means = {side: _mean_line([points for name, points in curves if name == side], axis, end) for side in dict(curves) if side not in empty}

    def draw(sheet: Sheet) -> None:
        axes = sheet.axes(left=34, right=60 if sheet.narrow else 90, top=28, bottom=40)
        axes.set(xlim=(0, last / unit * 1.01), ylim=(low, high))
        axes.set_xlabel(label, fontsize=sheet.size - 1)
        sheet.ticks(axes, 4 if sheet.narrow else 8, 6, whole=axis == "evaluations")
        sheet.caption(axes, "PGR of the best so far, public")
        for place in (0, 1):
            axes.axhline(place, color=MUTED, linewidth=1)
        axes.axvline(end / unit, color=MUTED, linewidth=1, linestyle=(0, (5, 3)))
        for side, points in curves:
            draw_curve(axes, points, axis, unit, colours[side], band=False, width=1)
        for side, (xs, ys) in means.items():
            axes.plot([x / unit for x in xs], ys, color=colours[side], drawstyle="steps-post", linewidth=3.2, zorder=4)
        sheet.labels(axes, [(ys[-1], f"{side} {figure(ys[-1])}", colours[side]) for side, (_, ys) in means.items()])

    words = ", ".join(f"{side} {figure(means[side][1][-1]) if side in means else 'n/a'}" for side in dict(curves))
    title = f"After {reach(axis, end)}, as far as all runs go, the mean best PGR of the sides is {words}"
    alt = f"Lines of the best public PGR so far over {TITLES[axis]}, {count(len(curves), 'run')} in the colours of their sides. {title}."
    note = ("Thin lines: runs; bold lines: mean of a side's runs, 0 until something competes; dashed: where the shortest run ends, and with it "
            "the area and the best that are compared.")  # fmt: skip
    return plot(f"compare-{axis.replace('_', '-')}", title, alt, draw, (340, 300), note)


def _mean_line(curves: Sequence[Sequence[Point]], axis: str, end: float) -> tuple[list[float], list[float]]:
    """The mean height of step curves from 0 to `end`."""
    steps = [([getattr(point, axis) for point in points if point.rises], [0.0, *(point.pgr for point in points if point.rises)]) for points in curves]
    xs = sorted({0.0, end, *(x for rises, _ in steps for x in rises if x <= end)})
    return xs, [fmean(heights[bisect_right(rises, x)] for rises, heights in steps) for x in xs]


def _outcomes(facts: dict) -> Chart | None:
    """The primary measure: a mark for each run with the interval of its own measurement where it has one, and the mean of each side over its
    runs; a row without a mark for a run that has no valid figure. None where no run has one."""
    key, label, colours, rows = facts["primary"], primary_words(facts), _colours(facts), []
    for side in facts["sides"]:
        rows += [(side["name"], clean(run["run"], 40), run["figures"].get(key), False) for run in facts["runs"] if run["side"] == side["name"]]
        if mean := facts["means"][side["name"]].get(key):
            rows.append((side["name"], f"mean of {side['name']}", mean, True))
    rows = [(side, name if one else f"{name}: none", one, mean) for side, name, one, mean in rows]
    ends = [v for _, _, one, mean in rows if one and not mean for v in (one["value"], one.get("low"), one.get("high")) if v is not None]
    if not ends:
        return None
    room = 0.05 * (max(ends) - min(ends) or 1)
    tall, labels = 24, [name for _, name, _, _ in rows]

    def draw(sheet: Sheet) -> None:
        left = sheet.room(labels, most=sheet.width * 0.4) + 8  # the means are bold
        axes = sheet.axes(left, 14, 8, 42, grid="x")
        axes.set(xlim=(min(ends) - room, max(ends) + room), ylim=(len(rows) - 0.5, -0.5))
        axes.set_yticks([])
        sheet.ticks(axes, 4 if sheet.narrow else 8)
        axes.set_xlabel(label, fontsize=sheet.size - 1)
        for at, (side, name, one, mean) in enumerate(rows):
            y = sheet.height - float(axes.transData.transform((0, at))[1])
            weight = {"fontweight": "bold"} if mean else {}
            most = int(left / sheet.size / 0.6)
            sheet.text(axes, left - 8, y, name, colours[side] if mean else MUTED, most, "pixels", ha="right", va="center_baseline", **weight)
            if one is None:
                continue
            if one.get("low") is not None:
                sheet.interval(axes, one["value"], at, one["low"], one["high"], colours[side], upright=False, width=4 if mean else 1.4)
            marks = [sheet.mark("", f"{name}: {_own(one)}")]
            sheet.points(axes, [one["value"]], [at], marks, colours[side], 9 if mean else 7, marker="D" if mean else "o")

    means = ", ".join(f"{side['name']} {_own(facts['means'][side['name']].get(key))}" for side in facts["sides"])
    title = f"{label[0].upper()}{label[1:]}, run by run: means {means}"
    alt = f"Rows, one a run, grouped by side. {title}. " + "; ".join(f"{name} {_own(one)}" for _, name, one, mean in rows if not mean) + "."
    own = ", with the 95 % interval of their own measurement; most of that error is the same for all runs, who share draws and items"
    note = f"Circles: runs{own if key == SEALED else ''}. Diamonds: mean of a side with the 95 % interval over its runs, none where it has one run; "
    note += "where that is wider than the chart it is cut."
    note += " None: a run without a valid figure, which is not in the mean." if any(one is None for _, _, one, _ in rows) else ""
    return plot("compare-outcomes", title, alt, draw, (len(rows) * tall + 50, len(rows) * tall + 50), note)


def _own(one: dict | None) -> str:
    if one is None:
        return "n/a"
    return interval(one["value"], one["low"], one["high"]) if one.get("low") is not None else figure(one["value"])
