"""What each component of a method is worth, by other submissions of the run that differ from it in little.

    steps(source)                     the statements of `fit`, and the helpers that it needs
    difference(winner, other)         in what two methods differ: kind, and words; None where that is much, or in another order

Nobody is asked to make ablations: whoever tries a method without a part, with another constant, or with one part instead of
another, leaves one in the ledger. Docstrings, comments and how a file is laid out do not count.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

ODD = (SyntaxError, ValueError, TypeError, RecursionError, MemoryError)
"""What parsing and writing down somebody's code may raise."""
MOST_KNOWN = 50_000
MOST = 3
"""Statements in which methods may differ."""
KINDS = ("without", "instead", "constants", "also")
"""In what the other differs, as it is told: it lacks something of the winner, has something else there, the same with other
constants, or something more."""


@dataclass(frozen=True)
class Steps:
    """`fit`: its statements, each on one line; `helpers`: name -> code of the functions, classes and constants beside it."""

    fit: tuple[str, ...]
    helpers: dict[str, str]


@dataclass(frozen=True)
class Difference:
    """`kind` of KINDS; `words` for people: what the other lacks, or has; `size` statements."""

    kind: str
    words: str
    size: int


@lru_cache(maxsize=8192)
def steps(source: str) -> Steps | None:
    """Of a method file; None where it does not parse or has no `fit`."""
    try:
        tree = ast.parse(source)
        named = {name: node for node in tree.body for name in _names(node)}
        if not isinstance(named.get("fit"), ast.FunctionDef):
            return None
        lines = source.encode().splitlines(keepends=True)
        found = [_written(node, lines, ast.unparse) for node in _statements(named.pop("fit").body)]
        return Steps(tuple(found), {name: _written(node, lines, _code) for name, node in named.items()})
    except ODD:
        return None


_known: dict[tuple[Callable, type, bytes], str] = {}
"""What was written down before, by how, its kind and its text: most of a method is what stood in the one that it descends from."""


def _written(node: ast.AST, lines: list[bytes], how: Callable[[ast.AST], str]) -> str:
    """What `how` makes of a node of the file with these lines."""
    first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", ()))])
    text = lines[first - 1 : node.end_lineno]
    if first == node.lineno:
        text[-1] = text[-1][: node.end_col_offset]
        text[0] = text[0][node.col_offset :]
    key = how, type(node), b"".join(text)
    if key not in _known:
        if len(_known) >= MOST_KNOWN:
            _known.clear()
        _known[key] = how(node)
    return _known[key]


def _names(node: ast.stmt) -> list[str]:
    """What a statement of a file gives a name to; not a family, which is what a method calls itself."""
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [one.id for one in targets if isinstance(one, ast.Name) and one.id != "FAMILY"]


def _statements(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """Statements in the order of the text; of one that holds others its head, then those."""
    for node in body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        handled = [part for handler in getattr(node, "handlers", []) for part in handler.body]
        inner = [*getattr(node, "body", []), *handled, *getattr(node, "orelse", []), *getattr(node, "finalbody", [])]
        if not inner:
            yield node
            continue
        head = next((getattr(node, name) for name in ("test", "iter", "items") if getattr(node, name, None)), None)
        yield from [head] if isinstance(head, ast.AST) else []
        yield from _statements(inner)


class _Mask(ast.NodeTransformer):
    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        return ast.Constant(0)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.Constant:
        return ast.Constant(0)  # texts within one may be nothing but texts

    def visit_MatchValue(self, node: ast.MatchValue) -> ast.MatchValue:
        return ast.MatchValue(ast.Constant(0))

    def visit_MatchSingleton(self, node: ast.MatchSingleton) -> ast.MatchValue:
        return ast.MatchValue(ast.Constant(0))


@lru_cache(maxsize=8192)
def _masked(statement: str) -> str:
    """A statement without its constants; as it is where Python cannot write it down so."""
    try:
        return ast.unparse(_Mask().visit(ast.parse(statement)))
    except ODD:
        return statement


def _code(node: ast.stmt) -> str:
    body = [one for one in ast.walk(node) if isinstance(getattr(one, "body", None), list)]
    for one in body:
        one.body = [line for line in one.body if not (isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant))] or [ast.Pass()]
    return ast.unparse(node)


def difference(winner: Steps, other: Steps) -> Difference | None:
    """In what `other` differs from `winner`; None where in nothing, in more than MOST statements, or in the order of the others too,
    which alone may make a difference."""
    lost, gained = Counter(winner.fit) - Counter(other.fit), Counter(other.fit) - Counter(winner.fit)
    changed = sorted(name for name in winner.helpers.keys() & other.helpers.keys() if winner.helpers[name] != other.helpers[name])
    size = max(lost.total(), gained.total()) + len(changed)
    if not 1 <= size <= MOST or _in_common(winner.fit, other.fit) < len(winner.fit) - lost.total():
        return None
    shown, there = (" and ".join(f"`{_short(one)}`" for one in some.elements()) for some in (lost, gained))
    others = f"another `{'`, `'.join(changed)}`" if changed else ""
    apart = sum(mine != theirs for mine, theirs in zip(winner.fit, other.fit, strict=False))
    moved = ", in another place" if lost and lost.total() == gained.total() < apart else ""
    if lost and not gained and not changed:
        return Difference("without", f"without {shown}", size)
    if gained and not lost and not changed:
        return Difference("also", f"also {there}", size)
    if not changed and Counter(map(_masked, winner.fit)) == Counter(map(_masked, other.fit)):
        return Difference("constants", f"{there} in place of {shown}{moved}", size)
    words = " and ".join(part for part in (f"{there or 'nothing'} instead of {shown or 'nothing'}{moved}" if lost or gained else "", others) if part)
    return Difference("instead", words, size)


def _in_common(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """How many statements at most both have in the same order."""
    best = [0] * (len(other) + 1)
    for mine in one:
        before = 0
        for at, theirs in enumerate(other, 1):
            before, best[at] = best[at], before + 1 if mine == theirs else max(best[at], best[at - 1])
    return best[-1]


def _short(statement: str, most: int = 80) -> str:
    """What a statement does, for people: the call in it, without what it is assigned to and without the plain names it is
    handed, which are the same in most."""
    text = statement
    try:
        node = ast.parse(statement).body[0]
        node = getattr(node, "value", None) or node
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            node = ast.Call(node.func, [one for one in node.args if not isinstance(one, ast.Name)], node.keywords)
        text = ast.unparse(node)
    except ODD:
        pass
    text = " ".join(text.split()).replace("`", "'")
    return text if len(text) <= most else text[: most - 1] + "…"
