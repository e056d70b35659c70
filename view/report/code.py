"""Code and diffs of submissions, coloured when the report is made, in the short form in which the page holds them.

    pool = Pool()                           the distinct lines of one chunk
    ids = pool.add(Colours().lines(text))   a file as numbers of lines in the pool

A line is a flat list [class, text, class, text, ...], so that the page can build it from text nodes alone: no HTML of it is
stored anywhere. Classes are those of pygments (`k` keyword, `s2` string, ...).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

from pygments.lexers import PythonLexer
from pygments.token import STANDARD_TYPES

from view.report.data import visible

Line = tuple[str, ...]
MOST_CHARACTERS = 60_000
"""Of a file, as shown; the rest is what `git show` is for."""
MOST_LINES = 2_000
MOST_WIDE = 2_000
"""Characters of a line."""
CONTEXT = 3
BLOCKS = re.compile(r"(?m)^(?=(?:async def|def|class)\b)")
"""Where a file is cut for colouring: most of its functions are those of its parent, and were coloured before."""


class Colours:
    """Colours files, and remembers the functions that it has met."""

    def __init__(self) -> None:
        self._lexer = PythonLexer(stripnl=False, ensurenl=False)
        self._blocks: dict[str, tuple[Line, ...]] = {}

    def lines(self, text: str) -> list[Line]:
        """The lines of a file, as far as they are shown."""
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        found: list[Line] = []
        block = ""
        for part in BLOCKS.split(text[:MOST_CHARACTERS]):
            block += part
            if not any(block.count(quotes) % 2 for quotes in ('"""', "'''")):  # else "class" begins a line of a docstring
                found += self._block(block) if block else ()
                block = ""
        return [*found, *(self._block(block) if block else ())][:MOST_LINES]

    def _block(self, block: str) -> tuple[Line, ...]:
        if block not in self._blocks:
            self._blocks[block] = tuple(self._coloured(block.removesuffix("\n")))
        return self._blocks[block]

    def _coloured(self, block: str) -> list[Line]:
        lines: list[list[str]] = [[]]
        shown = "\n".join(visible(line.replace("\t", "    "))[:MOST_WIDE] for line in block.split("\n"))
        for kind, value in self._lexer.get_tokens(shown):
            name = STANDARD_TYPES.get(kind, "")
            name = "" if name in ("n", "w", "err") else name
            for at, part in enumerate(value.split("\n")):
                if at:
                    lines.append([])
                if part and lines[-1] and lines[-1][-2] == name:
                    lines[-1][-1] += part
                elif part:
                    lines[-1] += [name, part]
        return [tuple(line) for line in lines]


class Pool:
    """The distinct lines of a chunk; a file, and its diff, are numbers of them."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self._known: dict[Line, int] = {}

    def add(self, lines: Sequence[Line]) -> list[int]:
        """Numbers of `lines` in the pool, in their order."""
        found = []
        for line in lines:
            number = self._known.get(line)
            if number is None:
                number = self._known[line] = len(self.lines)
                self.lines.append(line)
            found.append(number)
        return found


def was_cut(text: str) -> bool:
    """Whether a file is longer than what is shown of it."""
    return len(text) > MOST_CHARACTERS or text.count("\n") > MOST_LINES


def diff(old: Sequence[int], new: Sequence[int]) -> list[list]:
    """Hunks that lead from `old` to `new` (numbers of lines): [first line in old, first line in new, marks, numbers of lines], where
    marks is a text of "-", "+" and " ", one for each line. [] where they are equal."""
    head = 0
    while head < min(len(old), len(new)) and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < min(len(old), len(new)) - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    if head == len(old) == len(new):
        return []
    start = max(0, head - CONTEXT)  # what is equal at both ends is only context, and need not be compared
    keep = max(0, tail - CONTEXT)
    before, after = old[start : len(old) - keep], new[start : len(new) - keep]
    hunks = []
    for group in SequenceMatcher(None, before, after, autojunk=True).get_grouped_opcodes(CONTEXT):
        marks, numbers = "", []
        for tag, i1, i2, j1, j2 in group:
            if tag == "equal":
                marks, numbers = marks + " " * (i2 - i1), [*numbers, *before[i1:i2]]
                continue
            marks += "-" * (i2 - i1) + "+" * (j2 - j1)
            numbers += [*before[i1:i2], *after[j1:j2]]
        hunks.append([start + group[0][1] + 1, start + group[0][3] + 1, marks, numbers])
    return hunks
