"""How many different ideas a run pursued at a time: by the families that authors named, by code, and by answers."""

from __future__ import annotations

from collections.abc import Sequence

from stats.entropy import family_diversity
from view.format import count, figure
from view.plots.chart import Chart
from view.plots.drawing import GRID, SERIES, Sheet, plot
from view.plots.progress import scale_of

LEAST = 4
"""Fewer points make no line."""
STRETCHES = 300
"""Points that a line has at most."""
Series = tuple[str, Sequence[float], Sequence[float]]
"""Name, seconds since the start, values."""


def families_over_time(families: Sequence[tuple[float, str]], window: int) -> Series:
    """(seconds, family) in order -> the effective number of families among the last `window`."""
    return "families", [at for at, _ in families], family_diversity([name for _, name in families], window)


def diversity_chart(series: Sequence[Series], window: int) -> Chart | None:
    """Effective numbers over time, each among the last `window` submissions. None where no series has LEAST points."""
    series = [one for one in series if len(one[1]) >= LEAST]
    if not series:
        return None
    end = max(xs[-1] for _, xs, _ in series) or 1.0
    unit, label = scale_of("seconds", end)
    lines = [(name, *_means(xs, ys)) for name, xs, ys in series]
    most = max(max(ys) for _, _, ys in lines)
    colours = dict(zip(("families", "code", "answers"), (SERIES[0], SERIES[2], SERIES[3]), strict=True))

    def draw(sheet: Sheet) -> None:
        axes = sheet.axes(36, 88 if sheet.narrow else 110, 28, 40)
        axes.set(xlim=(0, end / unit * 1.01), ylim=(0, most * 1.08))
        axes.set_xlabel(label, fontsize=sheet.size - 1)
        sheet.caption(axes, f"effective number among the last {window}")
        sheet.ticks(axes, 5 if sheet.narrow else 8, 6)
        for number, (name, xs, ys) in enumerate(lines):
            axes.plot([x / unit for x in xs], ys, color=colours.get(name, SERIES[number]), linewidth=1.6)
        sheet.labels(
            axes,
            [
                (ys[-1], f"{name} {figure(ys[-1], digits=1)}", colours.get(name, SERIES[number]))
                for number, (name, _, ys) in enumerate(lines)
            ],
        )

    words = ", ".join(f"{_half(ys)} {name}" for name, _, ys in series)
    title = f"Effective number of different ideas among the last {window}, from the first half of the run to the second: {words}"
    alt = f"Lines over {label}. {title}."
    note = (
        "exp(entropy): 1 where all are the same, k where k kinds have equal shares. Families: as authors "
        "named them; code and answers: Vendi scores of the "
        "similarity of syntax trees and of predictions."
    )
    longest = max(len(xs) for _, xs, _ in series)
    note += f" Each point is a mean over {-(-longest // STRETCHES)} submissions." if longest > STRETCHES else ""
    return plot("diversity", title, alt, draw, (300, 280), note)


def _half(ys: Sequence[float]) -> str:
    middle = len(ys) // 2
    first, second = ys[:middle], ys[middle:]
    return f"{sum(first) / len(first):.1f} to {sum(second) / len(second):.1f}"


def _means(xs: Sequence[float], ys: Sequence[float]) -> tuple[list[float], list[float]]:
    """The line as means of as many stretches as can be told apart, where it has more points than those."""
    each = -(-len(xs) // STRETCHES)
    if each == 1:
        return list(xs), list(ys)
    parts = [slice(at, at + each) for at in range(0, len(xs), each)]
    return [sum(xs[part]) / len(xs[part]) for part in parts], [sum(ys[part]) / len(ys[part]) for part in parts]


def families_chart(families: Sequence[str], most: int = 6) -> Chart | None:
    """How the shares of the largest families changed: stacked, over the order of submissions. None where there are fewer than 20."""
    if len(families) < 20:
        return None
    total: dict[str, int] = {}
    for name in families:
        total[name] = total.get(name, 0) + 1
    top = sorted(total, key=lambda name: (-total[name], name))[:most]
    parts = min(24, len(families) // 10)
    cuts = [round(len(families) * at / parts) for at in range(parts + 1)]
    others = len(families) - sum(total[name] for name in top)
    legend = [(f"{name} {total[name] / len(families):.0%}", SERIES[at % 6]) for at, name in enumerate(top)]
    legend += [(f"{len(total) - len(top)} others {others / len(families):.0%}", GRID)] if others else []
    shares = [[sum(one == name for one in families[a:b]) / (b - a) for a, b in zip(cuts, cuts[1:], strict=False)] for name in top]

    def draw(sheet: Sheet) -> None:
        axes = sheet.axes(48, 16, 20, 40)
        used = sheet.legend(axes, legend, 6)
        box = axes.get_position()
        axes.set_position([box.x0, box.y0, box.width, 1 - used / sheet.height - 8 / sheet.height - box.y0])
        axes.set(xlim=(0, len(families)), ylim=(0, 1))
        axes.set_xlabel("submissions", fontsize=sheet.size - 1)
        sheet.ticks(axes, 4 if sheet.narrow else 8, 4, whole=True)
        axes.set_yticks([0, 0.5, 1], ["0 %", "50 %", "100 %"])
        below = [0.0] * parts
        for at, some in enumerate(shares):
            axes.bar(
                cuts[:-1],
                some,
                [b - a for a, b in zip(cuts, cuts[1:], strict=False)],
                below,
                align="edge",
                color=SERIES[at % 6],
                alpha=0.75,
            )
            below = [a + b for a, b in zip(below, some, strict=True)]
        axes.bar(
            cuts[:-1],
            [1 - share for share in below],
            [b - a for a, b in zip(cuts, cuts[1:], strict=False)],
            below,
            align="edge",
            color=GRID,
        )

    title = (
        f"{count(len(total), 'family').replace('familys', 'families')} of methods; the largest is {top[0]} "
        f"with {total[top[0]] / len(families):.0%} of submissions"
    )
    alt = f"Stacked bars of the shares of the {len(top)} largest families among {parts} stretches of the run. {title}."
    return plot(
        "families", title, alt, draw, (280, 340), "Families as their authors named them; the percentages are those of the whole run."
    )
