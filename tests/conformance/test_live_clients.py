"""GDAL, QGIS, Leaflet and MapLibre look at a live map, and see it in its place."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import numpy as np
import pytest
import rasterio
from desktop import ask_qgis, drawn, require_qgis
from jakarta import BLOCK, WINDOW, mercator_bounds, rgba, waves
from serving import running

from geo2map.grid import mercator_resolution
from geo2map.grid.block import BlockImage
from geo2map.live import LiveMap, ServedSite
from geo2map.live.app import make_app
from geo2map.plan import Plan, Storage
from geo2map.scene import View
from geo2map.testing import ArraySource, fake_job

if TYPE_CHECKING:
    from browsing import Visit
    from conftest import Web
    from playwright.sync_api import Route

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
MAPLIBRE = Path(os.environ.get("GEO2MAP_MAPLIBRE", ROOT / "node_modules" / "maplibre-gl" / "dist"))


@pytest.fixture(scope="module")
def image() -> BlockImage:
    return waves()


@pytest.fixture(scope="module")
def address(image: BlockImage) -> Iterator[str]:
    """Of a server that draws the waves as they are."""
    sources = [ArraySource(BLOCK.core, image.pixels, image.mask) for _ in range(2)]
    plan = Plan(name="jakarta", view=View(14), window=WINDOW, block_span=2)
    with LiveMap(fake_job(plan, Storage(minzoom=12)), sources, None) as live:
        site = ServedSite(
            map=live.layers["map"], further={"source": live.layers["source"]}, live=live, tally=live.tally
        )
        with running(make_app(site)) as address:
            yield address


def test_gdal_reads_the_very_pixels(address: str, image: BlockImage, tmp_path: Path) -> None:
    if shutil.which("gdal_translate") is None:
        pytest.skip("there is no gdal_translate (Debian's gdal-bin)")
    source = f"WMTS:{address}/WMTSCapabilities.xml,layer=layer0"
    command = ["gdal_translate", "-q", source, str(tmp_path / "live.tif")]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)  # its cache goes there
    assert ran.returncode == 0, ran.stderr
    with rasterio.open(tmp_path / "live.tif") as dataset:
        assert dataset.crs.to_epsg() == 3857
        left, _, _, top = mercator_bounds()
        size = mercator_resolution(14)
        assert dataset.res == pytest.approx((size, size))
        column, row = (dataset.bounds.left - left) / size, (top - dataset.bounds.top) / size
        assert (column, row) == pytest.approx((round(column), round(row)), abs=1e-3)
        rows, columns = (
            slice(round(row), round(row) + dataset.height),
            slice(round(column), round(column) + dataset.width),
        )
        inside = WINDOW.slices(BLOCK.core)
        for found, asked in ((rows, inside[0]), (columns, inside[1])):  # GDAL rounds up what is told in degrees
            assert asked.start - 1 <= found.start <= asked.start < asked.stop <= found.stop <= asked.stop + 1
        assert (np.moveaxis(dataset.read(), 0, -1) == rgba(image)[rows, columns]).all()


def test_qgis_shows_it_in_its_place(address: str, image: BlockImage, tmp_path: Path) -> None:
    require_qgis(tmp_path)
    source = "crs=EPSG:3857&dpiMode=7&format=image/png&layers=layer0&styles=default&tileMatrixSet=GoogleMapsCompatible"
    layer = {"source": f"{source}&url={address}/WMTSCapabilities.xml", "provider": "wms"}
    picture = {"layer": "live", "crs": "EPSG:3857", "bounds": mercator_bounds(1e-4), "path": str(tmp_path / "live.png")}
    picture["size"] = [BLOCK.core.width, BLOCK.core.height]
    told = ask_qgis(tmp_path, {"layers": {"live": layer}, "pictures": [picture]})["layers"]["live"]
    assert (told["valid"], told["crs"]) == (True, "EPSG:3857")
    left, bottom, right, top = mercator_bounds()
    assert told["extent"] == pytest.approx([left, bottom, right, top], abs=(right - left) / BLOCK.columns / 6)
    shown = drawn(tmp_path / "live.png")
    assert np.abs(shown - rgba(image))[WINDOW.slices(BLOCK.core)].mean() < 1


def snippet(name: str, address: str) -> str:
    """What docs/live.md tells users to paste."""
    text = (ROOT / "docs" / "live.md").read_text(encoding="utf-8")
    found = re.search(rf"<!-- snippet: {name} -->\n```html\n(.*?)```", text, re.DOTALL)
    assert found
    return found[1].replace("http://127.0.0.1:8000", address)


def write_page(web: Web, head: str, body: str) -> str:
    page = f'<!DOCTYPE html><meta charset="utf-8"><link rel="icon" href="data:,">{head}<body>{body}'
    (web.root / "page.html").write_text(page, encoding="utf-8")
    return web.url("page.html")


def test_the_page_shows_map_and_imagery(visit: Visit, address: str) -> None:
    visit.open(f"{address}/")
    assert visit.complaints == []
    assert visit.count("map") >= 4
    assert visit.count("source") >= 4
    assert visit.page.locator("#swipe").is_visible()
    assert all(url.startswith((address, "data:")) for url in visit.requests)


def test_the_leaflet_snippet(visit: Visit, address: str, web: Web) -> None:
    parts = files("geo2map.formats.documents").joinpath("viewer")
    for name in ("leaflet.js", "leaflet.css"):
        text = parts.joinpath(name).read_text(encoding="utf-8")
        (web.root / name).write_text(re.sub(r"\n//# sourceMappingURL=\S+\s*$", "", text), encoding="utf-8")
    head = '<link rel="stylesheet" href="leaflet.css"><script src="leaflet.js"></script>'
    visit.open(write_page(web, head, snippet("leaflet", address)))
    assert visit.complaints == []
    assert visit.count("tile") >= 4


def test_the_maplibre_snippet(visit: Visit, address: str, web: Web) -> None:
    if not (MAPLIBRE / "maplibre-gl.mjs").is_file():
        pytest.skip(
            "the npm package maplibre-gl (6 or later) is not in node_modules; GEO2MAP_MAPLIBRE names another dist"
        )
    types = {".mjs": "text/javascript", ".css": "text/css"}  # a module must be called one

    def answer(route: Route) -> None:
        path = MAPLIBRE / urlsplit(route.request.url).path.rpartition("/")[2]
        route.fulfill(path=path, content_type=types[path.suffix])

    visit.page.route(re.compile(r".*/maplibre-gl[^/]*$"), answer)
    head = '<link rel="stylesheet" href="maplibre-gl.css">'
    with visit.page.expect_response(lambda answer: "/14/" in answer.url or "/13/" in answer.url, timeout=60_000):
        visit.page.goto(write_page(web, head, snippet("maplibre", address)))
    visit.page.wait_for_load_state("networkidle")
    visit.page.wait_for_timeout(1000)
    assert [text for text in visit.complaints if "WebGL" not in text and "GPU" not in text] == []
    middle = visit.colour(450, 300)
    assert middle not in ((255, 255, 255), (0, 0, 0))
