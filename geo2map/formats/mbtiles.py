"""MBTiles 1.3: a tile set in one SQLite file. Deterministic for a given version of SQLite."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import groupby, islice
from pathlib import Path
from threading import Lock
from typing import Any

from geo2map.errors import OutputError, TileSetError
from geo2map.files.atomic import output_errors
from geo2map.files.closing import Closing
from geo2map.files.plain_text import plain_text
from geo2map.formats.sqlite_file import open_read_only, read_errors
from geo2map.formats.stored import (
    FORMAT_NAMES,
    DuplicateIndex,
    TileCounter,
    agrees,
    parse_json,
    require_tile,
    require_zooms,
    restore_tileset,
    sync_file,
)
from geo2map.grid import PixelWindow
from geo2map.protocols import Progress, StoredTiles
from geo2map.tiles.place import number_rows, row_number, row_order
from geo2map.tiles.sniff import pack, unpack
from geo2map.tiles.statement import parse_statement, require_mercator
from geo2map.tiles.tilejson import TileSet
from geo2map.types import Scheme, Tile, TileFormat

log = logging.getLogger(__name__)

# No journal: the file is hidden until it is complete. 0x4D504258 is "MPBX", from the specification.
_PREPARE = (
    "PRAGMA page_size = 4096",
    "PRAGMA encoding = 'UTF-8'",
    "PRAGMA auto_vacuum = NONE",
    "PRAGMA journal_mode = OFF",
    "PRAGMA synchronous = OFF",
    "PRAGMA application_id = 0x4D504258",
    "BEGIN",
    "CREATE TABLE metadata (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID",
    "CREATE TABLE images (tile_id INTEGER PRIMARY KEY, tile_data BLOB)",
    "CREATE TABLE map (zoom_level INTEGER, tile_column INTEGER, tile_row INTEGER, tile_id INTEGER, "
    "PRIMARY KEY (zoom_level, tile_column, tile_row)) WITHOUT ROWID",
    "CREATE VIEW tiles AS SELECT map.zoom_level AS zoom_level, map.tile_column AS tile_column, "
    "map.tile_row AS tile_row, images.tile_data AS tile_data FROM map JOIN images ON images.tile_id = map.tile_id",
)

_AS_NUMBERS = (
    "(SELECT CAST(zoom_level AS INTEGER) AS zoom_level, CAST(tile_column AS INTEGER) AS tile_column, "
    "CAST(tile_row AS INTEGER) AS tile_row, tile_data FROM tiles)"
)
"""The tiles of a file that stores numbers as text, which would sort and compare as text."""


def write_mbtiles(store: StoredTiles, tileset: TileSet, path: Path, progress: Progress | None = None) -> None:
    """Write the tiles of a store to an MBTiles file, in order and in one transaction; identical tiles are stored once.

    Rows count from the south (MBTiles). Memory is constant except for the `DuplicateIndex`.

    Args:
        store: tiles at the zooms of `tileset`.
        tileset: name, zooms, bounds etc. for the metadata.
        path: replaced if it exists; the caller writes under a hidden name and renames.
        progress: called with "mbtiles" and the number of tiles stored.

    Raises:
        TileSetError: there are no tiles, or one is missing or cannot be read.
        OutputError: the file cannot be written; nothing is left of it.
    """
    path = Path(path)
    zooms = require_zooms(store, tileset)
    counter = TileCounter(store, zooms, "mbtiles", progress)
    with _write_errors(path):
        path.unlink(missing_ok=True)
        try:
            with closing(sqlite3.connect(path, isolation_level=None)) as database:
                for statement in _PREPARE:
                    database.execute(statement)
                database.executemany("INSERT INTO metadata VALUES (?, ?)", sorted(_metadata(tileset).items()))
                _write_tiles(database, store, zooms, tileset.format, counter)
                database.execute("COMMIT")
            sync_file(path)
        except BaseException:
            path.unlink(missing_ok=True)
            raise


def _metadata(tileset: TileSet) -> dict[str, str]:
    document = tileset.to_dict()
    return {
        "name": plain_text(tileset.name),
        "format": FORMAT_NAMES[tileset.format],
        "bounds": ",".join(f"{value:.9f}" for value in document["bounds"]),
        "center": "{:.9f},{:.9f},{}".format(*document["center"]),
        "minzoom": str(tileset.minzoom),
        "maxzoom": str(tileset.maxzoom),
        **tileset.all_words(),
        "geo2map": json.dumps(document["geo2map"]),
        **({"json": json.dumps({"vector_layers": document["vector_layers"]})} if "vector_layers" in document else {}),
    }


def _write_tiles(
    database: sqlite3.Connection, store: StoredTiles, zooms: tuple[int, ...], format: TileFormat, counter: TileCounter
) -> None:
    duplicates, images = DuplicateIndex(), 0
    for tile in _in_order(store, zooms):
        data = pack(require_tile(store, tile), format)
        number = duplicates.find(data, images + 1)
        if number is None:
            images = number = images + 1
            database.execute("INSERT INTO images VALUES (?, ?)", (number, data))
        row = row_number(tile.z, tile.y, "tms")
        database.execute("INSERT INTO map VALUES (?, ?, ?, ?)", (tile.z, tile.x, row, number))
        counter.advance()


def _in_order(store: StoredTiles, zooms: tuple[int, ...]) -> Iterator[Tile]:
    """Tiles by zoom, column and MBTiles row, which counts from the south."""
    for zoom in zooms:
        for _, column in groupby(store.tiles(zoom), key=lambda tile: tile.x):
            yield from sorted(column, key=lambda tile: -tile.y)


@contextmanager
def _write_errors(path: Path) -> Iterator[None]:
    try:
        with output_errors(path):
            yield
    except sqlite3.Error as error:
        full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
        advice = "free some space and run again" if full else "check the path and the disk"
        raise OutputError(f"{path}: cannot be written ({error}); {advice}") from error


class MbtilesStore(Closing):
    """Reads the tiles of any MBTiles file (a reader of `geo2map.protocols.TileStore`). Thread-safe.

    A context manager that closes the file.

    Attributes:
        path: the file.
        zooms: zooms with at least one tile, ascending.
        tileset: its description; in files of other programs, as far as the tiles confirm it.
        statement: its metadata.
        scheme: row order: from the south ("tms", MBTiles), unless the bounds only fit "xyz".
    """

    def __init__(self, path: str | Path) -> None:
        """
        Raises:
            TileSetError: the file does not exist, is not MBTiles, truncated or damaged, or its tiles are not images or
                on another grid.
        """
        self.path = Path(path)
        self._lock = Lock()
        with read_errors(self.path):
            self._database = open_read_only(self.path)
        try:
            self._in_text = self._query("SELECT typeof(zoom_level) FROM tiles LIMIT 1") == [("text",)]
            self._tiles = _AS_NUMBERS if self._in_text else "tiles"
            zooms = self._query(
                f"SELECT DISTINCT zoom_level FROM {self._tiles} WHERE zoom_level >= 0 ORDER BY zoom_level"
            )
            self.zooms: tuple[int, ...] = tuple(int(zoom) for (zoom,) in zooms)
            facts = self._facts()
            # other programs mark gaps by empty tiles
            self._there = "zoom_level = ?" if facts.get("geo2map") else "length(tile_data) > 0 AND zoom_level = ?"
            self.statement = parse_statement("metadata", facts)
            self.scheme: Scheme = "tms"
            if not facts.get("geo2map") and self.zooms:
                require_mercator(self.path, self.statement)
                self.scheme = self._row_order()
            self.tileset = restore_tileset(self.path, facts, self)
        except BaseException:
            self._database.close()
            raise

    def get(self, tile: Tile) -> bytes | None:
        """The tile's bytes, None if it does not exist.

        Raises:
            TileSetError: the file is damaged.
        """
        where = (tile.z, tile.x, row_number(tile.z, tile.y, self.scheme))
        found = self._query(
            "SELECT tile_data FROM tiles WHERE zoom_level = ? AND tile_column = ? AND tile_row = ?",
            *(map(str, where) if self._in_text else where),
        )
        if not found or found[0][0] is None:
            return None
        data = found[0][0]
        try:
            return unpack(data.encode(errors="replace") if isinstance(data, str) else bytes(data))
        except TileSetError as error:
            raise TileSetError(f"{self.path}, tile {tile.z}/{tile.x}/{tile.y}: {error}") from error

    def tiles(self, zoom: int) -> Iterator[Tile]:
        """The tiles of a zoom by column, then row; holds one column in memory.

        Raises:
            TileSetError: the file is damaged.
        """
        column, order = -1, "DESC" if self.scheme == "tms" else "ASC"
        while columns := self._query(
            f"SELECT min(tile_column) FROM {self._tiles} WHERE zoom_level = ? AND tile_column > ?", zoom, column
        ):
            if (column := columns[0][0]) is None:
                return
            rows = self._query(
                f"SELECT tile_row FROM {self._tiles} WHERE {self._there} AND tile_column = ? ORDER BY tile_row {order}",
                zoom,
                column,
            )
            yield from (Tile(column, row_number(zoom, row, self.scheme), zoom) for (row,) in rows)

    def first_tiles(self, zoom: int, count: int) -> list[Tile]:
        """The first tiles of a zoom, at most `count`."""
        return list(islice(self.tiles(zoom), count))

    def extent(self, zoom: int) -> PixelWindow:
        """Columns and rows of the tiles of a non-empty zoom; right and bottom exclusive.

        Raises:
            TileSetError: some are outside the world.
        """
        numbers = self._numbers(zoom)
        if min(numbers) < 0 or max(numbers) > 2**zoom:
            raise TileSetError(f"zoom {zoom}: tiles outside the world")
        return number_rows(numbers, zoom, self.scheme)

    def _numbers(self, zoom: int) -> PixelWindow:
        """Columns and rows of a non-empty zoom, as numbered in the file."""
        names = "min(tile_column), min(tile_row), max(tile_column) + 1, max(tile_row) + 1"
        found = self._query(f"SELECT {names} FROM {self._tiles} WHERE zoom_level = ?", zoom)
        return PixelWindow(*map(int, found[0]))

    def _row_order(self) -> Scheme:
        """Row order. A stated "scheme" alone does not count: programs copy it from the folder or server that the tiles
        came from, and readers follow the specification."""
        zoom = self.zooms[-1]
        shown = row_order(self.statement.boxes, self._numbers(zoom), zoom)
        if shown is None and self.statement.order == "xyz":
            log.warning(
                "%s: states the scheme xyz (rows from the north), which no bounds confirm; its rows are read from the "
                "south, as MBTiles specifies",
                self.path,
            )
        return shown or "tms"

    def agrees(self, tileset: TileSet) -> bool:
        """Whether its metadata are those that `write_mbtiles` writes for a tile set."""
        return agrees(dict(self._query("SELECT name, value FROM metadata")), _metadata(tileset))

    def close(self) -> None:
        """Close the file; may be repeated."""
        self._database.close()

    def _facts(self) -> dict[str, Any]:
        if not self._query("SELECT 1 FROM sqlite_master WHERE name = 'metadata'"):
            return {}
        facts: dict[str, Any] = dict(self._query("SELECT name, value FROM metadata"))
        return facts | {"geo2map": parse_json(facts.get("geo2map") or "null")}

    def _query(self, statement: str, *values: int | str) -> list[tuple[Any, ...]]:
        with read_errors(self.path), self._lock:
            return self._database.execute(statement, values).fetchall()
