"""The most recently used tiles in memory, bounded by their bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock

from geo2map.live.block_queue import Tiles

_ENTRY = 1000  # bytes of memory that an entry takes beside its tiles: plain sea is not free


class BlockCache:
    """Tiles by layer, under any key, least recently used evicted first. Thread-safe.

    Attributes:
        most: bytes that it may hold.
    """

    def __init__(self, most: int) -> None:
        self.most, self._held = most, 0
        self._lock = Lock()
        self._entries: OrderedDict[Hashable, tuple[Tiles, int]] = OrderedDict()

    @property
    def held(self) -> int:
        """Bytes in the cache."""
        return self._held

    def get(self, key: Hashable) -> Tiles | None:
        """The tiles of a key, None where they are not cached."""
        with self._lock:
            if (entry := self._entries.get(key)) is None:
                return None
            self._entries.move_to_end(key)
            return entry[0]

    def put(self, key: Hashable, tiles: Tiles) -> None:
        """Stores the tiles of a key."""
        size = _ENTRY + sum(len(data) for some in tiles.values() for data in some.values())
        with self._lock:
            self._held += size - self._entries.pop(key, ({}, 0))[1]
            self._entries[key] = (tiles, size)
            while self._held > self.most and self._entries:
                self._held -= self._entries.popitem(last=False)[1][1]
