"""Sets of tiles that geo2map did not make: their words, and what it costs to open them."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from pmtiles.tile import Compression, Entry, TileType, serialize_directory, serialize_header

from geo2map.api.converting import convert
from geo2map.formats.pmtiles.hilbert import first_id, tile_places
from geo2map.formats.pmtiles.read import PmtilesStore
from geo2map.grid import PixelWindow
from geo2map.tiles.codec import encode_tile
from geo2map.tiles.folder import XyzFolder
from geo2map.tiles.place import footprint, tiles_window
from geo2map.tiles.tilejson import TileSet
from geo2map.types import LngLatBounds, Tile

PNG = encode_tile(np.full((256, 256, 3), 90, np.uint8), np.ones((256, 256), np.bool_), "png")


def put(folder: Path, name: str, data: bytes = PNG) -> Path:
    """A tile in a folder; returns the folder."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return folder


@pytest.mark.parametrize("out", ["out", "out.tif", "out.mbtiles", "out.pmtiles"])
def test_words_that_utf8_cannot_hold_are_cleaned(out: str, tmp_path: Path) -> None:
    source = put(tmp_path / "tiles", "3/4/2.png")
    words = {"name": "n\ud800m", "attribution": "a\ud800b", "description": ["c\ud800"]}
    (source / "metadata.json").write_text(json.dumps(words))
    convert(source, tmp_path / out)
    convert(tmp_path / out, tmp_path / "again")
    document = json.loads((tmp_path / "again" / "tilejson.json").read_text("utf-8"))
    assert document["attribution"] == "a\ufffdb"
    assert document["description"] == '["c\ufffd"]'


@pytest.fixture
def others_archive(tmp_path: Path) -> Callable[..., Path]:
    """Writes an archive as another program does: every tile is the same, ids are in runs; zoom 11."""

    def write(runs: Sequence[tuple[int, int]], count: int = 0) -> Path:
        path, first = tmp_path / "set.pmtiles", first_id(11)
        entries = [Entry(first + start, 0, len(PNG), length) for start, length in runs]
        directory, metadata = serialize_directory(entries), gzip.compress(b"{}")
        offsets = np.cumsum([127, len(directory), len(metadata)]).tolist()
        header = {
            "version": 3,
            "root_offset": offsets[0],
            "root_length": len(directory),
            "metadata_offset": offsets[1],
            "metadata_length": len(metadata),
            "leaf_directory_offset": offsets[2],
            "leaf_directory_length": 0,
            "tile_data_offset": offsets[2],
            "tile_data_length": len(PNG),
            "addressed_tiles_count": count,
            "tile_entries_count": len(entries),
            "tile_contents_count": 1,
            "clustered": True,
            "internal_compression": Compression.GZIP,
            "tile_compression": Compression.NONE,
            "tile_type": TileType.PNG,
            "min_zoom": 11,
            "max_zoom": 11,
            "min_lon_e7": -1_800_000_000,
            "min_lat_e7": -850_000_000,
            "max_lon_e7": 1_800_000_000,
            "max_lat_e7": 850_000_000,
            "center_zoom": 11,
            "center_lon_e7": 0,
            "center_lat_e7": 0,
        }
        path.write_bytes(serialize_header(header) + directory + metadata + PNG)
        return path

    return write


def test_an_archive_of_four_million_tiles_is_opened_without_listing_them(
    others_archive: Callable[..., Path],
) -> None:
    path = others_archive([(0, 4**11)])
    tracemalloc.start()
    try:
        with PmtilesStore(path) as store:
            assert store.extent(11) == (0, 0, 2048, 2048)
            assert next(store.tiles(11)) == Tile(0, 0, 11)
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("seed", range(4))
def test_tiles_of_an_archive_are_those_of_its_runs(seed: int, others_archive: Callable[..., Path]) -> None:
    random = np.random.default_rng(seed)
    edges = np.cumsum(random.integers(1, 90, 80)).tolist()
    runs = [(start, end - start) for start, end in zip(edges[::2], edges[1::2], strict=True)]
    ids = np.concatenate([np.arange(start, start + length) for start, length in runs]) + first_id(11)
    columns, rows = tile_places(11, ids)
    expected = sorted(Tile(x, y, 11) for x, y in zip(columns.tolist(), rows.tolist(), strict=True))
    with PmtilesStore(others_archive(runs, count=len(ids))) as store:
        assert list(store.tiles(11)) == expected
        assert store.extent(11) == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert set(store.first_tiles(11, 5)) == set(zip(columns[:5].tolist(), rows[:5].tolist(), [11] * 5, strict=True))


def test_the_extent_of_others_tiles_is_computed_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = XyzFolder(put(put(tmp_path / "tiles", "5/4/2.png"), "5/6/9.png"))
    asked: list[int] = []
    extent = XyzFolder.extent
    monkeypatch.setattr(XyzFolder, "extent", lambda self, zoom: asked.append(zoom) or extent(self, zoom))
    boxes = [LngLatBounds(10, 10, 20, 20), LngLatBounds(-180, -85, 180, 85)]
    assert footprint(folder, boxes) == tiles_window(PixelWindow(4, 2, 7, 10))
    assert asked == [5]


def test_every_spelling_of_a_suffix_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "tiles"
    for column, suffix in enumerate((".Png", ".WEBP", ".png", ".PNG")):
        put(folder, f"3/{column}/2{suffix}")
    found = XyzFolder(folder)
    assert [found.get(tile) for tile in found.tiles(3)] == [PNG] * 4
    assert found.suffixes == (".png", ".Png", ".PNG", ".WEBP")


def test_a_gap_in_a_set_of_geo2map_is_one_look(tmp_path: Path) -> None:
    convert(put(tmp_path / "tiles", "3/4/2.PNG"), tmp_path / "own")
    assert XyzFolder(tmp_path / "own").suffixes == (".png",)


def test_a_set_of_geo2map_that_was_encoded_anew_is_read(tmp_path: Path) -> None:
    convert(put(tmp_path / "tiles", "3/4/2.png"), tmp_path / "own")
    (tmp_path / "own" / "3" / "4" / "2.png").rename(tmp_path / "own" / "3" / "4" / "2.webp")
    assert XyzFolder(tmp_path / "own").get(Tile(4, 2, 3)) == PNG


def test_a_name_that_utf8_cannot_hold_is_written_as_an_escape() -> None:
    tileset = TileSet("n\ud800m", "png", 3, 3, PixelWindow(0, 0, 1, 1))
    assert json.loads(tileset.to_bytes())["name"] == "n\ud800m"
