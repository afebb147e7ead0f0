"""Vector tiles on the web: what a server answers, and the page with MapLibre in a real browser (Debian's Chromium)."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import PIL.ImageColor
import pytest
from foreign import write_pmtiles
from mapbox_vector_tile import encode
from pmtiles.tile import Compression, TileType
from serving import running
from small_town import LEFT, TILESET, TOP, town_tiles, write_town

from geo2map.api.converting import convert
from geo2map.api.serving import stored_site
from geo2map.features import find_style
from geo2map.formats.vectors.on_demand import FeatureTiles
from geo2map.formats.vectors.read import FeatureFile
from geo2map.grid import PixelWindow, lnglat_bounds
from geo2map.live.app import make_app
from geo2map.tiles.codec import encode_tile

if TYPE_CHECKING:
    from browsing import Visit
    from conftest import Web

KINDS = ("v", "v.mbtiles", "v.pmtiles", "town.gpkg")
TILE = f"/17/{LEFT}/{TOP}.pbf"
TOKEN = "a-word-of-some-length"


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GeoPackage, and vector tiles of it in every container."""
    folder = tmp_path_factory.mktemp("vector")
    write_town(folder / "town.gpkg")
    for name in KINDS[:3]:
        convert(folder / "town.gpkg", folder / name)
    return folder


@pytest.fixture(scope="module", params=KINDS)
def app(outputs: Path, request: pytest.FixtureRequest) -> Iterator[Any]:
    with stored_site(outputs / request.param) as site:
        yield make_app(site)


def ask(app: Any, path: str, **headers: str) -> httpx.Response:
    async def fetch() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
            return await client.get(path, headers={"Accept-Encoding": "identity"} | headers)

    return asyncio.run(fetch())


def test_tiles_made_on_demand_are_those_that_are_stored(outputs: Path) -> None:
    stored, made = town_tiles(outputs / "town.gpkg"), FeatureTiles(FeatureFile.open(outputs / "town.gpkg"))
    assert {tile: made.get(tile) for tile in stored.data} == stored.data
    listed = {tile for zoom in stored.zooms for tile in made.tiles(zoom)}
    assert {tile for tile in listed if made.get(tile) is not None} == stored.data.keys()


def test_tiles_are_served_as_vector_tiles(app: Any, outputs: Path) -> None:
    plain = ask(app, TILE)
    assert (plain.status_code, plain.headers["content-type"]) == (200, "application/vnd.mapbox-vector-tile")
    assert plain.content == town_tiles(outputs / "town.gpkg").get((LEFT, TOP, 17))  # type: ignore[arg-type]
    assert "content-encoding" not in plain.headers
    packed = ask(app, TILE, **{"Accept-Encoding": "br, gzip;q=0.5"})
    assert (packed.content, packed.headers["content-encoding"]) == (plain.content, "gzip")
    assert int(packed.headers["content-length"]) < len(plain.content)
    assert "Accept-Encoding" in plain.headers["vary"]
    assert "Accept-Encoding" in packed.headers["vary"]
    for wanted in ("gzip;q=0", "br", ""):
        assert "content-encoding" not in ask(app, TILE, **{"Accept-Encoding": wanted}).headers


def test_each_encoding_has_a_tag_of_its_own(app: Any) -> None:
    plain, packed = (ask(app, TILE, **{"Accept-Encoding": how}) for how in ("identity", "gzip"))
    assert plain.headers["etag"] != packed.headers["etag"]
    for how, answer in (("identity", plain), ("gzip", packed)):
        again = ask(app, TILE, **{"Accept-Encoding": how, "If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


def test_documents_of_vector_tiles(app: Any) -> None:
    tilejson = ask(app, "/tilejson.json").json()
    assert [layer["id"] for layer in tilejson["vector_layers"]] == [*TILESET.feature_layers]
    assert tilejson["tiles"] == ["http://127.0.0.1:8000/{z}/{x}/{y}.pbf"]
    for name in ("maps", "dark", "print"):
        style = ask(app, f"/style.{name}.json").json()
        assert (style["name"], style["sources"]["map"]["tiles"]) == (name, tilejson["tiles"])
        assert {layer["source-layer"] for layer in style["layers"][1:]} == set(TILESET.feature_layers)
    for missing in (
        "/WMTSCapabilities.xml",
        "/style.bright.json",
        f"/17/{LEFT}/{TOP}.png",
        f"/17/{LEFT + 9}/{TOP}.pbf",
    ):
        assert ask(app, missing).status_code == 404


def test_pictures_beside_features_have_a_wmts(outputs: Path, tmp_path: Path) -> None:
    """A layer of imagery stays one that QGIS reads by WMTS."""
    folder = _with_imagery(outputs, tmp_path)
    with stored_site(folder) as site:
        told = ask(make_app(site), "/WMTSCapabilities.xml").text
    assert "(source)" in told
    assert "mapbox" not in told


def _with_imagery(outputs: Path, folder: Path) -> Path:
    """Vector tiles with a layer of imagery, all red, as `render --vector --with-source` leaves them."""
    convert(outputs / "town.gpkg", folder / "t")
    document = json.loads((folder / "t" / "tilejson.json").read_text())
    document["geo2map"]["layers"] = ["source"]
    (folder / "t" / "tilejson.json").write_text(json.dumps(document))
    red = encode_tile(np.full((256, 256, 3), (200, 0, 0), np.uint8), np.ones((256, 256), np.bool_), "png")
    for path in (folder / "t").rglob("*.pbf"):
        place = folder / "t" / "source" / path.relative_to(folder / "t").with_suffix(".png")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(red)
    return folder / "t"


# In a browser


def wait_for_features(visit: Visit) -> int:
    """Until the map is drawn; gives the number of features on the screen."""
    ready = "panel.map !== undefined && panel.map.loaded() && panel.map.areTilesLoaded()"
    for _ in range(200):
        visit.page.wait_for_timeout(100)
        if visit.page.evaluate(ready) and (found := visit.page.evaluate("panel.map.queryRenderedFeatures().length")):
            return int(found)
    return 0


def place(x: int, y: int) -> list[float]:
    """Longitude and latitude of a place of the map, in its pixels from the north-western corner."""
    return list(lnglat_bounds(PixelWindow(left := 256 * LEFT + x, top := 256 * TOP + y, left + 1, top + 1), 17)[::3])


def on_screen(visit: Visit, x: int, y: int) -> list[int]:
    """Where a place of the map is."""
    script = "(at) => { const point = panel.map.project(at); return [Math.round(point.x), Math.round(point.y)]; }"
    found: list[int] = visit.page.evaluate(script, place(x, y))
    return found


def click(visit: Visit, x: int, y: int) -> str:
    """Clicks a place of the map; gives what the panel says."""
    visit.page.mouse.click(*on_screen(visit, x, y))
    visit.page.wait_for_timeout(200)
    return visit.page.locator("#thing").inner_text()


def shown(visit: Visit, x: int, y: int) -> tuple[int, ...]:
    """The colour at a place of the map."""
    return visit.colour(*on_screen(visit, x, y))


def near(found: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    return max(abs(a - b) for a, b in zip(found, wanted, strict=True)) < 6


@pytest.mark.slow
def test_a_folder_on_any_web_server(visit: Visit, web: Web, outputs: Path) -> None:
    convert(outputs / "town.gpkg", web.root / "t")
    visit.page.goto(web.url("t/index.html"))
    assert wait_for_features(visit) > 0
    _look_around(visit)
    assert all(url.startswith((web.url("t/"), "blob:", "data:")) for url in visit.requests)


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_the_page_that_view_serves(name: str, visit: Visit, outputs: Path) -> None:
    with stored_site(outputs / name, token=TOKEN) as site, running(make_app(site)) as address:
        visit.page.goto(f"{address}/?token={TOKEN}")
        assert wait_for_features(visit) > 0
        _look_around(visit)
        assert all(url.startswith((address, "blob:", "data:")) for url in visit.requests)


def _look_around(visit: Visit) -> None:
    """Things, styles, layers, keys; and no word in the console."""
    maps, dark, paper = (find_style(name) for name in ("maps", "dark", "print"))
    park = click(visit, 500, 600)
    assert park.splitlines()[0] == "park"
    assert "area" in park
    assert "m\u00b2" in park
    assert "80 %" in park
    street = click(visit, 150, 400)
    assert street.splitlines()[0] == "road"
    assert "8 m" in street
    assert click(visit, 300, 700) != street
    assert click(visit, 150, 700) == "nothing is drawn here"
    assert near(shown(visit, 500, 600), maps.colour_of("park"))
    assert near(shown(visit, 100, 60), maps.colour_of("water"))
    assert visit.page.locator("#style option").all_inner_texts() == ["maps", "dark", "print"]
    visit.page.select_option("#style", "dark")
    wait_for_features(visit)
    assert near(shown(visit, 500, 600), dark.colour_of("park"))
    assert near(shown(visit, 150, 700), dark.background)
    swatches = visit.page.locator("#legend i").evaluate_all("all => all.map((each) => each.style.backgroundColor)")
    assert PIL.ImageColor.getrgb(swatches[0]) == dark.background
    visit.page.locator("#layers input[value=parks]").uncheck()
    wait_for_features(visit)
    assert near(shown(visit, 500, 600), dark.background)
    visit.page.locator("h1").click()
    visit.page.keyboard.press("s")
    wait_for_features(visit)
    assert near(shown(visit, 500, 600), paper.background)  # the layer stays off
    assert near(shown(visit, 100, 60), paper.colour_of("water"))
    visit.page.keyboard.press("i")
    assert visit.page.locator("#thing").is_visible()
    assert visit.complaints == []


@pytest.mark.slow
@pytest.mark.parametrize("size", [(390, 844), (360, 560), (900, 600)])
def test_it_opens_with_the_whole_map_beside_the_panel(visit: Visit, outputs: Path, size: tuple[int, int]) -> None:
    """On a phone, too, and again when the whole map is asked for."""
    width, height = size
    visit.page.set_viewport_size({"width": width, "height": height})
    with stored_site(outputs / "v") as site, running(make_app(site)) as address:
        visit.page.goto(address)
        assert wait_for_features(visit) > 0
        _require_whole(visit, width, height)
        if not visit.page.locator("#extent").is_visible():
            visit.page.locator("#fold").click()
        visit.page.evaluate("panel.map.jumpTo({ zoom: 18 })")
        visit.page.locator("#extent").click()
        assert wait_for_features(visit) > 0
        _require_whole(visit, width, height)
    assert visit.complaints == []


def _require_whole(visit: Visit, width: int, height: int) -> None:
    """The map is within the window, as large as it can be but for margins, and does not touch the panel."""
    (left, top), (right, bottom) = on_screen(visit, 0, 0), on_screen(visit, 3 * 256, 3 * 256)
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    panel = visit.page.locator("#panel").bounding_box()
    assert panel is not None
    assert right <= panel["x"] or top >= panel["y"] + panel["height"]
    free = panel["x"] if right <= panel["x"] else width
    assert right - left > 0.8 * free or bottom - top > 0.8 * height


@pytest.mark.slow
def test_two_zooms_beyond_the_last_edges_are_sharp(visit: Visit, outputs: Path) -> None:
    """Between the colours of water and land there is at most one pixel."""
    with stored_site(outputs / "v.pmtiles") as site, running(make_app(site)) as address:
        visit.page.goto(address)
        wait_for_features(visit)
        visit.page.evaluate("panel.map.jumpTo({ zoom: 30 })")  # as far as it goes
        assert visit.page.evaluate("panel.map.getZoom()") == TILESET.maxzoom + 2
        visit.page.evaluate("(center) => panel.map.jumpTo({ center })", place(200, 60))
        wait_for_features(visit)
        colours = [visit.colour(x, 300) for x in range(430, 470)]
    maps = find_style("maps")
    between = [
        colour for colour in colours if not near(colour, maps.colour_of("water")) and not near(colour, maps.background)
    ]
    assert near(colours[0], maps.colour_of("water"))
    assert near(colours[-1], maps.background)
    assert len(between) <= 1
    assert visit.complaints == []


@pytest.mark.slow
def test_imagery_below_can_be_switched_on(visit: Visit, outputs: Path, tmp_path: Path) -> None:
    with stored_site(_with_imagery(outputs, tmp_path)) as site, running(make_app(site)) as address:
        visit.page.goto(address)
        wait_for_features(visit)
        land = find_style("maps").background
        assert near(shown(visit, 150, 160), land)
        visit.page.locator("#layers input[value=source]").check()
        wait_for_features(visit)
        visit.page.wait_for_timeout(500)
        assert near(shown(visit, 150, 160), (200, 0, 0))
        assert near(shown(visit, 500, 600), find_style("maps").colour_of("park"))
        visit.page.locator("#opacity").fill("0")
        visit.page.wait_for_timeout(1000)
        assert near(shown(visit, 500, 600), (200, 0, 0))
    assert visit.complaints == []


@pytest.mark.slow
def test_from_a_disk_the_page_says_what_to_do(visit: Visit, outputs: Path) -> None:
    visit.page.goto((outputs / "v" / "index.html").as_uri())
    visit.page.wait_for_timeout(300)
    assert "geo2map view" in visit.page.locator("#notice").inner_text()
    assert visit.page.locator("#legend li").count() == 6
    assert visit.complaints == []


@pytest.mark.slow
def test_other_programs_tiles_are_shown_plainly(visit: Visit, tmp_path: Path) -> None:
    shape = "POLYGON ((0 0, 4096 0, 4096 4096, 0 4096, 0 0))"
    data = gzip.compress(encode([{"name": "sea<b>", "features": [{"geometry": shape, "properties": {"depth": 12}}]}]))
    facts = {"vector_layers": [{"id": "sea<b>", "fields": {}}], "attribution": "<i>us</i><script>alert(1)</script>"}
    path = write_pmtiles(tmp_path / "a.pmtiles", TileType.MVT, facts, data=data, tile_compression=Compression.GZIP)
    with stored_site(path) as site, running(make_app(site)) as address:
        visit.page.goto(address)
        assert wait_for_features(visit) > 0
        visit.page.mouse.click(300, 300)
        visit.page.wait_for_timeout(200)
        assert visit.page.locator("#thing").inner_text().split() == ["sea<b>", "depth", "12"]
        assert "us" in visit.page.locator(".maplibregl-ctrl-attrib").inner_text()
        assert visit.page.locator("#styles").is_hidden()
    assert visit.complaints == []
