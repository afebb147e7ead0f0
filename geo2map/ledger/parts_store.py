"""One layer's tiles across all parts of an output as one store; nothing is copied."""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from threading import RLock

import numpy as np
import numpy.typing as npt

from geo2map.files.closing import Closing
from geo2map.ledger.schema import connect, journal_errors
from geo2map.plan.shards import Shard
from geo2map.types import Tile

OPEN_PARTS = 32
"""Files open at once; a system may allow a process no more than 256."""
CACHE_KIB = 256


class PartsStore(Closing):
    """Tiles of parts (a `geo2map.protocols.StoredTiles`).

    The tiles of a shard are contiguous in a PMTiles archive, so writing one reads each part sequentially, a zoom at a
    time. Memory: an entry a shard, and the tile numbers of one column of shards during listing.

    A context manager that closes the files.

    Attributes:
        zooms: complete zooms of the parts.
    """

    def __init__(self, part_of: Callable[[Shard], Path], shards: Collection[Shard], zooms: range, layer: str) -> None:
        """
        Args:
            part_of: gives the file of a shard's part.
            shards: all shards with tiles; of one zoom.
            zooms: complete zooms of the parts.
            layer: name of the layer.
        """
        self._part_of, self.zooms, self._layer = part_of, tuple(zooms) if shards else (), layer
        self._shard_zoom = next(iter(shards)).z if shards else 0
        self._columns: dict[int, dict[int, list[Shard]]] = {}
        for shard in shards:  # two shards coincide across the antimeridian
            rows = self._columns.setdefault(shard.x % 2**shard.z, {})
            rows.setdefault(shard.y, []).append(shard)
        self._open: OrderedDict[Shard, tuple[Path, sqlite3.Connection]] = OrderedDict()
        self._lock = RLock()

    def get(self, tile: Tile) -> bytes | None:
        if tile.z not in self.zooms:
            return None
        down = tile.z - self._shard_zoom
        for shard in self._columns.get(tile.x >> down, {}).get(tile.y >> down, ()):
            query = "SELECT data FROM data WHERE layer = ? AND z = ? AND x = ? AND y = ?"
            if found := self._query(shard, query, tile.z, tile.x, tile.y):
                return bytes(found[0][0])
        return None

    def tiles(self, zoom: int) -> Iterator[Tile]:
        if zoom not in self.zooms:
            return
        for column in sorted(self._columns):
            shards = (shard for row in self._columns[column].values() for shard in row)
            places = np.concatenate([self._places(shard, zoom) for shard in shards])
            for x, y in places[np.lexsort((places[:, 1], places[:, 0]))].tolist():
                yield Tile(x, y, zoom)

    def close(self) -> None:
        """Close the files; may be repeated."""
        with self._lock:
            while self._open:
                self._open.popitem()[1][1].close()

    def _places(self, shard: Shard, zoom: int) -> npt.NDArray[np.int64]:
        """Columns and rows of a part's tiles at a zoom, int64 (N, 2)."""
        found = self._query(shard, "SELECT x, y FROM data WHERE layer = ? AND z = ?", zoom)
        return np.array(found, dtype=np.int64).reshape(-1, 2)

    def _query(self, shard: Shard, query: str, *values: int) -> list[tuple[int, ...] | tuple[bytes]]:
        with self._lock:
            path, database = self._database(shard)
            with journal_errors(path):
                return database.execute(query, (self._layer, *values)).fetchall()

    def _database(self, shard: Shard) -> tuple[Path, sqlite3.Connection]:
        if shard not in self._open:
            path = self._part_of(shard)
            with journal_errors(path):
                database = connect(path, read_only=True)
                database.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            self._open[shard] = path, database
            while len(self._open) > OPEN_PARTS:
                self._open.popitem(last=False)[1][1].close()
        self._open.move_to_end(shard)
        return self._open[shard]
