"""A map warped to another grid than the tiles': the scene's, or one of any CRS."""

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

from geo2map.formats.geotiff.bands import BandArray, BandLayout
from geo2map.grid import HALF_WORLD, TILE_SIZE
from geo2map.grid.raster import RasterGrid
from geo2map.protocols import Progress

_TOLERANCE = 0.02
"""Error in pixels allowed to GDAL, which transforms some points of a row exactly and interpolates between them."""
PACIFIC_MERCATOR = "+proj=webmerc +lon_0=180 +datum=WGS84 +units=m +no_defs"
"""EPSG:3857 with its seam at Greenwich."""
_MEMORY = 64  # megabytes for a chunk of GDAL's warper


def warp_plain(
    source: Path, layout: BandLayout, grid: RasterGrid, path: Path, profile: dict[str, Any], progress: Progress | None
) -> None:
    """Write a GeoTIFF with overviews on another grid, block by block.

    Colours are interpolated (bilinear) with their alpha, and a pixel is valid if half of it is; palette indices are
    nearest neighbour. Coarser grids and overviews average the pixels they cover.

    Args:
        source: GeoTIFF on the web-mercator grid.
        layout: of its bands.
        profile: creation options without georeference.
    """
    place = {"crs": grid.crs, "transform": grid.transform, "width": grid.width, "height": grid.height}
    path.unlink(missing_ok=True)
    columns, rows = -(-grid.width // TILE_SIZE), -(-grid.height // TILE_SIZE)
    target = profile | layout.profile | {"count": layout.count} | place
    with (
        rasterio.open(source) as web,
        WarpedVRT(web, **place, **_warping(_web_place(web, grid), layout, grid)) as view,
        rasterio.open(path, "w", **target) as made,
    ):
        layout.describe(made)
        for row in range(rows):
            for column in range(columns):
                window = Window(column * TILE_SIZE, row * TILE_SIZE, TILE_SIZE, TILE_SIZE)
                window = window.intersection(Window(0, 0, grid.width, grid.height))
                bands = _whole(view.read(window=window), layout)
                if (bands[-1] != layout.blank).any():
                    made.write(bands, window=window)
            if progress:
                progress("warping", row + 1, rows)
    if levels := (max(columns, rows) - 1).bit_length():
        kernel = Resampling.average if layout.table is None else Resampling.mode
        with rasterio.Env(GDAL_TIFF_OVR_BLOCKSIZE=TILE_SIZE), rasterio.open(path, "r+") as made:
            made.build_overviews([2**level for level in range(1, levels + 1)], kernel)


def _web_place(web: Any, grid: RasterGrid) -> dict[str, Any]:
    """PROJ wraps at the antimeridian, where GDAL would lose pixels: beyond it, the source has its seam at Greenwich."""
    if web.bounds.right <= HALF_WORLD or grid.crs == "EPSG:3857":
        return {"src_crs": "EPSG:3857", "src_transform": web.transform}
    return {"src_crs": PACIFIC_MERCATOR, "src_transform": Affine.translation(-HALF_WORLD, 0) @ web.transform}


def _whole(bands: BandArray, layout: BandLayout) -> BandArray:
    """Binary validity: a pixel is valid or not."""
    if layout.table is not None:
        return bands
    mask = bands[-1] >= 128
    return np.concatenate([bands[:-1] * mask, (mask * np.uint8(255))[None]])


def _warping(place: dict[str, Any], layout: BandLayout, grid: RasterGrid) -> dict[str, Any]:
    """Options of the warper. The scale is fixed for the whole raster: by default GDAL derives one for each chunk."""
    scale = min(1.0, 1 / _source_pixels(place, grid))
    options: dict[str, Any] = place | {
        "tolerance": _TOLERANCE,
        "warp_mem_limit": _MEMORY,
        "XSCALE": scale,
        "YSCALE": scale,
    }
    if layout.table is not None:
        return options | {"resampling": Resampling.nearest, "src_nodata": layout.blank, "nodata": layout.blank}
    return options | {"resampling": Resampling.bilinear}


def _source_pixels(place: dict[str, Any], grid: RasterGrid) -> float:
    """Width of a pixel at the centre of a grid, in pixels of the web-mercator grid."""
    x, y = grid.width / 2, grid.height / 2
    corners = [grid.transform @ point for point in ((x, y), (x + 1, y), (x, y + 1))]
    xs, ys = move(grid.crs, place["src_crs"], *zip(*corners, strict=True))
    right, down = (np.hypot(xs[n] - xs[0], ys[n] - ys[0]) for n in (1, 2))
    return float(np.sqrt(right * down)) / float(place["src_transform"].a)
