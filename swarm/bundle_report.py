"""What the pages in a run's history hold in their compressed parts, as text, for the search for secrets. Used by `bundle`.

    for text in texts_of(data): ...        the page itself as it reads, then each part of it

The board of a run that is over has its report (view/report/data.py packs it): code, verdicts and words of 50 submissions are one
<script type="text/plain" data-chunk="0"> each, JSON under zlib under base64, in which nothing can be found as it stands.
"""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
import zlib
from collections.abc import Iterator

CHUNK = re.compile(rb"<script\b[^>]{0,200}\bdata-chunk\b[^>]{0,200}>\s*([A-Za-z0-9+/=\s]+?)\s*</script", re.IGNORECASE)
ESCAPED = re.compile(rb"\\u00(26|3[cCeE])")
"""`&`, `<` and `>` in the JSON of the page."""


def texts_of(data: bytes) -> Iterator[bytes]:
    """The texts of a page, without its escapes; none where it is no page with such parts. A part that cannot be unpacked is passed
    over: no browser reads it either."""
    chunks = [found[1] for found in CHUNK.finditer(data)]
    if not chunks:
        return
    plain = ESCAPED.sub(lambda found: bytes([int(found[1], 16)]), data)
    yield html.unescape(plain.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
    for chunk in chunks:
        unpacker = zlib.decompressobj()
        try:
            text = unpacker.decompress(base64.b64decode(chunk)) + unpacker.flush()
        except (binascii.Error, zlib.error):
            continue
        yield text
        yield b"\0".join(_strings(text))


def _strings(text: bytes) -> Iterator[bytes]:
    """The strings of a text that is JSON, without its escapes."""
    try:
        waiting = [json.loads(text)]
    except (ValueError, RecursionError):
        return
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value.encode("utf-8", "surrogatepass")
        elif isinstance(value, (list, dict)):
            waiting += [*value, *value.values()] if isinstance(value, dict) else value
