"""Gets a command into the project's own environment, before anything is imported that only that one has."""

from __future__ import annotations

import os
import sys
from pathlib import Path

NEEDED = ("click", "git", "pydantic")


def enter(project: Path) -> None:
    """Run this command again in .venv where that is not where we are; say what to type where there is none."""
    python = project / ".venv" / "bin" / "python"
    if Path(sys.prefix).resolve() == (project / ".venv").resolve():
        return
    if os.access(python, os.X_OK) and os.environ.get("AAR_REEXECUTED") != "1":  # False, not an error, where .venv may not be read
        os.environ["AAR_REEXECUTED"] = "1"
        os.execv(python, [str(python), str(project / "aar.py"), *sys.argv[1:]])
    try:
        for name in NEEDED:
            __import__(name)
    except ImportError as error:
        sys.exit(f"aar: the Python package that gives `import {error.name}` is not installed for {sys.executable}: type `make setup` in {project} first")
