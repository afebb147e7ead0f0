"""A map back on another pixel grid than the tiles': the scene's own, or one of any CRS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform as move
from rasterio.windows import Window

from geo2map.formats.geotiff.bands import BandArray, Ink
from geo2map.grid import HALF_WORLD, TILE_SIZE
from geo2map.grid.raster import RasterGrid
from geo2map.protocols import Progress

_TOLERANCE = 0.02
"""Pixels by which GDAL may miss a place: it asks PROJ for some points of a row and draws lines between them."""
PACIFIC_MERCATOR = "+proj=webmerc +lon_0=180 +datum=WGS84 +units=m +no_defs"
"""EPSG:3857 that is cut at Greenwich."""
_MEMORY = 64  # megabytes that GDAL warps at once


def warp_plain(
    source: Path, ink: Ink, grid: RasterGrid, path: Path, profile: dict[str, Any], progress: Progress | None
) -> None:
    """Writes a GeoTIFF with overviews on another grid than its source's, block by block.

    Colours are interpolated (bilinear) with their alpha, and a pixel is valid where half of it is; numbers of colours
    are those of the nearest pixel. Coarser grids take means of what they cover; overviews do.

    Args:
        source: GeoTIFF on the web-mercator grid.
        ink: what its bands are.
        profile: of the file; its place comes from the grid.
    """
    place = {"crs": grid.crs, "transform": grid.transform, "width": grid.width, "height": grid.height}
    path.unlink(missing_ok=True)
    columns, rows = -(-grid.width // TILE_SIZE), -(-grid.height // TILE_SIZE)
    target = profile | ink.profile | {"count": ink.count} | place
    with (
        rasterio.open(source) as web,
        WarpedVRT(web, **place, **_warping(_web_place(web, grid), ink, grid)) as view,
        rasterio.open(path, "w", **target) as made,
    ):
        ink.describe(made)
        for row in range(rows):
            for column in range(columns):
                window = Window(column * TILE_SIZE, row * TILE_SIZE, TILE_SIZE, TILE_SIZE)
                window = window.intersection(Window(0, 0, grid.width, grid.height))
                bands = _whole(view.read(window=window), ink)
                if (bands[-1] != ink.blank).any():
                    made.write(bands, window=window)
            if progress:
                progress("warping", row + 1, rows)
    if levels := (max(columns, rows) - 1).bit_length():
        kernel = Resampling.average if ink.table is None else Resampling.mode
        with rasterio.Env(GDAL_TIFF_OVR_BLOCKSIZE=TILE_SIZE), rasterio.open(path, "r+") as made:
            made.build_overviews([2**level for level in range(1, levels + 1)], kernel)


def _web_place(web: Any, grid: RasterGrid) -> dict[str, Any]:
    """Past the antimeridian PROJ begins anew in the west, and GDAL would find no pixels there."""
    if web.bounds.right <= HALF_WORLD or grid.crs == "EPSG:3857":
        return {"src_crs": "EPSG:3857", "src_transform": web.transform}
    return {"src_crs": PACIFIC_MERCATOR, "src_transform": Affine.translation(-HALF_WORLD, 0) @ web.transform}


def _whole(bands: BandArray, ink: Ink) -> BandArray:
    """A pixel is there or is not."""
    if ink.table is not None:
        return bands
    mask = bands[3] >= 128
    return np.concatenate([bands[:3] * mask, (mask * np.uint8(255))[None]])


def _warping(place: dict[str, Any], ink: Ink, grid: RasterGrid) -> dict[str, Any]:
    """How GDAL warps. The scale is fixed for the whole raster: by itself GDAL derives one for each chunk."""
    scale = min(1.0, 1 / _source_pixels(place, grid))
    options: dict[str, Any] = place | {
        "tolerance": _TOLERANCE,
        "warp_mem_limit": _MEMORY,
        "XSCALE": scale,
        "YSCALE": scale,
    }
    if ink.table is not None:
        return options | {"resampling": Resampling.nearest, "src_nodata": ink.blank, "nodata": ink.blank}
    return options | {"resampling": Resampling.bilinear}


def _source_pixels(place: dict[str, Any], grid: RasterGrid) -> float:
    """How many pixels of the web-mercator grid a pixel in the middle of a grid is wide."""
    x, y = grid.width / 2, grid.height / 2
    corners = [grid.transform @ point for point in ((x, y), (x + 1, y), (x, y + 1))]
    xs, ys = move(grid.crs, place["src_crs"], *zip(*corners, strict=True))
    right, down = (np.hypot(xs[n] - xs[0], ys[n] - ys[0]) for n in (1, 2))
    return float(np.sqrt(right * down)) / float(place["src_transform"].a)
