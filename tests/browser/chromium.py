"""The system's Chromium, driven by playwright, with an ear on everything that a quiet page must not do."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
QUIET = (
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-gpu",
)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless browser; skips, with the reason, where none is installed."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"no Chromium on this machine (looked for {', '.join(NAMES)})")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(QUIET))
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Heard:
    """What a page did besides showing itself."""

    requests: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)
    console: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@contextmanager
def opened(browser: Browser, path: Path, *, width: int = 1280, height: int = 900, scheme: str = "light") -> Iterator[tuple[Page, Heard]]:
    """The file at *path* in a page of its own; the first request, for the file itself, is not counted."""
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce")
    page, heard = context.new_page(), Heard()
    context.on("request", lambda request: None if request.url.split("#")[0] == path.as_uri() else heard.requests.append(request.url[:200]))
    page.on("dialog", lambda dialog: (heard.dialogs.append(dialog.message), dialog.dismiss()))
    page.on("console", lambda message: heard.console.append(f"{message.type}: {message.text[:300]}"))
    page.on("pageerror", lambda error: heard.errors.append(str(error)[:300]))
    try:
        page.goto(path.as_uri(), wait_until="load")
        yield page, heard
    finally:
        context.close()
