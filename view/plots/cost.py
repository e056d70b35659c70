"""What the models of a run cost: dollars by agent and model, and tokens by kind."""

from __future__ import annotations

from collections.abc import Sequence

from view.format import clean, count
from view.plots.chart import Chart
from view.plots.drawing import SERIES, Sheet, plot

MOST_ROWS, MOST_MODELS = 24, 6
KINDS = (("input, new", lambda c: c["input_tokens"] - c["cache_read_tokens"] - c["cache_write_tokens"]),
         ("input, read from a cache", lambda c: c["cache_read_tokens"]), ("input, written to a cache", lambda c: c["cache_write_tokens"]),
         ("output", lambda c: c["output_tokens"]))  # fmt: skip


def dollars(value: float) -> str:
    return f"${value:,.0f}" if value >= 1000 else f"${value:.2f}" if value >= 0.1 else f"${value:.4f}" if value else "$0"


def _many(value: float) -> str:
    """1234567 -> "1.2 M"."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.1f} {unit}"
    return f"{value:.0f}"


def _bars(
    sheet: Sheet,
    rows: Sequence[tuple[str, Sequence[float]]],
    colours: Sequence[str],
    told: Sequence[str],
    tall: int,
    legend: Sequence[tuple[str, str]],
    hrefs: Sequence[str],
    says: Sequence[Sequence[str]],
) -> None:
    """Stacked bars in rows, each with its name above it and its total behind it: no axis is needed to read them."""
    axes = sheet.axes(8, sheet.room(told, 40), 10, 8, grid="")
    used = sheet.legend(axes, legend) if legend else 8
    box = axes.get_position()
    axes.set_position([box.x0, box.y0, box.width, 1 - used / sheet.height - box.y0])
    axes.set(xlim=(0, max(sum(values) for _, values in rows) or 1), ylim=(len(rows) - 0.5, -0.5))
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines["bottom"].set_visible(False)
    for at, (label, values) in enumerate(rows):
        before, y = 0.0, sheet.height - float(axes.transData.transform((0, at))[1])
        url = {"url": sheet.mark(hrefs[at], label)} if hrefs[at] else {}
        sheet.text(
            axes,
            8,
            y - tall * 0.2,
            label,
            most=int((sheet.width - 16) / (sheet.size - 1) / 0.6),
            scale="pixels",
            va="center_baseline",
            **url,
        )
        for value, colour, words in zip(values, colours, says[at], strict=True):
            if value > 0:
                [bar] = axes.barh([at + 0.2], [value], 0.38, before, color=colour)
                bar.set_url(sheet.mark("", words))
            before += value
        end = float(axes.transData.transform((before, at))[0])
        sheet.text(axes, end + 6, y + tall * 0.2, told[at], most=40, scale="pixels", va="center_baseline")


def dollars_chart(calls: Sequence[dict]) -> Chart | None:
    """Dollars by agent, stacked by model. None where nothing was paid."""
    spent: dict[str, dict[str, float]] = {}
    models: dict[str, float] = {}
    for call in calls:
        of = spent.setdefault(call["agent"], {})
        of[call["model"]] = of.get(call["model"], 0.0) + call["dollars"]
        models[call["model"]] = models.get(call["model"], 0.0) + call["dollars"]
    total = sum(models.values())
    if total <= 0:
        return None
    names = sorted(models, key=lambda name: (-models[name], name))
    shown, other = names[:MOST_MODELS], names[MOST_MODELS:]
    if other:
        shown, other = names[: MOST_MODELS - 1], names[MOST_MODELS - 1 :]
    agents = sorted(spent, key=lambda name: (-sum(spent[name].values()), name))
    rows = [
        (
            name,
            [*(spent[name].get(model, 0.0) for model in shown), *([sum(spent[name].get(model, 0.0) for model in other)] if other else [])],
        )
        for name in agents[:MOST_ROWS]
    ]
    parts = [clean(name, 34) for name in shown] + ([f"{len(other)} other models"] if other else [])
    legend = list(zip(parts, SERIES, strict=False))
    says = [[f"{name}, {model}: {dollars(value)}" for model, value in zip(parts, values, strict=True)] for name, values in rows]
    top = agents[0]

    def draw(sheet: Sheet) -> None:
        _bars(
            sheet,
            rows,
            SERIES[: len(parts)],
            [dollars(sum(values)) for _, values in rows],
            38,
            legend,
            [f"#agent-{name}" for name, _ in rows],
            says,
        )

    title = f"{dollars(total)} were spent on {count(len(models), 'model')}; {clean(names[0], 40)} took {models[names[0]] / total:.0%}"
    alt = (
        f"Stacked bars of dollars by agent and model. {title}. {top} spent most with "
        f"{dollars(sum(spent[top].values()))}, {agents[-1]} least with "
        f"{dollars(sum(spent[agents[-1]].values()))}."
    )
    note = f"The {MOST_ROWS} of {len(agents)} agents that spent most are shown." if len(agents) > MOST_ROWS else ""
    narrow_legend = 20 * sum(1 for _ in parts)
    return plot("cost-dollars", title, alt, draw, (len(rows) * 38 + 40, len(rows) * 38 + 20 + narrow_legend), note)


def tokens_chart(calls: Sequence[dict]) -> Chart | None:
    """Tokens by kind over all calls. None where none were used."""
    sums = [(name, float(sum(max(0, of(call)) for call in calls))) for name, of in KINDS]
    total = sum(value for _, value in sums)
    if total <= 0:
        return None
    told = [f"{_many(value)} ({value / total:.0%})" for _, value in sums]

    def draw(sheet: Sheet) -> None:
        says = [[f"{name}: {words}"] for (name, _), words in zip(sums, told, strict=True)]
        _bars(sheet, [(name, [value]) for name, value in sums], SERIES[:1], told, 38, (), [""] * len(sums), says)

    cached = sums[1][1] / (total - sums[3][1]) if total > sums[3][1] else 0.0
    title = f"{_many(total)} tokens in {count(len(calls), 'call')}; {cached:.0%} of what models read came from a cache"
    alt = f"Bars of tokens by kind. {title}: " + ", ".join(f"{name} {words}" for (name, _), words in zip(sums, told, strict=True)) + "."
    return plot("cost-tokens", title, alt, draw, (len(sums) * 38 + 16, len(sums) * 38 + 16))
