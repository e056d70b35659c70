"""How data lie in the page: JSON in script tags that no text can end, and compressed chunks that are unpacked on demand."""

from __future__ import annotations

import base64
import json
import unicodedata
import zlib

from markupsafe import Markup

from view.format import UNSEEN


def script_json(value: object) -> Markup:
    """`value` as JSON that can stand in a <script> element whatever texts it holds: no `<` is left that could end it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    text = text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    return Markup(text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))


def packed(value: object) -> Markup:
    """`value` as JSON, compressed (zlib) and in base64: what DecompressionStream("deflate") of a browser unpacks."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(base64.b64encode(zlib.compress(text.encode("utf-8", "replace"), 9)).decode("ascii"))


def visible(text: str) -> str:
    """Code as a reviewer must see it: what prints nothing, or turns the reading direction around, stands there by its name."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c in "\n\t" or unicodedata.category(c) not in UNSEEN else f"<U+{ord(c):04X}>" for c in text)


def rounded(value: object, digits: int = 5) -> object:
    """Shorter floats; everything else, and what no JSON can hold (nan, infinity), as None."""
    if not isinstance(value, (int, float)) or value != value or value in (float("inf"), float("-inf")):
        return None
    return round(value, digits) if isinstance(value, float) else value
