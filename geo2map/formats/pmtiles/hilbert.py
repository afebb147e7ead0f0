"""The order of tiles in a PMTiles archive: by zoom, along Hilbert curves. Vectorized."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from geo2map.grid import PixelWindow
from geo2map.protocols import StoredTiles
from geo2map.types import Tile

Numbers = npt.NDArray[np.int64]
_AT_ONCE = 2**15
"""Tiles held as objects at a time; all others are numbers."""


def first_id(zoom: int) -> int:
    """Id of the first tile of a zoom: the number of tiles at smaller zooms."""
    return (4**zoom - 1) // 3


def tile_ids(zoom: int, columns: Numbers, rows: Numbers) -> Numbers:
    """PMTiles ids of the tiles of a zoom, int64 (N,), from their columns and rows, int64 (N,)."""
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


class Squares(NamedTuple):
    """Squares of tiles of one zoom, int64 (N,) each; sides are powers of two."""

    columns: Numbers
    rows: Numbers
    sides: Numbers

    def extent(self) -> PixelWindow:
        """Columns and rows of at least one square; right and bottom exclusive."""
        right, bottom = (self.columns + self.sides).max(), (self.rows + self.sides).max()
        return PixelWindow(int(self.columns.min()), int(self.rows.min()), int(right), int(bottom))

    def by_column(self) -> Iterator[tuple[int, int]]:
        """Columns and rows of the tiles, column by column, then by row."""
        order = np.lexsort((self.rows, self.columns))
        starts, tops, sides = self.columns[order], self.rows[order], self.sides[order]
        column, begun, open_squares = 0, 0, list[tuple[int, int, int]]()
        while open_squares or begun < len(starts):
            if not open_squares:
                column = int(starts[begun])
            ended = int(np.searchsorted(starts, column, side="right"))
            fresh = slice(begun, ended)
            spans = zip(tops[fresh].tolist(), sides[fresh].tolist(), strict=True)
            open_squares = sorted([*open_squares, *((top, top + side, column + side) for top, side in spans)])
            for top, bottom, _ in open_squares:
                yield from ((column, row) for row in range(top, bottom))
            column, begun = column + 1, ended
            open_squares = [square for square in open_squares if square[2] > column]


def squares_of(zoom: int, runs: Iterable[tuple[int, int]]) -> Squares:
    """The squares that runs of ids consist of: a few for each run, however long.

    Args:
        runs: (first id, last id + 1), ascending.
    """
    ids, sides = array("q"), array("q")
    for first, last in _joined(runs):
        place, end = first - first_id(zoom), last - first_id(zoom)
        while place < end:  # 4**n tiles from a multiple of 4**n are a square
            aligned = ((place & -place).bit_length() - 1) // 2 if place else zoom
            level = min(aligned, ((end - place).bit_length() - 1) // 2)
            ids.append(place + first_id(zoom))
            sides.append(1 << level)
            place += 1 << 2 * level
    along = np.frombuffer(sides, dtype=np.int64) if sides else np.empty(0, np.int64)
    columns, rows = tile_places(zoom, np.frombuffer(ids, dtype=np.int64) if ids else along)
    return Squares(columns & -along, rows & -along, along)


def _joined(runs: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The same ids in the fewest runs."""
    begun: tuple[int, int] | None = None
    for first, last in runs:
        if begun is not None and first <= begun[1]:
            begun = begun[0], max(begun[1], last)
            continue
        if begun is not None:
            yield begun
        begun = first, last
    if begun is not None:
        yield begun


def _turn(side: int, x: Numbers, y: Numbers, right: Numbers, low: Numbers) -> tuple[Numbers, Numbers]:
    """Mirror and swap for a quarter of the curve."""
    swap = low == 0
    mirror = swap & (right != 0)
    x, y = np.where(mirror, side - 1 - x, x), np.where(mirror, side - 1 - y, y)
    return np.where(swap, y, x), np.where(swap, x, y)


def in_hilbert_order(store: StoredTiles, zoom: int) -> Iterator[tuple[int, Tile]]:
    """Ids and tiles of a zoom of a store in ascending order; 16 bytes a tile while it sorts, 8 afterwards."""
    ids = _sorted_ids(store, zoom)
    for first in range(0, len(ids), _AT_ONCE):
        some = ids[first : first + _AT_ONCE]
        columns, rows = tile_places(zoom, some)
        for tile_id, x, y in zip(some.tolist(), columns.tolist(), rows.tolist(), strict=True):
            yield tile_id, Tile(x, y, zoom)


def _sorted_ids(store: StoredTiles, zoom: int) -> Numbers:
    tiles, parts = store.tiles(zoom), [np.empty(0, dtype=np.int64)]
    while some := list(islice(tiles, _AT_ONCE)):
        places = np.array([(tile.x, tile.y) for tile in some], dtype=np.int64)
        parts.append(tile_ids(zoom, places[:, 0], places[:, 1]))
    ids = np.concatenate(parts)
    ids.sort()
    return ids
