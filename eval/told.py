"""What `python aar.py prepare TASK --data FOLDER --strong MODEL ...` was told, kept under AAR_HOME/settings: other models, a folder."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from state.files import write_atomic
from state.paths import aar_home

BACK = "default"
"""What takes back what was told before."""


def told(name: str) -> dict[str, str]:
    """What `prepare` was told last about a task: some of data, strong, weak, students."""
    file = _file(name)
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def together(name: str, given: dict[str, str]) -> dict[str, str]:
    """What holds when `given` is told on top of what was; folders are made absolute, BACK takes back."""
    said = {**told(name), **given}
    for option in ("data", "strong", "weak"):
        if option in given and given[option] != BACK and (option == "data" or Path(given[option]).expanduser().is_dir()):
            said[option] = str(Path(given[option]).expanduser().resolve())
    return {option: value for option, value in said.items() if value != BACK}


def keep(name: str, said: dict[str, str]) -> None:
    file = _file(name)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(file, json.dumps(said, indent=1))


def _file(name: str) -> Path:
    return aar_home() / "settings" / f"{name}.json"


def laid_over(fields: dict[str, Any], said: dict[str, str]) -> dict[str, Any]:
    """The fields of a task file with what was told in their place. What the file lacks it still lacks: checking it comes later."""
    if "data" in said and isinstance(fields.get("data"), dict):
        fields["data"]["folder"] = said["data"]
    if "students" in said:
        fields["student"] = fields["verify_student"] = said["students"]
    if "strong" in said:
        fields["strong"], fields["revision"] = _name_and_revision(said["strong"])
    if "weak" in said:
        model, revision = _name_and_revision(said["weak"])
        first = next(iter(fields.get("teachers") or ()), {})
        fields["teachers"] = [{"kind": model}] if model in ("forest", "logistic") else [
            {"kind": "finetune", "model": model, "revision": revision, "finetune": first.get("finetune", {})}]
    return fields


def _name_and_revision(text: str) -> tuple[str, str | None]:
    """NAME or NAME@REVISION; a folder may have an @ in its name."""
    name, _, revision = text.rpartition("@") if "@" in text and not Path(text).expanduser().is_dir() else (text, "", "")
    return name, revision or None
