"""The counts of doubtful pixels in a journal, a row for each tile at maxzoom that has a confidence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from geo2map.ledger.database import Database
from geo2map.tiles.doubt import TileDoubt
from geo2map.types import Tile

_AT_ONCE = 512


class DoubtRecords:
    """What a journal records of each tile's confidence."""

    def __init__(self, journal: Database) -> None:
        self.journal = journal

    def add(self, counts: Mapping[Tile, TileDoubt]) -> None:
        """Record tiles, within a transaction."""
        rows = [(tile.z, tile.x, tile.y, *count) for tile, count in counts.items()]
        self.journal.db.executemany("INSERT OR REPLACE INTO doubt VALUES (?, ?, ?, ?, ?, ?)", rows)

    def counts(self) -> Iterator[tuple[Tile, TileDoubt]]:
        """The recorded tiles and their counts, by column, then row."""
        with self.journal.access():
            rows = self.journal.db.execute("SELECT x, y, z, judged, doubtful, total FROM doubt ORDER BY z, x, y")
        while True:
            with self.journal.access():  # released between batches
                some = rows.fetchmany(_AT_ONCE)
            if not some:
                return
            for x, y, z, *count in some:
                yield Tile(x, y, z), TileDoubt(*count)
