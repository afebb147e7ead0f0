"""The records of one layer's tiles in a journal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from geo2map.ledger.database import Database
from geo2map.pipeline.records import tile_digest
from geo2map.types import Tile

_AT_ONCE = 512


class LayerRecords:
    """Which tiles a layer has to have, with a digest each, and which of an older output are to be removed."""

    def __init__(self, journal: Database, name: str) -> None:
        self.journal, self.name = journal, name

    @property
    def zooms(self) -> tuple[int, ...]:
        """Zooms of tiles that are recorded, ascending."""
        return tuple(zoom for (zoom,) in self._all("SELECT DISTINCT z FROM tiles WHERE layer = ? ORDER BY z"))

    def any(self) -> bool:
        """Whether any tile is recorded."""
        return bool(self._all("SELECT 1 FROM tiles WHERE layer = ? LIMIT 1"))

    def digests(self, zoom: int) -> Iterator[tuple[Tile, bytes]]:
        """The recorded tiles of a zoom, by column, then row, and their digests."""
        with self.journal.access():
            rows = self.journal.db.execute(
                "SELECT x, y, digest FROM tiles WHERE layer = ? AND z = ? ORDER BY x, y", (self.name, zoom)
            )
        while True:
            with self.journal.access():  # not held while others work with what was yielded
                some = rows.fetchmany(_AT_ONCE)
            if not some:
                return
            for x, y, digest in some:
                yield Tile(x, y, zoom), digest

    def tiles(self, zoom: int) -> Iterator[Tile]:
        """The recorded tiles of a zoom, by column, then row."""
        return (tile for tile, _ in self.digests(zoom))

    def digest(self, tile: Tile) -> bytes | None:
        """The digest of a recorded tile, None of any other."""
        query = "SELECT digest FROM tiles WHERE layer = ? AND z = ? AND x = ? AND y = ?"
        found = self._all(query, tile.z, tile.x, tile.y)
        return found[0][0] if found else None  # type: ignore[return-value]

    def removed(self, zoom: int | None = None) -> list[Tile]:
        """Tiles of an older output that are to be removed."""
        where, values = ("", ()) if zoom is None else (" AND z = ?", (zoom,))
        rows = self._all(f"SELECT x, y, z FROM removed WHERE layer = ?{where} ORDER BY z, x, y", *values)
        return [Tile(*row) for row in rows]

    def add(self, tiles: Mapping[Tile, bytes]) -> None:
        """Records tiles; within a transaction."""
        places = [(self.name, tile.z, tile.x, tile.y) for tile in tiles]
        self.journal.db.executemany("DELETE FROM removed WHERE layer = ? AND z = ? AND x = ? AND y = ?", places)
        rows = [(*place, tile_digest(data)) for place, data in zip(places, tiles.values(), strict=True)]
        self.journal.db.executemany("INSERT OR REPLACE INTO tiles VALUES (?, ?, ?, ?, ?)", rows)

    def record_parents(self, parents: Mapping[Tile, bytes | None]) -> None:
        """Records the overviews above the blocks; None for those that no longer exist."""
        gone = [(self.name, tile.z, tile.x, tile.y) for tile, data in parents.items() if data is None]
        with self.journal.transaction():
            self.add({tile: data for tile, data in parents.items() if data is not None})
            self.journal.db.executemany("DELETE FROM tiles WHERE layer = ? AND z = ? AND x = ? AND y = ?", gone)
            self.journal.db.executemany("INSERT OR IGNORE INTO removed VALUES (?, ?, ?, ?)", gone)

    def _all(self, query: str, *values: int) -> list[tuple[int, ...]]:
        with self.journal.access():
            return self.journal.db.execute(query, (self.name, *values)).fetchall()
