"""The order of tiles in a PMTiles archive: zoom by zoom along Hilbert curves; arrays of tiles at a time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np
import numpy.typing as npt

from geo2map.protocols import StoredTiles
from geo2map.types import Tile

Numbers = npt.NDArray[np.int64]
AT_ONCE = 2**15
"""Tiles that are objects at a time; the others are numbers."""


def first_id(zoom: int) -> int:
    """The id of the first tile of a zoom: how many tiles the smaller zooms have."""
    return (4**zoom - 1) // 3


def tile_ids(zoom: int, columns: Numbers, rows: Numbers) -> Numbers:
    """PMTiles' ids of the tiles of a zoom, int64 (N,), from their columns and rows, int64 (N,)."""
    x, y = columns.copy(), rows.copy()
    ids = np.full(x.shape, first_id(zoom), dtype=np.int64)
    for level in reversed(range(zoom)):
        side = 1 << level
        right, low = x & side, y & side
        ids += ((3 * right) ^ low) << level
        x, y = _turn(side, x, y, right, low)
    return ids


def tile_places(zoom: int, ids: Numbers) -> tuple[Numbers, Numbers]:
    """Columns and rows, int64 (N,), of the tiles of a zoom with these ids, int64 (N,)."""
    place = ids - first_id(zoom)
    x, y = np.zeros_like(place), np.zeros_like(place)
    for level in range(zoom):
        side = 1 << level
        right = (place >> 1) & side
        low = (place ^ right) & side
        x, y = _turn(side, x, y, right, low)
        x, y, place = x + right, y + low, place >> 1
    return x, y


def _turn(side: int, x: Numbers, y: Numbers, right: Numbers, low: Numbers) -> tuple[Numbers, Numbers]:
    """Mirrors and swaps as the quarter of the curve asks."""
    swap = low == 0
    mirror = swap & (right != 0)
    x, y = np.where(mirror, side - 1 - x, x), np.where(mirror, side - 1 - y, y)
    return np.where(swap, y, x), np.where(swap, x, y)


def in_hilbert_order(store: StoredTiles, zoom: int) -> Iterator[tuple[int, Tile]]:
    """Ids and tiles of a zoom of a store in ascending order; 16 bytes a tile while it sorts, 8 afterwards."""
    ids = _sorted_ids(store, zoom)
    for first in range(0, len(ids), AT_ONCE):
        some = ids[first : first + AT_ONCE]
        columns, rows = tile_places(zoom, some)
        for tile_id, x, y in zip(some.tolist(), columns.tolist(), rows.tolist(), strict=True):
            yield tile_id, Tile(x, y, zoom)


def _sorted_ids(store: StoredTiles, zoom: int) -> Numbers:
    tiles, parts = store.tiles(zoom), [np.empty(0, dtype=np.int64)]
    while some := list(islice(tiles, AT_ONCE)):
        places = np.array([(tile.x, tile.y) for tile in some], dtype=np.int64)
        parts.append(tile_ids(zoom, places[:, 0], places[:, 1]))
    ids = np.concatenate(parts)
    ids.sort()
    return ids
