"""What well-known kinds of keys look like, and where a text holds one. swarm/scrub.py takes them out.

    for found in found_of(shape, data): ...        in a text, or in bytes
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import AnyStr

TOKEN = "A-Za-z0-9._~+/="


@dataclass(frozen=True)
class Shape:
    """A well-known kind of key. `begins`: what it always holds, where the search starts; `pattern` matches from there, and its
    group 1, where it has one, is what is secret. `placeholder`: in documents such a thing is often words in place of a key."""

    kind: str
    begins: str
    pattern: str
    placeholder: bool = False


BEGIN = r"(?:(?<![A-Za-z0-9])|(?<=\\[nrt])|(?<=\\u[0-9a-fA-F]{4})|(?<=%[0-9a-fA-F]{2}))"
"""No letter or digit before it, but for the end of an escape: there may be JSON in a string of JSON."""
_VALUE = rf"""[\\"']*\s*[:=]\s*[\\"']*(?:(?:[Bb]earer|[Bb]asic|[Tt]oken)[ \t]+|(?=[{TOKEN}-]{{0,400}}[0-9]))([{TOKEN}-]{{8,}})"""
_QUERY = rf"((?=[{TOKEN}%-]{{0,400}}[0-9])[A-Za-z0-9._~+/%-]{{8,}})"
SHAPES = (
    Shape(
        "private-key", "-----BEGIN ",
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----"
        r"(?:[A-Za-z0-9+/=:,.\s\\-]{0,20000}?-----END [A-Z0-9 ]{0,40}PRIVATE KEY-----|[A-Za-z0-9+/=\s\\]{0,20000})", True,
    ),
    Shape("anthropic-key", "sk-ant-", BEGIN + r"sk-ant-[A-Za-z0-9_-]{8,}", True),
    Shape("api-key", "sk-", BEGIN + r"sk-(?!ant-)(?=[A-Za-z_-]{0,400}[0-9])[A-Za-z0-9_-]{20,}", True),
    *(Shape("github-token", f"gh{kind}_", BEGIN + rf"gh{kind}_[A-Za-z0-9]{{20,}}") for kind in "pousr"),
    Shape("github-token", "github_pat_", r"github_pat_[A-Za-z0-9_]{20,}"),
    Shape("hub-token", "hf_", BEGIN + r"hf_[A-Za-z0-9]{24,}"),
    Shape("aws-key", "AKIA", BEGIN + r"AKIA[0-9A-Z]{16}(?![A-Za-z0-9])", True),
    Shape("aws-key", "ASIA", BEGIN + r"ASIA[0-9A-Z]{16}(?![A-Za-z0-9])", True),
    Shape("slack-token", "xox", BEGIN + r"xox[a-z]-[A-Za-z0-9-]{10,}"),
    Shape("gitlab-token", "glpat-", BEGIN + r"glpat-[A-Za-z0-9_-]{20,}"),
    Shape("groq-key", "gsk_", BEGIN + r"gsk_[A-Za-z0-9]{20,}"),
    Shape("xai-key", "xai-", BEGIN + r"xai-[A-Za-z0-9]{20,}"),
    Shape("npm-token", "npm_", BEGIN + r"npm_[A-Za-z0-9]{30,}"),
    Shape("pypi-token", "pypi-", BEGIN + r"pypi-(?=[A-Za-z_-]{0,400}[0-9])[A-Za-z0-9_-]{40,}"),
    Shape("replicate-token", "r8_", BEGIN + r"r8_[A-Za-z0-9]{30,}"),
    *(Shape("stripe-key", f"{kind}k_live_", BEGIN + rf"{kind}k_live_[A-Za-z0-9]{{16,}}") for kind in "sr"),
    *(
        Shape("aws-secret", word, word + r"""[\\"']*\s*[:=]\s*[\\"']*([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+])""", True)
        for word in ("aws_secret_access_key", "AWS_SECRET_ACCESS_KEY")
    ),
    *(
        Shape("query-key", f"{mark}{word}=", re.escape(f"{mark}{word}=") + _QUERY, True)
        for mark in ("?", "&", "&amp;") for word in ("api_key", "apikey", "api-key", "token", "access_token")
    ),
    Shape("google-key", "AIza", BEGIN + r"AIza[A-Za-z0-9_-]{35}"),
    Shape("jwt", "eyJ", BEGIN + r"eyJ[A-Za-z0-9_-]{8,4000}\.eyJ[A-Za-z0-9_-]{8,4000}\.[A-Za-z0-9_-]{8,}"),
    *(Shape("auth-header", word, word + _VALUE, True) for word in ("uthorization", "UTHORIZATION", "-api-key", "-Api-Key", "-API-Key")),
    Shape("auth-header", "earer", rf"earer[ \t]+(?=[{TOKEN}-]{{0,400}}[0-9])([{TOKEN}-]{{16,}})", True),
    Shape("userinfo", "://", r"""://([^\s\x00/@:"'<>\\\[\]{}()$#?|]{1,400}:[^\s\x00/@"'<>\\\[\]{}()$|]{1,400})@""", True),
    Shape("userinfo", "://", r"""://([A-Za-z0-9_-]{20,400})@"""),
)  # fmt: skip
"""Bounded where they can be looked for in vain: what an agent writes must not be able to keep the search busy."""
_IN_TEXT = {shape: re.compile(shape.pattern, re.ASCII) for shape in SHAPES}
_IN_BYTES = {shape: re.compile(shape.pattern.encode()) for shape in SHAPES}


def _is_words(token: str) -> bool:
    """Whether it is a placeholder: words, or x's, in place of what a key is made of."""
    if "EXAMPLE" in token:
        return True
    for piece in re.split(r"[^A-Za-z0-9+/=]+", token):
        mixed = len(piece) >= 6 and re.search("[0-9]", piece) and re.search("[A-Za-z]", piece)
        if (mixed or len(piece) >= 20) and set(piece.lower()) != {"x"}:
            return False
    return True


def found_of(shape: Shape, data: AnyStr, strictly: bool = False) -> Iterator[re.Match[AnyStr]]:
    """Where a text or bytes hold something of this shape. `strictly`: no placeholders made of words."""
    text = isinstance(data, str)
    begins, pattern = (shape.begins, _IN_TEXT[shape]) if text else (shape.begins.encode(), _IN_BYTES[shape])
    at = data.find(begins)  # far quicker than the pattern, and mostly there is nothing
    while at >= 0:
        found = pattern.match(data, at)
        if found:
            secret = found[found.lastindex or 0]
            if not (strictly and shape.placeholder and _is_words(secret if text else secret.decode("ascii", "replace"))):
                yield found
        at = data.find(begins, found.end() if found else at + 1)
