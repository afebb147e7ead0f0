"""The page of a live map in a real browser: where it opens, and how it says what is being drawn."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Semaphore
from typing import TYPE_CHECKING

import numpy as np
import pytest
from jakarta import BLOCK, WINDOW, waves
from serving import running

from geo2map.grid import PixelWindow
from geo2map.live import LiveMap, ServedSite
from geo2map.live.app import make_app
from geo2map.plan import Plan, Storage
from geo2map.protocols import PixelTranslator
from geo2map.scene import View
from geo2map.testing import ArraySource, fake_job
from geo2map.testing.fakes import cropped
from geo2map.types import Batch

if TYPE_CHECKING:
    from browsing import Visit

pytestmark = pytest.mark.slow

MIDDLE = "-6.06485/106.90955"
BLOCKS = 6


class Gate(PixelTranslator):
    """Draws a block whenever it is let through."""

    batch = 1

    def __init__(self) -> None:
        self.turns = Semaphore(0)

    def translate_pixels(self, batch: Batch, margin: int = 0) -> Batch:
        self.turns.acquire()
        return np.full_like(cropped(batch, margin), (200, 30, 30))


@contextmanager
def served(window: PixelWindow = WINDOW) -> Iterator[tuple[str, LiveMap, Gate]]:
    """Address, map and gate of a live map of six blocks."""
    image, gate = waves(), Gate()
    sources = [ArraySource(BLOCK.core, image.pixels, np.ones_like(image.mask)) for _ in range(2)]
    plan = Plan(name="jakarta", view=View(14), window=window, block_span=2)
    with LiveMap(fake_job(plan, Storage(minzoom=11)), sources, gate) as live:
        site = ServedSite.of(live)
        with running(make_app(site)) as address:
            try:
                yield address, live, gate
            finally:
                gate.turns.release(100)


def zoom_of(visit: Visit) -> float:
    """From the address, where it is after a step to the left."""
    visit.page.locator("#map").focus()
    visit.page.keyboard.press("ArrowLeft")
    visit.settle()
    return float(visit.page.url.partition("#")[2].split("/")[0])


def wait_for(visit: Visit, pattern: str) -> re.Match[str]:
    """Until the page says so of its blocks; what it says."""
    said = ""
    for _ in range(200):
        said = visit.page.locator("#drawing").text_content() or ""
        if visit.page.locator("#drawing").is_visible() and (found := re.fullmatch(pattern, said)):
            return found
        visit.page.wait_for_timeout(50)
    pytest.fail(f"it says {said!r}")


def test_it_opens_at_the_models_zoom(visit: Visit) -> None:
    """All of the map would fit at a lower one, where a tile takes four blocks and more."""
    with served() as (address, _, gate):
        gate.turns.release(100)
        visit.open(address)
        assert zoom_of(visit) == 14
        asked = [url for url in visit.requests if "/source/" not in url and url.endswith(".png")]
        assert asked
        assert all("/14/" in url for url in asked)
        visit.page.locator("#extent").click()
        visit.settle()
        assert zoom_of(visit) < 14
        visit.page.goto("about:blank")
        visit.open(f"{address}#12/{MIDDLE}")
        assert zoom_of(visit) == 12
        assert visit.complaints == []


def test_a_small_map_fills_the_page(visit: Visit) -> None:
    left, top, *_ = WINDOW
    with served(PixelWindow(left, top, left + 300, top + 200)) as (address, _, gate):
        gate.turns.release(100)
        visit.open(address)
        assert 14 < zoom_of(visit) < 16
        assert visit.complaints == []


@pytest.mark.parametrize("place", ["", f"#12/{MIDDLE}"], ids=["model's zoom", "overview"])
def test_it_says_how_many_blocks_are_drawn(visit: Visit, place: str) -> None:
    """Of those in view, as the server draws them; an overview's tile needs all of its own."""
    with served() as (address, live, gate):
        visit.page.goto(f"{address}/{place}", wait_until="domcontentloaded")  # tiles wait
        assert wait_for(visit, rf"drawing 0 of {BLOCKS} blocks")
        if not place:
            for number in range(1, BLOCKS):
                gate.turns.release()
                wait_for(visit, rf"drawing {number} of {BLOCKS} blocks")
                assert live.tally.get("blocks", "map", "made") == number
        gate.turns.release(100)
        visit.settle()
        assert visit.page.locator("#drawing").is_hidden()
        assert live.tally.get("blocks", "map", "made") == BLOCKS
        assert visit.complaints == []


def test_what_is_in_memory_needs_no_words(visit: Visit) -> None:
    with served() as (address, _, gate):
        gate.turns.release(100)
        visit.open(address)
        visit.page.evaluate("() => { document.querySelector('#drawing').textContent = 'untouched'; }")
        visit.page.locator(".leaflet-control-zoom-out").click()
        visit.settle()
        visit.page.locator(".leaflet-control-zoom-in").click()
        visit.settle()
        assert visit.page.locator("#drawing").text_content() == "untouched"
        assert visit.complaints == []
