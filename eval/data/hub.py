"""Data sets of the Hugging Face hub, their columns mapped to the fields of a published format (eval/data/rows.py).

The files (.jsonl, .json, either with .gz, or .parquet) are taken from the local cache at the pinned revision, and downloaded
where they are not there yet. Rows with an empty text or no label are left out, duplicates too: nobody here can mend them.
"""
from __future__ import annotations

import gzip
import heapq
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from eval.data.rows import FIELDS, GROUP, KEYS, WRITTEN, Row, class_of, key_of, same_question, shown, text_fault
from eval.task import HubData
from state.errors import UserError

SKIP = "skip"
"""What a label's value is mapped to where its rows are to be left out, such as ties."""


def rows(data: HubData, cache: Path | None = None) -> list[Row]:
    """At most `data.most` rows, equally many from each file, chosen and ordered by a hash of their texts. `cache`: the hub's
    cache folder, by default its own. UserError where a file cannot be had, or has not the columns and labels it should have."""
    _check_columns(data)
    share = max(1, data.most // len(data.files))
    kept: dict[str, Row] = {}
    for file in data.files:
        source = f"{data.dataset} {file}"
        found = _rows(data, source, local_file(data, file, cache))
        kept.update((row.fingerprint, row) for row in heapq.nsmallest(share, found, key=lambda row: row.fingerprint))
    if len({row.label for row in kept.values()}) < 2:
        raise UserError(f"data set {data.dataset}: its {len(kept)} usable rows do not hold both classes: check `columns` and "
                        "`values` under [data] of the task")
    return [kept[fingerprint] for fingerprint in sorted(kept)]


def _check_columns(data: HubData) -> None:
    needed = (*FIELDS[data.format], "label")
    allowed = (*needed, *((GROUP, *KEYS) if data.format == "binary" else ()))
    for field in needed:
        if field not in data.columns:
            raise UserError(f"data set {data.dataset}: `columns` does not say which column is the field {field}: a "
                            f"{data.format} task needs {', '.join(needed)}")
    for field in data.columns:
        if field not in allowed:
            raise UserError(f"data set {data.dataset}: `columns` maps a field {shown(field)} that the {data.format} format has "
                            f"not: it may map {', '.join(allowed)}")


def local_file(data: HubData, file: str, cache: Path | None = None) -> Path:
    """Where a file of the data set lies, downloaded if it is not in the cache. UserError where it cannot be had."""
    from huggingface_hub import errors, hf_hub_download
    where = {"repo_id": data.dataset, "filename": file, "repo_type": "dataset", "revision": data.revision, "cache_dir": cache}
    what = f"data set {data.dataset} at revision {data.revision}, file {file}"
    try:
        return Path(hf_hub_download(**where, local_files_only=True))
    except errors.LocalEntryNotFoundError:
        pass  # not in the cache yet
    except errors.HFValidationError as error:
        raise UserError(f"{what}: {_first_line(error)}: write owner/name, as the hub does") from None
    try:
        return Path(hf_hub_download(**where))
    except errors.LocalEntryNotFoundError:
        raise UserError(f"{what}: it is not in the local cache and the hub cannot be reached: connect once (without "
                        "HF_HUB_OFFLINE) and prepare again, or copy a cache that has it and set HF_HUB_CACHE") from None
    except errors.GatedRepoError:
        raise UserError(f"{what}: its owners want to be asked first: accept its terms on the hub, log in with `hf auth login` "
                        "and prepare again") from None
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.EntryNotFoundError) as error:
        raise UserError(f"{what}: the hub does not have it ({type(error).__name__}): check dataset, revision and files under "
                        "[data] of the task") from None
    except (errors.HTTPError, errors.XetDownloadError) as error:  # the first one holds what happens on the way, too
        raise UserError(f"{what}: it did not come ({_first_line(error)}): prepare again later; what came is kept") from None


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def _rows(data: HubData, source: str, path: Path) -> Iterator[Row]:
    """The usable rows of a file."""
    roots = {column.split(".")[0] for column in data.columns.values()} | set(data.columns.values())
    for number, record in _records(source, path, roots):
        where = f"{source} row {number}"
        values = {field: _column(where, record, column) for field, column in data.columns.items()}
        texts = {field: values[field] for field in FIELDS[data.format]}
        for field, text in texts.items():
            if text is not None and not isinstance(text, str):
                raise UserError(f"{where}, column {data.columns[field]}: it {text_fault(text)}: map the field {field} to a "
                                "column of texts (`columns` under [data] of the task)")
        label = None if values["label"] is None else _label(where, values["label"], data)
        if label is None or any(text_fault(text) for text in texts.values()):
            continue
        question = same_question(texts[FIELDS[data.format][0]])
        group = f"question {question}" if values.get(GROUP) is None else f"id {values[GROUP]}"
        yield Row(texts, label, group, key=key_of(values))


def _label(where: str, value: Any, data: HubData) -> int | None:
    """The class of a label; None where its row is to be left out."""
    written = value if isinstance(value, str) else json.dumps(int(value) if _is_whole(value) else value, default=str)
    meant = data.values.get(written, value)
    if meant == SKIP:
        return None
    found = class_of(meant, data.format)
    if found is None:
        column, labels = data.columns["label"], WRITTEN[data.format]
        raise UserError(f"{where}, column {column}: label {shown(meant)} is not {labels}: say what it means under "
                        f'[data.values] of the task: {shown(written)} = {labels}, or "{SKIP}"')
    return found


def _is_whole(value: Any) -> bool:
    return isinstance(value, float) and value.is_integer()


def _column(where: str, record: Any, column: str) -> Any:
    """The value under a column's name; dots go into nested columns, numbers into lists (`chosen.-1.content`)."""
    if isinstance(record, Mapping) and column in record:
        return record[column]
    value = record
    for name in column.split("."):
        if value is None:
            return None
        if isinstance(value, Mapping) and name in value:
            value = value[name]
        elif isinstance(value, list) and name.lstrip("-").isdigit():
            value = value[int(name)] if -len(value) <= int(name) < len(value) else None
        else:
            has = ", ".join(map(str, value)) if isinstance(value, Mapping) else f"a {type(value).__name__}"
            raise UserError(f"{where}: there is no column {column} (at {name} there is {shown(has, 120)}): mend `columns` "
                            "under [data] of the task")
    return value


def _records(source: str, path: Path, roots: set[str]) -> Iterator[tuple[int, Any]]:
    """(row number from 1, record) of a file."""
    if source.endswith(".parquet"):
        yield from enumerate(_parquet(source, path, roots), 1)
        return
    if not source.removesuffix(".gz").endswith((".jsonl", ".json")):
        raise UserError(f"{source}: files of this kind are not read: choose .jsonl, .jsonl.gz or .parquet files")
    try:
        with (gzip.open if source.endswith(".gz") else open)(path, "rb") as file:
            yield from _json(file)
    except (gzip.BadGzipFile, EOFError, ValueError) as error:  # a JSON error, and text that is not UTF-8, is a ValueError
        raise UserError(f"{source} in {path}: it cannot be read ({_first_line(error)}): delete it there and prepare again, or "
                        "choose a file of JSON lines") from None


def _json(file: Any) -> Iterator[tuple[int, Any]]:
    """The objects of a file of JSON lines, or of one that is a single list."""
    for number, line in enumerate(file, 1):
        if number == 1 and line.lstrip().startswith(b"["):
            yield from enumerate(json.loads(line + file.read()), 1)
        elif line.strip():
            yield number, json.loads(line)


def _parquet(source: str, path: Path, roots: set[str]) -> Iterator[Any]:
    import pyarrow
    from pyarrow import parquet
    try:
        table = parquet.ParquetFile(path)
        columns = [name for name in table.schema_arrow.names if name in roots]
        for batch in table.iter_batches(1024, columns=columns):
            yield from batch.to_pylist()
    except pyarrow.ArrowInvalid as error:
        raise UserError(f"{source} in {path}: it is no parquet file that can be read ({_first_line(error)}): delete it there "
                        "and prepare again") from None
