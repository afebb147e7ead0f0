"""GeoTIFFs on the tile grid that others made: sound overviews of any kernel are sound, wrong ones are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp, Resampling
from rasterio.shutil import copy

from geo2map.api.converting import convert
from geo2map.checking import check
from geo2map.errors import TileSetError
from geo2map.formats.opened import open_tiles
from geo2map.grid import PixelWindow, window_transform
from geo2map.tiles.codec import decode_tile
from geo2map.types import Tile

WINDOW = PixelWindow(38616 * 256, 49268 * 256, 38620 * 256, 49272 * 256)


def write(path: Path, kernel: Resampling | None, bands: int = 4, kind: str = "noise", **profile: Any) -> Path:
    """A raster of 1,024 x 1,024 px on the grid of zoom 17, with overviews by a kernel."""
    y, x = np.mgrid[:1024, :1024]
    waves = np.stack([90 + 50 * np.sin(x / 37) + 40 * np.cos(y / 23) + 10 * band for band in range(bands)])
    noise = np.random.default_rng(0).integers(0, 256, waves.shape)
    pixels = (noise if kind == "noise" else waves).astype(np.uint8)
    if bands == 4:
        pixels[3] = 255
    shape = {"width": 1024, "height": 1024, "count": bands, "dtype": "uint8", "crs": "EPSG:3857"}
    place = {"transform": window_transform(WINDOW, 17), "tiled": True, "blockxsize": 256, "blockysize": 256}
    with rasterio.open(path, "w", driver="GTiff", **shape, **place, **profile) as made:
        made.write(pixels)
        if bands == 4:
            made.colorinterp = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]
        if kernel is not None:
            made.build_overviews([2, 4], kernel)
    return path


KERNELS = ("nearest", "bilinear", "cubic", "cubic_spline", "lanczos", "average", "mode", "gauss", "rms")


@pytest.mark.parametrize("kind", ["noise", "waves"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_overviews_of_any_kernel_are_sound(kernel: str, kind: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", Resampling[kernel], kind=kind)
    assert check(path).ok, check(path)
    copy(path, tmp_path / "cog.tif", driver="COG", overview_resampling=kernel)
    assert check(tmp_path / "cog.tif").ok
    convert(path, tmp_path / "tiles")
    assert check(tmp_path / "tiles").ok


@pytest.mark.parametrize("kind", ["noise", "waves"])
def test_overviews_of_other_pixels_are_found(kind: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", Resampling.nearest, kind=kind)
    with rasterio.open(path, "r+", OVERVIEW_LEVEL=0) as overview:
        overview.write(255 - overview.read([1, 2, 3]), [1, 2, 3])
    assert "stale" in {problem.kind for problem in check(path).problems}


@pytest.mark.parametrize("bands", [1, 2, 3])
def test_rasters_without_alpha(bands: int, tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", Resampling.cubic, bands, "waves")
    report = check(path)
    assert report.ok, report
    assert report.tiles == 16
    convert(path, tmp_path / "tiles")
    assert check(tmp_path / "tiles").ok


def test_a_mask_beside_colours(tmp_path: Path) -> None:
    """As a COG of JPEG has it."""
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        path = write(tmp_path / "a.tif", None, 3, "waves")
        with rasterio.open(path, "r+") as made:
            valid = np.zeros((1024, 1024), dtype=np.uint8)
            valid[:600, :700] = 255
            made.write_mask(valid)
            made.build_overviews([2, 4], Resampling.average)
    assert check(path).ok, check(path)
    convert(path, tmp_path / "tiles")
    with open_tiles(tmp_path / "tiles") as (store, _):
        assert len(list(store.tiles(17))) == 9
        pixels, mask = decode_tile(store.get(Tile(38618, 49270, 17)) or b"")
    assert np.array_equal(mask, valid[512:768, 512:768] > 0)
    with rasterio.open(path) as made:
        expected = np.moveaxis(made.read(window=((512, 768), (512, 768))), 0, -1)
    assert np.array_equal(pixels[mask], expected[mask])


def test_levels_that_are_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", None)
    with rasterio.open(path, "r+") as made:
        made.build_overviews([4], Resampling.average)
    assert check(path).ok
    with pytest.raises(TileSetError, match="overviews do not halve"):
        convert(path, tmp_path / "tiles")


def test_more_than_8_bits(tmp_path: Path) -> None:
    shape = {"width": 256, "height": 256, "count": 1, "dtype": "uint16", "crs": "EPSG:3857"}
    transform = window_transform(PixelWindow(0, 0, 256, 256), 3)
    with rasterio.open(tmp_path / "a.tif", "w", driver="GTiff", **shape, transform=transform) as made:
        made.write(np.ones((1, 256, 256), np.uint16))
    with pytest.raises(TileSetError, match=r"pixels are uint16, not 8-bit"):
        check(tmp_path / "a.tif")
    with pytest.raises(TileSetError, match=r"its pixels are uint16, not 8-bit"):
        convert(tmp_path / "a.tif", tmp_path / "tiles")


def test_words_come_out_of_a_raster(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", Resampling.average, kind="waves")
    with rasterio.open(path, "r+") as made:
        made.update_tags(TIFFTAG_COPYRIGHT="(c) Q", TIFFTAG_IMAGEDESCRIPTION="flown 2024")
    convert(path, tmp_path / "tiles")
    with open_tiles(tmp_path / "tiles") as (store, tileset):
        assert tileset.words == {"attribution": "(c) Q", "description": "flown 2024"}
        assert Tile(38616, 49268, 17) in set(store.tiles(17))
