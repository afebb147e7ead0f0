"""Which tiles, and squares of tiles, an area of interest touches, without visiting each tile."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely

from geo2map.aoi import Aoi
from geo2map.aoi.area import TOLERANCE
from geo2map.grid import HALF_WORLD, TILE_SIZE, PixelWindow, mercator_resolution

_Squares = npt.NDArray[np.int64]
"""Columns and rows, int64 (N, 2)."""


def parent_range(tiles: PixelWindow, level: int) -> PixelWindow:
    """Columns and rows of the squares, 2^level tiles a side, that contain these tiles."""
    left, top, right, bottom = tiles
    return PixelWindow(left >> level, top >> level, -(-right >> level), -(-bottom >> level))


@dataclass(frozen=True)
class AreaTiles:
    """The squares of tiles with at least one tile to write, found top-down: squares inside the area are not subdivided.

    Attributes:
        tiles: columns and rows of the plan's tiles.
        aoi: the area; None means everywhere.
        zoom: zoom of the tiles.
    """

    tiles: PixelWindow
    aoi: Aoi | None
    zoom: int

    def places(self, level: int) -> Iterator[tuple[int, int]]:
        """Columns and rows of the squares of 2^level tiles a side with a tile to write, row by row."""
        frame = parent_range(self.tiles, level)
        for y in range(frame.top, frame.bottom):
            row = np.array([(x, y) for x in range(frame.left, frame.right)])
            yield from map(tuple, row[self._touching(row, level)].tolist())

    def count(self, level: int) -> int:
        """Number of squares of 2^level tiles a side with a tile to write."""
        step = min(self.zoom, max(level, max(self.tiles.width, self.tiles.height).bit_length() - 3))
        frame, total = parent_range(self.tiles, step), 0
        squares = np.stack(np.meshgrid(*(np.arange(a, b) for a, b in zip(frame[:2], frame[2:], strict=True))), -1)
        squares = squares.reshape(-1, 2)
        while True:
            inside, crossed = self._classify(squares, step)
            total += self._squares(squares[inside], step, level)
            squares = squares[crossed]
            if step == level:
                return total + int(self._touching(squares, level).sum())
            step -= 1
            squares, _ = self._children(squares, step)

    def _squares(self, squares: _Squares, step: int, level: int) -> int:
        """Number of squares of one level within those of a coarser one, clipped to the plan."""
        frame = np.array(parent_range(self.tiles, level))
        low = np.maximum(squares << (step - level), frame[:2])
        high = np.minimum((squares + 1) << (step - level), frame[2:])
        return int(np.prod(high - low, axis=1).sum())

    def _children(self, squares: _Squares, level: int) -> tuple[_Squares, npt.NDArray[np.intp]]:
        """The four squares in each, clipped to the plan, and the index of their parents."""
        four = (2 * squares[:, None] + np.array([(0, 0), (1, 0), (0, 1), (1, 1)])).reshape(-1, 2)
        frame = np.array(parent_range(self.tiles, level))
        kept = ((four >= frame[:2]) & (four < frame[2:])).all(axis=1)
        return four[kept], np.arange(len(squares)).repeat(4)[kept]

    def _classify(self, squares: _Squares, level: int) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Which squares are inside the area, and which cross its border, bool (N,) each."""
        if self.aoi is None or not len(squares):
            return np.ones(len(squares), dtype=np.bool_), np.zeros(len(squares), dtype=np.bool_)
        across = 1 << (self.zoom - level)
        side = 2 * HALF_WORLD / across
        left, top = squares[:, 0] % across * side - HALF_WORLD, HALF_WORLD - squares[:, 1] * side
        boxes = shapely.box(left, top - side, left + side, top)
        inside = shapely.contains_properly(self.aoi.geometry, boxes)  # `covers` takes twice as long
        return inside, shapely.intersects(self.aoi.geometry, boxes) & ~inside

    def _touching(self, squares: _Squares, level: int) -> npt.NDArray[np.bool_]:
        """Which squares contain a tile of the area, consistent with `Aoi.tiles`, bool (N,)."""
        inside, crossed = self._classify(squares, level)
        if level == 0 and crossed.any():
            inside[crossed] = self._touched(squares[crossed])
        elif crossed.any():
            owners = np.flatnonzero(crossed)
            children, of = self._children(squares[owners], level - 1)
            inside[owners[of[self._touching(children, level - 1)]]] = True
        return inside

    def _touched(self, squares: _Squares) -> npt.NDArray[np.bool_]:
        """Which tiles belong to the area, bool (N,)."""
        assert self.aoi is not None, "without an area nothing is crossed"
        size = mercator_resolution(self.zoom)
        side, less = TILE_SIZE * size, TOLERANCE * size
        left, top = squares[:, 0] % 2**self.zoom * side - HALF_WORLD, HALF_WORLD - squares[:, 1] * side
        boxes = shapely.box(left + less, top - side + less, left + side - less, top - less)
        touched: npt.NDArray[np.bool_] = shapely.intersects(self.aoi.geometry, boxes)
        return touched
