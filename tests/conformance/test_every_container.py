"""Every kind of output holds the same tiles, becomes every other kind, and refuses what makes no sense."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from every_container import COLOURS, FIRST, TILESET, make_store, tiles_in, write_set
from snapshots import read_files

from geo2map.api import mosaic_tiles
from geo2map.api.converting import convert
from geo2map.checking import check
from geo2map.errors import OutputError, TileSetError, ZoomError
from geo2map.formats.documents.sidecars import sidecars
from geo2map.formats.opened import open_tiles
from geo2map.grid import lnglat_bounds, tile_window
from geo2map.plan import Storage
from geo2map.tiles.codec import TileCodec, decode_tile, encode_tile
from geo2map.tiles.folder import XyzFolder
from geo2map.tiles.inventory import JOURNAL_NAME
from geo2map.tiles.store import MemoryStore
from geo2map.types import Tile

KINDS: dict[str, dict[str, Any]] = {
    "xyz": {},
    "tms": {"scheme": "tms"},
    "a.mbtiles": {},
    "a.pmtiles": {},
    "a.tif": {},
}


def files_but_journal(path: Path) -> dict[str, bytes]:
    """All files of an output except the record of what it was rendered from."""
    return {name: data for name, data in read_files(path).items() if Path(name).name != JOURNAL_NAME}


@pytest.fixture(scope="module")
def rgba() -> MemoryStore:
    return make_store(TileCodec("png"))


@pytest.fixture(scope="module")
def made(rgba: MemoryStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One set, in every kind."""
    folder = tmp_path_factory.mktemp("made")
    write_set(rgba, folder / "set")
    for name, options in KINDS.items():
        convert(folder / "set", folder / name, **options)
    return folder


def visible(folder: Path) -> list[str]:
    """What a folder holds besides hidden files."""
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_holds_the_same_tiles_at_every_zoom(kind: str, made: Path, rgba: MemoryStore) -> None:
    assert tiles_in(made / kind) == rgba.data
    with open_tiles(made / kind) as (store, tileset):
        assert store.zooms == (12, 13, 14)
        assert (tileset.name, tileset.window, tileset.extra) == (TILESET.name, TILESET.window, TILESET.extra)
        assert (tileset.minzoom, tileset.maxzoom) == (12, 14)


@pytest.mark.parametrize("target", KINDS)
@pytest.mark.parametrize("source", KINDS)
def test_every_kind_becomes_every_other(source: str, target: str, made: Path, tmp_path: Path) -> None:
    """And is, byte for byte, what it would be if it were made of the set itself."""
    convert(made / source, tmp_path / target, **KINDS[target])
    assert files_but_journal(tmp_path / target) == files_but_journal(made / target)
    assert visible(tmp_path) == [target]


def test_all_the_way_round_is_the_identity(made: Path, tmp_path: Path) -> None:
    way = ["1.mbtiles", "2.pmtiles", "3", "4.tif", "5"]
    last = made / "xyz"
    for name in way:
        convert(last, tmp_path / name)
        last = tmp_path / name
    assert files_but_journal(tmp_path / "3") == files_but_journal(tmp_path / "5") == files_but_journal(made / "xyz")


def test_rows_of_a_tms_folder_count_from_the_south(made: Path, rgba: MemoryStore) -> None:
    names = {path.relative_to(made / "tms").as_posix() for path in (made / "tms").rglob("*.png")}
    assert names == {f"{tile.z}/{tile.x}/{2**tile.z - 1 - tile.y}.png" for tile in rgba.data}
    document = json.loads((made / "tms" / "tilejson.json").read_text(encoding="utf-8"))
    assert (document["scheme"], document["tiles"]) == ("tms", ["./{z}/{x}/{y}.png"])
    folder = XyzFolder(made / "tms")
    assert list(folder.tiles(14)) == list(XyzFolder(made / "xyz").tiles(14))
    assert folder.window(14) == XyzFolder(made / "xyz").window(14)
    assert check(made / "tms").ok
    with open_tiles(made / "tms") as (_, tileset):
        files = sidecars(tileset, [], {}, address="https://example.org/tms")
    assert b"%7B-y%7D.png" in files["jakarta.qlr"]
    assert b"{-y}.png" in files["index.html"]
    assert b"<YOrigin>bottom" in files["tiles.xml"]
    mosaic_tiles(made / "tms", made / "b.tif")
    assert (made / "b.tif").read_bytes() == (made / "a.tif").read_bytes()


def test_bounds_take_the_tiles_that_they_touch(made: Path, rgba: MemoryStore, tmp_path: Path) -> None:
    west, south, east, north = lnglat_bounds(tile_window(FIRST).grow(-10), 14)
    for name in ("a.mbtiles", "a.tif", "xyz"):
        convert(made / name, tmp_path / name, bounds=(west, south, east, north))
        taken = tiles_in(tmp_path / name)
        assert {tile.z: tile for tile in taken}[14] == FIRST
        if name != "a.tif":  # a raster has no room for the rest of an overview
            assert len(taken) == 3
            assert taken == {tile: rgba.data[tile] for tile in taken}
    with open_tiles(tmp_path / "xyz") as (_, tileset):
        assert tileset.window == tile_window(FIRST).grow(-10).intersection(TILESET.window)
    with pytest.raises(TileSetError, match="no tiles within"):
        convert(made / "xyz", tmp_path / "b", bounds=(0, 0, 1, 1))
    with pytest.raises(TileSetError, match="not an area"):
        convert(made / "xyz", tmp_path / "b", bounds=(0, 9, 1, 1))


def test_zooms(made: Path, rgba: MemoryStore, tmp_path: Path) -> None:
    convert(made / "a.pmtiles", tmp_path / "xyz", zooms=(12, 13))
    assert tiles_in(tmp_path / "xyz") == {tile: data for tile, data in rgba.data.items() if tile.z < 14}
    convert(made / "a.pmtiles", tmp_path / "a.tif", zooms=(13, 13))
    with rasterio.open(tmp_path / "a.tif") as dataset:
        assert dataset.overviews(1) == [2]  # a raster has overviews, whatever is asked
    with pytest.raises(ZoomError, match="zoom 15: not in the tile set, which has 12, 13, 14"):
        convert(made / "xyz", tmp_path / "b", zooms=(12, 15))
    with pytest.raises(ZoomError, match="lower one first"):
        convert(made / "xyz", tmp_path / "b", zooms=(14, 12))


def test_a_raster_of_a_zoom_without_others_gets_overviews(made: Path, tmp_path: Path) -> None:
    convert(made / "xyz", tmp_path / "one", zooms=(14, 14))
    convert(tmp_path / "one", tmp_path / "a.tif")
    with rasterio.open(tmp_path / "a.tif") as found, rasterio.open(made / "a.tif") as wanted:
        assert found.overviews(1) == wanted.overviews(1)
    for level in (0, 1):
        with (
            rasterio.open(tmp_path / "a.tif", OVERVIEW_LEVEL=level) as found,
            rasterio.open(made / "a.tif", OVERVIEW_LEVEL=level) as wanted,
        ):
            assert np.array_equal(found.read(), wanted.read())


@pytest.mark.parametrize("format", ["webp", "jpeg"])
def test_another_format_encodes_and_the_same_does_not(
    format: Any, made: Path, rgba: MemoryStore, tmp_path: Path
) -> None:
    convert(made / "a.mbtiles", tmp_path / "xyz", format=format)
    convert(tmp_path / "xyz", tmp_path / "a.pmtiles", format=format)
    expected = {tile: encode_tile(*decode_tile(data), format) for tile, data in rgba.data.items()}
    assert tiles_in(tmp_path / "xyz") == tiles_in(tmp_path / "a.pmtiles") == expected
    with open_tiles(tmp_path / "a.pmtiles") as (_, tileset):
        assert tileset.format == format


def test_indexed_tiles_stay_indexed(tmp_path: Path) -> None:
    store = make_store(Storage(palette=COLOURS).codec)
    write_set(store, tmp_path / "set")
    convert(tmp_path / "set", tmp_path / "a.tif")
    convert(tmp_path / "a.tif", tmp_path / "a.mbtiles")
    found = tiles_in(tmp_path / "a.mbtiles")
    assert found.keys() == store.data.keys()
    for tile, data in found.items():
        for one, other in zip(decode_tile(data), decode_tile(store.data[tile]), strict=True):
            assert np.array_equal(one, other)
    assert sum(map(len, found.values())) < 1.1 * sum(map(len, store.data.values()))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.startswith("a.")])
def test_a_container_cut_short(kind: str, made: Path, tmp_path: Path) -> None:
    data = (made / kind).read_bytes()
    (tmp_path / kind).write_bytes(data[: len(data) // 2])
    with pytest.raises(TileSetError, match=rf"{kind}"):
        convert(tmp_path / kind, tmp_path / "xyz")
    assert visible(tmp_path) == [kind]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_there_stays(kind: str, made: Path, tmp_path: Path) -> None:
    if kind.startswith("a."):
        shutil.copy(made / kind, tmp_path / kind)
    else:
        shutil.copytree(made / kind, tmp_path / kind)
    before = files_but_journal(tmp_path / kind)
    with pytest.raises(OutputError, match="exists already"):
        convert(made / "xyz", tmp_path / kind, **KINDS[kind])
    assert files_but_journal(tmp_path / kind) == before
    convert(made / "xyz", tmp_path / kind, overwrite=True, **KINDS[kind])
    assert files_but_journal(tmp_path / kind) == files_but_journal(made / kind)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("a.shp", {}, r"one of \.fgb, \.geojson, \.gpkg, \.mbtiles, \.parquet, \.pmtiles, \.tif, \.tiff"),
        ("a.tif", {"format": "webp"}, "no tile format"),
        ("a.tif", {"scheme": "tms"}, "scheme tms: not an option"),
        ("a.mbtiles", {"scheme": "tms"}, "scheme tms: not an option"),
        ("a.pmtiles", {"compress": "zstd"}, "compress: not an option"),
        ("xyz", {"compress": "zstd"}, "compress: not an option"),
    ],
)
def test_what_makes_no_sense(name: str, options: dict[str, Any], said: str, made: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=said):
        convert(made / "xyz", tmp_path / name, **options)
    assert not list(tmp_path.iterdir())


def test_tiles_across_the_antimeridian(rgba: MemoryStore, tmp_path: Path) -> None:
    data = next(iter(rgba.data.values()))
    store = MemoryStore()
    store.data = {Tile(x, 100, 8): data for x in (254, 255, 0, 1)}
    write_set(store, tmp_path / "set")
    (tmp_path / "set" / "tilejson.json").unlink()
    convert(tmp_path / "set", tmp_path / "a.mbtiles", bounds=(179.9, 36, -179.9, 37))
    assert set(tiles_in(tmp_path / "a.mbtiles")) == {Tile(255, 100, 8), Tile(0, 100, 8)}
