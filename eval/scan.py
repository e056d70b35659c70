"""What can be told of a submitted file without running it: syntax, imports, literals, family, its normalised tree.

The scan keeps honest files honest and gives early, clear refusals. It is not the wall: the sandbox is.
"""

from __future__ import annotations

import ast
import copy
import hashlib
import re
import sys
from dataclasses import dataclass, field

MAX_BYTES = 64_000
MODULES = {
    "numpy", "scipy", "sklearn", "torch", "transformers", "peft",
    "__future__", "abc", "bisect", "collections", "contextlib", "copy", "dataclasses", "enum", "functools", "heapq",
    "itertools", "math", "operator", "random", "re", "statistics", "string", "typing", "warnings",
}  # fmt: skip
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__", "open", "input", "breakpoint", "globals", "vars"}
WORD = re.compile(r"[A-Za-z][A-Za-z'-]{2,}$")
MOST_WORDS = 12
"""A collection of more quoted natural-language words than this is knowledge of the task, not a method."""
MOST_NUMBERS = 200
"""Numeric constants a method may hold: a long table of numbers can be a fitted model."""
MOST_TEXT = 1500
"""Bytes of string constants outside docstrings."""
ASKS = {"zero_shot": "zero_shot", "answers": "contrast", "generate": "model", "model": "model", "tokenizer": "model"}
"""Names that reach for the strong model's own answers, and what is handed to a file that names them."""


@dataclass
class Scan:
    """`problem` is set where the file is refused: what, where, what to do. `flags` move it to another track. `uses`: what it
    asks of the strong model beyond hidden states ("zero_shot", "contrast", "model"); nothing else is handed out."""

    tree: str = ""
    family: str = "unnamed"
    needs_groups: bool = False
    problem: str | None = None
    flags: list[str] = field(default_factory=list)
    uses: frozenset[str] = frozenset()
    track: str = "main"


def scan(source: bytes, name: str) -> Scan:
    """Scan the bytes of the method file called `name`."""
    if len(source) > MAX_BYTES:
        return Scan(problem=f"{name} has {len(source)} bytes; a method file may have {MAX_BYTES}")
    try:
        tree = ast.parse(source.decode("utf-8"), name)
    except UnicodeDecodeError as error:
        return Scan(problem=f"{name} is not UTF-8 text (byte {error.start})")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None)
        return Scan(problem=f"{name}{f', line {line}' if line else ''}: {getattr(error, 'msg', None) or error}")
    try:
        result = Scan(tree=tree_hash(tree), problem=_forbidden(tree, name))
    except RecursionError:
        return Scan(problem=f"{name}: expressions nested too deeply")
    if result.problem is None:
        _declarations(tree, name, result)
        _knowledge(tree, result)
    return result


def _forbidden(tree: ast.Module, name: str) -> str | None:
    for node in ast.walk(tree):
        modules = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [node.module or "." * node.level]
        for module in modules:
            if module.split(".")[0] not in MODULES:
                return f"{name}, line {node.lineno}: imports {module}; a method may import {', '.join(sorted(MODULES - set(sys.stdlib_module_names)))} and plain standard modules"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FORBIDDEN_CALLS:
            return f"{name}, line {node.lineno}: calls {node.func.id}(), which a method has no use for"
        if isinstance(node, ast.Name) and node.id.startswith("__"):
            return f"{name}, line {node.lineno}: uses {node.id}, which a method has no use for"
        if isinstance(node, ast.Attribute) and node.attr.startswith("__") and node.attr not in ("__init__", "__call__", "__name__"):
            return f"{name}, line {node.lineno}: reaches for {node.attr}, which a method has no use for"
    return None


def _declarations(tree: ast.Module, name: str, result: Scan) -> None:
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    if "fit" not in functions:
        result.problem = f"{name}: there is no function fit(w2s) at the top level"
        return
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and isinstance(node.value, ast.Constant):
            if node.targets[0].id == "FAMILY" and isinstance(node.value.value, str):
                result.family = re.sub(r"[^a-z0-9 +-]", "", node.value.value.lower())[:40] or "unnamed"
            if node.targets[0].id == "NEEDS_GROUPS" and node.value.value is True:
                result.needs_groups, result.track = True, "groups"


def _knowledge(tree: ast.Module, result: Scan) -> None:
    """Literals that could hold labels or what the author knows of the task: such methods compete on `prior`."""
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    constants = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in docstrings]
    texts = [node.value for node in constants if isinstance(node.value, (str, bytes))]
    numbers = sum(isinstance(node.value, (int, float, complex)) and node.value not in (True, False) for node in constants)
    digits = max((len(str(abs(node.value))) for node in constants if type(node.value) is int and node.value < 10**300), default=0)
    huge = any(type(node.value) is int and node.value >= 10**300 for node in constants)
    words = [w for t in texts if isinstance(t, str) for w in t.split() if WORD.match(w)]
    if numbers > MOST_NUMBERS or sum(map(len, texts)) > MOST_TEXT or digits > 40 or huge:
        result.flags.append("large-literals")
    if len(set(words)) > MOST_WORDS * 5 or _longest_word_collection(tree, docstrings) > MOST_WORDS:
        result.flags.append("word-list")
    if result.flags:
        result.track = "prior"
    result.uses = _asked(tree, docstrings)
    if result.uses:
        result.flags.append("uses-strong-answers")
        result.track = "elicitation" if result.track == "main" else result.track


def _asked(tree: ast.Module, docstrings: set[int]) -> frozenset[str]:
    """What of the strong model the file names: an attribute of something else than self, a name handed to getattr, or
    `render` with a template or an answer of its own."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and not (isinstance(node.value, ast.Name) and node.value.id == "self"):
            found.add(ASKS.get(node.attr))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            found.add(ASKS.get(node.value))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "render":
            named = {keyword.arg for keyword in node.keywords}
            if named & {"answer", None} or len(node.args) > 2:
                found.add("contrast")
            if named & {"template", None} or len(node.args) > 1:
                found.add("model")
    return frozenset(found - {None})


def _longest_word_collection(tree: ast.Module, docstrings: set[int]) -> int:
    longest = 0
    for node in ast.walk(tree):
        items = []
        if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
            items = node.elts
        elif isinstance(node, ast.Dict):
            items = [*node.keys, *node.values]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            longest = max(longest, 0 if "{" in node.value else len(node.value.split()) // 2)
        longest = max(longest, sum(isinstance(i, ast.Constant) and isinstance(i.value, str) and bool(WORD.match(i.value)) for i in items))
    return longest


class _Normalise(ast.NodeTransformer):
    """Drop docstrings and declarations that do not run, and rename what the file itself names, in order of use."""

    def __init__(self, own: set[str]):
        self.own = own
        self.names: dict[str, str] = {}

    def _rename(self, name: str) -> str:
        return self.names.setdefault(name, f"_{len(self.names)}") if name in self.own else name

    def generic_visit(self, node: ast.AST) -> ast.AST:
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [s for s in body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))] or [ast.Pass()]
        return super().generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        node.id = self._rename(node.id)
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.arg, node.annotation = self._rename(node.arg), None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.name, node.returns = self._rename(node.name), None
        return self.generic_visit(node)

    def visit_keyword(self, node: ast.keyword) -> ast.AST:
        node.arg = node.arg and self._rename(node.arg)
        return self.generic_visit(node)


def tree_hash(tree: ast.Module) -> str:
    """A hash of what the file does: comments, docstrings, layout, FAMILY and the choice of local names do not count."""
    tree = copy.deepcopy(tree)
    tree.body = [
        node
        for node in tree.body
        if not (isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "FAMILY")
    ]
    own = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    own |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    own |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)} - {"fit"}
    # A keyword such as `l2=` of somebody else's function must keep its name.
    own -= {node.arg for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg}
    own -= {"NEEDS_GROUPS"}
    normal = _Normalise(own).visit(tree)
    return hashlib.sha256(ast.dump(normal).encode()).hexdigest()[:32]
