"""Shared by all tests: the prepared task `smoke`."""
from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
os.environ.setdefault("AAR_HOME", str(ROOT / ".aar-home"))
os.environ.setdefault("OMP_NUM_THREADS", "1")  # workers of pytest must not fight over the cores


@pytest.fixture(scope="session")
def smoke():
    """`eval.prepared.Prepared` of the tiny task; prepared at first use (half a minute), once for all workers."""
    from eval.prepare import prepare
    from eval.prepared import open_prepared
    prepare("smoke", quiet=True)
    return open_prepared("smoke")
