"""The rows of a task, whatever source they come from.

    from eval.data.load import load_rows
    rows = load_rows(task.data, secret)

A new source is one more small loader: a model of its fields beside the others in eval/task.py, and a line here.
"""
from __future__ import annotations

from eval.data.rows import Row
from eval.task import FolderData, GeneratedData, HubData, RatedData


def load_rows(data: RatedData | GeneratedData | FolderData | HubData, secret: bytes = b"") -> list[Row]:
    """All rows of the data, in a fixed order that has nothing to do with their labels. `secret`: what generated ones are made
    from; ValueError where they would be made from nothing. UserError, one line, where rows cannot be had or do not hold together."""
    if data.source == "rated":
        from eval.data.rated import rows
    elif data.source == "jsonl":
        from eval.data.folder import rows
    elif data.source == "hub":
        from eval.data.hub import rows
    else:
        if not secret:
            raise ValueError(f"{data.source}: rows are made from a secret, and there is none")
        if data.source == "arithmetic":
            from eval.data.arithmetic import rows as make
        else:
            from eval.data.snippets import rows as make
        return make(data, secret)
    return rows(data)
