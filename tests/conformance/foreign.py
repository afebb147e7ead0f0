"""Sets of tiles as other programs leave them: four tiles of a town at zoom 17, white in the north-west."""

from __future__ import annotations

import gzip
import io
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
from pmtiles.tile import Compression, TileType, zxy_to_tileid
from pmtiles.writer import Writer

from geo2map.types import Tile

ZOOM, LEFT, TOP = 17, 38617, 49269
BOUNDS = (-73.9352, 40.7327, -73.9298, 40.7368)
SPELLED = ",".join(map(str, BOUNDS))
PLACES = [(column, row) for column in range(2) for row in range(2)]
WORDS = {
    "name": "Town of Q",
    "attribution": "(c) Imagery Office of Q",
    "description": "aerial pictures, flown 2024",
    "type": "baselayer",
    "version": "7",
}


def tile_bytes(column: int, row: int, format: str = "PNG", side: int = 256) -> bytes:
    """One of the four; all differ, and none is the same upside down."""
    y, x = np.mgrid[row * 256 : row * 256 + 256, column * 256 : column * 256 + 256]
    waves = 90 + 50 * np.sin(x / 37) + 40 * np.cos(y / 23)
    waves[(x < 100) & (y < 100)] = 225
    picture = PIL.Image.fromarray(np.stack([waves, waves, waves + 9], -1).clip(0, 255).astype(np.uint8))
    file = io.BytesIO()
    picture.resize((side, side)).save(file, format)
    return file.getvalue()


def wanted() -> dict[Tile, bytes]:
    """The tiles where they belong."""
    return {Tile(LEFT + column, TOP + row, ZOOM): tile_bytes(column, row) for column, row in PLACES}


def write_folder(folder: Path, *, south: bool = False, suffix: str = ".png", **tile: Any) -> Path:
    """A folder of tiles without a document."""
    for column, row in PLACES:
        number = 2**ZOOM - 1 - (TOP + row) if south else TOP + row
        path = folder / str(ZOOM) / str(LEFT + column) / f"{number}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(tile_bytes(column, row, **tile))
    return folder


def write_mbtiles(path: Path, facts: Mapping[str, str] | None, *, pack: Any = bytes, **tile: Any) -> Path:
    """A plain MBTiles file; without a table of metadata where there are no facts."""
    with closing(sqlite3.connect(path)) as database, database:
        if facts is not None:
            database.execute("CREATE TABLE metadata (name text, value text)")
            database.executemany("INSERT INTO metadata VALUES (?, ?)", facts.items())
        database.execute("CREATE TABLE tiles (zoom_level int, tile_column int, tile_row int, tile_data blob)")
        for column, row in PLACES:
            place = (ZOOM, LEFT + column, 2**ZOOM - 1 - (TOP + row))
            database.execute("INSERT INTO tiles VALUES (?, ?, ?, ?)", (*place, pack(tile_bytes(column, row, **tile))))
    return path


def write_pmtiles(
    path: Path, kind: TileType, metadata: Mapping[str, Any], *, data: bytes | None = None, **header: Any
) -> Path:
    """An archive by the reference writer, which leaves bounds at zero where there are none in the header."""
    packed = header.get("tile_compression") is Compression.GZIP
    with path.open("wb") as file:
        writer = Writer(file)
        ids = {zxy_to_tileid(ZOOM, LEFT + column, TOP + row): tile_bytes(column, row) for column, row in PLACES}
        for tile_id in sorted(ids):
            writer.write_tile(tile_id, data or (gzip.compress(ids[tile_id]) if packed else ids[tile_id]))
        facts = {"tile_type": kind, "tile_compression": Compression.NONE, "center_zoom": 0}
        writer.finalize(facts | header, dict(metadata))
    return path
