"""Tiles spooled in a journal, until the single-file output is written."""

from __future__ import annotations

from collections.abc import Iterator

from geo2map.ledger.database import Database
from geo2map.tiles.layer import MAP
from geo2map.types import Tile

_AT_ONCE = 256


class SpoolStore:
    """One layer's tiles in a journal (a `geo2map.protocols.TileStore`). Committed with the next record."""

    def __init__(self, journal: Database, layer: str = MAP) -> None:
        self._journal, self._layer = journal, layer

    @property
    def zooms(self) -> tuple[int, ...]:
        with self._journal.access():
            rows = self._journal.db.execute("SELECT DISTINCT z FROM data WHERE layer = ? ORDER BY z", (self._layer,))
            return tuple(zoom for (zoom,) in rows)

    def put(self, tile: Tile, data: bytes) -> None:
        with self._journal.access():
            if not self._journal.db.in_transaction:
                self._journal.db.execute("BEGIN")
            row = (self._layer, tile.z, tile.x, tile.y, data)
            self._journal.db.execute("INSERT OR REPLACE INTO data VALUES (?, ?, ?, ?, ?)", row)

    def get(self, tile: Tile) -> bytes | None:
        with self._journal.access():
            key = (self._layer, tile.z, tile.x, tile.y)
            query = "SELECT data FROM data WHERE layer = ? AND z = ? AND x = ? AND y = ?"
            found = self._journal.db.execute(query, key).fetchone()
        return None if found is None else bytes(found[0])

    def tiles(self, zoom: int) -> Iterator[Tile]:
        with self._journal.access():
            query = "SELECT x, y FROM data WHERE layer = ? AND z = ? ORDER BY x, y"
            rows = self._journal.db.execute(query, (self._layer, zoom))
        for x, y in rows:
            yield Tile(x, y, zoom)

    def items(self) -> Iterator[tuple[Tile, bytes]]:
        """All tiles with their bytes, by zoom, column, row."""
        with self._journal.access():
            query = "SELECT x, y, z, data FROM data WHERE layer = ? ORDER BY z, x, y"
            rows = self._journal.db.execute(query, (self._layer,))
        while some := rows.fetchmany(_AT_ONCE):
            yield from ((Tile(x, y, z), bytes(data)) for x, y, z, data in some)

    def sync(self) -> None:
        """Nothing to do: the next record commits."""
