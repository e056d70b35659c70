"""A home of its own for a test, with the prepared task `smoke` of the shared one in it: what is kept there bothers nobody."""

import json
import os
import shutil
from pathlib import Path

from eval.prepared import TaskFolder, build_key
from eval.task import Task
from state.paths import aar_home


def private_home(folder: Path) -> Path:
    """Models, packages and features are the shared ones; the task is a copy, without what was scored on it."""
    home = folder / "home"
    (home / "tasks").mkdir(parents=True)
    for name in ("models", "packages", "features"):
        os.symlink(aar_home() / name, home / name)
    (home / "tasks" / "smoke").mkdir()
    for name in ("open", "private"):
        shutil.copytree(aar_home() / "tasks" / "smoke" / name, home / "tasks" / "smoke" / name)
    return home


def add_twin(home: Path, task: Task) -> None:
    """In `home`, the current one: `task`, which differs from `smoke` in name and words only, prepared as `smoke` is."""
    folder = TaskFolder(task)
    shutil.copytree(home / "tasks" / "smoke" / "private", folder.private)
    about = json.loads(folder.done.read_text())
    folder.done.write_text(json.dumps({**about, "key": build_key(task)}))
    features = home / "features"
    shared = features.resolve()
    features.unlink()
    features.mkdir()
    for name in ("smoke", task.name):
        os.symlink(shared / "smoke", features / name)


def write_methods(folder: Path, **bodies: str) -> Path:
    """Method files in `folder`: each body is that of `fit(w2s)`."""
    folder.mkdir(exist_ok=True)
    for name, body in bodies.items():
        lines = "\n".join(f"    {line}" for line in body.splitlines())
        (folder / f"{name}.py").write_text(f'"""A method of a test: {name}."""\nimport numpy as np\n\nFAMILY = "test"\n\n\ndef fit(w2s):\n{lines}\n')
    return folder
