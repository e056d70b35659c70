"""The one shape that every source of data is brought into, and the two published formats of questions.

    preference   {"prompt", "first", "second", "label": "A" | "B"}       class 1: the second reply is the better one
    binary       {"question", "choice", "label": true | false}           class 1: the choice is right

What else a row may carry is never shown to a method: `consistency_id` says which choices belong to one question,
`consistency_key` or `answer` what a choice comes to; `subset`, `difficulty` and any other field are passed over.
"""
from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

FIELDS = {"preference": ("prompt", "first", "second"), "binary": ("question", "choice")}
"""The texts of a format; the first one is what is asked."""
CLASSES: dict[str, dict[Hashable, int]] = {"preference": {"A": 0, "B": 1}, "binary": {False: 0, True: 1}}
WRITTEN = {"preference": '"A" or "B"', "binary": "true or false"}
KEYS = ("consistency_key", "answer")
GROUP = "consistency_id"
DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Row:
    """One item. `fields`: what the template and the methods see. `label`: its class, 0 or 1; None only for a pool item whose
    label nobody has. `group`: items of one group belong together and fall into one part. `file`: "labelled", "pool" or
    "test" where the source is split itself, None where the hash of the group decides. `key`: what a choice comes to (a final
    answer, the outputs of a program): for audits only, no method ever sees it."""

    fields: dict[str, str]
    label: int | None
    group: str
    file: str | None = None
    key: str | None = None

    @property
    def digest(self) -> str:
        """64 hex digits that depend on the group alone; they decide its part."""
        return self.group if DIGEST.fullmatch(self.group) else hashlib.sha256(self.group.encode()).hexdigest()

    @property
    def fingerprint(self) -> str:
        """64 hex digits that depend on the fields alone: equal for duplicates, and an order that knows no label."""
        return hashlib.sha256(json.dumps(self.fields, sort_keys=True).encode()).hexdigest()


def same_question(text: str) -> str:
    """What two spellings of one question share. Digits and signs stay: 2 + 3 is not 23."""
    return " ".join(text.split()).casefold()


def class_of(label: Any, form: str) -> int | None:
    """The class that a label of a format stands for; None where it is none of its labels (1 is not true)."""
    if type(label) is not type(next(iter(CLASSES[form]))):
        return None
    return CLASSES[form].get(label)


def text_fault(value: Any) -> str | None:
    """Why a value cannot be a text of an item, in words; None where it can."""
    if not isinstance(value, str):
        return f"is {shown(value)}, not a text"
    if not value.strip():
        return "is blank"
    if any("\ud800" <= letter <= "\udfff" for letter in value):
        return "holds half of a surrogate pair"
    return None


def key_of(values: Mapping[str, Any]) -> str | None:
    """What a choice comes to, as one string, or None where the row does not say."""
    found = next((values[name] for name in KEYS if values.get(name) is not None), None)
    return found if found is None or isinstance(found, str) else json.dumps(found, sort_keys=True, default=str)


def shown(value: Any, length: int = 40) -> str:
    """A value as an error message shows it: on one line, plain letters, not too long."""
    text = json.dumps(value, default=str)
    return text if len(text) <= length else f"{text[:length]}..."
