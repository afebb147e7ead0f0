"""How much of a map is doubtful, and where most: from its layer of confidence."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from heapq import nsmallest
from pathlib import Path
from typing import Any

import numpy as np

from geo2map.errors import TileSetError
from geo2map.formats.opened import find_layers, open_tiles
from geo2map.tiles.codec import decode_tile
from geo2map.tiles.layer import DOUBTFUL, PERCENT_UNIT
from geo2map.types import Tile

WORST_PLACES = 10
"""Places that are named."""
_LEAST = 256 * 256 // 4
"""Valid pixels of a tile that counts as a place."""


@dataclass(frozen=True)
class Doubt:
    """Where a map is doubtful.

    Attributes:
        share: of its pixels whose confidence is below `DOUBTFUL`.
        worst: tiles at maxzoom of the least mean confidence, at most `WORST_PLACES`, with that in percent.
    """

    share: float
    worst: tuple[tuple[Tile, float], ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        worst = [{"tile": list(tile), "confidence": round(percent, 1)} for tile, percent in self.worst]
        return {"doubtful": self.share, "worst": worst}


def measure_doubt(path: Path) -> Doubt | None:
    """Read the layer of confidence of an output; None without one. Tiles that cannot be read are left out.

    Raises:
        TileSetError: the output cannot be read.
    """
    with open_tiles(path) as (_, tileset):
        places = find_layers(path, tileset)
    for place in places.values():
        try:
            with open_tiles(place) as (store, described):
                if described.unit == PERCENT_UNIT:
                    return _measure(store.tiles(described.maxzoom), store.get)
        except TileSetError:  # reported by the check of that layer
            continue
    return None


def _measure(tiles: Iterable[Tile], get: Callable[[Tile], bytes | None]) -> Doubt | None:
    valid = doubtful = 0
    means: list[tuple[float, Tile]] = []
    for tile in tiles:
        try:
            pixels, mask = decode_tile(get(tile) or b"")
        except TileSetError:
            continue
        percents = pixels[..., 0][mask]
        valid, doubtful = valid + percents.size, doubtful + int(np.count_nonzero(percents < DOUBTFUL))
        if percents.size >= _LEAST:
            means.append((float(percents.mean()), tile))
        if len(means) > 2 * WORST_PLACES:
            means = nsmallest(WORST_PLACES, means)
    if not valid:
        return None
    return Doubt(doubtful / valid, tuple((tile, mean) for mean, tile in nsmallest(WORST_PLACES, means)))
