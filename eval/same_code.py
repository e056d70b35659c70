"""Whether two files do the same: a hash of the syntax tree without what does not matter.

Comments, layout, docstrings, FAMILY, local names, own attributes, own classes' names, the order of functions, imports and
keywords, what is never used, `pass`, branches that are never or always taken, and constants written otherwise (`1/2`, `.50`)
do not count. Not covered: a loop written as a comprehension, a detour over another variable, sums in another order, steps
that cancel out, unused results inside of functions. Such files are found by what they predict (stats/similarity.py).
"""

from __future__ import annotations

import ast
import hashlib
import io
import operator
import tokenize

KEPT = {"fit", "NEEDS_GROUPS"}
FOLDED = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}
MIRRORED = {ast.Gt: ast.Lt, ast.GtE: ast.LtE}


def tree_hash(tree: ast.Module) -> str:
    """32 hexadecimal digits. The tree itself is changed."""
    tree = _Simplify().visit(tree)
    tree.body = _in_order(_used(tree.body))
    normal = _Rename(tree).visit(tree)
    return hashlib.sha256(ast.dump(normal).encode()).hexdigest()[:32]


class _Simplify(ast.NodeTransformer):
    """Take out what does nothing and write constants and comparisons in one way."""

    def _body(self, body: list[ast.stmt]) -> list[ast.stmt]:
        kept = []
        for node in body:
            if isinstance(node, ast.If) and isinstance(node.test, ast.Constant) and not _yields([node]):
                kept += self._body(node.body if node.test.value else node.orelse)
            elif not isinstance(node, ast.Pass) and not (
                isinstance(node, ast.Expr) and isinstance(node.value, (ast.Constant, ast.Name))
            ):
                kept.append(node)
            if kept and isinstance(kept[-1], (ast.Return, ast.Raise, ast.Continue, ast.Break)) and not _yields(body):
                break
        return kept

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        for field in ("body", "orelse", "finalbody"):
            if isinstance(body := getattr(node, field, None), list):
                body = self._body(body)
                setattr(node, field, body or ([ast.Pass()] if field == "body" and not isinstance(node, ast.Module) else []))
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        # There an annotation can make a field.
        node.body = [one if isinstance(one, ast.AnnAssign) else self.visit(one) for one in node.body]
        node.body = self._body(node.body) or [ast.Pass()]
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        one, two, fold = _number(node.left), _number(node.right), FOLDED.get(type(node.op))
        if one is not None and two is not None and fold:
            try:
                return ast.Constant(fold(one, two))
            except (ArithmeticError, ValueError):
                return node
        if _commutes(node):
            node.left, node.right = sorted((node.left, node.right), key=_plain)
        return node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        self.generic_visit(node)
        number = _number(node.operand)
        return ast.Constant(-number) if isinstance(node.op, ast.USub) and number is not None else node

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        if len(node.ops) == 1 and type(node.ops[0]) in MIRRORED:
            return ast.Compare(node.comparators[0], [MIRRORED[type(node.ops[0])]()], [node.left])
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if all(keyword.arg for keyword in node.keywords):
            node.keywords.sort(key=lambda keyword: keyword.arg)
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        self.generic_visit(node)
        return ast.Assign([node.target], node.value) if node.value is not None and node.simple else node


def _yields(body: list[ast.stmt]) -> bool:
    """Whether it makes a generator of the function that it stands in, even where it is never reached."""
    return any(isinstance(one, (ast.Yield, ast.YieldFrom)) for node in body for one in ast.walk(node))


def _number(node: ast.expr) -> float | None:
    return node.value if isinstance(node, ast.Constant) and type(node.value) in (int, float) else None


def _commutes(node: ast.BinOp) -> bool:
    """Products do whatever they are of, sums where a number is added."""
    numbers = _number(node.left) is not None or _number(node.right) is not None
    return isinstance(node.op, ast.Mult) or isinstance(node.op, ast.Add) and numbers


def _plain(node: ast.AST) -> str:
    """Something to sort by that does not depend on names: one's own will be changed."""
    return "".join(type(one).__name__ for one in ast.walk(node))


def _defined(node: ast.stmt) -> set[str]:
    """The names that a statement defines and does nothing else; empty where it may do more."""
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return set() if node.decorator_list else {node.name}
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    if isinstance(node, ast.Assign) and not any(
        isinstance(one, (ast.Call, ast.Subscript, ast.Attribute)) for one in ast.walk(node)
    ):
        return {one.id for target in node.targets for one in ast.walk(target) if isinstance(one, ast.Name)}
    return set()


def _loaded(node: ast.AST) -> set[str]:
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and not isinstance(one.ctx, ast.Store)}


def _used(body: list[ast.stmt]) -> list[ast.stmt]:
    """What `fit` comes to use, and what does something on loading."""
    defined = [_defined(node) for node in body]
    waiting = [place for place, names in enumerate(defined) if not names or names & KEPT]
    kept = set(waiting)
    while waiting:
        needed = _loaded(body[waiting.pop()])
        more = {place for place, names in enumerate(defined) if names & needed} - kept
        kept |= more
        waiting += more
    return [body[place] for place in sorted(kept)]


def _in_order(body: list[ast.stmt]) -> list[ast.stmt]:
    """Imports, then other statements as they stand, then functions and classes as `fit` comes to them."""
    imports = sorted((node for node in body if isinstance(node, (ast.Import, ast.ImportFrom))), key=_what)
    made = {node.name: node for node in body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    rest = [node for node in body if not isinstance(node, (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef))]
    order, waiting = [], ["fit"]
    while waiting:
        name = waiting.pop(0)
        if name in made and made[name] not in order:
            order.append(made[name])
            waiting += [one.id for one in ast.walk(made[name]) if isinstance(one, ast.Name)]
    return [*imports, *rest, *order, *(node for node in made.values() if node not in order)]


def _what(node: ast.stmt) -> str:
    return f"{getattr(node, 'module', '')} {[alias.name for alias in node.names]}"


class _Rename(ast.NodeTransformer):
    """Name what the file itself names in order of appearance."""

    def __init__(self, tree: ast.Module):
        nodes = list(ast.walk(tree))
        functions = {node.name: node for node in nodes if isinstance(node, ast.FunctionDef)}
        own = {node.arg for node in nodes if isinstance(node, ast.arg)} | set(functions)
        own |= {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        own |= {node.name for node in nodes if isinstance(node, (ast.ClassDef, ast.ExceptHandler)) and node.name}
        own |= {alias.asname or alias.name for alias in nodes if isinstance(alias, ast.alias)}
        # A keyword such as `l2=` of somebody else's function must keep its name.
        for node in nodes:
            if isinstance(node, ast.Call):
                called = functions.get(node.func.id) if isinstance(node.func, ast.Name) else None
                parameters = {one.arg for one in ast.walk(called.args) if isinstance(one, ast.arg)} if called else set()
                own -= {keyword.arg for keyword in node.keywords} - parameters
        attributes = [node for node in nodes if isinstance(node, ast.Attribute)]
        kept = {node.attr for node in attributes if not _of_self(node)} | {
            node.name for node in nodes if isinstance(node, ast.FunctionDef)
        }
        self.attributes = {node.attr for node in attributes if _of_self(node) and isinstance(node.ctx, ast.Store)} - kept
        self.own, self.names = own - KEPT - _methods(nodes), {}

    def _renamed(self, name: str) -> str:
        return self.names.setdefault(name, f"_{len(self.names)}") if name in self.own else name

    def visit_Name(self, node: ast.Name) -> ast.AST:
        node.id = self._renamed(node.id)
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.arg, node.annotation = self._renamed(node.arg), None
        return node

    def visit_alias(self, node: ast.alias) -> ast.AST:
        if node.asname or "." not in node.name:  # `import a.b` binds `a`, whose name stays
            node.asname = self._renamed(node.asname or node.name)
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        if _commutes(node):  # once more: by now the names are those of all such files
            node.left, node.right = sorted((node.left, node.right), key=ast.dump)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.name, node.returns = self._renamed(node.name), None
        return self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.name = self._renamed(node.name)
        return self.generic_visit(node)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.AST:
        node.name = node.name and self._renamed(node.name)
        return self.generic_visit(node)

    def visit_keyword(self, node: ast.keyword) -> ast.AST:
        node.arg = node.arg and self._renamed(node.arg)
        return self.generic_visit(node)

    def visit_Global(self, node: ast.Global) -> ast.AST:
        node.names = sorted(map(self._renamed, node.names))
        return node

    visit_Nonlocal = visit_Global

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if node.attr in self.attributes:
            node.attr = self.names.setdefault(f"self.{node.attr}", f"_{len(self.names)}")
        return self.generic_visit(node)


def _of_self(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id == "self"


def _methods(nodes: list[ast.AST]) -> set[str]:
    """Names of the methods of its classes: others may call them."""
    return {
        one.name
        for node in nodes
        if isinstance(node, ast.ClassDef)
        for one in node.body
        if isinstance(one, ast.FunctionDef)
    }


def without_comments(source: str) -> str:
    """The same lines, with blanks in place of comments and of strings that do nothing: what a scan does not count, a method must not
    be able to read of itself. ValueError or SyntaxError for what is no Python."""
    lines = io.StringIO(source, newline=None).readlines()  # as the parser counts them; str.splitlines knows more ends

    def blank(row: int, start: int, end: int | None) -> None:
        text = lines[row - 1]
        kept = text.rstrip("\r\n")
        stop = len(kept) if end is None else end
        lines[row - 1] = kept[:start] + " " * max(0, stop - start) + kept[stop:] + text[len(kept):]

    for token in tokenize.generate_tokens(iter(lines[:]).__next__):
        if token.type == tokenize.COMMENT:
            blank(token.start[0], token.start[1], token.end[1])
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, (str, bytes)):
            for row in range(node.lineno, node.end_lineno + 1):
                # Columns of the tree count bytes: whole lines of a string that does nothing are no loss either way.
                blank(row, 0, None)
    return "".join(lines)
