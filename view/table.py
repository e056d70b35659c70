"""Tables in Markdown that also read well in a terminal: what `baselines` and `transfer` print and save."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len


def markdown(header: Sequence[str], rows: Sequence[Sequence[object]], right: Sequence[str] = ()) -> str:
    """Rows under a header as a Markdown table with aligned columns; those named in `right` are aligned to the right.

    Cells must be clean already; a bar in one is escaped, so that it does not end its column.
    """
    cells = [[str(cell).replace("|", "\\|") for cell in row] for row in (header, *rows)]
    widths = [max(3, *(cell_len(row[i]) for row in cells)) for i in range(len(header))]
    to_right = [name in right for name in header]

    def line(row: Sequence[str]) -> str:
        padding = [" " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)]
        shown = [p + c if r else c + p for c, p, r in zip(row, padding, to_right, strict=True)]
        return f"| {' | '.join(shown)} |"

    rule = ["-" * (width - 1) + ":" if r else "-" * width for width, r in zip(widths, to_right, strict=True)]
    return "\n".join([line(cells[0]), f"| {' | '.join(rule)} |", *(line(row) for row in cells[1:])])
