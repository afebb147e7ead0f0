"""A real browser (Debian's Chromium, driven by Playwright), and what its pages ask and say."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import PIL.Image
import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync"]
FLAGS += ["--use-angle=swiftshader", "--enable-unsafe-swiftshader"]  # WebGL without a graphics card, for MapLibre
SIZE = {"width": 900, "height": 600}
PATIENCE = 600
"""Looks, 50 ms and more apart, after which tiles will not come any more."""


@contextmanager
def launched() -> Iterator[Browser]:
    """A browser without a window; skips the test where there is none."""
    if not CHROMIUM.exists():
        pytest.skip(f"there is no {CHROMIUM} (Debian's chromium)")
    driver = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with driver.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


class Visit:
    """An open page, and what it asked and said so far."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: (self.complaints.append("dialog"), dialog.dismiss()))

    def open(self, url: str) -> None:
        self.page.goto(url)
        self.settle()

    def settle(self) -> None:
        """Until animations are over and all tiles are there."""
        self.page.wait_for_timeout(450)
        tiles = "[...document.querySelectorAll('img.leaflet-tile')]"
        there = f"{tiles}.length > 0 && {tiles}.every((tile) => tile.complete)"
        for _ in range(PATIENCE):  # the driver's own waiting is an `eval`, which the page's policy forbids
            if self.page.evaluate(there):
                break
            self.page.wait_for_timeout(50)
        else:
            pytest.fail("tiles do not come")
        self.page.wait_for_timeout(350)

    def count(self, pane: str) -> int:
        """Tiles of a pane that have a picture in them."""
        script = "(name) => [...document.querySelectorAll(`.leaflet-${name}-pane img.leaflet-tile-loaded`)]"
        return int(self.page.evaluate(f"{script}.filter((tile) => tile.naturalWidth === 256).length", pane))

    def colour(self, x: int, y: int) -> tuple[int, ...]:
        picture = PIL.Image.open(io.BytesIO(self.page.screenshot())).convert("RGB")
        return tuple(picture.getpixel((x, y)))  # type: ignore[arg-type]

    def zoom(self) -> str:
        """Of the tiles that were asked for last."""
        return self.requests[-1].split("/")[-3]
