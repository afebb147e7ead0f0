"""QGIS opens every kind of output, says the right things of it, and draws the very pixels in their places.

One QGIS process looks at all. It has no reader for raster PMTiles (GDAL's is for vectors only, from 3.8 on), so that
such a file is looked at through `geo2map view`. Folders are opened by an address as QGIS writes it, by the layer
definition beside them after they were moved, and by tiles.xml.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import mercantile
import numpy as np
import PIL.Image
import pytest
import rasterio
from desktop import ask_qgis, drawn, require_qgis
from jakarta import BLOCK, NAME, UTM, WINDOW, make_output, mercator_bounds, rgba, waves
from rasterio.transform import array_bounds
from serving import running

from geo2map.api.serving import stored_site
from geo2map.colour.palette import MAPS_PALETTE
from geo2map.grid import lnglat_bounds, mercator_resolution
from geo2map.grid.block import BlockImage
from geo2map.live.app import make_app

pytestmark = pytest.mark.slow

OUTPUTS: dict[str, dict[str, Any]] = {
    "xyz": {},
    "tms": {"scheme": "tms"},
    "classes": {"classes": True, "legend": MAPS_PALETTE.entries},
    "map.mbtiles": {},
    "map.pmtiles": {},
    "map.tif": {},
    "own.tif": {"grid": UTM},
    "classes.tif": {"classes": True, "legend": MAPS_PALETTE.entries},
}
"""How the map is stored in each, by its name."""
OF_CLASSES = ("classes/1", "classes.tif")
ON_DISK = ("map.tif", "own.tif", "classes.tif")
FOLDERS = ("xyz", "tms", "classes")
LAYERS = ("address", *(f"{name}/1" for name in FOLDERS), "map.mbtiles", "map.pmtiles", *ON_DISK)
"""By address, by layer definition (0 is the outline), as a file."""
EDGE = 8  # pixels around the map
VIEWS = {"whole": 1, "half": 2, "quarter": 4}
HAIR = 0.0001
NUDGES = ((HAIR, 0), (HAIR, 0.03), (0, 0.01), (0, 0.02), (0, 0.1))
"""Screen pixels by which a view is widened and moved, far less than one. Right on the grid QGIS 3.22 rounds edges of
tiles by chance of the last digits: some views come out stretched by a pixel, others moved by one as a whole."""
SHIFTS = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
ENLARGED = 3  # odd, so that every map pixel's middle is a screen pixel's, whatever the resampling
PLACES = ((21, 37), (20, 37), (100, 700), (255, 511), (256, 511), (256, 512), (400, 1023), (511, 768), (764, 1279))
"""Rows and columns: first and last valid pixels, one beside them, both sides of tile borders, one in the hole."""


class Shown(NamedTuple):
    """What QGIS told, and where its pictures and the outputs lie."""

    told: dict[str, Any]
    pictures: Path
    outputs: Path

    def picture(self, layer: str, view: str) -> np.ndarray:
        """int (H, W, 4)"""
        return drawn(self.pictures / f"{layer.replace('/', '-')} {view}.png")


def _place(layer: str) -> tuple[str, tuple[float, ...], float, tuple[int, int]]:
    """The CRS that a layer is drawn in, the map's bounds and pixel size there, and its columns and rows."""
    if layer == "own.tif":
        return UTM.crs, array_bounds(UTM.height, UTM.width, UTM.transform), UTM.transform.a, (UTM.width, UTM.height)
    return "EPSG:3857", mercator_bounds(), mercator_resolution(BLOCK.z), (BLOCK.core.width, BLOCK.core.height)


def _picture(folder: Path, layer: str, view: str, scale: float, nudge: tuple[float, float]) -> dict[str, Any]:
    """What to draw: the map with an edge, `scale` screen pixels to one of the map's."""
    crs, (left, bottom, right, top), unit, size = _place(layer)
    around, move = (pixels * unit / scale for pixels in nudge)
    edge = EDGE * unit + around
    return {
        "layer": layer,
        "crs": crs,
        "bounds": [left - edge + move, bottom - edge + move, right + edge + move, top + edge + move],
        "size": [round((pixels + 2 * EDGE) * scale) for pixels in size],
        "path": str(folder / f"{layer.replace('/', '-')} {view}.png"),
    }


def _pictures(folder: Path, layer: str) -> Iterator[dict[str, Any]]:
    yield _picture(folder, layer, "close", ENLARGED, (HAIR, 0))
    for view, step in VIEWS.items():
        for number, nudge in enumerate(NUDGES):
            yield _picture(folder, layer, f"{view} {number}", 1 / step, nudge)


@contextmanager
def _served(path: Path) -> Iterator[str]:
    """A tile's address, as `geo2map view` serves a file."""
    with stored_site(path) as site, running(make_app(site)) as address:
        yield f"{address}/%7Bz%7D/%7Bx%7D/%7By%7D.png"


def _connection(url: str) -> dict[str, str]:
    """As QGIS writes an XYZ connection."""
    return {"source": f"type=xyz&url={url}&zmin=12&zmax=14", "provider": "wms"}


@pytest.fixture(scope="module")
def image() -> BlockImage:
    return waves()


@pytest.fixture(scope="module")
def outputs(image: BlockImage, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every kind, moved after it was made."""
    made, moved = tmp_path_factory.mktemp("made") / "maps", tmp_path_factory.mktemp("moved") / "my maps & 'ü'"
    require_qgis(made.parent)
    for name, storage in OUTPUTS.items():
        address = {"address": (moved / name).as_uri()} if name in FOLDERS else {}
        make_output(made / name, image, **storage, **address)
    made.rename(moved)
    return moved


@pytest.fixture(scope="module")
def shown(outputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Shown:
    home = tmp_path_factory.mktemp("qgis")
    files = {name: {"source": str(outputs / name), "provider": "gdal"} for name in ON_DISK}
    files["tiles.xml"] = {"source": str(outputs / "xyz" / "tiles.xml"), "provider": "gdal"}
    mbtiles = {"source": f"type=mbtiles&url={(outputs / 'map.mbtiles').as_uri()}", "provider": "wms"}
    with _served(outputs / "map.pmtiles") as url:
        asked = {
            "layers": files
            | {"map.mbtiles": mbtiles, "map.pmtiles": _connection(url)}
            | {"address": _connection(f"{(outputs / 'xyz').as_uri()}/%7Bz%7D/%7Bx%7D/%7By%7D.png")},
            "definitions": {name: str(next((outputs / name).glob("*.qlr"))) for name in FOLDERS},
            "pictures": [picture for layer in LAYERS for picture in _pictures(home, layer)],
            "samples": {"map.tif": [_lnglat(*place) for place in PLACES]},
        }
        return Shown(ask_qgis(home, asked), home, outputs)


def _lnglat(row: int, column: int) -> tuple[float, float]:
    """The middle of a pixel."""
    left, _, _, top = mercator_bounds()
    unit = mercator_resolution(BLOCK.z)
    return tuple(mercantile.lnglat(left + unit * (column + 0.5), top - unit * (row + 0.5)))


def _stored(folder: Path, step: int) -> np.ndarray:
    """The map's pixels at a zoom as Pillow reads them from a folder, int (H, W, 4)."""
    left, top = BLOCK.core.left // step, BLOCK.core.top // step
    width, height = BLOCK.core.width // step, BLOCK.core.height // step
    whole = PIL.Image.new("RGBA", (width, height))
    for path in (folder / str(15 - step.bit_length())).rglob("*.png"):
        whole.paste(
            PIL.Image.open(path).convert("RGBA"), (int(path.parent.name) * 256 - left, int(path.stem) * 256 - top)
        )
    return _clear(np.array(whole).astype(int))


def _clear(pixels: np.ndarray) -> np.ndarray:
    """What is transparent is so in one way."""
    return pixels * (pixels[..., 3:] > 0)


def _raster(path: Path, step: int) -> np.ndarray:
    """As rasterio reads a raster or one of its overviews, int (H, W, 4)."""
    level = {} if step == 1 else {"OVERVIEW_LEVEL": step.bit_length() - 2}
    with rasterio.open(path, **level) as dataset:
        return _clear(np.moveaxis(dataset.read(), 0, -1).astype(int))


def _expected(shown: Shown, layer: str, step: int) -> np.ndarray:
    if layer == "own.tif":
        return _raster(shown.outputs / layer, step)
    return _stored(shown.outputs / ("classes" if layer in OF_CLASSES else "xyz"), step)


def _framed(pixels: np.ndarray, edge: int) -> np.ndarray:
    return np.pad(pixels, ((edge, edge), (edge, edge), (0, 0)))


def test_what_is_expected_is_the_image(shown: Shown, image: BlockImage) -> None:
    assert (_stored(shown.outputs / "xyz", 1) == rgba(image)).all()
    colours = np.array([dict(reversed(MAPS_PALETTE.entries))[name] for name in MAPS_PALETTE.classes])
    classes = colours[MAPS_PALETTE.classify(image.pixels)] * image.mask[..., None]
    assert (_stored(shown.outputs / "classes", 1)[..., :3] == classes).all()
    own = _raster(shown.outputs / "own.tif", 1)[..., 3]
    assert 0 < (own == 0).sum() < own.size / 4  # the hole is in it, and little else is missing


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("layer", LAYERS)
def test_it_is_drawn_pixel_by_pixel(shown: Shown, layer: str, view: str) -> None:
    step = VIEWS[view]
    expected = _framed(_expected(shown, layer, step), EDGE // step)
    shifts = ((0, 0),) if layer in ON_DISK else SHIFTS
    pictures = [shown.picture(layer, f"{view} {number}") for number in range(len(NUDGES))]
    moved = [np.roll(expected, shift, (0, 1)) for shift in shifts]
    wrong = [min(int((picture != wanted).any(axis=-1).sum()) for wanted in moved) for picture in pictures]
    assert min(wrong) == 0, wrong


@pytest.mark.parametrize("layer", LAYERS)
def test_it_is_drawn_in_its_place(shown: Shown, layer: str) -> None:
    """Enlarged, so that QGIS's rounding is a third of a pixel."""
    middles = slice(ENLARGED // 2, None, ENLARGED)
    found, expected = shown.picture(layer, "close")[middles, middles], _framed(_expected(shown, layer, 1), EDGE)
    if layer in ON_DISK:
        assert (found == expected).all()
    moved = {shift: float(np.abs(np.roll(expected, shift, (0, 1)) - found).mean()) for shift in SHIFTS}
    assert moved.pop((0, 0)) < min(moved.values()) / 2


@pytest.mark.parametrize("layer", LAYERS)
def test_it_opens_in_its_crs_with_its_zooms(shown: Shown, layer: str) -> None:
    told = shown.told["layers"][layer]
    crs, _, finest, _ = _place(layer)
    assert (told["valid"], told["crs"]) == (True, crs)
    assert told["resolutions"] == pytest.approx([finest, 2 * finest, 4 * finest], rel=1e-9)


@pytest.mark.parametrize("layer", ON_DISK)
def test_a_raster_is_as_large_as_its_pixels(shown: Shown, layer: str) -> None:
    assert shown.told["layers"][layer]["extent"] == pytest.approx(_place(layer)[1], abs=1e-6)


def test_mbtiles_are_as_large_as_the_map(shown: Shown) -> None:
    west, south, east, north = lnglat_bounds(WINDOW, BLOCK.z)
    corners = [*mercantile.xy(west, south), *mercantile.xy(east, north)]
    assert shown.told["layers"]["map.mbtiles"]["extent"] == pytest.approx(corners, abs=0.01)


@pytest.mark.parametrize("layer", ["address", "map.pmtiles", *(f"{name}/1" for name in FOLDERS)])
def test_tiles_at_an_address_are_as_large_as_the_world(shown: Shown, layer: str) -> None:
    half = 20037508.342789244
    assert shown.told["layers"][layer]["extent"] == pytest.approx([-half, -half, half, half])


def test_the_description_for_gdal_opens_around_the_map(shown: Shown) -> None:
    told = shown.told["layers"]["tiles.xml"]
    assert (told["valid"], told["crs"]) == (True, "EPSG:3857")
    left, bottom, right, top = told["extent"]
    inner = mercator_bounds()
    assert left < inner[0] + 1e-6 < inner[2] < right + 1e-6
    assert bottom < inner[1] + 1e-6 < inner[3] < top + 1e-6
    assert right - left < 3 * (inner[2] - inner[0])


@pytest.mark.parametrize("name", FOLDERS)
def test_a_layer_definition_opens_where_it_lies(shown: Shown, name: str) -> None:
    """Tiles, and an outline to zoom to."""
    outline, tiles = (shown.told["layers"][f"{name}/{number}"] for number in (0, 1))
    assert shown.told["groups"][name] == [NAME]
    assert (tiles["name"], outline["name"], outline["valid"]) == (NAME, f"{NAME}: outline and legend", True)
    row = "{-y}" if name == "tms" else "{y}"
    assert f"{shown.outputs}/{name}/{{z}}/{{x}}/{row}.png" in unquote(tiles["source"])
    assert (outline["crs"], outline["extent"]) == (
        "EPSG:4326",
        pytest.approx(list(lnglat_bounds(WINDOW, BLOCK.z)), abs=1e-8),
    )


def _legend() -> list[tuple[str, str]]:
    """Each class once, in its first colour."""
    first = dict(reversed(MAPS_PALETTE.entries))
    return [(known, "#{:02x}{:02x}{:02x}".format(*first[known])) for known in MAPS_PALETTE.classes]


@pytest.mark.parametrize("name", FOLDERS)
def test_a_layer_definition_has_the_legend(shown: Shown, name: str) -> None:
    _, *entries = shown.told["layers"][f"{name}/0"]["legend"]
    assert [tuple(entry) for entry in entries] == _legend()


def test_a_raster_of_classes_names_its_codes(shown: Shown) -> None:
    legend = shown.told["layers"]["classes.tif"]["legend"]
    assert [tuple(entry) for entry in legend] == [(code, *entry) for code, entry in enumerate(_legend())]


def test_the_geotiff_has_the_images_values_at_places(shown: Shown, image: BlockImage) -> None:
    assert shown.told["samples"]["map.tif"] == [rgba(image)[place].tolist() for place in PLACES]
