"""Blocks that stay: in the workspace of an output, which a later run completes."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from threading import Lock
from typing import Protocol

from geo2map.errors import Geo2MapError
from geo2map.live.tally import Tally
from geo2map.pipeline.blocks import BlockDone, BlockKey
from geo2map.pipeline.records import BlockRecord
from geo2map.protocols import TileStore
from geo2map.types import Tile

log = logging.getLogger(__name__)


class KeepingOutput(Protocol):
    """What is needed of an output in the making: `geo2map.ledger.Output`."""

    records: dict[BlockKey, BlockRecord]

    @property
    def store(self) -> TileStore: ...

    def keep(self, done: BlockDone, tiles: Mapping[Tile, bytes]) -> None: ...


class KeptBlocks:
    """The blocks of an output in the making, read and added to. Thread-safe."""

    def __init__(self, output: KeepingOutput, tally: Tally) -> None:
        self._output, self._tally, self._lock = output, tally, Lock()
        self._store = output.store
        self._done = {key for key, record in output.records.items() if record.open is None}

    def __len__(self) -> int:
        return len(self._done)

    def has(self, key: BlockKey) -> bool:
        """Whether a block is kept."""
        return key in self._done

    def get(self, tile: Tile) -> bytes | None:
        """A tile of a block that is kept, None where it has none.

        Raises:
            TileSetError: it cannot be read.
        """
        return self._store.get(tile)

    def keep(self, done: BlockDone, tiles: Mapping[Tile, bytes]) -> None:
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
