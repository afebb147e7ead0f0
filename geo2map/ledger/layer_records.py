"""The records of one layer's tiles in a journal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from geo2map.ledger.database import Database
from geo2map.pipeline.records import tile_digest
from geo2map.types import Tile

_AT_ONCE = 512


class LayerRecords:
    """Tiles of a layer with their digests, and tiles of an older output to be removed."""

    def __init__(self, journal: Database, name: str) -> None:
        self.journal, self.name = journal, name

    @property
    def zooms(self) -> tuple[int, ...]:
        """Zooms of recorded tiles, ascending."""
        return tuple(zoom for (zoom,) in self._all("SELECT DISTINCT z FROM tiles WHERE layer = ? ORDER BY z"))

    def any(self) -> bool:
        return bool(self._all("SELECT 1 FROM tiles WHERE layer = ? LIMIT 1"))

    def digests(self, zoom: int) -> Iterator[tuple[Tile, bytes]]:
        """Recorded tiles of a zoom and their digests, by column, then row."""
        with self.journal.access():
            rows = self.journal.db.execute(
                "SELECT x, y, digest FROM tiles WHERE layer = ? AND z = ? ORDER BY x, y", (self.name, zoom)
            )
        while True:
            with self.journal.access():  # released between batches
                some = rows.fetchmany(_AT_ONCE)
            if not some:
                return
            for x, y, digest in some:
                yield Tile(x, y, zoom), digest

    def tiles(self, zoom: int) -> Iterator[Tile]:
        """The recorded tiles of a zoom, by column, then row."""
        return (tile for tile, _ in self.digests(zoom))

    def digest(self, tile: Tile) -> bytes | None:
        """Digest of a recorded tile; None if it is not recorded."""
        query = "SELECT digest FROM tiles WHERE layer = ? AND z = ? AND x = ? AND y = ?"
        found = self._all(query, tile.z, tile.x, tile.y)
        return found[0][0] if found else None  # type: ignore[return-value]

    def removed(self, zoom: int | None = None) -> list[Tile]:
        """Tiles of an older output to be removed."""
        where, values = ("", ()) if zoom is None else (" AND z = ?", (zoom,))
        rows = self._all(f"SELECT x, y, z FROM removed WHERE layer = ?{where} ORDER BY z, x, y", *values)
        return [Tile(*row) for row in rows]

    def add(self, tiles: Mapping[Tile, bytes]) -> None:
        """Record tiles, within a transaction."""
        places = [(self.name, tile.z, tile.x, tile.y) for tile in tiles]
        self.journal.db.executemany("DELETE FROM removed WHERE layer = ? AND z = ? AND x = ? AND y = ?", places)
        rows = [(*place, tile_digest(data)) for place, data in zip(places, tiles.values(), strict=True)]
        self.journal.db.executemany("INSERT OR REPLACE INTO tiles VALUES (?, ?, ?, ?, ?)", rows)

    def record_parents(self, parents: Mapping[Tile, bytes | None]) -> None:
        """Record the overviews above the blocks; None marks those that no longer exist."""
        gone = [(self.name, tile.z, tile.x, tile.y) for tile, data in parents.items() if data is None]
        with self.journal.transaction():
            self.add({tile: data for tile, data in parents.items() if data is not None})
            self.journal.db.executemany("DELETE FROM tiles WHERE layer = ? AND z = ? AND x = ? AND y = ?", gone)
            self.journal.db.executemany("INSERT OR IGNORE INTO removed VALUES (?, ?, ?, ?)", gone)

    def _all(self, query: str, *values: int) -> list[tuple[int, ...]]:
        with self.journal.access():
            return self.journal.db.execute(query, (self.name, *values)).fetchall()
