"""The tiles of all parts as one store: what is made of them reads each where it lies."""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Collection, Iterator
from pathlib import Path
from threading import RLock

import numpy as np
import numpy.typing as npt

from geo2map.cluster.parts import PartFolder
from geo2map.files.closing import Closing
from geo2map.ledger.schema import journal_errors
from geo2map.plan import Shard
from geo2map.protocols import TileStore
from geo2map.types import Tile

OPEN_PARTS = 32
"""Files that are open at once; a system may allow a process no more than 256."""
CACHE_KIB = 256


class JoinedParts(Closing):
    """Tiles of parts, and the zooms above them in the making (a `geo2map.protocols.TileStore`).

    All tiles below a shard follow one another in a PMTiles archive, so the archive reads each part from one end to the
    other, a zoom at a time. Memory: an entry a shard, and the places of one column of shards while they are listed.

    A context manager that closes the files.
    """

    def __init__(self, folder: PartFolder, shards: Collection[Shard], zooms: range, above: TileStore) -> None:
        """
        Args:
            folder: of the parts.
            shards: all that hold tiles; of one zoom.
            zooms: that the parts hold, all of them whole.
            above: takes the tiles of lower zooms.
        """
        self._folder, self._zooms, self._above = folder, zooms, above
        self._shard_zoom = next(iter(shards)).z if shards else 0
        self._columns: dict[int, dict[int, list[Shard]]] = {}
        for shard in shards:  # beyond the antimeridian two shards may be one place
            rows = self._columns.setdefault(shard.x % 2**shard.z, {})
            rows.setdefault(shard.y, []).append(shard)
        self._open: OrderedDict[Shard, tuple[Path, sqlite3.Connection]] = OrderedDict()
        self._lock = RLock()

    @property
    def zooms(self) -> tuple[int, ...]:
        return (
            *(zoom for zoom in self._above.zooms if zoom < self._zooms.start),
            *(self._zooms if self._columns else ()),
        )

    def put(self, tile: Tile, data: bytes) -> None:
        self._above.put(tile, data)

    def get(self, tile: Tile) -> bytes | None:
        if tile.z not in self._zooms:
            return self._above.get(tile) if tile.z < self._zooms.start else None
        down = tile.z - self._shard_zoom
        for shard in self._columns.get(tile.x >> down, {}).get(tile.y >> down, ()):
            query = "SELECT data FROM data WHERE z = ? AND x = ? AND y = ?"
            if found := self._query(shard, query, tile.z, tile.x, tile.y):
                return bytes(found[0][0])
        return None

    def tiles(self, zoom: int) -> Iterator[Tile]:
        if zoom not in self._zooms:
            yield from self._above.tiles(zoom) if zoom < self._zooms.start else ()
            return
        for column in sorted(self._columns):
            shards = (shard for row in self._columns[column].values() for shard in row)
            places = np.concatenate([self._places(shard, zoom) for shard in shards])
            for x, y in places[np.lexsort((places[:, 1], places[:, 0]))].tolist():
                yield Tile(x, y, zoom)

    def sync(self) -> None:
        self._above.sync()

    def close(self) -> None:
        """Closes the files; harmless when repeated."""
        with self._lock:
            while self._open:
                self._open.popitem()[1][1].close()

    def _places(self, shard: Shard, zoom: int) -> npt.NDArray[np.int64]:
        """Columns and rows, int64 (N, 2), of a part's tiles of a zoom."""
        found = self._query(shard, "SELECT x, y FROM data WHERE z = ?", zoom)
        return np.array(found, dtype=np.int64).reshape(-1, 2)

    def _query(self, shard: Shard, query: str, *values: int) -> list[tuple[int, ...] | tuple[bytes]]:
        with self._lock:
            path, database = self._database(shard)
            with journal_errors(path):
                return database.execute(query, values).fetchall()

    def _database(self, shard: Shard) -> tuple[Path, sqlite3.Connection]:
        if shard not in self._open:
            path = self._folder.part(shard)
            with journal_errors(path):
                uri = f"{path.resolve().as_uri()}?immutable=1"
                database = sqlite3.connect(uri, uri=True, check_same_thread=False)
                database.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            self._open[shard] = path, database
            while len(self._open) > OPEN_PARTS:
                self._open.popitem(last=False)[1][1].close()
        self._open.move_to_end(shard)
        return self._open[shard]
