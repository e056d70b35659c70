"""Methods on tasks that they were not developed on: a table of PGR in which colour says how high."""

from __future__ import annotations

from matplotlib.patches import Rectangle

from view.format import clean, count, figure, pgr_of
from view.plots.chart import Chart
from view.plots.drawing import BEST, GRID, MUTED, ODD, Sheet, plot

MOST_METHODS = 12
STRONGEST = 0.4
"""Opacity of a cell with PGR 1: words on it stay as easy to read."""


def transfer_chart(facts: dict) -> Chart | None:
    """`facts`: those of `eval/transfer.py`. None where there are none, or no row was scored."""
    cells = {(row["method"], row["task"]): row for row in facts.get("rows", ())}
    if not any(row.get("pgr") is not None for row in cells.values()):
        return None
    methods, tasks = facts["methods"][:MOST_METHODS], [task["task"] for task in facts["tasks"]]
    home = facts.get("developed_on")

    def draw(sheet: Sheet) -> None:
        wide = (sheet.width - 12) / len(tasks)
        upright = max(len(task) for task in tasks) * (sheet.size - 1) * 0.6 > wide - 6
        top = 12 + (min(110, max(len(clean(task, 18)) for task in tasks) * (sheet.size - 1) * 0.6) if upright else 16)
        axes = sheet.axes(6, 6, top, 6, grid="")
        axes.set(xlim=(0, len(tasks)), ylim=(len(methods), 0))
        axes.set_axis_off()
        to = axes.transData.transform
        for column, task in enumerate(tasks):
            x = float(to((column + 0.5, 0))[0])
            how = {"rotation": 90, "va": "bottom", "ha": "center"} if upright else {"ha": "center", "va": "bottom"}
            sheet.text(
                axes, x, top - 6, task, MUTED, 18 if upright else 40, "pixels", fontweight="bold" if task == home else "normal", **how
            )
        for number, method in enumerate(methods):
            _, y = to((0, number))
            href = f"#{method.split()[0]}" if method.split()[:1] and home else ""
            sheet.text(
                axes,
                6,
                sheet.height - float(y) + 18,
                method,
                most=int((sheet.width - 16) / (sheet.size - 1) / 0.6),
                scale="pixels",
                va="baseline",
                url=sheet.mark(href, method),
            )
            for column, task in enumerate(tasks):
                _cell(sheet, axes, column, number, cells.get((method, task)), f"{method} on {task}", wide)

    away = [row for row in cells.values() if row.get("pgr") is not None and row["task"] != home]
    worst = min(away, key=lambda row: row["pgr"], default=None)
    title = f"{count(len(facts['methods']), 'method')} on {count(len(tasks), 'task')}" + (
        f": away from {clean(home, 40)}" if home else ": over all tasks"
    )
    title += f" PGR ranges from {figure(worst['pgr'])} to {figure(max(row['pgr'] for row in away))}" if worst else " nothing was scored"
    told = "; ".join(
        f"{clean(method, 60)}: " + ", ".join(f"{clean(task, 30)} {figure((cells.get((method, task)) or {}).get('pgr'))}" for task in tasks)
        for method in methods[:6]
    )
    note = "PGR; the stronger the colour the higher, and in the other colour below 0. A cell says its interval."
    note += f" Bold: {clean(home, 40)}, where the methods were developed." if home else ""
    note += f" The first {MOST_METHODS} of {len(facts['methods'])} methods are shown." if len(facts["methods"]) > MOST_METHODS else ""
    return plot(
        "transfer",
        title,
        f"Table of PGR by method and task. {title}. {told}.",
        draw,
        (len(methods) * 54 + 50, len(methods) * 54 + 90),
        note,
    )


def _cell(sheet: Sheet, axes, column: int, row: int, found: dict | None, name: str, wide: float) -> None:
    """A cell: its colour, its figure, and what it says when it is pointed at."""
    pgr = (found or {}).get("pgr")
    status = "n/a" if found is None else clean(found["status"], 20)
    words = figure(pgr) if pgr is not None else "n/a" if status == "scored" else status
    colour = GRID if pgr is None else BEST if pgr >= 0 else ODD
    strength = 0.5 if pgr is None else STRONGEST * min(1.0, abs(pgr))
    says = f"{name}: {f'PGR {pgr_of(found)}' if pgr is not None else words}"
    box = Rectangle((column + 0.02, row + 0.44), 0.96, 0.5, facecolor=colour, alpha=strength, linewidth=0)
    box.set_url(sheet.mark("", says))
    axes.add_patch(box)
    x, y = axes.transData.transform((column + 0.5, row + 0.69))
    most = max(3, int(wide / (sheet.size - 1) / 0.58))
    sheet.text(
        axes,
        float(x),
        sheet.height - float(y),
        words,
        most=most,
        scale="pixels",
        ha="center",
        va="center_baseline",
        url=sheet.mark("", says),
    )
