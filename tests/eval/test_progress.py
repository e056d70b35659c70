"""How long a preparation says that it will still take."""

import io
import re

import pytest
from rich.console import Console

from eval.progress import StageProgress


@pytest.fixture
def told(monkeypatch):
    """A function (seconds of the stage, share that is done) -> seconds left, of a stage that was forecast to take 400 s."""
    clock, output = [0.0], io.StringIO()
    monkeypatch.setattr("eval.progress.time.monotonic", lambda: clock[0])
    progress = StageProgress("prepare x", {"hidden states": 400.0}, Console(file=output, width=200))
    progress.begin("hidden states")
    progress.update(0, 100)

    def left(seconds: float, share: float) -> int:
        clock[0] = seconds
        progress.update(100 * share, 100)
        minutes, rest = re.search(r"about (?:(\d+) min ?)?(?:(\d+) s)? left$", output.getvalue().strip()).groups(default="0")
        return 60 * int(minutes) + int(rest)

    return left


def test_the_first_hundredth_says_little_about_the_rest_since_a_model_is_loaded_in_it(told):
    assert 350 < told(50, 0.01) < 1000, "at that pace it would be 82 minutes"


def test_later_the_own_pace_is_believed_and_not_the_forecast(told):
    assert told(400, 0.25) == 1200 and told(800, 0.5) == 800
