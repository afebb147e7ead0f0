"""Takes the pictures of the page of a map for the documentation (Debian: chromium; pip: playwright):

    geo2map demo --out town
    geo2map render town/town.tif --out map/ --with-source
    geo2map render town/town.tif --out town.pmtiles --vector
    python examples/lab/picture_viewer.py map/ docs/viewer.jpg
    python examples/lab/picture_viewer.py town.pmtiles docs/viewer-vector.jpg

The first is the page of a folder, with imagery left of the slider. In the second, left is the style maps with a street
that was clicked on, right the style dark, two zooms closer.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, ViewportSize, sync_playwright

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
SIZE: ViewportSize = {"width": 800, "height": 600}
SIZE_OF_FOLDER: ViewportSize = {"width": 900, "height": 600}
DRAWN = "panel.map !== undefined && panel.map.loaded() && panel.map.areTilesLoaded()"
STREET = """() => {
  const { x, y } = panel.map.project(panel.map.getCenter());
  const streets = panel.map.queryRenderedFeatures([[x - 200, y - 200], [x + 100, y + 200]])
    .filter((thing) => thing.sourceLayer === "roads" && thing.geometry.type === "LineString");
  const line = streets.sort((a, b) => b.properties.length - a.properties.length)[0].geometry.coordinates;
  const point = panel.map.project(line[line.length >> 1]);
  return [point.x, point.y];
}"""


@contextmanager
def served(path: Path) -> Iterator[str]:
    """The page's address, while `geo2map view` serves it."""
    command = [sys.executable, "-m", "geo2map_cli", "view", str(path), "--no-browser", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield json.loads(server.stdout.readline())["page"]
        finally:
            server.terminate()


def settle(page: Page) -> None:
    """Until the map is drawn."""
    for _ in range(200):
        page.wait_for_timeout(150)
        if page.evaluate(DRAWN):
            break
    page.wait_for_timeout(500)


def shot(page: Page) -> Image.Image:
    settle(page)
    return Image.open(io.BytesIO(page.screenshot())).convert("RGB")


def take_folder(folder: Path, picture: Path, closer: int = 1) -> None:
    """Saves the page of a folder of tiles, opened from the disk.

    Args:
        closer: zooms, from the whole map on.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport=SIZE_OF_FOLDER)
        page.goto((folder / "index.html").resolve().as_uri())
        for _ in range(closer):
            page.wait_for_timeout(500)
            page.click(".leaflet-control-zoom-in")
        page.wait_for_timeout(2000)
        page.screenshot(path=picture, type="jpeg", quality=85)
        browser.close()


def take_vectors(path: Path, picture: Path) -> None:
    """Saves both styles side by side."""
    with served(path) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport=SIZE)
        page.goto(address)
        settle(page)
        page.mouse.click(*page.evaluate(STREET))
        left = shot(page)
        page.select_option("#style", "dark")
        settle(page)
        page.evaluate("panel.map.zoomTo(panel.map.getZoom() + 2, { duration: 0 })")
        right = shot(page)
        browser.close()
    both = Image.new("RGB", (left.width + right.width + 8, left.height), (255, 255, 255))
    both.paste(left, (0, 0))
    both.paste(right, (left.width + 8, 0))
    both.save(picture, quality=80, optimize=True)


if __name__ == "__main__":
    take = take_folder if Path(sys.argv[1]).is_dir() else take_vectors
    take(Path(sys.argv[1]), Path(sys.argv[2]))
