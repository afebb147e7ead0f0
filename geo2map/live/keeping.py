"""Blocks that stay: in the workspace of an output, which a later run completes."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from threading import Lock
from typing import Protocol

from geo2map.errors import Geo2MapError
from geo2map.live.tally import Tally
from geo2map.pipeline.blocks import LayerTiles
from geo2map.pipeline.reading import BlockDone, BlockKey
from geo2map.pipeline.run import BlockSink
from geo2map.protocols import TileStore
from geo2map.types import Tile

log = logging.getLogger(__name__)


class StoredSink(BlockSink, Protocol):
    """An output in the making whose tiles can be read: `geo2map.ledger.Output`."""

    @property
    def stores(self) -> Mapping[str, TileStore]: ...


class PersistedBlocks:
    """The blocks of an output in the making, read and added to. Thread-safe."""

    def __init__(self, output: StoredSink, tally: Tally) -> None:
        self._output, self._tally, self._lock = output, tally, Lock()
        self._stores = output.stores
        self._done = {key for key, record in output.records.items() if record.pending_reason is None}

    def __len__(self) -> int:
        return len(self._done)

    def has(self, key: BlockKey) -> bool:
        """Whether a block is kept."""
        return key in self._done

    def get(self, layer: str, tile: Tile) -> bytes | None:
        """A tile of a block that is kept, None where it has none.

        Raises:
            TileSetError: it cannot be read.
        """
        return self._stores[layer].get(tile)

    def keep(self, done: BlockDone, tiles: LayerTiles) -> None:
        """Keeps a block; one that cannot be written is served all the same, and the log says why."""
        with self._lock:
            if done.key in self._done:
                return
            try:
                self._output.keep(done, tiles)
            except Geo2MapError as error:
                self._tally.add("blocks", "map", "not kept")
                log.warning("a block was not kept: %s", error)
                return
            self._done.add(done.key)
        self._tally.add("blocks", "map", "kept")
