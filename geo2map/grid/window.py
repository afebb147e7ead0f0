"""The global web-mercator pixel grid: 256 px tiles, pixel (0, 0) at the north-west corner of the world."""

from __future__ import annotations

import math
from typing import NamedTuple

import mercantile
from affine import Affine

from geo2map.types import Bounds, LngLatBounds, Tile

TILE_SIZE = 256
MAX_ZOOM = 24
EARTH_RADIUS = 6378137.0
HALF_WORLD = math.pi * EARTH_RADIUS


class PixelWindow(NamedTuple):
    """A rectangle of global pixels at some zoom; right and bottom are excluded."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def empty(self) -> bool:
        return self.width <= 0 or self.height <= 0

    def grow(self, pixels: int) -> PixelWindow:
        """The window with `pixels` more on every side."""
        return PixelWindow(self.left - pixels, self.top - pixels, self.right + pixels, self.bottom + pixels)

    def shift(self, columns: int) -> PixelWindow:
        """The window `columns` farther to the right."""
        return PixelWindow(self.left + columns, self.top, self.right + columns, self.bottom)

    def intersection(self, other: PixelWindow) -> PixelWindow:
        """The common part; `empty` where there is none."""
        return PixelWindow(
            max(self.left, other.left),
            max(self.top, other.top),
            min(self.right, other.right),
            min(self.bottom, other.bottom),
        )

    def slices(self, frame: PixelWindow) -> tuple[slice, slice]:
        """Rows and columns of this window in an array that covers `frame`."""
        return (
            slice(self.top - frame.top, self.bottom - frame.top),
            slice(self.left - frame.left, self.right - frame.left),
        )


def mercator_resolution(zoom: int) -> float:
    """Web-mercator metres per pixel."""
    return 2.0 * HALF_WORLD / (TILE_SIZE * 2**zoom)


def ground_resolution(zoom: int, latitude: float) -> float:
    """Metres on the ground per pixel at a latitude in degrees: mercator resolution x cos(latitude)."""
    return mercator_resolution(zoom) * math.cos(math.radians(latitude))


def nearest_zoom(metres_per_pixel: float, latitude: float) -> int:
    """The zoom whose ground resolution is nearest (as a ratio) to the given one."""
    exact: float = math.log2(mercator_resolution(0) * math.cos(math.radians(latitude)) / metres_per_pixel)
    return min(max(round(exact), 0), MAX_ZOOM)


def tile_window(tile: Tile) -> PixelWindow:
    """The global pixels of a tile at its zoom."""
    left, top = tile.x * TILE_SIZE, tile.y * TILE_SIZE
    return PixelWindow(left, top, left + TILE_SIZE, top + TILE_SIZE)


def tile_range(window: PixelWindow) -> PixelWindow:
    """Columns and rows of the tiles that a pixel window touches, right and bottom excluded."""
    return PixelWindow(
        window.left // TILE_SIZE,
        window.top // TILE_SIZE,
        -(-window.right // TILE_SIZE),
        -(-window.bottom // TILE_SIZE),
    )


def world_window(zoom: int) -> PixelWindow:
    """All pixels of the world at a zoom."""
    side = TILE_SIZE * 2**zoom
    return PixelWindow(0, 0, side, side)


def window_bounds(window: PixelWindow, zoom: int) -> Bounds:
    """Web-mercator metres of a pixel window."""
    size = mercator_resolution(zoom)
    return Bounds(
        window.left * size - HALF_WORLD,
        HALF_WORLD - window.bottom * size,
        window.right * size - HALF_WORLD,
        HALF_WORLD - window.top * size,
    )


def window_transform(window: PixelWindow, zoom: int, cell: int = 1) -> Affine:
    """The geotransform of a raster over a pixel window whose pixels are `cell` global pixels wide."""
    bounds, size = window_bounds(window, zoom), mercator_resolution(zoom) * cell
    return Affine(size, 0.0, bounds.left, 0.0, -size, bounds.top)


def bounds_window(bounds: Bounds, zoom: int, forgiven: float = 1e-6) -> PixelWindow:
    """The smallest pixel window that holds the bounds.

    Args:
        forgiven: pixels by which the bounds may exceed it on every side.
    """
    size = mercator_resolution(zoom)
    return PixelWindow(
        math.floor((bounds.left + HALF_WORLD) / size + forgiven),
        math.floor((HALF_WORLD - bounds.top) / size + forgiven),
        math.ceil((bounds.right + HALF_WORLD) / size - forgiven),
        math.ceil((HALF_WORLD - bounds.bottom) / size - forgiven),
    )


def lnglat_bounds(window: PixelWindow, zoom: int) -> LngLatBounds:
    """Degrees of a pixel window."""
    return to_lnglat(window_bounds(window, zoom))


def to_lnglat(bounds: Bounds) -> LngLatBounds:
    """Degrees of bounds in web-mercator metres."""
    west, south = mercantile.lnglat(bounds.left, bounds.bottom)
    east, north = mercantile.lnglat(bounds.right, bounds.top)
    return LngLatBounds(west, south, east, north)


def window_latitude(window: PixelWindow, zoom: int) -> float:
    """Latitude in degrees of a pixel window's middle row."""
    bounds = window_bounds(window, zoom)
    return mercantile.lnglat(0.0, (bounds.bottom + bounds.top) / 2).lat


def one_tile_zoom(window: PixelWindow, zoom: int) -> int:
    """The largest zoom, at most `zoom`, at which the window lies within one tile."""
    while zoom > 0 and (tiles := tile_range(window)).width * tiles.height > 1:
        window = PixelWindow(window.left // 2, window.top // 2, -(-window.right // 2), -(-window.bottom // 2))
        zoom -= 1
    return zoom
