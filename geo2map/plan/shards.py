"""Shards: the parts of a plan that machines share out, each the tiles below one parent tile."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt
import shapely

from geo2map.aoi import Aoi
from geo2map.aoi.area import TOLERANCE
from geo2map.errors import PlanError
from geo2map.grid import HALF_WORLD, TILE_SIZE, PixelWindow, mercator_resolution

if TYPE_CHECKING:
    from geo2map.grid import Block
    from geo2map.plan.value import Plan

SHARD_LEVELS = 6
"""Zooms that a shard spans unless asked otherwise: 4,096 tiles."""
MANY = 16
"""Shards that a plan falls into at least where its blocks allow it: of a few, the last ones would have one worker."""
Places = npt.NDArray[np.int64]
"""Columns and rows, int64 (N, 2)."""


@dataclass(frozen=True, order=True)
class Shard:
    """The tiles below one parent tile, whole blocks. A value: picklable, comparable, spelled by its name.

    Attributes:
        z: zoom of the parent.
        y, x: its row and column; columns go on over the world's right edge.
    """

    z: int
    y: int
    x: int

    @property
    def name(self) -> str:
        """Zoom, column and row, e.g. "11-1054-672"."""
        return f"{self.z}-{self.x}-{self.y}"

    @classmethod
    def of(cls, name: str) -> Self:
        """Reads a name.

        Raises:
            PlanError: it is none.
        """
        parts = name.split("-")
        if len(parts) != 3 or not all(part.isdecimal() for part in parts):
            raise PlanError(f"{name!r} is no shard: give zoom-column-row, e.g. 11-1054-672")
        z, x, y = map(int, parts)
        return cls(z, y, x)

    def tiles(self, plan: Plan) -> PixelWindow:
        """Columns and rows of its tiles at the plan's zoom, as far as the plan reaches."""
        side = 1 << (plan.maxzoom - self.z)
        left, top = self.x * side, self.y * side
        return PixelWindow(left, top, left + side, top + side).intersection(plan.tiles)

    def blocks(self, plan: Plan) -> Iterator[Block]:
        """Its blocks with a tile to write: those of `plan.blocks()` that lie in it."""
        return plan.blocks(self.tiles(plan))


def choose_shard_zoom(plan: Plan, zoom: int | None = None) -> int:
    """The zoom of the parents: the one asked for, or `SHARD_LEVELS` above the plan's; less if not `MANY`.

    Raises:
        PlanError: a shard would not hold whole blocks.
    """
    lowest = plan.maxzoom - (plan.block_span.bit_length() - 1)
    if zoom is None:
        first = max(0, min(plan.maxzoom - SHARD_LEVELS, lowest))
        whole = ((zoom, _frame(plan.tiles, plan.maxzoom - zoom)) for zoom in range(first, lowest))
        return next((zoom for zoom, frame in whole if frame.width * frame.height >= MANY), max(first, lowest))
    if not 0 <= zoom <= lowest:
        raise PlanError(
            f"shards below tiles of zoom {zoom} do not hold whole blocks of {plan.block_span} x {plan.block_span} "
            f"tiles of zoom {plan.maxzoom}: give a zoom from 0 to {max(0, lowest)}",
            option="shard_zoom",
        )
    return zoom


def find_shards(plan: Plan, zoom: int | None = None) -> Iterator[Shard]:
    """The shards with a tile to write, row by row; lazily, and without looking at the blocks inside the area.

    Raises:
        PlanError: see `choose_shard_zoom`.
    """
    zoom = choose_shard_zoom(plan, zoom)
    return (Shard(zoom, y, x) for x, y in WantedTiles(plan.tiles, plan.aoi, plan.maxzoom).places(plan.maxzoom - zoom))


def shard_levels(plan: Plan, zoom: int) -> int:
    """Zooms above the plan's that a shard holds whole; beyond the antimeridian as `Plan.block_levels` has it."""
    level = plan.maxzoom - zoom
    return level if _frame(plan.tiles, level).width << level <= 1 << plan.maxzoom else plan.block_levels


def _frame(tiles: PixelWindow, level: int) -> PixelWindow:
    """Columns and rows of the squares of 2^level tiles a side that these tiles lie in."""
    left, top, right, bottom = tiles
    return PixelWindow(left >> level, top >> level, -(-right >> level), -(-bottom >> level))


@dataclass(frozen=True)
class WantedTiles:
    """Which squares of tiles hold one to write, found from the top: what lies inside the area is never looked into.

    Attributes:
        tiles: columns and rows of the plan's tiles.
        aoi: the area; None wants all.
        zoom: of the tiles.
    """

    tiles: PixelWindow
    aoi: Aoi | None
    zoom: int

    def places(self, level: int) -> Iterator[tuple[int, int]]:
        """Columns and rows of the squares of 2^level tiles a side that hold a tile to write, row by row."""
        frame = _frame(self.tiles, level)
        for y in range(frame.top, frame.bottom):
            row = np.array([(x, y) for x in range(frame.left, frame.right)])
            yield from map(tuple, row[self._wanted(row, level)].tolist())

    def count(self, level: int) -> int:
        """How many squares of 2^level tiles a side hold a tile to write."""
        step = min(self.zoom, max(level, max(self.tiles.width, self.tiles.height).bit_length() - 3))
        frame, total = _frame(self.tiles, step), 0
        places = np.stack(np.meshgrid(*(np.arange(a, b) for a, b in zip(frame[:2], frame[2:], strict=True))), -1)
        places = places.reshape(-1, 2)
        while True:
            inside, crossed = self._look(places, step)
            total += self._squares(places[inside], step, level)
            places = places[crossed]
            if step == level:
                return total + int(self._wanted(places, level).sum())
            step -= 1
            places, _ = self._children(places, step)

    def _squares(self, places: Places, step: int, level: int) -> int:
        """How many squares of one level lie in those of a coarser one, as far as the plan reaches."""
        frame = np.array(_frame(self.tiles, level))
        low = np.maximum(places << (step - level), frame[:2])
        high = np.minimum((places + 1) << (step - level), frame[2:])
        return int(np.prod(high - low, axis=1).sum())

    def _children(self, places: Places, level: int) -> tuple[Places, npt.NDArray[np.intp]]:
        """The four squares in each, as far as they are in the plan, and in which they are."""
        four = (2 * places[:, None] + np.array([(0, 0), (1, 0), (0, 1), (1, 1)])).reshape(-1, 2)
        frame = np.array(_frame(self.tiles, level))
        kept = ((four >= frame[:2]) & (four < frame[2:])).all(axis=1)
        return four[kept], np.arange(len(places)).repeat(4)[kept]

    def _look(self, places: Places, level: int) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Which squares lie in the area, and which are crossed by its border, bool (N,) each."""
        if self.aoi is None or not len(places):
            return np.ones(len(places), dtype=np.bool_), np.zeros(len(places), dtype=np.bool_)
        across = 1 << (self.zoom - level)
        side = 2 * HALF_WORLD / across
        left, top = places[:, 0] % across * side - HALF_WORLD, HALF_WORLD - places[:, 1] * side
        boxes = shapely.box(left, top - side, left + side, top)
        inside = shapely.contains_properly(self.aoi.geometry, boxes)  # `covers` takes twice as long
        return inside, shapely.intersects(self.aoi.geometry, boxes) & ~inside

    def _wanted(self, places: Places, level: int) -> npt.NDArray[np.bool_]:
        """Which squares hold a tile of the area, exactly as `Aoi.tiles` has it, bool (N,)."""
        inside, crossed = self._look(places, level)
        if level == 0 and crossed.any():
            inside[crossed] = self._touched(places[crossed])
        elif crossed.any():
            owners = np.flatnonzero(crossed)
            children, of = self._children(places[owners], level - 1)
            inside[owners[of[self._wanted(children, level - 1)]]] = True
        return inside

    def _touched(self, places: Places) -> npt.NDArray[np.bool_]:
        """Which tiles belong to the area, bool (N,)."""
        assert self.aoi is not None, "without an area nothing is crossed"
        size = mercator_resolution(self.zoom)
        side, less = TILE_SIZE * size, TOLERANCE * size
        left, top = places[:, 0] % 2**self.zoom * side - HALF_WORLD, HALF_WORLD - places[:, 1] * side
        boxes = shapely.box(left + less, top - side + less, left + side - less, top - less)
        touched: npt.NDArray[np.bool_] = shapely.intersects(self.aoi.geometry, boxes)
        return touched
