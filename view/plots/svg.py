"""From the SVG that matplotlib writes to one that stands in a page: small, themed, with links, and without an id of another drawing.

    page_svg(text, prefix, colours, marks, title, desc)

Only the elements of ELEMENTS get through, and of what matplotlib wrote only attributes that draw; everything is written anew with
escapes, so that nothing an agent wrote can be more than text.
"""

from __future__ import annotations

import html
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

ELEMENTS = {"svg", "g", "defs", "path", "use", "clipPath", "rect", "text", "a"}
MARK = "mark:"
"""Begins the address that a drawing gives to what is linked: `mark:3` is the third of its marks."""
HALO = "halo"
"""Id of the group of a text that shall have the background around its letters."""
NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")
TOKEN = re.compile(r"[A-Za-z]|-?\d+(?:\.\d+)?(?:e-?\d+)?")
FONT = re.compile(r"(?:(?P<weight>bold|[1-9]00) )?(?P<size>[\d.]+px)")
AROUND = "paint-order:stroke;stroke:var(--c-bg);stroke-width:4px;"
DULL = {"stroke-linejoin: round", "stroke-linecap: butt", "fill-opacity: 1", "stroke-opacity: 1", "opacity: 1"}
"""What the root says already, or is so anyway."""


@dataclass(frozen=True)
class Mark:
    """What a point leads to (`href`, "" for nowhere), and what it says when it is pointed at."""

    href: str
    says: str


def page_svg(text: str, prefix: str, colours: Mapping[str, str], marks: Sequence[Mark], title: str, desc: str) -> str:
    """`colours`: the hex that was drawn -> the CSS value it stands for; `prefix`: begins all ids. ValueError for an unknown element."""
    root = ElementTree.fromstring(text)
    writer = _Writer(prefix, colours, marks, _referred(root))
    box = root.get("viewBox")
    name = f"{prefix}-t {prefix}-d"
    head = (
        f'<svg viewBox="{box}" width="100%" role="img" aria-labelledby="{name}" class="plot" stroke-linejoin="round" stroke-linecap="butt">'
        f'<title id="{prefix}-t">{html.escape(title)}</title><desc id="{prefix}-d">{html.escape(desc)}</desc>'
    )
    return head + "".join(piece for child in root for piece in writer.element(child)) + "</svg>"


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _referred(root: ElementTree.Element) -> dict[str, int]:
    """The ids that something uses, numbered in the order of the file."""
    used = set()
    for element in root.iter():
        for key, value in element.attrib.items():
            if key.endswith("href") and value.startswith("#") and _name(element) == "use":
                used.add(value[1:])
            used.update(re.findall(r"url\(#([^)]+)\)", value))
    ids = [element.get("id") for element in root.iter() if element.get("id") in used]
    return {name: number for number, name in enumerate(dict.fromkeys(ids))}


class _Writer:
    def __init__(self, prefix: str, colours: Mapping[str, str], marks: Sequence[Mark], ids: dict[str, int]):
        self.prefix, self.colours, self.marks, self.ids = prefix, colours, marks, ids

    def element(self, element: ElementTree.Element) -> Iterator[str]:
        name = _name(element)
        if name in ("metadata", "style"):  # a style sheet in an SVG holds for the whole page
            return
        if name not in ELEMENTS:
            raise ValueError(f"<{name}> is not an element that a chart may have")
        inside = [piece for child in element for piece in self.element(child)]
        if name == "text":
            inside = [html.escape("".join(element.itertext()), quote=False)]
        if name == "a":
            yield from self._link(element, inside)
            return
        if name == "g" and element.get("id") == HALO:
            inside = [piece.replace('style="', f'style="{AROUND}', 1) if piece.startswith("<text ") else piece for piece in inside]
        attributes = "".join(f' {key}="{html.escape(value)}"' for key, value in self._attributes(element))
        if name in ("g", "defs") and (not inside or not attributes and name == "g"):
            yield from inside
        elif name in ("path", "use", "rect"):
            yield f"<{name}{attributes}/>"
        else:
            yield from (f"<{name}{attributes}>", *inside, f"</{name}>")

    def _link(self, element: ElementTree.Element, inside: list[str]) -> Iterator[str]:
        address = next((value for key, value in element.attrib.items() if key.endswith("href")), "")
        mark = self.marks[int(address.removeprefix(MARK))]
        # Not in the order of the tab key: there may be hundreds, and what they lead to is linked from the tables as well.
        opening, closing = (f'<a href="{html.escape(mark.href)}" tabindex="-1">', "</a>") if mark.href else ("<g>", "</g>")
        yield from (opening, f"<title>{html.escape(mark.says)}</title>", *inside, closing)

    def _attributes(self, element: ElementTree.Element) -> Iterator[tuple[str, str]]:
        for key, value in element.attrib.items():
            key = key.rpartition("}")[2]
            if key == "id":
                if value in self.ids:
                    yield key, self._id(value)
            elif key == "href":
                yield key, f"#{self._id(value[1:])}"
            elif key == "clip-path":
                yield key, f"url(#{self._id(value[5:-1])})"
            elif key == "d":
                yield key, path_data(value)
            elif key == "style":
                if style := self._style(value):
                    yield key, style
            elif key == "transform":
                if not value.startswith("rotate(-0 "):
                    yield key, NUMBER.sub(_rounded, value)
            elif key in ("x", "y", "width", "height"):
                yield key, NUMBER.sub(_rounded, value)

    def _id(self, name: str) -> str:
        return f"{self.prefix}-{self.ids[name]}"

    def _style(self, style: str) -> str:
        kept = []
        for rule in filter(None, (part.strip() for part in style.split(";"))):
            key, _, value = (part.strip() for part in rule.partition(":"))
            if rule in DULL or key == "font-family":
                continue
            if key == "font" and (found := FONT.search(value)):  # as older versions write it, with the family in it
                kept += [f"font-size:{found['size']}"] + ([f"font-weight:{found['weight']}"] if found["weight"] else [])
                continue
            kept.append(f"{key}:{self.colours.get(value) or (value if 'opacity' in key else NUMBER.sub(_rounded, value))}")
        return ";".join(kept)


def _rounded(found: re.Match) -> str:
    return _short(float(found[0]))


def _short(value: float) -> str:
    text = f"{value:.1f}"
    return text[:-2].replace("-0", "0") if text.endswith(".0") else text


def path_data(data: str) -> str:
    """Path data to a tenth of a pixel, without points that repeat; a line of no length stays, since a round cap makes it a dot."""
    parts: list[str] = []
    last, drawn = None, False
    tokens = iter(TOKEN.findall(data))
    for command in tokens:
        count = {"M": 2, "L": 2, "C": 6, "Q": 4}.get(command, 0)
        numbers = [_short(float(next(tokens))) for _ in range(count)]
        if command == "M":
            if last is not None and not drawn:
                parts.append("h0")
            drawn = False
        elif command == "L":
            if numbers == last:
                continue
            drawn = True
        else:
            drawn = True
        parts.append(command + " ".join(numbers))
        last = numbers[-2:] or last
    if last is not None and not drawn:
        parts.append("h0")
    return "".join(parts)
