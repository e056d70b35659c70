"""What can be told of a submitted file without running it: syntax, what it names and holds, family, its normalised tree.

The scan keeps honest files honest and gives early, clear refusals. It is not the wall: the sandbox is, and a trace of what
runs comes between (eval/trace.py). eval/refusals.py says what is refused, eval/stored.py what counts as labels or knowledge.
"""

from __future__ import annotations

import ast
import re
import tokenize
from dataclasses import dataclass, field

from eval.knowledge import Knowledge, knowledge_of
from eval.refusals import MODULES, refused
from eval.same_code import tree_hash, without_comments
from eval.stored import once, stored
from eval.tracks import track_of

__all__ = ["MODULES", "Knowledge", "Scan", "knowledge_of", "scan", "tree_hash"]

MAX_BYTES = 64_000
MOST_NODES, MOST_TERMS = 15_000, 120
ASKS = {"zero_shot": "zero_shot", "answers": "contrast", "generate": "model", "model": "model", "tokenizer": "model"}
"""Names that reach for the strong model's own answers, and what is handed to a file that names them."""


@dataclass
class Scan:
    """`problem` is set where the file is refused: what, where, what to do. `flags` move it to another track; `reasons` has a
    sentence for each of them. `uses`: what it asks of the strong model beyond hidden states ("zero_shot", "contrast",
    "model"); nothing else is handed out."""

    tree: str = ""
    family: str = "unnamed"
    needs_groups: bool = False
    problem: str | None = None
    flags: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    uses: frozenset[str] = frozenset()
    track: str = "main"
    shown: str = ""
    """The file as tracebacks show it: without comments and docstrings."""


def scan(source: bytes, name: str, knows: Knowledge | None = None) -> Scan:
    """Scan the bytes of the method file called `name`. With what is known of its task, prompts that name the task and texts
    that quote its items are seen as well."""
    if len(source) > MAX_BYTES:
        return Scan(problem=f"{name} has {len(source)} bytes; a method file may have {MAX_BYTES}")
    try:
        tree = ast.parse(source.decode("utf-8"), name)
    except UnicodeDecodeError as error:
        return Scan(problem=f"{name} is not UTF-8 text (byte {error.start})")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None)
        return Scan(problem=f"{name}{f', line {line}' if line else ''}: {getattr(error, 'msg', None) or error}")
    if problem := _too_much(tree, name):
        return Scan(problem=problem)
    try:
        result = Scan(tree=tree_hash(ast.parse(source)), problem=refused(tree, name), shown=without_comments(source.decode("utf-8")))
        if result.problem is None:
            _declarations(tree, name, result)
            _flags(tree, result, knows)
    except RecursionError:
        return Scan(problem=f"{name}: expressions nested too deeply")
    except (ValueError, MemoryError, SyntaxError, tokenize.TokenError) as error:
        # Whatever a file does to who reads it, it must not end the evaluator.
        return Scan(problem=f"{name} cannot be read: {type(error).__name__}: {str(error)[:200]}")
    return result


def _too_much(tree: ast.Module, name: str) -> str | None:
    """Why a file would take too long to compare, or None: its parts, its numbers, its chains of operators."""
    nodes = [node for node in ast.walk(tree) if isinstance(node, (ast.expr, ast.stmt))]
    if len(nodes) > MOST_NODES:
        return f"{name} has {len(nodes):,} parts of expressions; a method file may have {MOST_NODES:,}"
    for node in nodes:
        if isinstance(node, ast.Constant) and type(node.value) is int and node.value.bit_length() > 13_000:
            return f"{name}, line {node.lineno}: a number of more than 3,900 digits"
        chain, inner = 0, node
        while isinstance(inner, ast.BinOp) and chain <= MOST_TERMS:
            chain, inner = chain + 1, inner.left if isinstance(inner.left, ast.BinOp) else inner.right
        if chain > MOST_TERMS:
            return f"{name}, line {node.lineno}: an expression of more than {MOST_TERMS} terms"
    return None


def _declarations(tree: ast.Module, name: str, result: Scan) -> None:
    if not any(isinstance(node, ast.FunctionDef) and node.name == "fit" for node in tree.body):
        result.problem = f"{name}: there is no function fit(w2s) at the top level"
        return
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and isinstance(node.value, ast.Constant):
            if node.targets[0].id == "FAMILY" and isinstance(node.value.value, str):
                result.family = re.sub(r"[^a-z0-9 +-]", "", node.value.value.lower())[:40] or "unnamed"
            if node.targets[0].id == "NEEDS_GROUPS" and node.value.value is True:
                result.needs_groups = True


def _flags(tree: ast.Module, result: Scan, knows: Knowledge | None) -> None:
    asked = _asked(tree)
    result.uses = frozenset(asked)
    found = list(stored(tree, bool(asked), knows))
    if result.needs_groups:
        found.append(("uses-groups", "says NEEDS_GROUPS: it is told which test items belong together"))
    if asked:
        what, line = min(asked.values(), key=lambda one: one[1])
        found.append(("uses-strong-answers", f"asks the strong model for its own answers: {what} (line {line})"))
    result.flags, result.reasons = once(found)
    result.track = track_of(result.flags)


def _asked(tree: ast.Module) -> dict[str, tuple[str, int]]:
    """What of the strong model the file names, and by which word in which line: an attribute of something else than self, a
    name handed to getattr, or `render` with a template or an answer of its own."""
    found: dict[str, tuple[str, int]] = {}
    dropped = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Attribute)
            and not (isinstance(node.value, ast.Name) and node.value.id == "self")
            and node.attr in ASKS
        ):
            found.setdefault(ASKS[node.attr], (node.attr, node.lineno))
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in dropped
            and node.value in ASKS
        ):
            found.setdefault(ASKS[node.value], (node.value, node.lineno))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "render":
            named = {keyword.arg for keyword in node.keywords}
            if named & {"answer", None} or len(node.args) > 2:
                found.setdefault("contrast", ("render with an answer", node.lineno))
            if named & {"template", None} or len(node.args) > 1:
                found.setdefault("model", ("render with a template of its own", node.lineno))
    return found
