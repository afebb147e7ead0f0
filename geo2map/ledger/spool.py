"""Tiles in a journal, for outputs that are one file: they wait there until the file is made of them."""

from __future__ import annotations

from collections.abc import Iterator

from geo2map.ledger.journal import Journal
from geo2map.types import Tile


class SpoolStore:
    """The tiles in a journal (a `geo2map.protocols.TileStore`). They count from the next record on."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    @property
    def zooms(self) -> tuple[int, ...]:
        with self._journal.errors():
            return tuple(zoom for (zoom,) in self._journal.db.execute("SELECT DISTINCT z FROM data ORDER BY z"))

    def put(self, tile: Tile, data: bytes) -> None:
        with self._journal.errors():
            if not self._journal.db.in_transaction:
                self._journal.db.execute("BEGIN")
            row = (tile.z, tile.x, tile.y, data)
            self._journal.db.execute("INSERT OR REPLACE INTO data VALUES (?, ?, ?, ?)", row)

    def get(self, tile: Tile) -> bytes | None:
        with self._journal.errors():
            key = (tile.z, tile.x, tile.y)
            found = self._journal.db.execute("SELECT data FROM data WHERE z = ? AND x = ? AND y = ?", key).fetchone()
        return None if found is None else bytes(found[0])

    def tiles(self, zoom: int) -> Iterator[Tile]:
        with self._journal.errors():
            rows = self._journal.db.execute("SELECT x, y FROM data WHERE z = ? ORDER BY x, y", (zoom,))
        for x, y in rows:
            yield Tile(x, y, zoom)

    def sync(self) -> None:
        """The record that follows does it."""
