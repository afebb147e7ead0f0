"""The extent of a tile set: stated bounds count as far as the tiles confirm them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

import mercantile

from geo2map.grid import TILE_SIZE, PixelWindow, bounds_window, tile_range, world_window
from geo2map.types import Bounds, LngLatBounds, Scheme

_MERCATOR_EDGE = 85.0511287798066
"""Latitude of the edge of the square world."""
_ROOMY = 4
"""Largest ratio of the area of bounds to that of the tiles: sparse tile sets omit empty tiles, but the whole world is
not plausible."""
_DECISIVE = 2
"""Minimum factor by which a row order must fit the bounds better than the other."""


class HasExtent(Protocol):
    """Stored tiles with known extents.

    Attributes:
        zooms: zooms with at least one tile, ascending.
    """

    @property
    def zooms(self) -> tuple[int, ...]: ...

    def extent(self, zoom: int) -> PixelWindow:
        """Columns and rows of the tiles of a non-empty zoom; right and bottom exclusive."""


class CachedExtent:
    """Extents of stored tiles, computed once a zoom, for use while nothing changes.

    Attributes:
        zooms: zooms with at least one tile, ascending.
    """

    def __init__(self, store: HasExtent) -> None:
        self._store, self._found = store, dict[int, PixelWindow]()
        self.zooms = store.zooms

    def extent(self, zoom: int) -> PixelWindow:
        """Columns and rows of the tiles of a non-empty zoom; right and bottom exclusive."""
        if zoom not in self._found:
            self._found[zoom] = self._store.extent(zoom)
        return self._found[zoom]


def footprint(store: HasExtent, boxes: Iterable[LngLatBounds]) -> PixelWindow:
    """Pixels covered by a tile set at its largest zoom: the first bounds that its tiles confirm, else its tiles."""
    store = CachedExtent(store)
    zoom = store.zooms[-1]
    for box in boxes:
        if covers(store, box) and is_filled(store, box):
            window = degrees_window(box, zoom)
            world = world_window(zoom)
            return window.intersection(world._replace(right=2 * world.right))
    return tiles_window(store.extent(zoom))


def covers(store: HasExtent, box: LngLatBounds) -> bool:
    """Whether all tiles of the largest zoom touch some bounds, or are adjacent to such a tile."""
    zoom = store.zooms[-1]
    inside, reach, world = _tiles_of(box, zoom), store.extent(zoom), 2**zoom
    if inside.right > world and reach.width == world:  # across the antimeridian: columns at both edges of the world
        reach = reach._replace(left=inside.left, right=inside.right)
    wide = _grow(inside)
    return all((wide.left <= reach.left, wide.top <= reach.top, wide.right >= reach.right, wide.bottom >= reach.bottom))


def is_filled(store: HasExtent, box: LngLatBounds) -> bool:
    """Whether bounds are not much larger than the tiles of some zoom: lower zooms may cover more."""
    for zoom in reversed(store.zooms):
        reach = store.extent(zoom)
        if zoom < store.zooms[-1] and min(reach.width, reach.height) < 3:
            return False
        inside = _tiles_of(box, zoom)
        if inside.width * inside.height <= _ROOMY * (reach.width + 2) * (reach.height + 2):
            return True
    return False


def row_order(boxes: Iterable[LngLatBounds], numbers: PixelWindow, zoom: int) -> Scheme | None:
    """Row order by bounds; None if they fit both or neither.

    Args:
        boxes: interpretations of the bounds; those that miss the columns are ignored.
        numbers: columns and rows at `zoom` as numbered in file names; right and bottom exclusive.
    """
    for box in boxes:
        inside = _tiles_of(box, zoom)
        if inside.left >= numbers.right or inside.right <= numbers.left:
            continue
        both = (numbers, number_rows(numbers, zoom, "tms"))
        xyz, tms = (_overlap((rows.top, rows.bottom), (inside.top, inside.bottom)) for rows in both)
        if max(xyz, tms) > _DECISIVE * min(xyz, tms):
            return "xyz" if xyz > tms else "tms"
    return None


def row_number(zoom: int, row: int, scheme: Scheme) -> int:
    """Row number by a scheme of a row that counts from the north, and vice versa."""
    return 2**zoom - 1 - row if scheme == "tms" else row


def number_rows(tiles: PixelWindow, zoom: int, scheme: Scheme) -> PixelWindow:
    """A range of tiles with its rows numbered by a scheme, and vice versa."""
    return tiles if scheme == "xyz" else tiles._replace(top=2**zoom - tiles.bottom, bottom=2**zoom - tiles.top)


def tiles_window(tiles: PixelWindow) -> PixelWindow:
    """The pixels of a range of tiles."""
    return PixelWindow(*(TILE_SIZE * edge for edge in tiles))


def hull(places: Iterator[tuple[int, int]]) -> PixelWindow:
    """The smallest range with some columns and rows, at least one."""
    left, top = right, bottom = next(places)
    for column, row in places:
        left, right = min(left, column), max(right, column)
        top, bottom = min(top, row), max(bottom, row)
    return PixelWindow(left, top, right + 1, bottom + 1)


def degrees_window(bounds: LngLatBounds, zoom: int) -> PixelWindow:
    """Pixels of bounds in degrees, clipped to the square world in the north and south; east may exceed 180."""
    west, south, east, north = bounds
    left, bottom = mercantile.xy(west, max(south, -_MERCATOR_EDGE))
    right, top = mercantile.xy(east, min(north, _MERCATOR_EDGE))
    return bounds_window(Bounds(left, bottom, right, top), zoom)


def _tiles_of(box: LngLatBounds, zoom: int) -> PixelWindow:
    return tile_range(degrees_window(box, zoom))


def _grow(tiles: PixelWindow) -> PixelWindow:
    return PixelWindow(tiles.left - 1, tiles.top - 1, tiles.right + 1, tiles.bottom + 1)


def _overlap(one: tuple[int, int], other: tuple[int, int]) -> float:
    """Intersection over union of two intervals."""
    shared = min(one[1], other[1]) - max(one[0], other[0])
    return max(0, shared) / (max(one[1], other[1]) - min(one[0], other[0]))
