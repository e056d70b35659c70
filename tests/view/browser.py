"""A real Chromium for tests of pages, and all that a page did in it: errors, requests, dialogs.

    def test_x(visit):
        seen = visit(file, width=375)          a Visit: its `page`, and lists of what happened
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests import waiting
from view.pictures import BROWSERS, browser, browser_flags

WAIT_MILLISECONDS = 120_000


@dataclass
class Visit:
    """A page that was opened, and what it did: messages of its console and uncaught errors, requests for anything but files and data,
    dialogs that it opened."""

    page: object
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)

    def watch(self) -> None:
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: None if request.url.startswith(("file:", "data:")) else self.requests.append(request.url))
        self.page.on("dialog", self._dismiss)

    def _note(self, message) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(f"{message.type}: {message.text}")

    def _dismiss(self, dialog) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()


def until(page, expression: str) -> None:
    """Wait until `expression` holds in the page. (`page.wait_for_function` runs text in the page, which a strict policy forbids.)"""
    waiting.until(lambda: page.evaluate(expression), expression)


@pytest.fixture(scope="module")
def chromium() -> Iterator[object]:
    """A headless browser; the test is skipped, with a reason, where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: `make setup` does it")
    program = browser()
    if program is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is on PATH")
    with playwright.sync_playwright() as started:
        found = started.chromium.launch(executable_path=program, args=browser_flags())
        yield found
        found.close()


@pytest.fixture
def visit(chromium) -> Iterator[Callable[..., Visit]]:
    """visit(file, width, height, scheme, hash, script): open a file in a fresh context and watch it."""
    contexts = []

    def go(file: Path, width: int = 1280, height: int = 900, scheme: str = "light", hash: str = "", script: bool = True) -> Visit:
        window = {"width": width, "height": height}
        context = chromium.new_context(viewport=window, color_scheme=scheme, java_script_enabled=script, reduced_motion="reduce")
        context.set_default_timeout(WAIT_MILLISECONDS)
        contexts.append(context)
        seen = Visit(context.new_page())
        seen.watch()
        seen.page.goto(f"{file.as_uri()}{hash}")
        return seen

    yield go
    for context in contexts:
        context.close()
