"""Templates that a task's items are filled into: whether they can be, told before anything is computed."""
from __future__ import annotations

from collections.abc import Sequence
from string import Formatter


def template_fault(template: str, fields: Sequence[str], answer: bool = False) -> str | None:
    """Why `template.format(...)` does not work with items of these fields, and with {answer} where it is to hold an `answer` too;
    None where it does."""
    has = ", ".join(f"{{{name}}}" for name in fields)
    allowed = (*fields, "answer") if answer else tuple(fields)
    try:
        named = [name for _, name, _, _ in Formatter().parse(template) if name is not None]
    except ValueError as error:
        return f"it is no template ({error}): write a brace that is meant as one twice, {{{{ or }}}}"
    for name in named:
        if name not in allowed:
            return f"it names {{{name}}}: an item of this task has {has}" + ("" if answer or name != "answer" else ", and only `contrast` has {answer}")
    if not set(named) & set(fields):
        return f"it names no field of an item, so all items would read the same: an item of this task has {has}"
    if answer and "answer" not in named:
        return "it does not name {answer}: that is where either answer is put"
    try:
        template.format(**dict.fromkeys(allowed, "x"))
    except (ValueError, LookupError) as error:
        return f"it cannot be filled with texts ({error}): write plain fields, such as {has}"
    return None
