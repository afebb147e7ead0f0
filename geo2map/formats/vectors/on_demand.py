"""Vector tiles of a file, made when they are wanted."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from geo2map.formats.vectors.drawing import tiles_touched
from geo2map.formats.vectors.read import FeatureFile
from geo2map.formats.vectors.tiles import vector_tile
from geo2map.types import Tile

_KEPT = 256
"""Tiles in memory: some KiB each."""


class FeatureTiles:
    """The vector tiles of a file (`geo2map.protocols.StoredTiles`), the same as `vector_tiles` gives. Thread-safe.

    Each tile reads its features anew; a low zoom reads many. For large maps, and many visitors, store tiles.
    """

    def __init__(self, features: FeatureFile) -> None:
        self._features = features
        self._made = lru_cache(_KEPT)(self._make)

    @property
    def zooms(self) -> tuple[int, ...]:
        """All zooms that can be made."""
        return tuple(range(self._features.frame.zoom + 1))

    def tiles(self, zoom: int) -> Iterator[Tile]:
        """Where there is a map; a tile there may be empty."""
        return tiles_touched(self._features, zoom)

    def get(self, tile: Tile) -> bytes | None:
        """A tile's bytes; None where nothing is in it.

        Raises:
            TileSetError: the file is damaged.
        """
        return self._made(Tile(*tile))

    def _make(self, tile: Tile) -> bytes | None:
        return vector_tile(self._features, tile) or None
