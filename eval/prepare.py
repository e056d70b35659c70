"""Prepares a task once a machine: data, models, hidden states, draws with their anchors, open kit.

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

from eval.altered import MOST, make_altered, way_of
from eval.blocks import TEXT, ZERO_SHOT, prompt_names
from eval.data.load import load_rows
from eval.draws import kinds, make_anchors, make_draw, make_settings, public_figures, settings_draws
from eval.feature_crew import kept_workers
from eval.forecast import READ, fine_tuning, forecast_device, in_words, machine_speed, mean_tokens, training_speed
from eval.kit import list_models, make_kit, shown_pgr
from eval.models import EMBEDDED, describe_model, is_here, resolve_model
from eval.parts import NAMES, divide, write_part
from eval.practice import make_practice
from eval.prepared import Prepared, TaskFolder, build_key, is_prepared
from eval.progress import StageProgress
from eval.suits import check_models
from eval.task import Task, load_task
from state.errors import UserError
from state.files import utc_now, write_atomic
from state.paths import aar_home

MODEL_MIB, TASK_MIB = 700, 150
"""What an embedded model and a task take on the disk, generously."""
FETCH_SECONDS, MODEL_SECONDS, DRAW_SECONDS, SETTINGS_SECONDS, START_SECONDS = 20.0, 15.0, 0.6, 10.0, 5.0


def prepare(name: str, quiet: bool = False, prompts: bool = False) -> None:
    """Prepare task `name` under AAR_HOME; nothing is done twice. Tells how far it is unless `quiet`. `prompts`: also what the
    strong model answers under the task's prompts, which only methods of the elicitation track need.

    UserError for an unknown task, data or models that cannot be had, a full disk or a failed worker.
    """
    prepare_task(load_task(name), quiet, prompts)


def prepare_task(task: Task, quiet: bool = False, prompts: bool = False) -> None:
    """`prepare` for a task that is at hand, whether or not it has a file."""
    folder = TaskFolder(task)
    console = Console(stderr=True, quiet=quiet)
    try:
        folder.root.parent.mkdir(parents=True, exist_ok=True)
        with _only_one(folder, console), kept_workers():
            if not is_prepared(task):
                _check_space(task)
                _Preparation(task, folder, console).run()
            list_models(Prepared(task, folder))  # tasks that were prepared earlier have it in the open
            _alter(Prepared(task, folder), console)
            if prompts:
                prepare_prompts(Prepared(task, folder), console)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _disk_full(task) from None
        raise
    console.print(summary(Prepared(task, folder)), highlight=False, soft_wrap=True)


def _alter(prepared: Prepared, console: Console) -> None:
    if way_of(prepared.task) is None or prepared.altered is not None:
        return
    with StageProgress(f"items for audits of {prepared.task.name}", {"hidden states": _forward_seconds(prepared, MOST)}, console) as progress:
        progress.begin("hidden states")
        make_altered(prepared, progress.update)


def prepare_prompts(prepared: Prepared, console: Console) -> None:
    """What the strong model makes of pools and public items under the task's prompts (of sealed ones when they are opened).
    UserError where the task has none."""
    names = prompt_names(prepared.task)
    if not names:
        raise UserError(f"task {prepared.task.name} has no [prompts]: there is nothing to ask its strong model")
    parts = {part.name: part.fields for part in (prepared.parts["public"], prepared.region)}
    costs = {name: _forward_seconds(prepared, sum(map(len, parts.values())), name) for name in names}
    with StageProgress(f"prompts of {prepared.task.name}", costs, console) as progress:
        for name in names:
            progress.begin(name)
            prepared.blocks.ensure(parts, name, progress.update)


def _forward_seconds(prepared: Prepared, items: int, prompt: str = TEXT) -> float:
    """About how long reading `items` takes, for a forecast."""
    facts = describe_model(prepared.blocks.folder)
    layers = facts.layers if prompt == ZERO_SHOT else max(int(view.split(":")[1]) for view in prepared.views)
    tokens = mean_tokens(prepared.blocks.folder, prepared.region.texts, prepared.task.max_tokens)
    return START_SECONDS + READ * facts.parameters * layers / facts.layers * items * tokens / machine_speed()


def summary(prepared: Prepared) -> str:
    """One line: the anchors on the public part, with standard errors."""
    known = prepared.figures
    shown = ", ".join(f"{name.replace('_', ' ')} {known[name][0]:.3f} ± {known[name][1]:.3f}"
                      for name in ("weak", "ceiling", "tuned_naive"))
    origin = f"; anchors: {known['origin']}" if known["origin"] else ""
    smallest = f"{known['resolvable']:.2f}" if known["resolvable"] is not None else "not known"
    return (f"task {prepared.task.name} is prepared: {len(prepared.search_draws)} + {len(prepared.sealed_draws)} draws; accuracy "
            f"on {known['public_items']:,} public items: {shown} (PGR {shown_pgr(known)}){origin}; smallest difference "
            f"in PGR that {len(prepared.search_draws)} draws resolve: {smallest}")


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
    return UserError(f"the disk is full under AAR_HOME {aar_home()}: free {MODEL_MIB} MiB, or set AAR_HOME to a folder on another "
                     "disk, and prepare again; what was done is kept")


def _check_space(task: Task) -> None:
    needed = TASK_MIB if is_here(task.strong, task.revision) else MODEL_MIB
    if shutil.disk_usage(aar_home()).free < needed << 20:
        raise _disk_full(task)


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
        self._fetch_models()
        if all(is_here(*model) for model in self._models()):
            check_models(self.task)
        with StageProgress(f"prepare {self.task.name}", self._forecast(), self.console) as progress:
            progress.begin("data")
            self._write_parts()
            progress.begin("models")
            check_models(self.task)
            prepared = Prepared(self.task, self.folder)
            self._tell_costs(prepared, progress)
            progress.begin("hidden states")
            parts = {part.name: part.fields for part in (*prepared.parts.values(), prepared.region)}
            prepared.blocks.ensure(parts, progress=progress.update)
            progress.begin("draws")
            with threadpool_limits(1):
                self._make_draws(prepared, progress)
            figures = public_figures(prepared)
            progress.begin("practice task")
            make_kit(prepared, figures)
            make_practice(prepared)
        seconds = round(time.monotonic() - self.started, 1)
        _write_json(self.folder.done, {"key": build_key(self.task), **figures, "last_seconds": seconds, "time": utc_now()})

    def _models(self) -> list[tuple[str, str | None]]:
        weak = [(teacher.model, teacher.revision) for teacher in self.task.teachers if teacher.model is not None]
        return [(self.task.strong, self.task.revision), *weak]

    def _fetch_models(self) -> None:
        """Models of the hub come before the bar: the hub draws its own."""
        for model, revision in self._models():
            if model not in EMBEDDED and not is_here(model, revision):
                self.console.print(f"fetching model {model} from the hub", highlight=False, soft_wrap=True)
                resolve_model(model, revision)

    def _tell_costs(self, prepared: Prepared, progress: StageProgress) -> None:
        """What is known of the cost once data and models are there; what fine-tuning will take is told before it starts."""
        items = sum(len(part.texts) for part in (*prepared.parts.values(), prepared.region))
        progress.expect("hidden states", _forward_seconds(prepared, items))
        work = fine_tuning(prepared)
        if work.teachers or work.anchors or work.finalist:
            self.console.print(in_words(work, *forecast_device()), highlight=False, soft_wrap=True)
            progress.expect("draws", (work.teachers + work.anchors) / training_speed())

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

    def _write_parts(self) -> None:
        if not self._has_parts():
            for name, rows in divide(self.task, load_rows(self.task.data, self.folder.secret.read_bytes())).items():
                write_part(self.folder, name, rows, self.task)

    def _has_parts(self) -> bool:
        return all(self.folder.part(name).exists() for name in NAMES)

    def _forecast(self) -> dict[str, float]:
        task = self.task
        has_model = is_here(task.strong, task.revision)
        missing = sum(not self.folder.draw(draw).exists() for draw in self.draws)
        scale = task.pool / 1500
        return {"data": 1.0 if self._has_parts() else FETCH_SECONDS, "models": 0.0 if has_model else MODEL_SECONDS,
                "hidden states": 60.0, "draws": missing * DRAW_SECONDS * max(0.3, scale) + SETTINGS_SECONDS * scale,
                "practice task": 30.0}

    def _make_draws(self, prepared: Prepared, progress: StageProgress) -> None:
        folder, secret = self.folder, self.folder.secret.read_bytes()
        trained = [number for phase in ("search", "sealed") for number in prepared.anchored_draws(phase)]
        tried = [] if self.task.anchors else [number for kind in kinds(self.task) for number in settings_draws(prepared, kind)]
        steps = len(self.draws) + 2 * len(tried) + len(trained)
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
            _write_json(folder.settings, make_settings(prepared, secret, lambda: advance(2)) if tried else {})
        for number in trained:
            if not folder.anchors(number).exists():
                _save_all(folder.anchors(number), make_anchors(prepared, secret, number, prepared.settings))
            advance()


def _save_all(path: Path, arrays: dict[str, np.ndarray]) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    write_atomic(path, buffer.getvalue(), mode=0o600)
