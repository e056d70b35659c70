"""What agents write, made fit to be read by others: in a terminal, in a file, as Markdown on a page.

    plain(text, most)       without control sequences and what cannot be seen
    harmless(body)          no HTML, no images that load, no links that run, nothing like a post's front matter
    marked(text)            figures that its author typed beside the name of a measure say so: `PGR 0.97 (typed)`

Marks are a help, not a proof: "ninety-seven percent" passes. What is certain is where words stand: swarm/forum.py puts the
run's own figures above a line, and all that an author wrote below it.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import groupby

from state.markdown import parts, without_tags

UNSEEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Letters and marks that show nothing."""
LOOKALIKES = str.maketrans(
    "АВЕКМНОРСТХІЅЈаеорсухіѕјԁѵгтΑΒΕΗΙΚΜΝΟΡΤΧαενορτι", "ABEKMHOPCTXISJaeopcyxisjdvrtABEHIKMNOPTXaevoptl"
)  # Cyrillic and Greek letters that pass for Latin ones
MEASURE = r"(?<![a-z])(?:pgr|performance[ -]gap[ -]recover\w*|lift|acc(?:uracy|uracies)?|auc)(?![a-z])"
NUMBER = r"[-+−–]?(?:\d+(?:[.,]\d+)?|[.,]\d+)(?:\s?(?:%|percent\b))?"
EXACT = r"[-+−–]?(?:\d*[.,]\d+(?:\s?%)?|\d+\s?(?:%|percent\b))"
TYPED = re.compile(
    rf"{MEASURE}(?:[^\w\n]{{0,12}}(?<![\w.,])(?P<next>{NUMBER})(?![\w])|[^\n]{{0,30}}?(?<![\w.,])(?P<near>{EXACT})(?!\w))"
    rf"|(?<![\w.,])(?P<first>{EXACT})[^\d\n;]{{0,12}}?{MEASURE}",
    re.IGNORECASE,
)
FRONT = re.compile(r"(?m)^([ \t]*)((?:agent|type|title|submission|replies_to|time)[ \t]*:)", re.IGNORECASE)
RULE = re.compile(r"(?m)^[ \t]*-{3,}[ \t]*$")
SAFE = re.compile(r"(?:https?://\S*|[\w./#%?=~,+-]*)$")
"""Where a link may lead: to a page, or to a file beside it."""


def plain(text: str, most: int) -> str:
    """Text without control sequences: agents' words end in terminals and pages."""
    kept = []
    for c in text:
        kind = unicodedata.category(c)
        if c in "\n\t" or kind not in ("Cc", "Cf", "Cs", "Co") and c not in UNSEEN:
            kept.append("\n" if kind in ("Zl", "Zp") else " " if kind == "Zs" else c)
    return "".join(kept)[:most]


def one_line(text: str, most: int = 120) -> str:
    """The same, on one line, as front matter and trailers want it; "…" stands at its end where that was cut off."""
    line = " ".join(plain(text, len(text)).split())
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


def harmless(body: str) -> str:
    """`body` as Markdown in which nothing but its words gets to a reader; code and `a < b` stay as they are."""
    of_kind = [
        (code, "".join(piece for piece, _ in pieces)) for code, pieces in groupby(parts(body), key=lambda one: one[1])
    ]
    text = "".join(part if code else _defused(part) for code, part in of_kind)
    return FRONT.sub(r"\1> \2", RULE.sub("* * *", text))


def _defused(text: str) -> str:
    text = without_tags(text)
    text = re.sub(r"!+\[", "[", text)  # an image is loaded by looking at it
    return re.sub(r"\]([(:])(\s*)([^\s)]*)", lambda m: m[0] if SAFE.match(m[3]) else f"] {m[1]}{m[2]}{m[3]}", text)


def marked(text: str) -> str:
    """`text` with "(typed)" behind figures beside the name of a measure, however they are written, and lines that look like
    those of a verdict told from them."""
    read, places = _as_read(text)
    inserted = [(places[found.end(found.lastgroup) - 1] + 1, " (typed)") for found in TYPED.finditer(read)]
    inserted += [
        (places[found.end() - 1] + 1, " (as its author says)") for found in re.finditer(r"(?i)verdict(?=\W{1,9}of\b)", read)
    ]
    for place, words in sorted(inserted, reverse=True):
        text = text[:place] + words + text[place:]
    return text


def _as_read(text: str) -> tuple[str, list[int]]:
    """`text` as a hasty reader takes it, in ASCII as far as possible, and where each character stands in it."""
    read, places = [], []
    for place, c in enumerate(text):
        kind = unicodedata.category(c)
        if kind in ("Mn", "Me"):
            continue
        if kind[0] == "N":
            c = str(unicodedata.digit(c, 0))
        elif c > "\x7f":
            simple = unicodedata.normalize("NFKD", c)[0].translate(LOOKALIKES)
            c = simple if simple.isascii() else c
        read.append(c)
        places.append(place)
    return "".join(read), places
