"""The global web-mercator pixel grid, and blocks of whole tiles on it."""

from geo2map.grid.block import Block, BlockImage
from geo2map.grid.noise import MOST_NOISE, add_noise
from geo2map.grid.window import (
    EARTH_RADIUS,
    HALF_WORLD,
    MAX_ZOOM,
    TILE_SIZE,
    PixelWindow,
    bounds_window,
    ground_resolution,
    lnglat_bounds,
    mercator_resolution,
    nearest_zoom,
    one_tile_zoom,
    tile_range,
    tile_window,
    to_lnglat,
    window_bounds,
    window_latitude,
    window_transform,
    world_window,
)

__all__ = [
    "EARTH_RADIUS",
    "HALF_WORLD",
    "MAX_ZOOM",
    "MOST_NOISE",
    "TILE_SIZE",
    "Block",
    "BlockImage",
    "PixelWindow",
    "add_noise",
    "bounds_window",
    "ground_resolution",
    "lnglat_bounds",
    "mercator_resolution",
    "nearest_zoom",
    "one_tile_zoom",
    "tile_range",
    "tile_window",
    "to_lnglat",
    "window_bounds",
    "window_latitude",
    "window_transform",
    "world_window",
]
