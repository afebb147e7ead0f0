"""Changed tiles on top of unchanged ones, which are never modified."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import merge
from itertools import groupby

from geo2map.errors import TileSetError
from geo2map.ledger.layer_records import LayerRecords
from geo2map.pipeline.records import tile_digest
from geo2map.protocols import StoredTiles, TileStore
from geo2map.types import Tile


class OverlayStore:
    """The tiles of one store on top of another's (a `geo2map.protocols.TileStore`).

    With records it is a finished output being changed: they define which tiles exist, and their content.
    """

    def __init__(self, top: TileStore, base: StoredTiles, records: LayerRecords | None = None, name: str = "") -> None:
        """
        Args:
            top: receives new tiles.
            base: the other tiles.
            records: tiles of the combined output; None is the union of both stores.
            name: the finished output, for messages.
        """
        self._top, self._base, self._records, self._name = top, base, records, name

    @property
    def zooms(self) -> tuple[int, ...]:
        if self._records is not None:
            return self._records.zooms
        return tuple(sorted({*self._top.zooms, *self._base.zooms}))

    def put(self, tile: Tile, data: bytes) -> None:
        self._top.put(tile, data)

    def get(self, tile: Tile) -> bytes | None:
        """The tile's bytes, None if it does not exist.

        Raises:
            TileSetError: it differs from its record: the finished output is damaged, or was replaced.
        """
        if self._records is None:
            return found if (found := self._top.get(tile)) is not None else self._base.get(tile)
        if (found := self._top.get(tile)) is not None:
            return found
        if (digest := self._records.digest(tile)) is None:
            return None
        data = self._base.get(tile)
        if data is None or tile_digest(data) != digest:
            raise TileSetError(
                f"{self._name}: tile {tile.z}/{tile.x}/{tile.y} differs from what was written; repair the output "
                "first (geo2map check, with repair), or render it again"
            )
        return data

    def tiles(self, zoom: int) -> Iterator[Tile]:
        if self._records is not None:
            return self._records.tiles(zoom)
        both = merge(self._top.tiles(zoom), self._base.tiles(zoom))
        return (tile for tile, _ in groupby(both))

    def changed(self, zoom: int) -> Iterator[Tile]:
        """Tiles added, changed or removed with respect to the finished output; all tiles without records."""
        if self._records is None:
            return self.tiles(zoom)
        return iter(sorted({*self._top.tiles(zoom), *self._records.removed(zoom)}))

    def sync(self) -> None:
        self._top.sync()
