"""MBTiles and PMTiles of other programs: their tiles decide what they are, and every hindrance is one sentence."""

from __future__ import annotations

import gzip
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from foreign import BOUNDS, LEFT, SPELLED, TOP, WORDS, ZOOM, tile_bytes, wanted, write_mbtiles, write_pmtiles
from mapbox_vector_tile import encode
from pmtiles.tile import Compression, TileType, deserialize_header, serialize_header

from geo2map.api.converting import convert
from geo2map.checking import check
from geo2map.errors import TileSetError
from geo2map.formats.mbtiles import MbtilesStore
from geo2map.formats.opened import open_tiles
from geo2map.formats.pmtiles.read import PmtilesStore
from geo2map.tiles.tilejson import DESCRIPTION, SOURCE_DESCRIPTION, TileSet

AROUND = [-73.935242, 40.732690, -73.929749, 40.736852]
"""Degrees of the four tiles."""
VECTOR = gzip.compress(
    encode([{"name": "sea", "features": [{"geometry": "POLYGON ((0 0, 90 0, 90 90, 0 0))", "properties": {}}]}])
)
E7 = {
    f"{edge}_e7": round(value * 1e7)
    for edge, value in zip(("min_lon", "min_lat", "max_lon", "max_lat"), BOUNDS, strict=True)
}


def near(tileset: TileSet, bounds: Any) -> bool:
    return bool(tileset.to_dict()["bounds"] == pytest.approx(list(bounds), abs=2e-5))


def problems(path: Path) -> str:
    return " ".join(map(str, check(path).problems))


@pytest.mark.parametrize("format", ["PNG", "image/png", ".png", "png8", "jpg", "", None])
def test_any_spelling_of_a_format(format: str | None, tmp_path: Path) -> None:
    facts = {"name": "q"} | ({} if format is None else {"format": format})
    path = write_mbtiles(tmp_path / "a.mbtiles", facts)
    convert(path, tmp_path / "a.pmtiles")
    with PmtilesStore(tmp_path / "a.pmtiles") as found:
        assert found.tileset.format == "png"
        assert {tile: found.get(tile) for tile in found.tiles(ZOOM)} == wanted()
    assert ("states the format jpeg, but 4 of 4 tiles are png" in problems(path)) == (format == "jpg")


@pytest.mark.parametrize("spelled", ["jpg", "JPEG", "image/jpeg", "png"])
def test_bytes_are_kept_where_the_format_is_a_lie(spelled: str, tmp_path: Path) -> None:
    path = write_mbtiles(tmp_path / "a.mbtiles", {"format": spelled}, format="JPEG")
    convert(path, tmp_path / "a.pmtiles")
    with PmtilesStore(tmp_path / "a.pmtiles") as found:
        assert found.tileset.format == "jpeg"
        first = next(found.tiles(ZOOM))
        assert found.get(first) == tile_bytes(first.x - LEFT, first.y - TOP, "JPEG")
    assert check(path).ok == (spelled != "png")


@pytest.mark.parametrize(
    ("bounds", "exact", "true"),
    [
        (SPELLED, True, True),
        ("40.7327,-73.9352,40.7368,-73.9298", True, False),  # latitudes first: what is meant is plain
        ("0,0,0,0", False, False),
        ("-73.9298,40.7368,-73.9352,40.7327", False, False),
        ("-180,-85.05,180,85.05", False, False),
        ("10,50,11,51", False, False),
        ("a,b", False, True),  # nothing is stated
        ("", False, True),
        (None, False, True),
    ],
)
def test_bounds_are_believed_as_far_as_tiles_bear_them_out(
    bounds: str | None, exact: bool, true: bool, tmp_path: Path
) -> None:
    path = write_mbtiles(tmp_path / "a.mbtiles", {"format": "png"} | ({} if bounds is None else {"bounds": bounds}))
    with MbtilesStore(path) as found:
        assert near(found.tileset, BOUNDS if exact else AROUND)
    assert ("states the bounds" in problems(path)) != true


def test_zooms_are_those_of_the_tiles(tmp_path: Path) -> None:
    path = write_mbtiles(tmp_path / "a.mbtiles", {"format": "png", "minzoom": "0", "maxzoom": "22", "center": "1,2,3"})
    with MbtilesStore(path) as found:
        assert (found.tileset.minzoom, found.tileset.maxzoom) == (ZOOM, ZOOM)
    assert "states zooms 0 to 22, but the tiles have zooms 17 to 17" in problems(path)
    assert "states the centre 1,2,3" in problems(path)


def test_no_table_of_metadata(tmp_path: Path) -> None:
    with MbtilesStore(write_mbtiles(tmp_path / "a.mbtiles", None)) as found:
        assert (found.tileset.name, found.tileset.format, near(found.tileset, AROUND)) == ("a", "png", True)


def test_words_go_from_one_archive_to_the_other(tmp_path: Path) -> None:
    path = write_mbtiles(tmp_path / "a.mbtiles", {**WORDS, "format": "png", "bounds": SPELLED})
    convert(path, tmp_path / "b.pmtiles")
    convert(tmp_path / "b.pmtiles", tmp_path / "c.mbtiles")
    with PmtilesStore(tmp_path / "b.pmtiles") as archive, closing(sqlite3.connect(tmp_path / "c.mbtiles")) as database:
        there = dict(database.execute("SELECT name, value FROM metadata"))
        for found in (archive._read_metadata(), there):
            assert {key: found[key] for key in WORDS} == WORDS


def test_only_what_a_model_drew_is_said_to_be_drawn() -> None:
    window = (0, 0, 256, 256)
    from geo2map.grid import PixelWindow

    def words(**extra: Any) -> dict[str, str]:
        return TileSet("x", "png", 0, 0, PixelWindow(*window), extra).all_words()

    assert words(model="town 1")["description"] == DESCRIPTION
    assert words(model="")["description"] == SOURCE_DESCRIPTION
    assert words() == {}


# Tiles that are none, or packed


@pytest.mark.parametrize("facts", [{"format": "pbf"}, {"format": "application/x-protobuf"}, {}])
def test_vector_tiles_are_named(facts: dict[str, str], tmp_path: Path) -> None:
    """Where pixels are needed they are refused; `check` decodes their features."""
    path = write_mbtiles(tmp_path / "a.mbtiles", facts, pack=lambda _: VECTOR)
    for out, options in (("b", {"format": "webp"}), ("b.tif", {}), ("b.gpkg", {})):
        with pytest.raises(TileSetError, match="vector tiles"):
            convert(path, tmp_path / out, **options)
    assert "lists no vector_layers" in problems(path)


@pytest.mark.parametrize("kind", [TileType.MVT, TileType.UNKNOWN, TileType.PNG])
def test_vector_tiles_are_checked_as_such(kind: TileType, tmp_path: Path) -> None:
    listed = {"vector_layers": [{"id": "sea", "fields": {}}]}
    packing: Any = {"tile_compression": Compression.GZIP}
    found = problems(write_pmtiles(tmp_path / "a.pmtiles", kind, listed, data=VECTOR, **packing))
    assert ("states the format png, but 4 of 4 tiles are mvt" in found) == (kind is TileType.PNG)
    assert "broken" not in found
    broken = gzip.compress(b"\x1a\x05hello")
    found = problems(write_pmtiles(tmp_path / "b.pmtiles", kind, listed, data=broken, **packing))
    assert found.count("cannot be read as a vector tile") == 4
    other = {"vector_layers": [{"id": "land", "fields": {}}]}
    found = problems(write_pmtiles(tmp_path / "c.pmtiles", kind, other, data=VECTOR, **packing))
    assert found.count("layer 'sea' is none of land") == 4


def test_tiles_packed_with_gzip_are_read(tmp_path: Path) -> None:
    write_mbtiles(tmp_path / "a.mbtiles", {"format": "png"}, pack=gzip.compress)
    write_pmtiles(tmp_path / "a.pmtiles", TileType.PNG, {}, tile_compression=Compression.GZIP)
    for name in ("a.mbtiles", "a.pmtiles"):
        with open_tiles(tmp_path / name) as (store, _):
            assert {tile: store.get(tile) for tile in store.tiles(ZOOM)} == wanted()


def test_a_tile_that_unpacks_without_end_is_refused(tmp_path: Path) -> None:
    bomb = gzip.compress(bytes(2**27))
    path = write_mbtiles(tmp_path / "a.mbtiles", {"format": "png"}, pack=lambda _: bomb)
    with pytest.raises(TileSetError, match=r"17/\d+/\d+: damaged gzip compression, or far too large"):
        convert(path, tmp_path / "b")


# PMTiles


@pytest.mark.parametrize("kind", [TileType.UNKNOWN, TileType.WEBP, TileType.PNG])
def test_a_header_without_bounds_or_kind(kind: TileType, tmp_path: Path) -> None:
    path = write_pmtiles(tmp_path / "a.pmtiles", kind, {"name": "q"})
    with PmtilesStore(path) as found:
        assert (found.tileset.format, near(found.tileset, AROUND)) == ("png", True)
    assert ("states the format webp" in problems(path)) == (kind is TileType.WEBP)


def test_a_header_with_bounds(tmp_path: Path) -> None:
    with PmtilesStore(write_pmtiles(tmp_path / "a.pmtiles", TileType.PNG, WORDS, **E7)) as found:
        assert near(found.tileset, BOUNDS)
        assert found.tileset.words["attribution"] == WORDS["attribution"]


def test_an_archive_without_compression_and_with_little_in_its_header(tmp_path: Path) -> None:
    """Unclustered, nothing counted, zooms of nobody."""
    data = write_pmtiles(tmp_path / "a.pmtiles", TileType.PNG, {}).read_bytes()
    header: Any = deserialize_header(data[:127])

    def part(name: str) -> bytes:
        return data[header[f"{name}_offset"] :][: header[f"{name}_length"]]

    root, tiles = gzip.decompress(part("root")), part("tile_data")
    header |= {"internal_compression": Compression.NONE, "clustered": False, "addressed_tiles_count": 0}
    header |= {"min_zoom": 3, "max_zoom": 5, "root_offset": 127, "root_length": len(root), "metadata_length": 0}
    header |= {"tile_data_offset": 127 + len(root), "leaf_directory_offset": 127, "leaf_directory_length": 0}
    (tmp_path / "b.pmtiles").write_bytes(serialize_header(header) + root + tiles)
    with PmtilesStore(tmp_path / "b.pmtiles") as found:
        assert found.zooms == (ZOOM,)
        assert {tile: found.get(tile) for tile in found.tiles(ZOOM)} == wanted()
    assert "states zooms 3 to 5, but the tiles have zooms 17 to 17" in problems(tmp_path / "b.pmtiles")


# SQLite


def test_a_file_in_wal_mode_is_read_and_left_alone(tmp_path: Path) -> None:
    path = write_mbtiles(tmp_path / "a.mbtiles", {"format": "png"})
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = wal")
    with MbtilesStore(path) as found:
        assert len(list(found.tiles(ZOOM))) == 4
        assert list(tmp_path.iterdir()) == [path]
    assert list(tmp_path.iterdir()) == [path]


def test_changes_that_wait_in_a_log_are_read(tmp_path: Path) -> None:
    path = write_mbtiles(tmp_path / "a.mbtiles", {"format": "png"})
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = wal")
        database.execute("INSERT INTO metadata VALUES ('name', 'newer')")
        database.commit()
        with MbtilesStore(path) as found:
            assert found.tileset.name == "newer"


def test_what_stands_in_the_way_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geo2map.formats.sqlite_file._PATIENCE", 0.1)
    path = write_mbtiles(tmp_path / "a.mbtiles", {"format": "png"})
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA cache_size = 1")
        database.execute("BEGIN EXCLUSIVE")
        with pytest.raises(TileSetError, match="locked by another program"):
            MbtilesStore(path)
        for _ in range(200):
            database.execute("INSERT INTO tiles VALUES (1, 0, 0, ?)", (os.urandom(3000),))
        for ending in ("", "-journal"):
            shutil.copy(f"{path}{ending}", tmp_path / f"left.mbtiles{ending}")
        database.execute("ROLLBACK")
    with pytest.raises(TileSetError, match=r"unfinished changes in left\.mbtiles-journal"):
        MbtilesStore(tmp_path / "left.mbtiles")
    with closing(sqlite3.connect(tmp_path / "other.mbtiles")) as database, database:
        database.execute("CREATE TABLE gpkg_contents (a)")
    with pytest.raises(TileSetError, match="without the tables of MBTiles"):
        MbtilesStore(tmp_path / "other.mbtiles")


def test_gaps_that_are_marked_by_empty_tiles(tmp_path: Path) -> None:
    path = write_mbtiles(tmp_path / "a.mbtiles", {"format": "png"})
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE tiles SET tile_data = x'' WHERE tile_column = ?", (LEFT,))
        database.execute("UPDATE tiles SET tile_data = NULL WHERE tile_row = ?", (2**ZOOM - 1 - TOP,))
    convert(path, tmp_path / "b.pmtiles")
    with PmtilesStore(tmp_path / "b.pmtiles") as found:
        assert list(found.tiles(ZOOM)) == [(LEFT + 1, TOP + 1, ZOOM)]
    assert check(path).ok, check(path)


def test_tiles_outside_the_world_are_refused(tmp_path: Path) -> None:
    path = write_mbtiles(tmp_path / "a.mbtiles", {"format": "png"})
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE tiles SET tile_row = -1 WHERE tile_column = ?", (LEFT,))
    with pytest.raises(TileSetError, match="outside the world"):
        MbtilesStore(path)
