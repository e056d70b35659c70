"""Feature blocks: what the strong model makes of a task's texts, computed once a machine by the trusted side.

One file for each task part, model, revision, prompt, layer and pooling, under AAR_HOME/features (private: parts of it belong to
test texts). A block is made when somebody first asks; a second process that asks meanwhile waits and then finds it.

    blocks = Blocks(task, folder)
    blocks.ensure({"region": fields}, "zero_shot")
    blocks.load("region", "zero_shot")["answers"]      # (n, 2), memory-mapped
"""
from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from filelock import FileLock

from eval.features import Encoder, compute_features
from eval.models import describe_model, stamp
from eval.task import Task, resolve_views
from state.errors import UserError
from state.files import write_atomic
from state.paths import aar_home

TEXT, ZERO_SHOT, CONTRAST = "text", "zero-shot", ("contrast-0", "contrast-1")
ANSWERS = "answers"
"""The view of the zero-shot prompt: logits of the two answers."""
Fields = Sequence[Mapping[str, str]]


def prompt_names(task: Task) -> list[str]:
    """The prompts of a task beside its own template."""
    if task.prompts is None:
        return []
    return [ZERO_SHOT, *(CONTRAST if task.prompts.contrast else ())]


class Blocks:
    """The blocks of a task under one strong model in `folder`."""

    def __init__(self, task: Task, folder: Path) -> None:
        self.task, self.folder = task, folder
        self.views = resolve_views(task.views, describe_model(folder).layers)
        name = re.sub(r"[^\w.-]+", "-", f"{task.strong}@{task.revision or 'own'}")
        self.root = aar_home() / "features" / task.name / name

    def views_of(self, prompt: str) -> tuple[str, ...]:
        return (ANSWERS,) if prompt == ZERO_SHOT else self.views

    def ensure(self, parts: Mapping[str, Fields], prompt: str = TEXT,
               progress: Callable[[int, int], None] = lambda done, total: None) -> None:
        """Compute the blocks of `parts` (name -> fields of its items) under `prompt` that are not there. `progress(done,
        total)` in tokens. UserError where the model cannot do it."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        (aar_home() / "features").chmod(0o700)
        with FileLock(self.root / f".{prompt}.lock"):
            missing = {name: fields for name, fields in parts.items() if not self.has(name, fields, prompt)}
            if not missing:
                return
            joined = [row for fields in missing.values() for row in self._with_answer(fields, prompt)]
            chunks = self.root / f".{prompt}-{self._digest(joined, prompt)}"
            computed = compute_features(self._encoder(prompt), joined, chunks, progress)
            start = 0
            for name, fields in missing.items():
                self._keep(name, prompt, fields, {view: block[start : start + len(fields)] for view, block in computed.items()})
                start += len(fields)
            shutil.rmtree(chunks, ignore_errors=True)

    def load(self, part: str, prompt: str = TEXT) -> dict[str, np.ndarray]:
        """View -> block (n, d) float16 of a part, memory-mapped. FileNotFoundError where it was never made."""
        folder = self.root / prompt / part
        return {view: np.load(folder / view_file(view), mmap_mode="r") for view in self.views_of(prompt)}

    def _with_answer(self, fields: Fields, prompt: str) -> list[dict[str, str]]:
        if prompt not in CONTRAST:
            return [dict(row) for row in fields]
        return [{**row, "answer": self.task.prompts.answers[CONTRAST.index(prompt)]} for row in fields]

    def _encoder(self, prompt: str) -> Encoder:
        if prompt == TEXT:
            return Encoder(self.folder, self.views, self.task.template, self.task.max_tokens)
        prompts = self.task.prompts
        if prompt == ZERO_SHOT:
            if not describe_model(self.folder).causal:
                raise UserError(f"task {self.task.name}: {self.task.strong} writes no text, so it has no zero-shot answers")
            return Encoder(self.folder, (), prompts.zero_shot, self.task.max_tokens, answers=prompts.answers)
        return Encoder(self.folder, self.views, prompts.contrast, self.task.max_tokens)

    def _digest(self, fields: Fields, prompt: str) -> str:
        encoder = self._encoder(prompt)
        about: list = [self.task.strong, self.task.revision, describe_model(self.folder).bytes, encoder.template, encoder.max_tokens,
                       list(encoder.views), list(encoder.answers)]
        if changes := stamp(self.task.strong):
            about.append(changes)
        return hashlib.sha256(json.dumps([about, list(map(dict, fields))], sort_keys=True).encode()).hexdigest()[:16]

    def has(self, part: str, fields: Fields, prompt: str = TEXT) -> bool:
        """Whether the block of these items is there."""
        try:
            made = json.loads((self.root / prompt / part / "made.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return False
        return made["digest"] == self._digest(self._with_answer(fields, prompt), prompt)

    def _keep(self, part: str, prompt: str, fields: Fields, blocks: Mapping[str, np.ndarray]) -> None:
        folder = self.root / prompt / part
        scratch = folder.with_name(f".{part}.part")
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(mode=0o700, parents=True)
        for view, block in blocks.items():
            save(scratch / view_file(view), block)
        digest = self._digest(self._with_answer(fields, prompt), prompt)
        write_atomic(scratch / "made.json", json.dumps({"digest": digest, "model": self.task.strong,
                                                        "revision": self.task.revision, "rows": len(fields)}))
        shutil.rmtree(folder, ignore_errors=True)
        scratch.rename(folder)


def view_file(view: str) -> str:
    return view.replace(":", "-") + ".npy"


def save(path: Path, array: np.ndarray) -> None:
    buffer = io.BytesIO()
    np.save(buffer, array)
    write_atomic(path, buffer.getvalue(), mode=0o600)
