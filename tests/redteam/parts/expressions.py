"""The body of a candidate of `snippets` as one expression."""

import re


def one_expression(body):
    """A body of one or several lines as one expression."""
    lines = [line.strip() for line in body.strip().splitlines()]
    if len(lines) == 1:
        return lines[0].removeprefix("return ")
    if len(lines) == 2:
        return re.sub(r"\bys\b", lambda found: lines[0].partition(" = ")[2], lines[1].removeprefix("return "))
    test = next((line[3:-1] for line in lines if line.startswith("if ")), "")
    add = re.fullmatch(r"ys\.append\((.*)\)", lines[-2])[1]
    items = f"[{add} {lines[1].rstrip(':')}" + (f" if {test}" if test else "") + "]"
    return re.sub(r"\bys\b", lambda found: items, lines[-1].removeprefix("return "))
