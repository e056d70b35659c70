"""Recipes as method files: `write` renders one for people to read, `read` recovers the recipe of such a file.

`read` is strict: it rebuilds the file from what it understood and compares the code, so that a changed helper is never
taken for the known one. A file that it cannot read is somebody's own work, and the search leaves it alone.
"""

from __future__ import annotations

import ast
import textwrap
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from swarm.researchers.catalogue import BLOCKS, STARTS
from swarm.researchers.recipe import Constants, Recipe, Step, describe, title

WIDTH = 110


def write(recipe: Recipe) -> str:
    """The method file of a recipe: docstring, FAMILY, the helpers it needs, and `fit`."""
    calls = [recipe.start, *(step.block for step in recipe.steps), *(["Average"] if recipe.second else [])]
    functions = "\n\n\n".join(_source()[name] for name in _needed(calls))
    about = textwrap.fill(describe(recipe) + ".", WIDTH)
    name = title(recipe)
    head = f'"""{name[0].upper()}{name[1:]}.\n\n{about}\n"""\nimport numpy as np\n\nFAMILY = "{recipe.family}"\n'
    return f"{head}\n\n{_fit(recipe)}\n\n\n{functions}\n"


def _fit(recipe: Recipe) -> str:
    lines = ["def fit(w2s):", f"    targets, weights = {recipe.start}(w2s)"]
    for step in recipe.steps:
        view = (("view", recipe.view),) if recipe.view and _trains(step.block) else ()
        shown = _shown(step.constants + view)
        call = f"    targets, weights = {step.block}(w2s, targets, weights"
        lines.append(f"{call}{', ' if shown else ''}{shown})")
    first = {"view": recipe.view, "components": recipe.components}
    if recipe.second is None:
        lines.append(f"    student = {_head(first, recipe.l2)}")
        lines.append(f"    return student{_cut(recipe.cut)}")
        return "\n".join(lines)
    for name, options in (("one", first), ("two", {**first, recipe.second[0]: recipe.second[1]})):
        lines += [
            f"    {name} = {_head(options, recipe.l2)}",
            *([f"    {name}{_cut(recipe.cut)}"] if _cut(recipe.cut) else []),
        ]
    return "\n".join([*lines, "    return Average([one, two])"])


def _head(options: dict[str, Any], l2: float) -> str:
    return f"w2s.student({_shown(tuple(options.items()))}).fit(w2s.texts, targets, weights, l2={l2!r})"


def _cut(cut: str) -> str:
    rate = {"half": "", "pool median": "0.5", "teacher rate": "(w2s.weak[:, 1] > 0.5).mean()"}[cut]
    return f".match_prior(w2s.texts, {rate})" if rate else ""


def _shown(constants: Constants) -> str:
    return ", ".join(f"{name}={_literal(value)}" for name, value in constants if value is not None)


def _literal(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


@lru_cache(maxsize=1)
def _source() -> dict[str, str]:
    """Name -> text of each function and class of blocks.py, in the order of the file."""
    text = Path(__file__).with_name("blocks.py").read_text(encoding="utf-8")
    nodes = [node for node in ast.parse(text).body if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    return {node.name: ast.get_source_segment(text, node) or "" for node in nodes}


@cache
def _calls(name: str) -> tuple[str, ...]:
    nodes = ast.walk(ast.parse(_source()[name]))
    return tuple({node.id for node in nodes if isinstance(node, ast.Name)} & set(_source()) - {name})


@cache
def _trains(name: str) -> bool:
    """Whether this block hands options on to a student."""
    return "**student" in _source()[name]


def _needed(names: list[str]) -> list[str]:
    needed, waiting = set(), list(names)
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += _calls(name)
    return [name for name in _source() if name in needed]


def read(source: str) -> Recipe | None:
    """The recipe that a method file follows, or None where it is not one of ours to the letter of its code."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return None
    fits = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "fit"]
    recipe = _read_fit(fits[0]) if len(fits) == 1 else None
    return recipe if recipe is not None and _code(write(recipe)) == _code(source) else None


def _read_fit(fit: ast.FunctionDef) -> Recipe | None:
    """A guess: what the calls in `fit` say, in order. `read` checks it."""
    calls = [node.value for node in fit.body if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)]
    named = [(call.func.id, _keywords(call)) for call in calls if isinstance(call.func, ast.Name)]
    heads = [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "fit"]
    if not named or named[0][0] not in STARTS or not 1 <= len(heads) <= 2:
        return None
    steps = []
    for name, keywords in named[1:]:
        if name not in BLOCKS or keywords is None:
            return None
        ladders = BLOCKS[name].ladders
        keywords.pop("view", None)
        if not set(keywords) <= set(ladders):
            return None
        steps.append(Step(name, tuple((constant, keywords.get(constant)) for constant in ladders)))
    options, fitted = [_keywords(head.func.value) for head in heads], [_keywords(head) for head in heads]
    if None in options or None in fitted or not set(options[0]) <= {"view", "components"}:
        return None
    second = None
    if len(heads) == 2:
        changed = [(k, options[1].get(k)) for k in ("components", "view") if options[1].get(k) != options[0].get(k)]
        second = changed[0] if len(changed) == 1 else None
    text = ast.unparse(fit)
    cut = "teacher rate" if ".mean())" in text else "pool median" if "match_prior" in text else "half"
    l2 = fitted[0].get("l2")
    if not isinstance(l2, (int, float)) or not all(_known(step) for step in steps):
        return None
    return Recipe(named[0][0], tuple(steps), options[0].get("view"), options[0].get("components"), l2, cut, second)


def _known(step: Step) -> bool:
    """Every constant is there; a number stands where numbers stand in the ladder."""
    for name, value in step.constants:
        numbers = [v for v in BLOCKS[step.block].ladders[name] if v is not None]
        if value is None and None not in BLOCKS[step.block].ladders[name]:
            return False
        if numbers and value is not None and not (isinstance(value, (int, float)) and not isinstance(value, bool)):
            return False
        if not numbers and not isinstance(value, str):
            return False
    return True


def _keywords(call: ast.expr) -> dict[str, Any] | None:
    """Keyword constants of a call; None where one is not a plain constant."""
    if not isinstance(call, ast.Call) or not all(isinstance(k.value, ast.Constant) and k.arg for k in call.keywords):
        return None
    return {keyword.arg: keyword.value.value for keyword in call.keywords}


def _code(source: str) -> str:
    """What the file does: its syntax tree without docstrings and FAMILY."""
    tree = ast.parse(source)
    tree.body = [n for n in tree.body if not (isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == "FAMILY")]
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.FunctionDef, ast.ClassDef)):
            node.body = [n for n in node.body if not (isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant))]
    return ast.dump(tree)
