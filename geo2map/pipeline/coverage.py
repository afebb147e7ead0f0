"""Where a plan will write pixels, from a sample of the scene; for estimates and previews."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import shapely
from scipy.ndimage import binary_dilation

from geo2map import grid
from geo2map.grid import TILE_SIZE, PixelWindow
from geo2map.grid.block import Block
from geo2map.pipeline.reading import prepare
from geo2map.plan import Plan
from geo2map.scene import Imagery
from geo2map.types import Mask

FINEST_CELLS = 4096
"""Largest number of samples along a side of the scene."""

Cover = npt.NDArray[np.float64]
_Points = tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]
"""Rows and columns of global pixels."""


def survey(plan: Plan, scene: Imagery, cell: int) -> _Points:
    """Pixels with data to be written, one of every `cell` x `cell` (fewer in a very large scene)."""
    return _within(plan, _data(plan, scene, cell))


def tile_cover(plan: Plan, scene: Imagery) -> Cover:
    """Share of each tile of `plan.tiles` to be written, float (rows, columns); 0 only for tiles that will not exist.

    Samples every 16th pixel or fewer; adjacent tiles, which may contain a sliver, are read.
    """
    frame = grid.tile_range(scene.window(plan.maxzoom))
    data = _data(plan, scene, 16)
    seen = _by_tile(data, frame) > 0
    cover = _by_tile(_within(plan, data), plan.tiles) * (_cell(plan, scene, 16) / TILE_SIZE) ** 2
    near = (binary_dilation(seen, np.ones((3, 3))) | (not seen.any()))[plan.tiles.slices(frame)]
    source_plan = plan.untranslated()
    with scene.at(plan.view) as source:
        for row, column in np.argwhere((cover == 0) & near & _touched(plan)).tolist():
            block = Block(plan.maxzoom, plan.tiles.left + column, plan.tiles.top + row, 1, 1)
            cover[row, column] = prepare(source_plan, source, block).image.mask.mean()
    return np.minimum(cover, 1.0)


def _cell(plan: Plan, scene: Imagery, finest: int) -> int:
    window = scene.window(plan.maxzoom)
    return max(finest, 2 ** int(np.ceil(np.log2(max(window.width, window.height) / FINEST_CELLS))))


def _data(plan: Plan, scene: Imagery, finest: int) -> _Points:
    """Centres of the cells of the scene with data, inside or outside the plan."""
    window, cell = scene.window(plan.maxzoom), _cell(plan, scene, finest)
    rows, columns = np.nonzero(scene.coverage(plan.maxzoom, cell))
    rows = np.minimum(window.top + rows * cell + cell // 2, window.bottom - 1)
    return rows, np.minimum(window.left + columns * cell + cell // 2, window.right - 1)


def _within(plan: Plan, points: _Points) -> _Points:
    """The points in the plan's window and area of interest."""
    rows, columns = points
    window, tiles = plan.window, plan.tiles
    inside = (rows >= window.top) & (rows < window.bottom) & (columns >= window.left) & (columns < window.right)
    rows, columns = rows[inside], columns[inside]
    inside = _touched(plan)[rows // TILE_SIZE - tiles.top, columns // TILE_SIZE - tiles.left]
    if plan.aoi is not None and plan.clip:
        world = grid.world_window(plan.maxzoom)
        x, y = grid.window_transform(world, plan.maxzoom) @ np.array([columns % world.width + 0.5, rows + 0.5])
        inside &= shapely.contains_xy(plan.aoi.geometry, x, y)
    return rows[inside], columns[inside]


def _touched(plan: Plan) -> Mask:
    """Which tiles of `plan.tiles` the area of interest touches, bool (rows, columns)."""
    if plan.aoi is None:
        return np.ones((plan.tiles.height, plan.tiles.width), dtype=np.bool_)
    return plan.aoi.tiles(plan.tiles, plan.maxzoom)


def _by_tile(points: _Points, tiles: PixelWindow) -> Cover:
    """Number of points in each tile, float (rows, columns)."""
    counts = np.zeros((tiles.height, tiles.width))
    np.add.at(counts, (points[0] // TILE_SIZE - tiles.top, points[1] // TILE_SIZE - tiles.left), 1.0)
    return counts
