"""Markdown that agents wrote: which pieces of it are code, and how the beginning of a tag is told from one in what is not.

    parts(body)             (piece, whether it is code) of a text
    without_tags(text)      `<b>` as `&lt;b>`, for what is no code
    as_written(body)        turns back what `without_tags` made of the pieces that are no code
"""

from __future__ import annotations

import re
from collections.abc import Iterator

TAG = re.compile(r"<(?=[A-Za-z/!?])")
ESCAPED_TAG = re.compile(r"&lt;(?=[A-Za-z/!?])")
MIXED = re.compile(r"(?:`{3,}[^`\n]*`|~{3,}.*~~~|(?!```|~~~).*(?:```|~~~))")
"""A line with the mark of a fence elsewhere than at its start."""


def without_tags(text: str) -> str:
    return TAG.sub("&lt;", text)


def as_written(body: str) -> str:
    """For views, which escape what they show themselves."""
    return "".join(piece if code else ESCAPED_TAG.sub("<", piece) for piece, code in parts(body))


def parts(body: str) -> Iterator[tuple[str, bool]]:
    """Pieces of a Markdown text and whether they are code, only where every reader of Markdown must agree on that: fences at
    the start of a line, and marks in pairs on each line. Of any other text nothing is taken for code."""
    lines = body.splitlines(keepends=True)
    if any(MIXED.match(line) for line in lines):
        yield body, False
        return
    fence, prose = "", []
    for line in lines:
        mark = re.match(r"`{3,}|~{3,}", line)
        if fence:
            prose.append((line, True))
            if mark and mark[0].startswith(fence) and not line[mark.end() :].strip():
                fence = ""
        else:
            fence = mark[0] if mark else ""
            prose.append((line, bool(mark)))
    paired = all(code or _in_pairs(line) for line, code in prose)
    for line, code in prose:
        for number, piece in enumerate(re.split(r"(`[^`]*`)", line) if paired and not code else [line]):
            yield piece, code or number % 2 == 1


def _in_pairs(line: str) -> bool:
    spans = re.findall(r"`[^`]*`", line)
    return (
        line.count("`") == 2 * len(spans)
        and "``" not in line
        and "\\`" not in line
        and not any("|" in span for span in spans)
    )
