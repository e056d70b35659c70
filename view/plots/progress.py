"""How the best rose: over evaluations, time, compute and dollars, for one run or for several side by side."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from matplotlib.axes import Axes

from stats.progress import Point
from stats.selection import Luck, expected_maximum, luck
from view.format import clean, count, duration, figure, interval, pgr_of
from view.plots.chart import Chart
from view.plots.drawing import BG, FG, MUTED, ODD, SEALED, SERIES, Sheet, plot

UNITS = {"evaluations": "evaluations", "seconds": "since the start", "compute_seconds": "of compute", "dollars": "dollars spent on models"}
MARKS_AS_ABOVE = "Marks as in the chart over evaluations."
LOWEST = -0.25
"""PGR below which nothing is drawn: methods fail far below the teacher, and the others would become a line."""


@dataclass(frozen=True)
class Curve:
    """The progress of one run, agent or researcher: a name and what `stats.progress.curve` found."""

    name: str
    points: Sequence[Point]


@dataclass(frozen=True)
class Floor:
    """What luck alone does: the `middle` PGR of those that compete, the `noise` of each, and the evaluations at which they came."""

    middle: float
    noise: float
    came: Sequence[int]

    def at(self, evaluations: int) -> float:
        """The PGR expected of the best of as many equal methods as competed by then."""
        return self.middle + self.noise * expected_maximum(max(1, _rounded(bisect_right(self.came, evaluations))))


def _rounded(number: int) -> int:
    """To two digits: the expected maximum changes little and takes long."""
    scale = 10 ** max(0, len(str(number)) - 2)
    return number // scale * scale


def floor_of(points: Sequence[Point]) -> Floor | None:
    """The noise floor of a curve; None where too few compete to tell."""
    found: Luck | None = luck([point.verdict for point in points])
    if found is None:
        return None
    rivals = [point for point in points if point.verdict["submission"] in found.shrunken]
    return Floor(median(point.verdict["pgr"] for point in rivals), found.noise, [point.evaluations for point in rivals])


def tuned_naive(verdicts: Sequence[dict]) -> float | None:
    """PGR of the tuned naive baseline on the rung with the most draws, from what each verdict's PGR and lift differ by."""
    known = [v for v in verdicts if v.get("pgr") is not None and v.get("lift") is not None]
    most = max((v["draws"] for v in known), default=0)
    return median(v["pgr"] - v["lift"] for v in known if v["draws"] == most) if known else None


def competes(verdict: dict) -> bool:
    return verdict.get("track", "main") == "main" and not verdict.get("flags")


def scale_of(axis: str, end: float) -> tuple[float, str]:
    """By what values on an axis are divided, and what they are called then."""
    if axis in ("evaluations", "dollars"):
        return 1.0, UNITS[axis]
    for least, size, unit in ((172800, 86400, "days"), (5400, 3600, "hours"), (120, 60, "minutes")):
        if end >= least:
            return size, f"{unit} {UNITS[axis]}"
    return 1.0, f"seconds {UNITS[axis]}"


def reached(axis: str, value: float, end: float) -> str:
    """`after 185 of 196 evaluations`, and so on for each axis."""
    if axis == "evaluations":
        return f"after {int(value)} of {count(int(end), 'evaluation')}"
    if axis == "dollars":
        return f"after ${value:.2f} of ${end:.2f}"
    return f"after {duration(value)} of {duration(end)}{' of compute' if axis == 'compute_seconds' else ''}"


def leads(points: Sequence[Point]) -> list[Point]:
    """The points whose verdict took the lead."""
    return [point for point in points if point.rises]


def _steps(points: Sequence[Point], axis: str, unit: float) -> tuple[list[float], list[dict]]:
    """Where the lead changed and who took it, the last one again at the end."""
    rises = leads(points)
    xs = [getattr(point, axis) / unit for point in rises]
    best = [point.best for point in rises]
    return ([*xs, getattr(points[-1], axis) / unit], [*best, best[-1]]) if rises else ([], [])


def draw_curve(axes: Axes, points: Sequence[Point], axis: str, unit: float, colour: str, band: bool = True, width: float = 2) -> None:
    """The best so far as a step line, with the interval of each leader."""
    xs, best = _steps(points, axis, unit)
    if not xs:
        return
    if band and all(one.get("pgr_low") is not None for one in best):
        low, high = ([one[f"pgr_{side}"] for one in best] for side in ("low", "high"))
        axes.fill_between(xs, low, high, step="post", color=colour, alpha=0.15, linewidth=0)
    axes.plot(xs, [one["pgr"] for one in best], color=colour, drawstyle="steps-post", linewidth=width, zorder=3)


def draw_dots(sheet: Sheet, axes: Axes, points: Sequence[Point], axis: str, unit: float, size: float = 3.5) -> None:
    """All submissions: on the full rung, on the quick one, and those that were flagged or do not compete."""
    groups: dict[str, list[Point]] = {"full": [], "quick": [], "odd": []}
    for point in points:
        if point.verdict.get("pgr") is not None:
            groups["odd" if not competes(point.verdict) else "quick" if point.verdict.get("rung") == "quick" else "full"].append(point)
    for name, some in groups.items():
        xs, ys = [getattr(point, axis) / unit for point in some], [point.verdict["pgr"] for point in some]
        how = {"full": {}, "quick": {"size": size * 0.6}, "odd": {"colour": ODD, "size": size * 1.3, "cross": True, "alpha": 0.8}}[name]
        sheet.dots(axes, xs, ys, **{"size": size, **how})


def link(sheet: Sheet, verdict: dict) -> str:
    """A url that leads to a submission and says its figures."""
    return sheet.mark(f"#{verdict['submission']}", f"{verdict['submission']} by {verdict['agent']}: PGR {pgr_of(verdict)}")


def limits(points: Sequence[Point], more: Sequence[float] = ()) -> tuple[float, float]:
    """The PGR axis: 0 (the teacher) and 1 (true labels) are always on it, and what falls below LOWEST is not."""
    values = [v for point in points for v in (point.verdict.get("pgr"), (point.best or {}).get("pgr_high")) if v is not None] + list(more)
    return max(LOWEST, min([-0.06, *(value - 0.03 for value in values)])), max([1.06, *(value + 0.03 for value in values)])


def below_words(points: Sequence[Point], lowest: float) -> str:
    """What is not seen because it lies below the axis, in words."""
    below = sum(point.verdict.get("pgr") is not None and point.verdict["pgr"] < lowest for point in points)
    return f" {count(below, 'submission')} with a PGR below {lowest:.2f} {'is' if below == 1 else 'are'} not shown." if below else ""


def progress_chart(
    curves: Sequence[Curve],
    axis: str,
    floor: Floor | None = None,
    naive: float | None = None,
    sealed: dict | None = None,
    brief: bool = False,
    name: str = "progress",
) -> Chart | None:
    """The best so far of one run (with its submissions, `floor`, and the `sealed` verdict of its winner) or of several, one line each.

    `axis`: of stats.progress.AXES; `naive`: PGR of the tuned naive baseline; `brief`: marks are explained beside another chart; `name`: begins
    that of the chart, for a page that has several. None where no curve has both a leader and a length.
    """
    curves = [curve for curve in curves if leads(curve.points) and getattr(curve.points[-1], axis) > 0]
    if not curves:
        return None
    one = curves[0] if len(curves) == 1 else None
    end = max(getattr(curve.points[-1], axis) for curve in curves)
    unit, label = scale_of(axis, end)
    points = [point for curve in curves for point in curve.points]
    sealed = sealed if sealed and sealed.get("pgr") is not None else None
    low, high = limits(points if one else [p for p in points if p.rises], [sealed["pgr_high"], sealed["pgr_low"]] if sealed else [])

    def draw(sheet: Sheet) -> None:
        axes = sheet.axes(left=44, right=92 if sheet.narrow else 124, bottom=40, top=28)
        axes.set(xlim=(0, end / unit * (1.08 if sealed else 1.01)), ylim=(low, high))
        axes.spines["bottom"].set_bounds(0, end / unit)
        axes.set_xlabel(label, fontsize=sheet.size - 1)
        sheet.ticks(axes, 5 if sheet.narrow else 8, 6, whole=axis == "evaluations")
        axes.set_xticks([tick for tick in axes.get_xticks() if 0 <= tick <= end / unit])
        sheet.caption(axes, "PGR")
        labels = [(1.0, "true labels", MUTED), (0.0, "the teacher", MUTED)]
        for place in (0, 1):
            axes.axhline(place, color=MUTED, linewidth=1)
        if naive is not None:
            axes.axhline(naive, color=MUTED, linewidth=1, linestyle=(0, (5, 3)))
            labels.append((naive, "tuned naive", MUTED))
        if one:
            draw_dots(sheet, axes, one.points, axis, unit)
        for curve, colour in zip(curves, SERIES * (1 + len(curves) // 6), strict=False):
            draw_curve(axes, curve.points, axis, unit, colour)
            best = curve.points[-1].best
            labels.append(
                (
                    best["pgr"],
                    f"best {figure(best['pgr'])}" if one else f"{clean(curve.name, 12 if sheet.narrow else 16)} {figure(best['pgr'])}",
                    colour,
                )
            )
        if one and floor:
            labels.append((_draw_floor(axes, one.points, axis, unit, floor), "luck alone", FG))
        if one:
            rises = leads(one.points)
            sheet.points(
                axes,
                [getattr(p, axis) / unit for p in rises],
                [p.pgr for p in rises],
                [link(sheet, p.best) for p in rises],
                size=6 if len(rises) < 40 else 5,
            )
        if sealed:
            x = end / unit * 1.055
            sheet.interval(axes, x, sealed["pgr"], sealed["pgr_low"], sealed["pgr_high"], SEALED)
            says = f"{sealed['submission']} on the sealed part: PGR {pgr_of(sealed)}"
            sheet.points(axes, [x], [sealed["pgr"]], [sheet.mark("#sealed", says)], SEALED, 8, marker="D")
            labels.append((sealed["pgr"], f"sealed {figure(sealed['pgr'])}", SEALED))
        sheet.labels(axes, labels)

    title, alt = _words(curves, axis, end, floor, naive, sealed)
    return plot(
        f"{name}-{axis.replace('_', '-')}", title, alt, draw, (360, 320), MARKS_AS_ABOVE if brief else _note(one, floor, sealed, low)
    )


def _draw_floor(axes: Axes, points: Sequence[Point], axis: str, unit: float, floor: Floor) -> float:
    """The line of luck alone, and where it ends."""
    chosen = [point for point in points if bisect_right(floor.came, point.evaluations)]
    wanted = {round(len(chosen) ** (at / 60)) - 1 for at in range(61)} | {int(len(chosen) * at / 60) for at in range(60)}
    chosen = [chosen[at] for at in sorted(wanted) if 0 <= at < len(chosen)]
    ys = [floor.at(point.evaluations) for point in chosen]
    axes.plot([getattr(point, axis) / unit for point in chosen], ys, color=BG, linewidth=3.2, zorder=3.1)
    axes.plot([getattr(point, axis) / unit for point in chosen], ys, color=FG, linewidth=1.4, linestyle=(0, (1, 1.5)), zorder=3.2)
    return ys[-1]


def _words(
    curves: Sequence[Curve], axis: str, end: float, floor: Floor | None, naive: float | None, sealed: dict | None
) -> tuple[str, str]:
    """Title and text alternative."""
    parts = []
    for curve in curves:
        last, rises = curve.points[-1], leads(curve.points)
        when = reached(axis, getattr(rises[-1], axis), getattr(last, axis))
        parts.append(f"the best{f' of {curve.name}' if len(curves) > 1 else ''} reached PGR {pgr_of(last.best)} {when}")
    text = "; ".join(parts)
    title = text[0].upper() + text[1:]
    alt = f"Line of the best PGR so far over {scale_of(axis, end)[1]}. {title}"
    if len(curves) == 1:
        rises = leads(curves[0].points)
        alt += f", from {figure(rises[0].pgr)} at first, in {count(len(rises), 'step')}"
        alt += (
            f"; luck alone would make the best of {len(floor.came)} equal methods look like "
            f"{figure(floor.at(curves[0].points[-1].evaluations))}"
            if floor
            else ""
        )
    alt += f"; tuned naive stands at {figure(naive)}" if naive is not None else ""
    alt += f"; on the sealed part the winner has {interval(sealed['pgr'], sealed['pgr_low'], sealed['pgr_high'])}" if sealed else ""
    if len(curves) > 2:
        title = (
            f"The best of {len(curves)} over {scale_of(axis, end)[1]}: from "
            f"{min(figure(c.points[-1].pgr) for c in curves)} to "
            f"{max(figure(c.points[-1].pgr) for c in curves)}"
        )
    return title, alt + "."


def _note(one: Curve | None, floor: Floor | None, sealed: dict | None, low: float) -> str:
    words = (
        "Line: the best lower bound so far, with the 95 % interval of each leader; as a better known method "
        "takes the lead, its PGR may fall a little."
    )
    if one is None:
        return words
    words += (
        " Dots: submissions; small dots: on the quick rung, one draw with anchors of its own; crosses: "
        "flagged, or not competing. Dots on the line "
        "took the lead and lead to their details."
    )
    if floor:
        words += (
            f" Luck alone: if all {len(floor.came)} methods that compete were as good as the middle one "
            f"({figure(floor.middle)}), the best of them so far "
            f"would be expected there (own noise of each {floor.noise:.3f})."
        )
    if sealed:
        words += f" Diamond: {sealed['submission']} on the sealed part, {count(sealed['draws'], 'draw')} that nobody had met."
    return words + below_words(one.points, low)
