"""The plots of a run as SVG that stands in one page: `charts(record)`. Loads matplotlib only when it draws.

    from view.plots import charts, PALETTE_CSS
    charts(record)["progress"][0].wide

Each chart function takes plain data, so that `compare` draws several runs with the same ones: see progress.py.
"""

from __future__ import annotations

from collections.abc import Sequence

from state.record import Record
from view.plots.chart import PALETTE_CSS, Chart

__all__ = ["PALETTE_CSS", "Chart", "charts"]


def charts(
    record: Record,
    winner: tuple[dict | None, dict | None] | None = None,
    parts: Sequence[tuple[str, float, float, float, str]] | None = None,
) -> dict[str, list[Chart]]:
    """Section id -> its charts, without sections that have nothing to draw.

    `winner`: public and sealed verdict of the run's best; `parts`: what its components are worth, (label, difference in PGR, low, high,
    href) each; None: as the report has them. Of a public record of a run that goes on only what agents may see is drawn.
    """
    from view.plots.read import read_charts
    from view.report.components import components
    from view.report.headline import winner as winner_of

    best = winner_of(record) if winner is None else winner
    if parts is None:
        found = components(record, best[0]["submission"]) if best[0] else []
        parts = [(part.words, part.worth, part.low, part.high, f"#{part.other}") for part in found]
    return read_charts(record, best, parts)
