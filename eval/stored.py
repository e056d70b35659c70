"""What a method file holds besides a method: labels, words, data, or its author's knowledge of the task.

Everything that outlives compilation counts, however it is written: strings, numbers, names that code can read back. Each
bound stands beside the most that was found in 433 honest files: those of methods/ and 400 that the search researcher wrote.
It lies 2.5 to 5 times higher, since people write longer ones.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterable, Iterator

from eval.knowledge import Knowledge, plain, runs, stem, words_of

MOST = {  # honest maximum -> bound
    "numbers": 150,            # 57: constants other than strings
    "digits": 150,             # 55: of all numbers
    "long numbers": 12,        # 4 of three digits and more
    "longest number": 20,      # 6 characters
    "entries": 15,             # 6: of one collection, chain of operators or call
    "text": 300,               # 67 bytes of strings
    "unbroken": 64,            # 22 characters without a blank
    "packed": 120,             # 0 characters of tokens that look packed
    "bytes": 24,               # 0 of byte strings
    "words of a string": 12,   # 3, such as the name of what is logged
    "words of an error": 20,   # 8
    "words": 36,               # 8 in all strings
    "words of a collection": 10,  # 3 of its strings
    "arguments of a call": 10,  # 4 with names
    "calls in a row": 16,      # 2 statements of one block that are calls
    "longest name": 40,        # 22 characters
    "arguments": 30,           # 11: words in the names of arguments in calls
    "members": 12,             # 0: in names that classes set or declare
    "parameters": 40,          # 15
    "functions": 60,           # 23: in names of functions and classes
    "unknown names": 3,        # 0: in names that stand for nothing
    "annotations": 16,         # 0
}  # fmt: skip
MOST_TELLING = 10
"""Words of a file, in texts or names, that tell the task's classes apart. Honest files hold 5 on `reviews` and
fewer elsewhere (best, both, family, tries, where); one with a list of 61 words of sentiment 34."""


def stored(tree: ast.Module, asks: bool, knows: Knowledge | None) -> Iterator[tuple[str, str]]:
    """(flag, sentence) of all that is found. `asks`: whether the file asks the strong model for answers."""
    file = _File(tree)
    yield from _numbers(file)
    yield from _texts(file)
    yield from _names(file)
    if knows is not None:
        yield from _known(file, knows)
    if asks:
        yield from _prompts(file, knows)


class _File:
    """The constants of a file that there are at run time, and its names."""

    def __init__(self, tree: ast.Module):
        self.nodes = list(ast.walk(tree))
        dropped = {id(node.value) for node in self.nodes if isinstance(node, ast.Expr)}
        constants = [node for node in self.nodes if isinstance(node, ast.Constant) and id(node) not in dropped]
        self.texts = [node for node in constants if isinstance(node.value, str)]
        self.bytes = [node for node in constants if isinstance(node.value, bytes)]
        self.numbers = [node for node in constants if isinstance(node.value, (bool, int, float, complex))]
        raised = [node for node in self.nodes if isinstance(node, ast.Raise)]
        self.names = {name for node in self.nodes for name in _named(node)}
        self.raised = {id(node) for one in raised for node in ast.walk(one)}

    def of(self, *kinds: type) -> list:
        return [node for node in self.nodes if isinstance(node, kinds)]


def _numbers(file: _File) -> Iterator[tuple[str, str]]:
    shown = [_shown(node.value) for node in file.numbers]
    if len(shown) > MOST["numbers"]:
        yield "large-literals", f"holds {len(shown)} numbers"
    digits = [re.sub(r"\D", "", one).strip("0") for one in shown]
    if (total := sum(map(len, digits))) > MOST["digits"]:
        yield "large-literals", f"holds numbers of {total} digits together"
    if (count := sum(len(one) > 2 for one in digits)) > MOST["long numbers"]:
        yield "large-literals", f"holds {count} numbers of three digits and more"
    if shown and len(longest := max(shown, key=len)) > MOST["longest number"]:
        yield "blob", f"holds a number of {len(longest)} digits (line {file.numbers[shown.index(longest)].lineno})"
    entries, line = max(((_entries(node), node.lineno) for node in file.of(ast.expr)), default=(0, 0))
    if entries > MOST["entries"]:
        yield "large-literals", f"holds {entries} entries in one collection (line {line})"
    bodies = [node.body for node in file.nodes if isinstance(getattr(node, "body", None), list)]
    calls = max(sum(isinstance(one, ast.Expr) for one in body) for body in bodies)
    if calls > MOST["calls in a row"]:
        yield "large-literals", f"does {calls} things one after another that could stand in a table"


def _shown(number: complex) -> str:
    return hex(number)[2:] if isinstance(number, int) and abs(number) >= 10**300 else repr(number)


def _entries(node: ast.expr | ast.stmt) -> int:
    """How many things stand in a row there: in a collection and those within, in a chain of one operator, in a call."""
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        return max(1, sum(map(_entries, node.elts)))
    if isinstance(node, ast.Dict):
        return max(1, sum(map(_entries, node.values)))
    if isinstance(node, ast.BinOp):  # a + b + c is (a + b) + c
        return _entries(node.left) + 1 if isinstance(node.left, ast.BinOp) and type(node.left.op) is type(node.op) else 2
    inner = {ast.BoolOp: "values", ast.Compare: "comparators", ast.Call: "args", ast.JoinedStr: "values"}.get(type(node))
    return len(getattr(node, inner)) if inner else 1


def _texts(file: _File) -> Iterator[tuple[str, str]]:
    if (size := sum(len(node.value.encode("utf-8", "replace")) for node in file.texts)) > MOST["text"]:
        yield "large-literals", f"holds {size} bytes of text"
    if (size := sum(len(node.value) for node in file.bytes)) > MOST["bytes"]:
        yield "blob", f"holds {size} bytes of packed data (line {file.bytes[0].lineno})"
    tokens = [(token, node.lineno) for node in file.texts for token in node.value.split()]
    unbroken, line = max(((len(token), line) for token, line in tokens), default=(0, 0))
    packed = sum(len(token) for token, _ in tokens if _looks_packed(token))
    if unbroken > MOST["unbroken"]:
        yield "blob", f"holds {unbroken} characters of text without a blank (line {line})"
    elif packed > MOST["packed"]:
        yield "blob", f"holds {packed} characters of text that nobody can read"
    words = {id(node): set(words_of(node.value)) for node in file.texts}
    found = [
        (len(set().union(*(words.get(id(one), ()) for one in _leaves(node)))), node.lineno)
        for node in file.of(ast.List, ast.Tuple, ast.Set, ast.Dict)
    ]
    count, line = max(found, default=(0, 0))
    if count > MOST["words of a collection"]:
        yield "word-list", f"holds {count} words in one list (line {line})"
    for node in file.texts:
        if len(words[id(node)]) > MOST["words of an error" if id(node) in file.raised else "words of a string"]:
            yield "word-list", f"holds {len(words[id(node)])} words in one text (line {node.lineno})"
            break
    if (count := len(set().union(*words.values()))) > MOST["words"]:
        yield "word-list", f"holds {count} different words in its texts"


def _leaves(node: ast.expr) -> Iterator[ast.expr]:
    """What a collection holds, and those within it."""
    if not isinstance(node, (ast.List, ast.Tuple, ast.Set, ast.Dict)):
        yield node
        return
    for one in [*node.keys, *node.values] if isinstance(node, ast.Dict) else node.elts:
        if one is not None:  # as in {**other}
            yield from _leaves(one)


def _looks_packed(token: str) -> bool:
    """Whether kinds of characters change in it as in base64, hexadecimal digits or escapes, or letters run on and on."""
    kinds = "".join("a" if c.islower() else "A" if c.isupper() else "0" if c.isdigit() else "." for c in token)
    changes = sum(one != other and one + other != "Aa" for one, other in zip(kinds, kinds[1:]))
    return len(token) >= 8 and (changes * 4 > len(token) or "a" * 18 in kinds.lower())


def _names(file: _File) -> Iterator[tuple[str, str]]:
    calls = file.of(ast.Call)
    most = max(calls, key=lambda call: len(call.keywords), default=None)
    if most is not None and len(most.keywords) > MOST["arguments of a call"]:
        yield "word-list", f"holds {len(most.keywords)} words as arguments of one call (line {most.lineno})"
    if len(longest := max(file.names, key=len, default="")) > MOST["longest name"]:
        yield "word-list", f"holds a name of {len(longest)} characters"
    annotations = [
        getattr(node, field) for node in file.nodes for field in ("annotation", "returns") if getattr(node, field, None)
    ]
    told = {
        "arguments": {keyword.arg or "" for call in calls for keyword in call.keywords},
        "members": {name for node in file.of(ast.ClassDef) for one in node.body for name in _set(one)},
        "parameters": {node.arg for node in file.of(ast.arg)},
        "functions": {node.name for node in file.of(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)},
        "unknown names": {node.id for node in file.of(ast.Name)} - _bound(file),
        "annotations": {name for one in annotations for node in ast.walk(one) for name in _named(node)},
    }
    for what, names in told.items():
        count = max(len(names), len({word for name in names for word in words_of(name)}))
        if count > MOST[what]:
            yield "word-list", f"holds {count} words as {what}"


def _named(node: ast.AST) -> list[str]:
    return [name for field in ("id", "attr", "arg", "name") if isinstance(name := getattr(node, field, None), str)]


def _set(node: ast.stmt) -> list[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name)]


def _bound(file: _File) -> set[str]:
    """All names that stand for something somewhere in the file."""
    bound = {node.id for node in file.of(ast.Name) if not isinstance(node.ctx, ast.Load)} | set(dir(builtins))
    bound |= {node.arg for node in file.of(ast.arg)}
    bound |= {(alias.asname or alias.name).split(".")[0] for alias in file.of(ast.alias)}
    return bound | {node.name for node in file.of(ast.stmt, ast.pattern, ast.ExceptHandler) if getattr(node, "name", None)}


def _known(file: _File, knows: Knowledge) -> Iterator[tuple[str, str]]:
    for node in file.texts:
        if quoted := next((run for run in runs(plain(node.value)) if hash(run) in knows.pieces), None):
            yield "hand-labels", f"quotes an item of the task, '{quoted}' (line {node.lineno})"
            break
    words = {word for text in [*file.names, *(node.value for node in file.texts)] for word in words_of(text)}
    if len(words & knows.telling) > MOST_TELLING:
        # How many, or which, would be an answer to a question.
        yield "word-list", "holds many words by which the task's classes can be told apart"


def _prompts(file: _File, knows: Knowledge | None) -> Iterator[tuple[str, str]]:
    """Texts in natural language that the strong model may be asked in."""
    for node in file.texts:
        words = words_of(re.sub(r"\{[^{}]*\}", " ", node.value))
        named = [word for word in words if knows is not None and stem(word) in knows.words]
        if (named and len(words) >= 2) or (len(words) >= 4 and id(node) not in file.raised):
            told = f"that names the task ('{named[0]}')" if named else f"of {len(words)} words"
            yield "task-prompt", f"has a prompt {told} in its author's words (line {node.lineno})"
            return


def once(found: Iterable[tuple[str, str]]) -> tuple[list[str], list[str]]:
    """Flags, each once, and their first sentences."""
    first: dict[str, str] = {}
    for flag, sentence in found:
        first.setdefault(flag, sentence)
    return list(first), list(first.values())
