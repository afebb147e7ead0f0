"""MBTiles and PMTiles: others read what geo2map writes, and geo2map reads what others write.

The others are sqlite3, the pmtiles package, GDAL (through rasterio) and Debian's gdalinfo where installed.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import mercantile
import numpy as np
import pytest
import rasterio
from pmtiles.reader import MmapSource, Reader, all_tiles
from pmtiles.tile import Compression, TileType, deserialize_directory, zxy_to_tileid
from pmtiles.writer import Writer

from geo2map.errors import OutputError, TileSetError
from geo2map.files.plain_text import plain_text
from geo2map.formats.mbtiles import MbtilesStore, write_mbtiles
from geo2map.formats.pmtiles.hilbert import tile_ids, tile_places
from geo2map.formats.pmtiles.read import PmtilesStore
from geo2map.formats.pmtiles.write import write_pmtiles
from geo2map.grid import PixelWindow
from geo2map.tiles.codec import decode_tile, encode_tile
from geo2map.tiles.tilejson import TileSet
from geo2map.types import Tile

WINDOW = PixelWindow(13055 * 256 + 37, 8467 * 256 + 21, 13060 * 256, 8470 * 256 - 3)
TILESET = TileSet("jakarta ü \"'; DROP TABLE tiles", "png", 12, 14, WINDOW, {"model": "town 1"})
WRITERS = {"mbtiles": write_mbtiles, "pmtiles": write_pmtiles}
READERS: dict[str, Any] = {"mbtiles": MbtilesStore, "pmtiles": PmtilesStore}


class Tiles(dict[Tile, bytes]):
    """A store in memory."""

    @property
    def zooms(self) -> tuple[int, ...]:
        return tuple(sorted({tile.z for tile in self}))

    def tiles(self, zoom: int) -> Iterator[Tile]:
        return iter(sorted(tile for tile in self if tile.z == zoom))


def tile_bytes(seed: int) -> bytes:
    """Seed 0 is plain, others are noise; odd ones have a hole."""
    pixels = np.random.default_rng(seed).integers(0, 256, (256, 256, 3), dtype=np.uint8) if seed else None
    mask = np.ones((256, 256), dtype=np.bool_)
    mask[: 9 * (seed % 2)] = False
    return encode_tile(np.full((256, 256, 3), 77, np.uint8) if pixels is None else pixels, mask, "png")


@pytest.fixture(scope="module")
def store() -> Tiles:
    """Three zooms; half the tiles of the largest are equal, one is missing."""
    tiles = Tiles()
    for x in range(13055, 13060):
        for y in range(8467, 8470):
            tiles[Tile(x, y, 14)] = tile_bytes((x - 13055) * (y - 8467))
    del tiles[Tile(13057, 8468, 14)]
    for zoom in (13, 12):
        for parent in {mercantile.parent(tile) for tile in list(tiles) if tile.z == zoom + 1}:
            tiles[Tile(*parent)] = tile_bytes(100 + parent.x % 3)
    tiles[Tile(0, 0, 3)] = tile_bytes(7)  # the tile set does not speak of this zoom
    return tiles


@pytest.fixture(scope="module")
def files(store: Tiles, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("containers")
    files = {suffix: folder / f"map & 'ü'.{suffix}" for suffix in WRITERS}
    for suffix, write in WRITERS.items():
        write(store, TILESET, files[suffix])
    return files


@pytest.fixture(params=WRITERS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def wanted(store: Tiles) -> dict[Tile, bytes]:
    return {tile: data for tile, data in store.items() if tile.z >= 12}


# Both


def test_what_was_written_is_read(kind: str, store: Tiles, files: dict[str, Path]) -> None:
    with READERS[kind](files[kind]) as found:
        assert found.tileset == TILESET
        assert found.zooms == (12, 13, 14)
        listed = {zoom: list(found.tiles(zoom)) for zoom in found.zooms}
        assert {zoom: list(store.tiles(zoom)) for zoom in found.zooms} == listed
        assert {tile: found.get(tile) for tiles in listed.values() for tile in tiles} == wanted(store)
        assert found.get(Tile(13057, 8468, 14)) is None
        assert found.get(Tile(0, 0, 0)) is None
        assert list(found.tiles(15)) == []


def test_one_becomes_the_other_and_back(files: dict[str, Path], tmp_path: Path) -> None:
    with MbtilesStore(files["mbtiles"]) as first:
        write_pmtiles(first, first.tileset, tmp_path / "a.pmtiles")
    with PmtilesStore(tmp_path / "a.pmtiles") as second:
        write_mbtiles(second, second.tileset, tmp_path / "b.mbtiles")
    assert (tmp_path / "a.pmtiles").read_bytes() == files["pmtiles"].read_bytes()
    assert (tmp_path / "b.mbtiles").read_bytes() == files["mbtiles"].read_bytes()


def test_bytes_depend_on_the_tiles_alone(kind: str, store: Tiles, files: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "again").write_bytes(b"what a killed run left")
    steps: list[tuple[str, int, int]] = []
    WRITERS[kind](Tiles(reversed(store.items())), TILESET, tmp_path / "again", lambda *step: steps.append(step))
    assert (tmp_path / "again").read_bytes() == files[kind].read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["again"]
    total = len(wanted(store))
    assert steps == [(kind, done, total) for done in range(1, total + 1)]


def test_equal_tiles_are_stored_once(kind: str, store: Tiles, files: dict[str, Path]) -> None:
    different = set(wanted(store).values())
    assert len(different) < len(wanted(store)) - 5
    whole = files[kind].read_bytes()
    assert len(whole) < sum(map(len, different)) * 1.02 + 25_000


def test_nothing_to_write_is_refused(kind: str, tmp_path: Path) -> None:
    with pytest.raises(TileSetError, match=r"no tiles at zooms 12 to 14"):
        WRITERS[kind](Tiles({Tile(0, 0, 3): tile_bytes(0)}), TILESET, tmp_path / "x")
    assert not list(tmp_path.iterdir())


def test_a_tile_that_went_away_leaves_nothing(kind: str, store: Tiles, tmp_path: Path) -> None:
    class Torn(Tiles):
        def get(self, tile: Tile, default: Any = None) -> bytes | None:
            return None if tile == Tile(13058, 8469, 14) else super().get(tile, default)

    with pytest.raises(TileSetError, match="14/13058/8469: missing"):
        WRITERS[kind](Torn(store), TILESET, tmp_path / "x")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["", "..", "'; --", "東京 & <b>", "\x00\x07", "\udcff", "a\nb"])
def test_any_name_and_any_fact(kind: str, name: str, store: Tiles, tmp_path: Path) -> None:
    """What UTF-8 or a database cannot hold is replaced."""
    tileset = replace(TILESET, name=name, extra={"scene": name})
    WRITERS[kind](store, tileset, tmp_path / "x")
    with READERS[kind](tmp_path / "x") as found:
        assert found.tileset.name == (plain_text(name) or "x")
        assert found.tileset.extra == {"scene": name}


@pytest.mark.parametrize("place", ["nowhere/x", "."])
def test_a_place_that_cannot_be_written(kind: str, place: str, store: Tiles, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        WRITERS[kind](store, TILESET, tmp_path / place)
    assert not list(tmp_path.iterdir())


def test_a_disk_that_fills_up_is_one_sentence_and_leaves_nothing(kind: str, store: Tiles, tmp_path: Path) -> None:
    """A limit on the size of files, which this process may lift again, stands for the disk."""
    resource = pytest.importorskip("resource", reason="needs a system with limits on the size of files")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, before[1]))
    try:
        with pytest.raises(OutputError, match=r"cannot be written.*disk"):
            WRITERS[kind](store, TILESET, tmp_path / "x")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())


# Files that are not what they seem


@pytest.mark.parametrize("keep", [0, 60, 200, 0.3, 0.7, -1])
def test_a_file_cut_short_is_one_sentence(kind: str, keep: float, files: dict[str, Path], tmp_path: Path) -> None:
    data = files[kind].read_bytes()
    cut = data[: int(keep * len(data)) if 0 < keep < 1 else int(keep)]
    (tmp_path / "x").write_bytes(cut)
    with pytest.raises(TileSetError, match=r"x: (truncated|not an? |damaged)"):
        READERS[kind](tmp_path / "x")


def test_noise_in_a_file_is_one_sentence_or_passes(kind: str, files: dict[str, Path], tmp_path: Path) -> None:
    """Whatever is hit, nothing but a `TileSetError` comes out, and nothing hangs."""
    data, rng, complaints = files[kind].read_bytes(), np.random.default_rng(5), list[str]()
    for _ in range(60):
        bad = bytearray(data)
        start = int(rng.integers(0, 400 if rng.random() < 0.5 else len(data) - 40))
        bad[start : start + 40] = rng.integers(0, 256, 40, dtype=np.uint8).tobytes()
        (tmp_path / "x").write_bytes(bad)
        try:
            with READERS[kind](tmp_path / "x") as found:
                for zoom in found.zooms:
                    for tile in found.tiles(zoom):
                        found.get(tile)
        except TileSetError as error:
            complaints.append(str(error))
    assert complaints
    assert all(str(tmp_path / "x") in complaint for complaint in complaints)


@pytest.mark.parametrize(
    "content", [b"", b"PMTiles\x02" + bytes(200), b"SQLite format 3\0" + bytes(200), b"hello" * 99]
)
def test_files_of_other_kinds(kind: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(TileSetError, match="x: "):
        READERS[kind](tmp_path / "x")
    with pytest.raises(TileSetError, match="not found"):
        READERS[kind](tmp_path / "y")


# MBTiles


def test_sqlite_finds_what_the_specification_asks(store: Tiles, files: dict[str, Path]) -> None:
    with closing(sqlite3.connect(files["mbtiles"])) as database:
        facts = dict(database.execute("SELECT name, value FROM metadata"))
        rows = database.execute("SELECT zoom_level, tile_column, tile_row, tile_data FROM tiles").fetchall()
        assert database.execute("PRAGMA application_id").fetchone() == (0x4D504258,)
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert {Tile(x, 2**z - 1 - row, z): data for z, x, row, data in rows} == wanted(store)
    asked = {
        "name",
        "format",
        "bounds",
        "center",
        "minzoom",
        "maxzoom",
        "type",
        "version",
        "attribution",
        "description",
    }
    assert asked < set(facts)
    assert (facts["name"], facts["format"], facts["minzoom"], facts["maxzoom"]) == (TILESET.name, "png", "12", "14")
    assert [float(edge) for edge in facts["bounds"].split(",")] == TILESET.to_dict()["bounds"]
    assert facts["type"] == "overlay"
    assert json.loads(facts["geo2map"]) == {"window": list(WINDOW), "model": "town 1"}


def _in_its_place(found: rasterio.io.DatasetReader, store: Tiles) -> None:
    tile = Tile(13056, 8468, 14)
    window = found.window(*mercantile.xy_bounds(*tile)).round_offsets().round_lengths()
    bands = found.read(window=window)
    pixels, mask = decode_tile(store[tile])
    assert np.array_equal(bands[3] > 0, mask)
    assert np.array_equal(np.moveaxis(bands[:3], 0, -1)[mask], pixels[mask])


def test_gdal_in_rasterio_reads_mbtiles_in_their_place(store: Tiles, files: dict[str, Path]) -> None:
    with rasterio.Env() as env:
        if "MBTiles" not in env.drivers():
            pytest.skip("rasterio's GDAL has no MBTiles driver")
    with rasterio.open(files["mbtiles"]) as found:
        assert found.driver == "MBTiles"
        assert found.crs.to_epsg() == 3857
        assert found.overviews(1) == [2, 4]
        _in_its_place(found, store)


@pytest.mark.skipif(shutil.which("gdalinfo") is None, reason="gdalinfo (Debian's gdal-bin) is not installed")
def test_gdalinfo_reads_mbtiles(files: dict[str, Path]) -> None:
    told = subprocess.run(["gdalinfo", "-json", files["mbtiles"]], check=True, capture_output=True, text=True)
    report = json.loads(told.stdout)
    assert report["driverShortName"] == "MBTiles"
    assert len(report["bands"]) == 4
    west, south, east, north = TILESET.to_dict()["bounds"]
    left, top = mercantile.xy(west, north)
    right, bottom = mercantile.xy(east, south)
    pixel = 2 * 20037508.342789244 / 256 / 2**14
    assert report["cornerCoordinates"]["upperLeft"] == pytest.approx([left, top], abs=pixel)
    assert report["cornerCoordinates"]["lowerRight"] == pytest.approx([right, bottom], abs=pixel)


def test_mbtiles_of_others(store: Tiles, tmp_path: Path) -> None:
    """A plain table, no index, no optional metadata."""
    path = tmp_path / "other.mbtiles"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE metadata (name text, value text)")
        database.execute("CREATE TABLE tiles (zoom_level int, tile_column int, tile_row int, tile_data blob)")
        database.executemany(
            "INSERT INTO metadata VALUES (?, ?)", [("name", "other"), ("format", "jpg"), ("type", "baselayer")]
        )
        rows = [(tile.z, tile.x, 2**tile.z - 1 - tile.y, data) for tile, data in wanted(store).items()]
        database.executemany("INSERT INTO tiles VALUES (?, ?, ?, ?)", rows)
    with MbtilesStore(path) as found:
        assert (found.tileset.name, found.tileset.format, found.tileset.minzoom, found.tileset.maxzoom) == (
            *("other", "png"),  # as the bytes are
            *(12, 14),
        )
        assert found.tileset.words == {"type": "baselayer"}
        assert {tile: found.get(tile) for zoom in found.zooms for tile in found.tiles(zoom)} == wanted(store)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE metadata SET value = 'pbf' WHERE name = 'format'")
    with MbtilesStore(path) as found:
        assert found.tileset.format == "png"  # as the bytes are


# PMTiles


def test_the_pmtiles_package_reads_what_was_written(store: Tiles, files: dict[str, Path]) -> None:
    with files["pmtiles"].open("rb") as file:
        source = MmapSource(file)
        reader = Reader(source)
        header, metadata = reader.header(), reader.metadata()
        assert {Tile(x, y, z): data for (z, x, y), data in all_tiles(source)} == wanted(store)
        for tile, data in wanted(store).items():
            assert reader.get(tile.z, tile.x, tile.y) == data
    assert header["clustered"]
    assert (header["tile_type"], header["min_zoom"], header["max_zoom"]) == (TileType.PNG, 12, 14)
    assert (header["addressed_tiles_count"], header["tile_contents_count"]) == (
        len(wanted(store)),
        len(set(wanted(store).values())),
    )
    assert [header[f"{edge}_e7"] / 1e7 for edge in ("min_lon", "min_lat", "max_lon", "max_lat")] == pytest.approx(
        TILESET.to_dict()["bounds"], abs=1e-7
    )
    assert (metadata["name"], metadata["geo2map"]["model"]) == (TILESET.name, "town 1")
    assert header["root_offset"] + header["root_length"] <= 16384


def test_tiles_of_an_archive_lie_in_the_order_of_their_ids(files: dict[str, Path]) -> None:
    """Clustered: a tile's bytes begin right behind those of the one before, unless it is a repeat."""
    data = files["pmtiles"].read_bytes()
    header = Reader(lambda offset, length: data[offset : offset + length]).header()
    root = deserialize_directory(data[header["root_offset"] :][: header["root_length"]])
    end = 0
    for entry in root:
        assert entry.offset <= end
        end = max(end, entry.offset + entry.length)
    assert end == header["tile_data_length"]
    assert [entry.tile_id for entry in root] == sorted({entry.tile_id for entry in root})


def test_many_tiles_need_leaves(tmp_path: Path) -> None:
    tiles = Tiles({Tile(x, y, 9): b"%d-%d" % (x, y % 5) for x in range(200) for y in range(0, 400, 2)})
    tileset = TileSet("many", "png", 9, 9, PixelWindow(0, 0, 512, 512))
    write_pmtiles(tiles, tileset, tmp_path / "x.pmtiles")
    with PmtilesStore(tmp_path / "x.pmtiles") as found, (tmp_path / "x.pmtiles").open("rb") as file:
        assert found._header["leaf_directory_length"] > 0
        reader = Reader(MmapSource(file))
        for tile in list(tiles)[::371]:
            assert found.get(tile) == reader.get(tile.z, tile.x, tile.y) == tiles[tile]
        assert found.get(Tile(0, 1, 9)) is None
        assert list(found.tiles(9)) == sorted(tiles)


def test_archives_of_others(store: Tiles, tmp_path: Path) -> None:
    def write(kind: TileType, compression: Compression = Compression.NONE) -> Path:
        with (tmp_path / "other.pmtiles").open("wb") as file:
            writer = Writer(file)
            for tile in sorted(wanted(store), key=lambda tile: zxy_to_tileid(tile.z, tile.x, tile.y)):
                writer.write_tile(zxy_to_tileid(tile.z, tile.x, tile.y), store[tile])
            header = {"tile_type": kind, "tile_compression": compression, "center_zoom": 0}
            writer.finalize(header, {})
        return tmp_path / "other.pmtiles"

    with PmtilesStore(write(TileType.WEBP)) as found:
        assert (found.tileset.name, found.tileset.format, found.zooms) == ("other", "png", (12, 13, 14))
        assert {tile: found.get(tile) for zoom in found.zooms for tile in found.tiles(zoom)} == wanted(store)
    with PmtilesStore(write(TileType.MVT)) as found:
        assert found.tileset.format == "png"
    with pytest.raises(TileSetError, match="compressed with zstd"):
        PmtilesStore(write(TileType.PNG, Compression.ZSTD))


@pytest.mark.parametrize("zoom", [0, 1, 2, 5, 17, 24])
def test_ids_are_those_of_the_pmtiles_package(zoom: int) -> None:
    rng = np.random.default_rng(zoom)
    columns, rows = rng.integers(0, 2**zoom, (2, 300))
    ids = tile_ids(zoom, columns, rows)
    assert ids.tolist() == [zxy_to_tileid(zoom, int(x), int(y)) for x, y in zip(columns, rows, strict=True)]
    back = tile_places(zoom, ids)
    assert np.array_equal(back[0], columns)
    assert np.array_equal(back[1], rows)


def test_many_threads_read_one_file(kind: str, store: Tiles, files: dict[str, Path]) -> None:
    with READERS[kind](files[kind]) as found, ThreadPoolExecutor(8) as pool:
        tiles = list(wanted(store)) * 10
        get: Callable[[Tile], bytes | None] = found.get
        assert list(pool.map(get, tiles)) == [store[tile] for tile in tiles]
