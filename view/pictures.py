"""The pictures of the README, taken of a real run: `python -m view.pictures RUN [--out docs]`.

report.png     first screen of the report at 1280 x 900, report-phone.png at 390 x 844, report-dark.png
status.svg     what `python aar.py status RUN` prints, at 100 columns

A browser of the system draws the report (chromium, by playwright, which `make setup` installs for the tests).
"""

from __future__ import annotations

import argparse
import io
import os
import re
import shutil
import sys
from pathlib import Path

from rich.console import Console

from state.errors import UserError, ended
from state.paths import RunPaths, find_run
from view.screen import screen
from view.status import status_facts

PROJECT = Path(__file__).resolve().parent.parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = ("--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run", "--hide-scrollbars")
SHOTS = (("report.png", 1280, 900, "light", ""), ("report-dark.png", 1280, 900, "dark", "#progress"), ("report-phone.png", 390, 844, "light", ""))
"""File, width and height in pixels, colour scheme, and where in the page."""


def browser() -> str | None:
    """The path of a Chromium of this system; None where there is none."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def browser_flags() -> list[str]:
    """Flags for a browser that only looks at files; as root its own sandbox does not start."""
    return [*FLAGS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]


def take_pictures(paths: RunPaths, out: Path) -> list[Path]:
    """Take all pictures of a run; their files. UserError where no browser can be had."""
    from view.report.build import write_report

    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise UserError("no playwright in this environment: `make setup` installs it") from None
    found = browser()
    if found is None:
        raise UserError(f"no browser on PATH ({', '.join(BROWSERS)}): install one, on Debian `apt install chromium`")
    out.mkdir(parents=True, exist_ok=True)
    report = paths.root / "report.html"
    write_report(paths, report, public=False, tell=None)
    taken = []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=browser_flags())
        for name, width, height, scheme, anchor in SHOTS:
            page = chromium.new_page(viewport={"width": width, "height": height}, color_scheme=scheme, device_scale_factor=1.5)
            page.goto(report.as_uri() + anchor)
            page.wait_for_load_state("load")
            page.wait_for_timeout(300)
            page.screenshot(path=out / name)
            page.close()
            taken.append(out / name)
        chromium.close()
    return [*taken, picture_of_status(paths, out / "status.svg")]


def picture_of_status(paths: RunPaths, file: Path, width: int = 100) -> Path:
    """What `status` prints, as a picture."""
    console = Console(record=True, width=width, file=io.StringIO(), highlight=False, markup=False, emoji=False)
    for line in screen(status_facts(paths), width):
        console.print(line, soft_wrap=True)
    picture = console.export_svg(title=f"python aar.py status {paths.name}")
    picture = re.sub(r"@font-face\s*\{[^}]*\}|<!--.*?-->", "", picture, flags=re.DOTALL)  # fonts of the web: a picture asks for nothing
    file.write_text("\n".join(line.rstrip() for line in picture.splitlines()) + "\n", encoding="utf-8")
    return file


def main() -> int:
    parser = argparse.ArgumentParser(prog="view.pictures")
    parser.add_argument("run", nargs="?")
    parser.add_argument("--out", type=Path, default=PROJECT / "docs")
    asked = parser.parse_args()
    return ended(lambda: print(*take_pictures(find_run(PROJECT, asked.run), asked.out), sep="\n"))


if __name__ == "__main__":
    sys.exit(main())
