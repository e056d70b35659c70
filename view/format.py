"""Words and figures for a terminal. Everything that an agent wrote passes through `clean` before it is printed.

An agent may put anything into a file name, a title or an error: terminal escapes that rewrite the screen, characters
that turn the reading direction around, rich markup. None of it may reach the terminal as more than text.
"""

from __future__ import annotations

import datetime
import os
import re
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Sequence

from rich.cells import cell_len, chop_cells, set_cell_size

# ESC or its one-byte C1 forms, with what belongs to them: [ ... letter (CSI), ] ... BEL or ST (OSC), and the other strings.
ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]*[0-~]"
)
MARKS = "\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
PILED = re.compile(f"([{MARKS}]{{3}})[{MARKS}]+")
"""More marks on one letter than any language has: they would tower over the lines around."""
UNSEEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
"""Unicode categories that print nothing or steer what is printed: controls, format and bidi marks, line separators."""
LEAST = 16
"""How narrow a column becomes at most that gives way to others."""
NONE_STAMP = "ISOLATION: NONE - no walls stood between this code and the labels; these figures prove nothing"


def clean(text: object, most: int = 120) -> str:
    """`text` on one line of at most `most` characters, without escapes, controls, or characters that steer the terminal."""
    return _cut(" ".join(clean_lines(text, 4 * most).split()), most)


def clean_lines(text: object, most: int = 4000) -> str:
    """The same, with its line breaks kept and tabs as spaces."""
    text = str(text)[: 4 * most]
    if text.isascii() and text.isprintable():  # nearly all there is, and there is a lot in a report
        return _cut(text, most)
    text = ESCAPES.sub("", text).replace("\r\n", "\n").replace("\t", "    ")
    return _cut(PILED.sub(r"\1", "".join(c if c == "\n" else _seen(c) for c in text)), most)


def _seen(character: str) -> str:
    category = unicodedata.category(character)
    if category in UNSEEN:
        return " " if category in ("Zl", "Zp") or character == "\r" else ""
    return character


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def figure(value: float | None, signed: bool = False, digits: int = 2) -> str:
    """0.674 -> "0.67" or "+0.67"; None -> "n/a"."""
    return "n/a" if value is None else f"{value:{'+' if signed else ''}.{digits}f}"


def interval(value: float | None, low: float | None, high: float | None, signed: bool = False) -> str:
    """`0.67 [0.61, 0.72]`: no figure without its interval; "n/a" where there is none."""
    if value is None:
        return "n/a"
    return f"{figure(value, signed)} [{figure(low, signed)}, {figure(high, signed)}]"


def pgr_of(verdict: dict) -> str:
    return interval(verdict.get("pgr"), verdict.get("pgr_low"), verdict.get("pgr_high"))


def lift_of(verdict: dict) -> str:
    return interval(verdict.get("lift"), verdict.get("lift_low"), verdict.get("lift_high"), signed=True)


def recipe_pgr_of(verdict: dict) -> str:
    """PGR against the ceiling that the method's own recipe reaches on true labels."""
    return interval(verdict.get("recipe_pgr"), verdict.get("recipe_pgr_low"), verdict.get("recipe_pgr_high"))


def duration(seconds: float | None) -> str:
    """7 -> "7s", 425 -> "7m05s", 7300 -> "2h01m", 200000 -> "2d07h"; None -> "-"."""
    if seconds is None:
        return "-"
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02d}h"


def age_seconds(since: str | None, now: datetime.datetime | None = None) -> float | None:
    """Seconds from the UTC time `since` ("2026-11-23T14:00:00Z") until `now`; None where it is no such time."""
    try:
        then = datetime.datetime.strptime(since or "", "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc)
    except ValueError:
        return None
    return ((now or datetime.datetime.now(datetime.timezone.utc)) - then).total_seconds()


def count(number: int, noun: str) -> str:
    """(1, "draw") -> "1 draw"; (8, "draw") -> "8 draws"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def who_words(agents: int, people: int) -> str:
    """`9 agents`, and where people joined `9 agents and 2 people`."""
    joined = f" and {'1 person' if people == 1 else f'{people} people'}" if people else ""
    return count(agents, "agent") + joined


def terminal_width() -> int | None:
    """Columns of the terminal that standard output is; None where it is none, and lines may be as long as they are."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def short(text: str, cells: int) -> str:
    """`text` in at most `cells` columns of a terminal; what is cut off leaves an ellipsis."""
    return text if cell_len(text) <= cells else set_cell_size(text, max(0, cells - 1)).rstrip() + "…"


def short_name(name: str, cells: int) -> str:
    """A name in at most `cells` columns of a terminal, cut in its middle: methods that come from one another begin alike, and differ at
    their ends. That it is a `.py` file is the first to go."""
    if cell_len(name) > cells:
        name = name.removesuffix(".py")
    if cell_len(name) <= cells:
        return name
    start = set_cell_size(name, max(0, cells - 1) // 2).rstrip()
    room = max(0, cells - 1 - cell_len(start))
    return f"{start}…{next(name[at:] for at in range(len(name) + 1) if cell_len(name[at:]) <= room)}"


def name_of(name: object, most: int = 48) -> str:
    """What `clean` is for other words, for the name of a file or a method."""
    return short_name(clean(name, 400), most)


def fold(text: str, width: int | None, indent: int = 0) -> list[str]:
    """`text` in lines of at most `width` columns of a terminal, broken between words; all but the first begin with `indent` spaces."""
    if width is None or cell_len(text) <= width:
        return [text]
    words = text.lstrip(" ")
    lines, line, lead = [], "", " " * min(len(text) - len(words), max(0, width - 2))
    for word in words.split(" "):
        longer = f"{line} {word}" if line else lead + word
        while cell_len(longer) > width:
            if line:
                lines.append(line)
                line = ""
            else:  # a word that is too long by itself
                piece = chop_cells(word, max(1, width - len(lead)))[0] or word[0]
                lines.append(lead + piece)
                word = word[len(piece) :]
            lead = " " * min(indent, max(0, width - 2))
            longer = lead + word
        line = longer
    return [*lines, line]


def left_out_words(names: Iterable[str], larger: str = "wider") -> str:
    """What a small terminal has no room for, in words; "" where that is nothing."""
    told = ", ".join(names)
    return f"left out for lack of room: {told} (--json or a {larger} terminal shows them)" if told else ""


def columns(
    header: Sequence[str], rows: Sequence[Sequence[object]], right: Sequence[str] = (), spare: Sequence[str] = (), gives: str = ""
) -> str:
    """Rows under a header in aligned columns, never wrapped, so that `grep` and `awk` work on them.

    `right`: the names of the columns that are aligned to the right. In a terminal too narrow for all, names in the column
    `gives` are cut down to LEAST, then columns named in `spare` are left out, in this order, and a last line says which. Cells must
    be clean already.
    """
    cells = [list(header)] + [[str(cell) for cell in row] for row in rows]
    widths = {name: max(cell_len(row[at]) for row in cells) for at, name in enumerate(header)}
    room, least = terminal_width() or sys.maxsize, dict(widths)
    if gives:
        least[gives] = min(widths[gives], LEAST)
    left_out: list[str] = []
    for name in spare:
        if sum(least.values()) + 2 * (len(least) - 1) <= room:
            break
        del widths[name], least[name]
        left_out.append(name)
    over = sum(widths.values()) + 2 * (len(widths) - 1) - room
    if gives and over > 0:
        widths[gives] = max(least[gives], widths[gives] - over)
    shown = [(at, name, widths[name], name in right) for at, name in enumerate(header) if name in widths]
    lines = []
    for row in cells:
        line = []
        for at, name, width, to_right in shown:
            cell = short_name(row[at], width) if name == gives else row[at]
            padding = " " * (width - cell_len(cell))
            line.append(padding + cell if to_right else cell + padding)
        lines.append("  ".join(line).rstrip())
    return "\n".join([*lines, *(fold(left_out_words(left_out), room) if left_out else [])])


def tell(text: str) -> None:
    """Print, also where the terminal is gone by now: a run's end must not depend on who watches."""
    try:
        print(text, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
