"""GeoTIFFs: cloud-optimized as rio-cogeo and GDAL judge it, the tiles' own pixels, and none lost on the way."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import rasterio
from every_container import COLOURS, FIRST, TILESET, make_store
from rasterio.windows import Window

from geo2map.checking import check
from geo2map.errors import DataError, OutputError, TileSetError
from geo2map.formats.geotiff import write as geotiffs
from geo2map.formats.geotiff.write import write_geotiff
from geo2map.plan import Storage
from geo2map.tiles.codec import TileCodec, decode_tile
from geo2map.tiles.store import MemoryStore
from geo2map.types import Compression

cog_validate = pytest.importorskip("rio_cogeo", reason="needs rio-cogeo").cog_validate


@pytest.fixture(scope="module")
def rgba() -> MemoryStore:
    return make_store(TileCodec("png"))


@pytest.fixture(scope="module")
def indexed() -> MemoryStore:
    return make_store(Storage(palette=COLOURS).codec)


def rgba_of(path: Path, level: int, window: Window) -> np.ndarray:
    """uint8 (4, H, W) of a level of a file, 0 where transparent; from a table where it has one."""
    options = {"OVERVIEW_LEVEL": level - 1} if level else {}
    with rasterio.open(path, **options) as dataset:
        bands = dataset.read(window=window, boundless=True, fill_value=dataset.nodata or 0)
        if dataset.count == 4:
            return bands
        table = np.array([dataset.colormap(1)[number] for number in range(256)], dtype=np.uint8)
        table[255] = 0
        return np.moveaxis(table[bands[0]], -1, 0)


def same_pixels(path: Path, store: MemoryStore) -> None:
    """Every tile of every zoom is in the file, in its place."""
    for zoom in (14, 13, 12):
        step = 2 ** (14 - zoom)
        left, top = FIRST.x * 256 // step, FIRST.y * 256 // step
        for tile in store.tiles(zoom):
            window = Window(tile.x * 256 - left, tile.y * 256 - top, 256, 256)
            inside = window.intersection(Window(0, 0, 768 // step, 768 // step))
            found = rgba_of(path, 14 - zoom, inside)
            pixels, mask = decode_tile(store.data[tile])
            wanted = np.concatenate([np.moveaxis(pixels, -1, 0), mask[None] * np.uint8(255)])
            row, column = inside.row_off - window.row_off, inside.col_off - window.col_off
            assert np.array_equal(found, wanted[:, row : row + inside.height, column : column + inside.width]), tile


@pytest.mark.parametrize("compression", get_args(Compression))
def test_a_valid_cog_of_the_tiles_own_pixels(compression: Compression, rgba: MemoryStore, tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    write_geotiff(rgba, TILESET, path, compression=compression)
    assert cog_validate(path, strict=True, quiet=True) == (True, [], [])
    same_pixels(path, rgba)
    with rasterio.open(path) as dataset:
        assert dataset.profile["compress"] == compression
        assert dataset.block_shapes == [(256, 256)] * 4
        assert dataset.overviews(1) == [2, 4]
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
    assert check(path).ok
    first = path.read_bytes()
    write_geotiff(rgba, TILESET, path, compression=compression)
    assert path.read_bytes() == first
    assert [file.name for file in tmp_path.iterdir()] == ["a.tif"]


@pytest.mark.parametrize("compression", ["deflate", "zstd"])
def test_indexed_tiles_keep_their_table(compression: Compression, indexed: MemoryStore, tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    write_geotiff(indexed, TILESET, path, compression=compression)
    assert cog_validate(path, strict=True, quiet=True) == (True, [], [])
    same_pixels(path, indexed)
    with rasterio.open(path) as dataset:
        assert [band.name for band in dataset.colorinterp] == ["palette"]
        assert [list(dataset.colormap(1)[number][:3]) for number in range(4)] == sorted(COLOURS)
        assert dataset.nodata == 255
    assert check(path).ok


def test_one_tile_that_is_not_indexed_makes_it_rgba(indexed: MemoryStore, rgba: MemoryStore, tmp_path: Path) -> None:
    mixed = MemoryStore()
    mixed.data = indexed.data | {FIRST: rgba.data[FIRST]}
    write_geotiff(mixed, TILESET, tmp_path / "a.tif")
    with rasterio.open(tmp_path / "a.tif") as dataset:
        assert dataset.count == 4
    same_pixels(tmp_path / "a.tif", mixed)


def test_webp_has_no_table(indexed: MemoryStore, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="colour table") as caught:
        write_geotiff(indexed, TILESET, tmp_path / "a.tif", compression="webp")
    assert caught.value.option == "compress"
    with pytest.raises(DataError, match="no palette"):
        Storage(palette=COLOURS, compress="webp")
    with pytest.raises(DataError, match="deflate, zstd, webp"):
        Storage(compress="lzw")  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_not_what_was_written_is_found(
    rgba: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GDAL says nothing of a disk that fills up while it closes a file."""
    copy = geotiffs.copy_as_cog

    def lossy(source: Path, path: Path, compression: Compression) -> None:
        with rasterio.open(source, "r+") as dataset:
            dataset.write(np.zeros((4, 256, 256), np.uint8), window=Window(512, 512, 256, 256))
        copy(source, path, compression)

    monkeypatch.setattr(geotiffs, "copy_as_cog", lossy)
    with pytest.raises(OutputError, match="1 blocks missing"):
        write_geotiff(rgba, TILESET, tmp_path / "a.tif")


def test_a_full_disk_is_one_sentence(rgba: MemoryStore, tmp_path: Path) -> None:
    """A limit on the size of files, which this process may lift again, stands for the disk."""
    resource = pytest.importorskip("resource", reason="needs a system with limits on the size of files")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, before[1]))
    try:
        with pytest.raises(OutputError, match=r"disk"):
            write_geotiff(rgba, TILESET, tmp_path / "a.tif")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not [file for file in tmp_path.iterdir() if file.name != "a.tif"]


def test_a_broken_tile_is_named(rgba: MemoryStore, tmp_path: Path) -> None:
    broken = MemoryStore()
    broken.data = rgba.data | {FIRST: b"\x89PNG"}
    with pytest.raises(TileSetError, match=f"tile 14/{FIRST.x}/{FIRST.y}"):
        write_geotiff(broken, TILESET, tmp_path / "a.tif")
    assert not list(tmp_path.iterdir())
