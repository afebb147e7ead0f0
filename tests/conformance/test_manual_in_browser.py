"""The manual in a real browser: on a desk and on a phone, from a server and from a disk, without a network."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from browsing import Visit

pytestmark = pytest.mark.slow

PAGES = ("index.html", "cli.html", "python.html", "scale.html", "lab/lean.html")
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
@pytest.mark.parametrize("page", PAGES)
def test_a_page_fits_and_asks_nobody(visit: Visit, manual: Path, page: str, size: dict[str, int]) -> None:
    visit.page.set_viewport_size(size)  # type: ignore[arg-type]
    visit.page.goto((manual / page).as_uri())
    visit.page.wait_for_timeout(300)
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    assert visit.page.evaluate("[...document.images].every((image) => image.naturalWidth > 0)")
    assert all(address.startswith(("file:", "data:", "blob:")) for address in visit.requests), visit.requests


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address(manual: Path) -> Iterator[str]:
    """Serves the manual."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(manual)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def test_search_finds_a_word(visit: Visit, address: str) -> None:
    visit.page.set_viewport_size(DESK)  # type: ignore[arg-type]
    visit.page.goto(f"{address}index.html")
    visit.page.click("input.md-search__input")
    visit.page.keyboard.type("MINISWHITE")
    visit.page.locator(".md-search-result__item a[href*='scenes.html']").first.wait_for(timeout=20_000)
    assert all(request.startswith((address, "data:", "blob:")) for request in visit.requests), visit.requests
    assert visit.complaints == []
