"""A small map with a hole and odd edges whose pixels are known, and every kind of output made of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import mercantile
import numpy as np

from geo2map.colour.palette import MAPS_PALETTE
from geo2map.grid import PixelWindow
from geo2map.grid.block import Block, BlockImage
from geo2map.grid.raster import RasterGrid
from geo2map.ledger import open_output
from geo2map.pipeline.run import run
from geo2map.plan import Plan, Storage
from geo2map.scene import View
from geo2map.testing import ArraySource, fake_job

NAME = "Jakarta <b> & \"its\" 'parks' 東京"
BLOCK = Block(z=14, x=13055, y=8467, columns=5, rows=3)  # odd column and row, so that overviews straddle
WINDOW = PixelWindow(BLOCK.core.left + 37, BLOCK.core.top + 21, BLOCK.core.right, BLOCK.core.bottom - 3)
HOLE = (slice(256, 512), slice(512, 768))  # one tile of the middle row is missing
PLAN = Plan(name=NAME, view=View(14), window=WINDOW, block_span=2)
UTM = RasterGrid("EPSG:32748", (9.5, 0.0, 706_000.0, 0.0, -9.5, 9_332_000.0), 700, 500)
"""The grid of a scene in UTM that covers the middle of the map."""


def waves() -> BlockImage:
    """Steep enough to tell a pixel from its neighbours and smooth enough to be resampled."""
    rows, columns = np.mgrid[: BLOCK.core.height, : BLOCK.core.width]
    phases = np.dstack([columns / 61, rows / 53, (rows + 2 * columns) / 997]) * 2 * np.pi
    mask = np.zeros(rows.shape, dtype=np.bool_)
    mask[WINDOW.slices(BLOCK.core)] = True
    mask[HOLE] = False
    return BlockImage(BLOCK, (128 + 127 * np.sin(phases)).astype(np.uint8), mask)


def make_output(path: Path, image: BlockImage, **storage: Any) -> Path:
    """The map at a path, in zooms 12 to 14."""
    job = fake_job(PLAN, Storage(minzoom=12, **storage))
    with open_output(path, replace(job, facts={"legend": MAPS_PALETTE.entries})) as output:
        run(ArraySource(BLOCK.core, image.pixels, image.mask), None, output)
    return path


def rgba(image: BlockImage) -> np.ndarray:
    """int (H, W, 4), zero where invalid."""
    return (np.dstack([image.pixels, np.full_like(image.mask, 255, np.uint8)]) * image.mask[..., None]).astype(int)


def mercator_bounds(edge: float = 0) -> tuple[float, float, float, float]:
    """Where mercantile says that the block lies, in metres, with so many pixels around it."""
    first = mercantile.xy_bounds(BLOCK.x, BLOCK.y, BLOCK.z)
    last = mercantile.xy_bounds(BLOCK.x + BLOCK.columns - 1, BLOCK.y + BLOCK.rows - 1, BLOCK.z)
    around = edge * (first.right - first.left) / 256
    return first.left - around, last.bottom - around, last.right + around, first.top + around
