"""Which of our own files code inside a sandbox may import: what a method is handed, and nothing that knows labels."""
from __future__ import annotations

from pathlib import Path

FOLDER = "/aar/lib/eval"
"""Where they lie inside."""
MODULES = ("__init__", "confine", "descent", "encode", "finetune", "language", "losses", "packing", "pool", "runner", "student", "trace",
           "w2s", "wire")


def library_files() -> list[Path]:
    return [Path(__file__).parent / f"{name}.py" for name in MODULES]
