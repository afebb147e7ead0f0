"""GDAL reads every zoom of a tile set by its tiles.xml, wherever the folder lies, whichever way its rows count."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import mercantile
import numpy as np
import pytest
import rasterio

from geo2map.colour.palette import MAPS_PALETTE
from geo2map.formats.documents.sidecars import sidecars
from geo2map.grid import PixelWindow
from geo2map.tiles.codec import encode_tile
from geo2map.tiles.tilejson import TileSet
from geo2map.types import Scheme

NAME = "Jakarta <b> & \"its\" 'parks' 東京"
LEFT, TOP, RIGHT, BOTTOM = 13055, 8467, 13060, 8470  # tiles of zoom 14
WINDOW = PixelWindow(LEFT * 256 + 37, TOP * 256 + 21, RIGHT * 256, BOTTOM * 256 - 3)
TILESET = TileSet(NAME, "png", 12, 14, WINDOW)
HOLE = (13057, 8468)


def _colour(zoom: int, x: int, y: int) -> tuple[int, int, int]:
    return 10 * zoom, 40 * (x % 6), 40 * (y % 6)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tile set that was moved after it was written, except for the address in tiles.xml."""
    moved = tmp_path_factory.mktemp("moved") / "my maps & 'ü'"
    made = tmp_path_factory.mktemp("made") / "tiles"
    mask = np.ones((256, 256), np.bool_)
    for zoom in (12, 13, 14):
        size = 1 << (14 - zoom)
        for x in range(LEFT // size, -(-RIGHT // size)):
            for y in range(TOP // size, -(-BOTTOM // size)):
                if (x, y) != HOLE:
                    path = made / str(zoom) / str(x) / f"{y}.png"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(encode_tile(np.full((256, 256, 3), _colour(zoom, x, y), np.uint8), mask, "png"))
    for name, data in sidecars(TILESET, MAPS_PALETTE.entries, {}, address=moved.as_uri()).items():
        (made / name).write_bytes(data)
    made.rename(moved)
    return moved


@pytest.mark.parametrize("scheme", ["xyz", "tms"])
def test_gdal_reads_every_zoom_of_the_description(scheme: Scheme, folder: Path, tmp_path: Path) -> None:
    if scheme == "tms":
        folder = _from_the_south(folder, tmp_path / "tms")
    with rasterio.open(folder / "tiles.xml") as found:
        assert (found.crs.to_epsg(), found.count) == (3857, 4)
        assert found.overviews(1) == [2, 4]
        for x in range(LEFT, RIGHT):
            for y in range(TOP, BOTTOM):
                window = found.window(*mercantile.xy_bounds(x, y, 14)).round_offsets().round_lengths()
                bands = found.read(window=window)
                expected = [0, 0, 0, 0] if (x, y) == HOLE else [*_colour(14, x, y), 255]
                assert (bands == np.array(expected)[:, None, None]).all()
    for level, zoom in ((0, 13), (1, 12)):
        with rasterio.open(folder / "tiles.xml", OVERVIEW_LEVEL=level) as found:
            tile = mercantile.Tile(LEFT >> (14 - zoom), TOP >> (14 - zoom), zoom)
            window = found.window(*mercantile.xy_bounds(*tile)).round_offsets().round_lengths()
            assert found.read(window=window)[:, 9, 9].tolist() == [*_colour(zoom, tile.x, tile.y), 255]


def _from_the_south(folder: Path, made: Path) -> Path:
    """The same tiles in files whose rows count from the south, with a description of their own."""
    for path in folder.rglob("*.png"):
        zoom, column = path.parts[-3:-1]
        target = made / zoom / column / f"{2 ** int(zoom) - 1 - int(path.stem)}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    tileset = replace(TILESET, scheme="tms")
    (made / "tiles.xml").write_bytes(sidecars(tileset, (), {}, address=made.as_uri())["tiles.xml"])
    return made
