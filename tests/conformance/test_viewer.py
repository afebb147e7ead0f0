"""The viewer in a real browser (Debian's Chromium, driven by Playwright): from a disk, without a network."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
import pytest

from geo2map import Engine, render
from geo2map.colour.palette import MAPS_PALETTE
from geo2map.formats.documents.sidecars import sidecars
from geo2map.grid import PixelWindow
from geo2map.ledger import open_output
from geo2map.pipeline.run import run
from geo2map.plan import Plan, Storage
from geo2map.protocols import PixelTranslator
from geo2map.scene import View
from geo2map.testing import ArraySource, fake_job
from geo2map.testing.fakes import cropped
from geo2map.tiles.codec import SUFFIXES, encode_tile
from geo2map.tiles.tilejson import TileSet
from geo2map.types import Batch

if TYPE_CHECKING:
    from browsing import Visit
    from conftest import Web

pytestmark = pytest.mark.slow

NAME = '</script><img src=x onerror=alert(1)> "it\'s" & 東京'
MAP, SOURCE = (200, 30, 30), (30, 60, 200)
WINDOW = PixelWindow(13055 * 256 + 37, 8467 * 256 + 21, 13060 * 256, 8470 * 256 - 3)


def _write_tiles(folder: Path, tileset: TileSet, colour: tuple[int, int, int]) -> None:
    """Every tile that the window touches, plain."""
    data = encode_tile(np.full((256, 256, 3), colour, np.uint8), np.ones((256, 256), np.bool_), tileset.format)
    for zoom in range(tileset.minzoom, tileset.maxzoom + 1):
        size = 256 << (tileset.maxzoom - zoom)
        left, top, right, bottom = tileset.window
        for column in range(left // size, -(-right // size)):
            for row in range(top // size, -(-bottom // size)):
                path = folder / str(zoom) / str(column % 2**zoom) / f"{row}{SUFFIXES[tileset.format]}"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)


def _write(folder: Path, window: PixelWindow = WINDOW, *, with_source: bool = True) -> Path:
    tileset = TileSet(NAME, "png", 12, 14, window, {"model": "sat2map 0123456789ab"})
    _write_tiles(folder, tileset, MAP)
    source = TileSet(NAME, "jpeg", 12, 14, window) if with_source else None
    if source:
        _write_tiles(folder / "source", source, SOURCE)
    layers = {"source": source} if source else {}
    for name, data in sidecars(tileset, MAPS_PALETTE.entries, {}, layers=layers).items():
        (folder / name).write_bytes(data)
    return folder / "index.html"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _write(tmp_path_factory.mktemp("viewer") / "my maps & #1 100% ü")


def _alike(found: tuple[int, ...], expected: tuple[int, ...]) -> bool:
    return max(abs(a - b) for a, b in zip(found, expected, strict=True)) < 6


def test_it_opens_from_a_disk_and_asks_nobody(visit: Visit, page: Path) -> None:
    visit.open(page.as_uri())
    assert visit.count("map") >= 4
    assert visit.count("source") >= 4
    assert visit.complaints == []
    assert visit.page.title() == NAME
    assert all(url.startswith((page.parent.as_uri(), "data:")) for url in visit.requests)
    assert visit.page.locator("h1").inner_text() == NAME
    assert visit.page.locator(".leaflet-control-scale-line").count() == 2
    assert "neural network" in visit.page.locator(".leaflet-control-attribution").inner_text()
    assert visit.page.locator("#legend li").all_inner_texts() == list(MAPS_PALETTE.classes)
    assert visit.page.locator("#legend i").count() == len(MAPS_PALETTE.entries)
    assert "generative model" in visit.page.locator("#panel p").inner_text()


def test_doubt_is_a_veil_that_can_be_switched(visit: Visit, tmp_path: Path) -> None:
    """White where the model is unsure, the map itself where it is sure; without imagery there is nothing to swipe."""
    tileset = TileSet(NAME, "png", 12, 14, WINDOW, {"model": "sat2map 0123456789ab"})
    percent = TileSet(NAME, "png", 12, 14, WINDOW, {"model": "sat2map 0123456789ab", "unit": "percent"})
    page, colours = tmp_path / "index.html", {0: (255, 255, 255), 50: (227, 142, 142), 100: MAP}
    _write_tiles(tmp_path, tileset, MAP)
    for name, data in sidecars(tileset, MAPS_PALETTE.entries, {}, layers={"confidence": percent}).items():
        (tmp_path / name).write_bytes(data)
    for sure, colour in colours.items():
        _write_tiles(tmp_path / "confidence", percent, (sure, sure, sure))
        visit.open(page.as_uri())
        assert _alike(visit.colour(400, 300), MAP)
        assert visit.count("confidence") == 0
        assert visit.page.locator("#swipe").is_hidden()
        visit.page.locator("#doubt").check()
        visit.settle()
        assert _alike(visit.colour(400, 300), colour)
        visit.page.locator("#map").focus()
        visit.page.keyboard.press("d")
        visit.settle()
        assert _alike(visit.colour(400, 300), MAP)
        assert visit.complaints == []


def test_without_confidence_there_is_no_doubt(visit: Visit, page: Path) -> None:
    visit.open(page.as_uri())
    assert visit.page.locator("#doubts").is_hidden()


def test_the_page_is_locked_against_the_network(visit: Visit, page: Path, web: Web) -> None:
    """Not even a script that got in could send anything out."""
    visit.open(page.as_uri())
    visit.page.evaluate("(url) => fetch(url).catch(() => 0)", web.url("x"))
    visit.page.evaluate("(url) => { new Image().src = url }", web.url("y.png"))
    visit.page.wait_for_timeout(300)
    assert web.requests == []
    assert len([text for text in visit.complaints if "Content Security Policy" in text]) >= 2


def test_the_swipe_moves(visit: Visit, page: Path) -> None:
    visit.open(page.as_uri())
    assert _alike(visit.colour(400, 300), SOURCE)
    assert _alike(visit.colour(520, 300), MAP)
    handle = visit.page.locator("#swipe span")
    box = handle.bounding_box()
    assert box is not None
    visit.page.mouse.move(box["x"] + 16, box["y"] + 16)
    visit.page.mouse.down()
    visit.page.mouse.move(300, 310, steps=5)
    visit.page.mouse.up()
    visit.settle()
    assert _alike(visit.colour(260, 200), SOURCE)
    assert _alike(visit.colour(400, 200), MAP)
    assert visit.page.locator("#swipe").get_attribute("aria-valuenow") == "33"
    visit.page.mouse.move(500, 400)  # the button is up: nothing follows the mouse
    assert visit.page.locator("#swipe").get_attribute("aria-valuenow") == "33"
    visit.page.keyboard.press("]")
    assert visit.page.locator("#swipe").get_attribute("aria-valuenow") == "38"
    visit.page.locator("#swipe").focus()
    visit.page.keyboard.press("ArrowLeft")
    assert visit.page.locator("#swipe").get_attribute("aria-valuenow") == "36"
    assert visit.complaints == []


def test_the_swipe_stays_while_the_map_moves(visit: Visit, page: Path) -> None:
    visit.open(page.as_uri())
    visit.page.locator("#map").focus()
    visit.page.keyboard.press("+")
    visit.settle()
    visit.page.keyboard.press("ArrowRight")
    visit.settle()
    assert visit.zoom() == "14"
    assert _alike(visit.colour(420, 300), SOURCE)
    assert _alike(visit.colour(480, 300), MAP)
    visit.page.set_viewport_size({"width": 700, "height": 500})
    visit.settle()
    assert _alike(visit.colour(320, 200), SOURCE)
    assert _alike(visit.colour(380, 200), MAP)
    assert visit.complaints == []


def test_opacity_keys_and_the_way_back(visit: Visit, page: Path) -> None:
    visit.open(page.as_uri())
    start = visit.page.locator(".leaflet-control-scale-line").all_inner_texts()
    visit.page.keyboard.press("m")
    visit.settle()
    assert _alike(visit.colour(520, 300), SOURCE)
    visit.page.keyboard.press("m")
    visit.page.locator("#opacity").fill("50")
    visit.settle()
    middle = tuple((a + b) // 2 for a, b in zip(MAP, SOURCE, strict=True))
    assert _alike(visit.colour(520, 300), middle)
    visit.page.keyboard.press(",")
    assert visit.page.locator("#opacity").input_value() == "40"
    for _ in range(2):
        visit.page.locator(".leaflet-control-zoom-in").click()
        visit.settle()
    assert visit.page.locator(".leaflet-control-scale-line").all_inner_texts() != start
    visit.page.locator("#extent").click()
    visit.settle()
    assert visit.page.locator(".leaflet-control-scale-line").all_inner_texts() == start
    visit.page.locator("#help").click()
    assert visit.page.locator("#keys").is_visible()
    visit.page.keyboard.press("p")
    assert not visit.page.locator("#panel").is_visible()
    assert visit.complaints == []


def test_without_the_sources_tiles_there_is_no_swipe(visit: Visit, tmp_path: Path) -> None:
    visit.open(_write(tmp_path / "t", with_source=False).as_uri())
    assert visit.count("map") >= 4
    assert not visit.page.locator("#swipe").is_visible()
    assert _alike(visit.colour(300, 300), MAP)
    visit.page.keyboard.press("]")
    assert visit.complaints == []
    assert not any("source" in url.rsplit("/t/")[-1] for url in visit.requests)


def test_a_render_with_its_source_swipes_from_a_disk(visit: Visit, tmp_path: Path) -> None:
    """What `render --with-source` writes, under the page that it writes: nothing else is needed."""
    window = PixelWindow(*(edge - edge % 256 for edge in WINDOW))
    pixels = np.full((window.height, window.width, 3), SOURCE, np.uint8)
    source = ArraySource(window, pixels, np.ones(pixels.shape[:2], np.bool_))
    plan = Plan(name=NAME, view=View(14), window=window, block_span=2)
    storage = Storage(minzoom=12, with_source=True)
    with open_output(tmp_path / "t", fake_job(plan, storage)) as output:
        run(source, _Red(), output)
    visit.open((tmp_path / "t" / "index.html").as_uri())
    assert visit.count("map") >= 4
    assert visit.count("source") >= 4
    assert [_alike(visit.colour(x, 250), colour) for x, colour in ((430, SOURCE), (470, MAP))] == [True, True]
    for _ in range(4):
        visit.page.keyboard.press("]")
    visit.settle()
    assert visit.page.locator("#swipe").get_attribute("aria-valuenow") == "70"
    assert [_alike(visit.colour(x, 250), colour) for x, colour in ((610, SOURCE), (650, MAP))] == [True, True]
    assert visit.complaints == []
    assert all(url.startswith(((tmp_path / "t").as_uri(), "data:")) for url in visit.requests)


def test_the_picture_in_the_readme(visit: Visit, town: Path, engine: Engine, tmp_path: Path) -> None:
    """A town's imagery left of the slider, the packaged model's map right of it, in the colours of the legend.

    GEO2MAP_PICTURE=docs/viewer.jpg pytest tests/conformance/test_viewer.py -k picture
    """
    render(town, tmp_path / "town", engine=engine, with_source=True)
    visit.open((tmp_path / "town" / "index.html").as_uri())
    for _ in range(2):
        visit.page.locator(".leaflet-control-zoom-in").click()
        visit.settle()
    picture = PIL.Image.open(io.BytesIO(visit.page.screenshot())).convert("RGB")
    shown = np.array(picture)[100:500]
    assert MAPS_PALETTE.share(shown[:, 470:650]) > 0.5 > 2 * MAPS_PALETTE.share(shown[:, 100:430])
    swatches = visit.page.locator("#legend i")
    found = [swatches.nth(number).bounding_box() for number in range(swatches.count())]
    assert engine.card.palette is not None
    for (_, colour), box in zip(engine.card.palette.entries, found, strict=True):
        assert box is not None
        middle = picture.getpixel((round(box["x"] + box["width"] / 2), round(box["y"] + box["height"] / 2)))
        assert _alike(middle, colour)
    assert visit.complaints == []
    picture.save(os.environ.get("GEO2MAP_PICTURE", tmp_path / "viewer.jpg"), quality=88, subsampling=0, optimize=True)


class _Red(PixelTranslator):
    """Draws the same everywhere."""

    batch = 1

    def translate_pixels(self, batch: Batch, margin: int = 0) -> Batch:
        return np.full_like(cropped(batch, margin), MAP)


def test_across_the_antimeridian_it_is_one_piece(visit: Visit, tmp_path: Path) -> None:
    world = 256 * 2**14
    window = PixelWindow(world - 512, 8000 * 256, world + 500, 8002 * 256)
    visit.open(_write(tmp_path / "t", window).as_uri())
    assert visit.complaints == []
    columns = {url.split("/")[-2] for url in visit.requests if "/t/14/" in url or "/t/13/" in url}
    assert {"0", "8191"} <= columns
    assert _alike(visit.colour(480, 300), MAP)
    assert _alike(visit.colour(420, 300), SOURCE)


def test_it_works_from_a_server(visit: Visit, web: Web) -> None:
    _write(web.root / "t")
    visit.open(web.url("t/index.html"))
    assert visit.count("map") >= 4
    assert visit.complaints == []
    assert all(url.startswith((web.url(""), "data:")) for url in visit.requests)


def test_facts_in_the_page_are_plain_json(visit: Visit, page: Path) -> None:
    visit.open(page.as_uri())
    facts: Any = json.loads(visit.page.locator("#facts").text_content() or "")
    assert [layer["role"] for layer in facts["layers"]] == ["source", "map"]


def _boxes_apart(visit: Visit, first: str, second: str) -> bool:
    a, b = (visit.page.locator(name).bounding_box() for name in (first, second))
    assert a is not None
    assert b is not None
    return a["x"] + a["width"] <= b["x"] or b["x"] + b["width"] <= a["x"] or a["y"] + a["height"] <= b["y"]


def test_on_a_phone_the_panel_is_folded_and_nothing_covers_the_scale(visit: Visit, page: Path) -> None:
    visit.page.set_viewport_size({"width": 360, "height": 640})
    visit.open(page.as_uri())
    assert visit.page.locator("h1").is_visible()
    assert visit.page.locator("#legend").is_hidden()
    assert _boxes_apart(visit, ".leaflet-control-scale", ".leaflet-control-attribution")
    visit.page.locator("#fold").click()
    assert visit.page.locator("#legend").is_visible()
    assert visit.page.locator("#fold").get_attribute("aria-expanded") == "true"
    assert visit.page.locator("#help").inner_text() == "Shortcuts"
    assert visit.complaints == []


def test_the_map_fits_beside_the_panel(visit: Visit, page: Path) -> None:
    """As large as there is room, at a zoom between two; a step from there is to a whole one."""
    visit.open(page.as_uri())
    picture = PIL.Image.open(io.BytesIO(visit.page.screenshot())).convert("RGB")
    drawn = np.abs(np.array(picture).astype(int)[:, :, None] - [MAP, SOURCE]).max(3).min(2) < 6
    rows, columns = np.flatnonzero(drawn.any(1)), np.flatnonzero(drawn.any(0))
    panel = visit.page.locator("#panel").bounding_box()
    assert panel is not None
    assert columns[-1] <= panel["x"]
    width, height = columns[-1] - columns[0], rows[-1] - rows[0]
    assert width > 0.95 * (panel["x"] - 30) or height > 0.9 * 550
    visit.page.locator(".leaflet-control-zoom-in").click()
    visit.settle()
    assert float(visit.page.url.split("#")[-1].split("/")[0]).is_integer()


def test_the_address_holds_the_place(visit: Visit, page: Path) -> None:
    visit.open(page.as_uri())
    visit.page.locator(".leaflet-control-zoom-in").click()
    visit.settle()
    address = visit.page.url
    scale = visit.page.locator(".leaflet-control-scale-line").all_inner_texts()
    visit.page.goto("about:blank")
    visit.open(address)
    assert visit.page.url == address
    assert visit.page.locator(".leaflet-control-scale-line").all_inner_texts() == scale
    visit.page.goto("about:blank")
    visit.open(f"{page.as_uri()}#here/or/there")
    assert visit.count("map") >= 4
    assert visit.complaints == []
