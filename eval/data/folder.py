"""A folder of the user with rows in a published format (eval/data/rows.py):

    train_label.jsonl             rows with labels: what teachers are trained on
    train_unlabel.jsonl           rows without: the pool
    train_unlabel.labels.jsonl    may be missing: one {"label": ...} for each row of the pool, in order; only ceilings see it
    test.jsonl                    rows with labels: what students are scored on

Whatever is wrong with a file is one line that names the file, the line, the field and what to do about it.
"""
from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.data.rows import CLASSES, FIELDS, GROUP, WRITTEN, Row, class_of, key_of, same_question, shown, text_fault
from eval.task import FolderData
from state.errors import UserError

FILES = {"labelled": "train_label.jsonl", "pool": "train_unlabel.jsonl", "test": "test.jsonl"}
POOL_LABELS = "train_unlabel.labels.jsonl"


@dataclass(frozen=True)
class Place:
    """A line of a file."""

    path: Path
    line: int

    def fault(self, what: str, remedy: str, field: str | None = None) -> UserError:
        where = f"{self.path} line {self.line}" + (f", field {field}" if field else "")
        return UserError(f"{where}: {what}: {remedy}")

    def __str__(self) -> str:
        return f"{self.path.name} line {self.line}"


def rows(data: FolderData) -> list[Row]:
    """The rows of the three files, in an order that has nothing to do with labels. UserError for the first fault."""
    folder = _folder(data)
    found: list[tuple[Place, Row]] = []
    for name, file in FILES.items():
        labelled = name != "pool" or data.pool_labels == "inline"
        part = [(place, _row(place, values, data.format, name, labelled)) for place, values in read_lines(folder / file)]
        if not part:
            raise UserError(f"{folder / file}: it is empty: it needs rows {_format_in_words(data.format, labelled)}")
        if name == "pool" and data.pool_labels == "file" and (folder / POOL_LABELS).exists():
            part = _with_labels(part, folder / POOL_LABELS, data.format)
        found += part
    _refuse_duplicates(found)
    _refuse_torn(found, FIELDS[data.format][0])
    _refuse_leaks(found, FIELDS[data.format][0])
    return sorted((row for _, row in found), key=lambda row: (row.file, row.fingerprint))


def _folder(data: FolderData) -> Path:
    needed = f"it needs {', '.join(FILES.values())}"
    if data.path is None:
        raise UserError(f"no folder with data was named: python aar.py prepare TASK --data FOLDER; {needed}")
    folder = data.path
    if not folder.is_dir():
        raise UserError(f"{folder}: there is no such folder: name the one with your data, --data FOLDER; {needed}")
    for file in FILES.values():
        if not (folder / file).is_file():
            raise UserError(f"{folder / file}: there is no such file: {needed}, in the formats that eval/tasks/README.md shows")
    return folder


def read_lines(path: Path) -> Iterator[tuple[Place, dict[str, Any]]]:
    """The objects of a file of JSON lines with their places; blank lines are passed over. UserError where it is none."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: it cannot be read ({error.strerror}): give yourself the right to read it") from None
    # Not splitlines(): a text may hold U+2028 and the like as they are.
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        place = Place(path, number)
        try:
            text = line.decode("utf-8")
            if not text.strip():
                continue
            values = json.loads(text)
        except UnicodeDecodeError as error:
            raise place.fault(f"byte {error.start + 1} is not UTF-8", "save the file as UTF-8") from None
        except json.JSONDecodeError as error:
            raise place.fault(f"it is not JSON ({error.msg}, column {error.colno})", "write one JSON object a line") from None
        except (RecursionError, ValueError) as error:  # nested too deep, or a number of too many digits
            raise place.fault(f"its JSON cannot be read ({error})", "write one plain JSON object a line") from None
        if not isinstance(values, dict):
            raise place.fault(f"it is {shown(values)}, not an object", "write one JSON object a line")
        yield place, values


def _row(place: Place, values: dict[str, Any], form: str, file: str, labelled: bool) -> Row:
    _check_format(place, values, form)
    for field in FIELDS[form]:
        if fault := text_fault(values[field]):
            raise place.fault(fault, "write a text, or take the row out", field)
    label = values.get("label")
    if not labelled and label is not None:
        raise place.fault("a row of the pool has a label", f'take it out; pool labels belong into {POOL_LABELS}, or set '
                          'pool_labels = "inline" under [data] of the task', "label")
    question = same_question(values[FIELDS[form][0]])
    group = f"question {question}"
    if form == "binary" and values.get(GROUP) is not None:
        if not isinstance(values[GROUP], (str, int)) or isinstance(values[GROUP], bool):
            raise place.fault(f"is {shown(values[GROUP])}", "write a number or a text, the same for all choices of a question",
                              GROUP)
        group = f"{file} {values[GROUP]}"  # such numbers may start anew in each file
    fields = {field: values[field] for field in FIELDS[form]}
    return Row(fields, _class(place, label, form) if labelled else None, group, file, key_of(values))


def _check_format(place: Place, values: dict[str, Any], form: str) -> None:
    """The row has the texts of its format."""
    missing = next((field for field in FIELDS[form] if field not in values), None)
    if missing is None:
        return
    other = next(name for name in FIELDS if name != form)
    if stranger := next((field for field in FIELDS[other] if field in values), None):
        raise place.fault(f"it looks like a row of the {other} format, but this task reads {form} rows, "
                          f"{_format_in_words(form)}", "keep the formats in folders of their own, and choose the task that "
                          "reads each", stranger)
    has = shown(", ".join(values) or "nothing", 80)
    raise place.fault(f"it is missing (the row has {has})", f"give every row {_format_in_words(form)}", missing)


def _class(place: Place, label: Any, form: str) -> int:
    if label is None:
        raise place.fault("it is missing", f"write {WRITTEN[form]}", "label")
    found = class_of(label, form)
    if found is None:
        raise place.fault(f"is {shown(label)}", f"write {WRITTEN[form]}", "label")
    return found


def _format_in_words(form: str, labelled: bool = True) -> str:
    label = ['"label": ' + " | ".join(json.dumps(label) for label in CLASSES[form])] if labelled else []
    return "{" + ", ".join([json.dumps(field) for field in FIELDS[form]] + label) + "}"


def _with_labels(part: list[tuple[Place, Row]], path: Path, form: str) -> list[tuple[Place, Row]]:
    """The pool's rows with the labels of the file beside them."""
    labels = [_class(place, values.get("label"), form) for place, values in read_lines(path)]
    if len(labels) != len(part):
        raise UserError(f"{path}: it has {len(labels)} labels for the {len(part)} rows of {FILES['pool']}: write one for each "
                        "row, in the same order, or take the file away")
    return [(place, Row(row.fields, label, row.group, row.file, row.key)) for (place, row), label in zip(part, labels)]


def _refuse_duplicates(found: list[tuple[Place, Row]]) -> None:
    """No row is in two of the files. Within one, a row may well occur twice, as sampled answers do, but with one label."""
    seen: dict[str, tuple[Place, Row]] = {}
    for place, row in found:
        first, other = seen.setdefault(row.fingerprint, (place, row))
        if other.file != row.file:
            raise place.fault(f"the same row is in {first}", "take one of the two out")
        if other.label != row.label:
            raise place.fault(f"the same row has another label in {first}", "give both the right one, or take them out", "label")


def _refuse_torn(found: list[tuple[Place, Row]], asked: str) -> None:
    """No question of a file is in two groups: they could fall into different parts."""
    seen: dict[tuple[str | None, str], tuple[Place, Row]] = {}
    for place, row in found:
        first, other = seen.setdefault((row.file, same_question(row.fields[asked])), (place, row))
        if other.group != row.group:
            raise place.fault(f"its {asked} is also that of {first}, which has another {GROUP} or none",
                              f"give all rows with one {asked} the same", GROUP)


def _refuse_leaks(found: list[tuple[Place, Row]], asked: str) -> None:
    """No question of the test is one of the training files: its other choices would give it away."""
    seen: dict[str, Place] = {}
    for place, row in found:
        if row.file != "test":
            seen.setdefault(same_question(row.fields[asked]), place)
    for place, row in found:
        if row.file == "test" and (first := seen.get(same_question(row.fields[asked]))):
            raise place.fault(f"its {asked} is also that of {first}, so training would leak into the test",
                              f"keep all rows with one {asked} on one side", asked)
