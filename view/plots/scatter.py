"""Charts of one figure against another: where the teacher is right against where it is wrong, and predicted against observed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from stats.calibration import FEWEST, Forecast, calibration, mean_error_interval
from view.format import count, figure, interval, pgr_of
from view.plots.chart import Chart
from view.plots.drawing import BEST, MUTED, ODD, Sheet, plot
from view.plots.progress import competes
from view.plots.rows import Row, interval_rows

BEST_LINKED, SURPRISES = 10, 12
RIGHT, WRONG = "accuracy_where_teacher_right", "accuracy_where_teacher_wrong"


def teacher_chart(verdicts: Sequence[dict], leaders: Sequence[str]) -> Chart | None:
    """Accuracy where the teacher is right against where it is wrong, on the full rung; `leaders`: submissions, best first. None where that
    is not known (it is told to nobody while a run is open)."""
    known = [v for v in verdicts if v.get("rung") == "full" and v.get(RIGHT) is not None and v.get(WRONG) is not None]
    if not known:
        return None
    at = {v["submission"]: v for v in known}
    linked = [at[name] for name in leaders if name in at][:BEST_LINKED]
    weak, naive, ceiling = (
        next((v[f"{name}_accuracy"] for v in known if v.get(f"{name}_accuracy") is not None), None)
        for name in ("weak", "tuned_naive", "ceiling")
    )
    spread = sorted(v[WRONG] for v in known), sorted(v[RIGHT] for v in known)
    low = [max(0.0, values[len(values) // 50] - 0.04) for values in spread]
    high = [min(1.0, values[-1] + 0.04) for values in spread]
    inside = [v for v in known if v[WRONG] >= low[0] and v[RIGHT] >= low[1]]

    def draw(sheet: Sheet) -> None:
        axes = sheet.axes(44, 14, 30, 44, grid="both")
        axes.set(xlim=(low[1], high[1]), ylim=(low[0], high[0]))
        axes.set_xlabel("accuracy where the teacher is right", fontsize=sheet.size - 1)
        sheet.caption(axes, "accuracy where the teacher is wrong")
        sheet.ticks(axes, 4 if sheet.narrow else 8, 6)
        if weak is not None:
            for accuracy, words in ((naive, "tuned naive"), (ceiling, "the ceiling")):
                if accuracy is not None:
                    _same_accuracy(sheet, axes, weak, accuracy, f"as accurate as {words}" if not sheet.narrow else words)
        odd = [v for v in inside if not competes(v)]
        fair = [v for v in inside if competes(v)]
        sheet.dots(axes, [v[RIGHT] for v in fair], [v[WRONG] for v in fair], size=4)
        sheet.dots(axes, [v[RIGHT] for v in odd], [v[WRONG] for v in odd], ODD, 5, 0.8, cross=True)
        for number, v in reversed(list(enumerate(linked))):
            says = (
                f"{v['submission']} by {v['agent']}: {v[RIGHT]:.3f} where the teacher is right, "
                f"{v[WRONG]:.3f} where it is wrong, PGR {pgr_of(v)}"
            )
            sheet.points(
                axes, [v[RIGHT]], [v[WRONG]], [sheet.mark(f"#{v['submission']}", says)], BEST, 7 if number else 10, hollow=number > 0
            )

    best = linked[0] if linked else max(known, key=lambda v: v.get("accuracy") or 0)
    title = (
        f"{best['submission']} is right on {best[WRONG]:.0%} of the items on which its teacher is wrong, and "
        f"on {best[RIGHT]:.0%} of the others"
    )
    alt = (
        f"Scatter of {count(len(known), 'submission')} on the full rung: accuracy where the teacher is right "
        f"from {low[1]:.2f} to {high[1]:.2f}, where it is wrong from {low[0]:.2f} to {high[0]:.2f}. {title}."
    )
    note = (
        "Whoever only repeats the teacher stands at the bottom right. Filled: the best; circles: the "
        f"{len(linked)} best, which lead to their details; crosses: flagged, or not competing."
    )
    note += " Along a dashed line the accuracy over all is the same." if weak is not None else ""
    hidden = len(known) - len(inside)
    note += f" {count(hidden, 'submission')} further down or left {'is' if hidden == 1 else 'are'} not shown." if hidden else ""
    return plot("teacher", title, alt, draw, (400, 340), note)


def _same_accuracy(sheet: Sheet, axes, weak: float, accuracy: float, words: str) -> None:
    """The line on which the accuracy over all is the same: weak * right + (1 - weak) * wrong."""
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    across = [(x, (accuracy - weak * x) / (1 - weak)) for x in (left, right)]
    down = [((accuracy - (1 - weak) * y) / weak, y) for y in (low, high)]
    ends = sorted(
        {(round(x, 9), round(y, 9)) for x, y in across + down if left - 1e-9 <= x <= right + 1e-9 and low - 1e-9 <= y <= high + 1e-9}
    )
    if len(ends) < 2:
        return
    axes.plot(*zip(ends[0], ends[-1], strict=True), color=MUTED, linewidth=1, linestyle=(0, (5, 3)))
    (x0, y0), (x1, y1) = axes.transData.transform([ends[0], ends[-1]])
    if math.hypot(x1 - x0, y1 - y0) < 60:
        return
    angle = math.degrees(math.atan2(y1 - y0, x1 - x0))
    at = 0.03 if y0 < sheet.height * (axes.get_position().y1) - 20 else 0.12
    x, y = x0 + at * (x1 - x0), y0 + at * (y1 - y0)
    sheet.text(
        axes, x + 3, sheet.height - y - 3, words, MUTED, scale="pixels", rotation=angle, rotation_mode="anchor", va="bottom", halo=True
    )


def predicted_chart(made: Sequence[Forecast], best: str | None = None) -> Chart | None:
    """Predicted PGR against what was found, with the diagonal. None where nobody predicted anything."""
    if not made:
        return None
    found = calibration(made)
    values = sorted(v for one in made for v in (one.predicted, one.pgr))
    low, high = max(-0.3, values[len(values) // 100] - 0.05), min(1.3, values[-1] + 0.05)
    inside = [one for one in made if low <= one.predicted <= high and low <= one.pgr <= high]
    surprises = sorted(inside, key=lambda one: -abs(one.error))[:SURPRISES]
    linked = surprises + [one for one in inside if one.submission == best and one not in surprises]

    def draw(sheet: Sheet) -> None:
        axes = sheet.axes(40, 12, 30, 44, grid="both")
        axes.set(xlim=(low, high), ylim=(low, high))
        axes.set_xlabel("predicted PGR (below the line: worse than predicted)", fontsize=sheet.size - 1)  # beside the points, not among them
        sheet.caption(axes, "found PGR (above the line: better than predicted)")
        sheet.ticks(axes, 5, 5)
        axes.plot([low, high], [low, high], color=MUTED, linewidth=1)
        sheet.dots(axes, [one.predicted for one in inside], [one.pgr for one in inside], size=4)
        for one in linked:
            says = f"{one.submission} by {one.agent}: predicted {one.predicted:.2f}, found {interval(one.pgr, one.low, one.high)}"
            top = one.submission == best
            sheet.points(
                axes,
                [one.predicted],
                [one.pgr],
                [sheet.mark(f"#{one.submission}", says)],
                BEST if top else ODD,
                9 if top else 7,
                hollow=not top,
            )

    tends = "more" if found.mean_error > 0 else "less"
    title = (
        f"Agents expected {abs(found.mean_error):.2f} PGR {tends} than was found, on average; "
        f"{found.held:.0%} of intervals hold the prediction"
    )
    alt = (
        f"Scatter of predicted against found PGR of {count(len(made), 'submission')} with a diagonal. "
        f"{title}; the mean absolute error is {found.mean_absolute_error:.2f}."
    )
    note = (
        "What agents predicted when they submitted, against figures as they were told. On the diagonal: as "
        f"predicted. Circles: the {len(surprises)} largest surprises; they lead to their details"
    )
    note += ", and so does the best (filled)." if len(linked) > len(surprises) or any(one.submission == best for one in surprises) else "."
    hidden = len(made) - len(inside)
    note += f" {count(hidden, 'submission')} beyond the axes {'is' if hidden == 1 else 'are'} not shown." if hidden else ""
    return plot("predicted", title, alt, draw, (400, 340), note)


def errors_chart(made: Sequence[Forecast], directions: Mapping[str, str]) -> Chart | None:
    """Mean error of each agent's predictions with its 95 % interval. None where nobody made enough of them."""
    of: dict[str, list[Forecast]] = {}
    for one in made:
        of.setdefault(one.agent, []).append(one)
    rows = []
    for agent, some in of.items():
        if found := mean_error_interval(some):
            rows.append(Row(f"{agent} {directions.get(agent, '')}".strip() + f" ({len(some)})", *found, f"#agent-{agent}"))
    if not rows:
        return None
    rows.sort(key=lambda row: -row.value)
    high = sum(row.low > 0 for row in rows)
    low = sum(row.high < 0 for row in rows)
    title = f"{high} of {count(len(rows), 'agent')} {'expects' if high == 1 else 'expect'} too much, {low} too little" + (
        "; the others' errors are within noise" if high + low < len(rows) else ""
    )
    alt = (
        f"Rows: mean of predicted less found PGR of each agent with 95 % intervals. {title}. It ranges from "
        f"{figure(rows[-1].value, signed=True)} ({rows[-1].label}) to {figure(rows[0].value, signed=True)} "
        f"({rows[0].label})."
    )
    few = len(of) - len(rows)
    note = "In brackets: number of predictions. Filled: the interval leaves 0 out."
    note += f" {count(few, 'agent')} with fewer than {FEWEST} {'is' if few == 1 else 'are'} not shown." if few else ""
    return interval_rows(
        "prediction-errors",
        title,
        alt,
        rows,
        "as predicted",
        "predicted less found PGR",
        note,
        worse=True,
    )
