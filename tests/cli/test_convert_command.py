"""The command line of conversions and of rasters on other grids: what is parsed, and how mistakes are named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import rasterio

from geo2map.tiles.folder import XyzFolder


@pytest.fixture
def tiles(geo2map: Any, small_scene: Path, tmp_path: Path) -> Path:
    done = geo2map("tile", small_scene, "--out", tmp_path / "tiles", "--zoom", 17)
    assert done.code == 0, done.err
    return tmp_path / "tiles"


def test_options_arrive(geo2map: Any, tiles: Path, tmp_path: Path) -> None:
    done = geo2map("convert", tiles, tmp_path / "tms", "--scheme", "tms", "--zoom", "16-17", "--format", "webp")
    assert (done.code, done.out.strip()) == (0, str(tmp_path / "tms")), done.err
    folder = XyzFolder(tmp_path / "tms")
    assert (folder.scheme, folder.format, folder.zooms) == ("tms", "webp", (16, 17))
    assert geo2map("convert", tiles, tmp_path / "a.tif", "--compress", "zstd").code == 0
    assert geo2map("mosaic", tiles, "--out", tmp_path / "b.tif", "--compress", "zstd").code == 0
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()
    with rasterio.open(tmp_path / "a.tif") as dataset:
        assert dataset.profile["compress"] == "zstd"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("a.tif", "--format", "webp"), 2, "no tile format; leave it out"),
        (("a.mbtiles", "--scheme", "tms"), 2, "--scheme"),
        (("t", "--compress", "zstd"), 2, "--compress"),
        (("t", "--zoom", "17-3"), 2, "give the lower one first"),
        (("t", "--zoom", "x"), 2, "neither a zoom nor two"),
        (("t", "--bounds", "0,0,1,1"), 1, "no tiles within"),
        (("t", "--bounds", "0,0"), 2, "four numbers in degrees"),
        (("a.shp",), 1, ".mbtiles, .parquet, .pmtiles, .tif"),
        (("a.gpkg",), 1, "which colour is which class"),
    ],
)
def test_mistakes(arguments: tuple[str, ...], code: int, said: str, geo2map: Any, tiles: Path, tmp_path: Path) -> None:
    name, *options = arguments
    done = geo2map("convert", tiles, tmp_path / name, *options)
    assert (done.code, said in done.err) == (code, True), done.err
    assert not (tmp_path / name).exists()
    assert not [path.name for path in tmp_path.iterdir() if "partial" in path.name]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--grid", "scene"), "--grid"),
        (("--crs-out", "EPSG:32618"), "is on the web-mercator grid"),
        (("--classes", "--palette", "maps"), "--classes"),
        (("--classes", "--format", "webp"), "leave out palette, format and WebP"),
    ],
)
def test_renders_that_cannot_be(
    options: tuple[str, ...], said: str, geo2map: Any, small_scene: Path, tmp_path: Path
) -> None:
    done = geo2map("render", small_scene, "--out", tmp_path / "t", *options)
    assert (done.code, said in done.err) == (2, True), done.err
    assert [path.name for path in tmp_path.iterdir()] == ["small.tif"]
