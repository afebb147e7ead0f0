"""Where a set of tiles lies: bounds that a document states are believed as far as the tiles bear them out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

import mercantile

from geo2map.grid import TILE_SIZE, PixelWindow, bounds_window, tile_range, world_window
from geo2map.types import Bounds, LngLatBounds, Scheme

_MERCATOR_EDGE = 85.0511287798066
"""Degrees: where the square world ends."""
_ROOMY = 4
"""Times the area of the tiles that bounds may have: sparse sets leave out what is empty; the world is no bounds."""
_DECISIVE = 2
"""Times as well as the other that an order of rows must fit the bounds to be the one that is meant."""


class Reaching(Protocol):
    """Stored tiles that know how far they reach.

    Attributes:
        zooms: those with at least one tile, ascending.
    """

    @property
    def zooms(self) -> tuple[int, ...]: ...

    def reach(self, zoom: int) -> PixelWindow:
        """Columns and rows of the tiles of a zoom that has some, right and bottom excluded."""
        ...


class Reach:
    """How far stored tiles reach, found once a zoom: for a chain of calls during which nothing changes.

    Attributes:
        zooms: those with at least one tile, ascending.
    """

    def __init__(self, store: Reaching) -> None:
        self._store, self._found = store, dict[int, PixelWindow]()
        self.zooms = store.zooms

    def reach(self, zoom: int) -> PixelWindow:
        """Columns and rows of the tiles of a zoom that has some, right and bottom excluded."""
        if zoom not in self._found:
            self._found[zoom] = self._store.reach(zoom)
        return self._found[zoom]


def footprint(store: Reaching, boxes: Iterable[LngLatBounds]) -> PixelWindow:
    """The pixels that a set covers at its largest zoom: the first bounds that its tiles bear out, else its tiles."""
    store = Reach(store)
    zoom = store.zooms[-1]
    for box in boxes:
        if covers(store, box) and is_filled(store, box):
            window = degrees_window(box, zoom)
            world = world_window(zoom)
            return window.intersection(world._replace(right=2 * world.right))
    return tiles_window(store.reach(zoom))


def covers(store: Reaching, box: LngLatBounds) -> bool:
    """Whether all tiles of the largest zoom touch some bounds, or lie beside one that does."""
    zoom = store.zooms[-1]
    inside, reach, world = _tiles_of(box, zoom), store.reach(zoom), 2**zoom
    if inside.right > world and reach.width == world:  # across the antimeridian: columns at both edges of the world
        reach = reach._replace(left=inside.left, right=inside.right)
    wide = _grow(inside)
    return all((wide.left <= reach.left, wide.top <= reach.top, wide.right >= reach.right, wide.bottom >= reach.bottom))


def is_filled(store: Reaching, box: LngLatBounds) -> bool:
    """Whether bounds are not far larger than what the tiles of some zoom cover: lower zooms may cover more."""
    for zoom in reversed(store.zooms):
        reach = store.reach(zoom)
        if zoom < store.zooms[-1] and min(reach.width, reach.height) < 3:
            return False
        inside = _tiles_of(box, zoom)
        if inside.width * inside.height <= _ROOMY * (reach.width + 2) * (reach.height + 2):
            return True
    return False


def row_order(boxes: Iterable[LngLatBounds], numbers: PixelWindow, zoom: int) -> Scheme | None:
    """How rows are counted, by bounds; None where these fit both ways or neither.

    Args:
        boxes: readings of the bounds; those that miss the columns are passed over.
        numbers: columns and rows as the files at `zoom` are numbered, right and bottom excluded.
    """
    for box in boxes:
        inside = _tiles_of(box, zoom)
        if inside.left >= numbers.right or inside.right <= numbers.left:
            continue
        flipped = 2**zoom - numbers.bottom, 2**zoom - numbers.top
        xyz, tms = (_likeness(rows, (inside.top, inside.bottom)) for rows in ((numbers.top, numbers.bottom), flipped))
        if max(xyz, tms) > _DECISIVE * min(xyz, tms):
            return "xyz" if xyz > tms else "tms"
    return None


def tiles_window(tiles: PixelWindow) -> PixelWindow:
    """The pixels of a range of tiles."""
    return PixelWindow(*(TILE_SIZE * edge for edge in tiles))


def hull(places: Iterator[tuple[int, int]]) -> PixelWindow:
    """The smallest range that holds some columns and rows, of which there is at least one."""
    left, top = right, bottom = next(places)
    for column, row in places:
        left, right = min(left, column), max(right, column)
        top, bottom = min(top, row), max(bottom, row)
    return PixelWindow(left, top, right + 1, bottom + 1)


def degrees_window(bounds: LngLatBounds, zoom: int) -> PixelWindow:
    """The pixels of bounds in degrees, cut at the square world's north and south; east may lie beyond 180."""
    west, south, east, north = bounds
    left, bottom = mercantile.xy(west, max(south, -_MERCATOR_EDGE))
    right, top = mercantile.xy(east, min(north, _MERCATOR_EDGE))
    return bounds_window(Bounds(left, bottom, right, top), zoom)


def _tiles_of(box: LngLatBounds, zoom: int) -> PixelWindow:
    return tile_range(degrees_window(box, zoom))


def _grow(tiles: PixelWindow) -> PixelWindow:
    return PixelWindow(tiles.left - 1, tiles.top - 1, tiles.right + 1, tiles.bottom + 1)


def _likeness(one: tuple[int, int], other: tuple[int, int]) -> float:
    """What two intervals share of what they cover together."""
    shared = min(one[1], other[1]) - max(one[0], other[0])
    return max(0, shared) / (max(one[1], other[1]) - min(one[0], other[0]))
